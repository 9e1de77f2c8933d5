// The session routes, over real HTTP: what they answer, what they refuse, and what a foreign page can do with them.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import session from "express-session";
import { describe, expect, it, onTestFinished, test, vi } from "vitest";
import { createSessions, liveStore } from "../../src/index.js";
import { type App, type AppOptions, secret, startApp } from "../support/app.js";
import { Browser } from "../support/browser.js";
import { LineStore } from "../support/stores.js";

const maxAge = 60_000;

/** An app that has mounted the routes, with cookies that expire. */
function startWithRoutes(sessions: AppOptions["sessions"] = {}): Promise<App> {
  return startApp({
    sessions: { cookie: { maxAge }, view: ({ user }) => ({ user: user ?? null }), ...sessions },
    setup: ({ app, sessions: made }) => app.use("/my/session", made.routes),
  });
}

/** A server with the routes alone: nobody has run the session middleware before. */
async function startBare(options: Partial<Parameters<typeof createSessions>[0]> = {}) {
  const sessions = createSessions({ secret, cookie: { maxAge }, ...options } as { secret: string });
  const http = createServer((request, response) => {
    sessions.routes(request, response, (error) => response.writeHead(error ? 500 : 404).end());
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  onTestFinished(async () => {
    http.close();
    http.closeAllConnections();
    await sessions.close();
  });
  return { sessions, url: `http://127.0.0.1:${(http.address() as AddressInfo).port}` };
}

async function answerOf(response: Response): Promise<{ status: number; body: unknown }> {
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
}

describe("GET /", () => {
  it("answers with the view and the time that is left, and is kept by no cache", async () => {
    const { login } = await startWithRoutes();
    const response = await (await login("ada")).fetch("/my/session");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await answerOf(response)).toEqual({
      status: 200,
      body: { view: { user: "ada" }, expiresIn: expect.closeTo(maxAge, -4) },
    });
  });

  it("has no view where none is configured, and no end where nothing ends the session", async () => {
    const { login } = await startWithRoutes({ view: undefined, cookie: {} });
    expect(await (await login()).get("/my/session/")).toEqual({ view: null, expiresIn: null });
  });

  it("counts the absolute lifetime", async () => {
    const { login } = await startWithRoutes({ absoluteTimeout: 30_000 });
    const { expiresIn } = await (await login()).get<{ expiresIn: number }>("/my/session");
    expect(expiresIn).toBeGreaterThan(15_000);
    expect(expiresIn).toBeLessThanOrEqual(30_000);
  });

  it("is 401 with the code that tells why there is no session, and gives nobody a new one", async () => {
    const { browser, login, sessions } = await startWithRoutes();
    const stranger = browser();
    const response = await stranger.fetch("/my/session");
    expect(await answerOf(response)).toEqual({ status: 401, body: { code: "SESSION_MISSING", retry: false } });
    expect(response.headers.getSetCookie()).toEqual([]);
    stranger.cookies.set("connect.sid", "s%3Aforged.signature");
    expect((await stranger.get("/my/session"))["code"]).toBe("SESSION_INVALID");

    const ada = await login();
    const old = ada.cookie;
    await ada.post("/logout");
    expect((await ada.get("/my/session"))["code"]).toBe("SESSION_DESTROYED");
    const sameCookie = { headers: { cookie: old } };
    expect((await stranger.fetch("/my/session/renew", { method: "POST", ...sameCookie })).status).toBe(401);
    expect(await new Promise((resolve) => sessions.store.length((_, count) => resolve(count)))).toBe(0);
  });

  it("a view that throws is reported, and shows nothing", async () => {
    const { login, sessions } = await startWithRoutes({
      view() {
        throw new Error("no view today");
      },
    });
    const failed = vi.fn<(error: unknown) => void>();
    sessions.on("error", failed);
    expect(await (await login()).get("/my/session")).toEqual({ view: null, expiresIn: expect.closeTo(maxAge, -4) });
    expect(failed).toHaveBeenCalledExactlyOnceWith(new Error("no view today"));
  });
});

describe("POST /renew", () => {
  it.each([false, true])("sends the cookie anew and moves the expiry (rolling: %s)", async (rolling) => {
    const { login, sessions } = await startWithRoutes({ rolling });
    const ada = await login();
    // As if it had been left alone for most of its time.
    const id = ada.sessionId;
    const late = new Date(Date.now() + 20_000);
    await sessions.update(id, (data) => {
      data.cookie.maxAge = 20_000;
      data.cookie.originalMaxAge = maxAge;
    });
    const response = await ada.post("/my/session/renew");
    const cookies = response.headers.getSetCookie();
    expect(cookies).toHaveLength(1);
    expect(cookies[0]).toContain(`connect.sid=${ada.cookies.get("connect.sid")}`);
    expect(Date.parse(/Expires=([^;]+)/.exec(cookies[0] as string)?.[1] as string)).toBeGreaterThan(
      late.getTime() + maxAge / 2,
    );
    expect(await answerOf(response)).toEqual({ status: 200, body: { expiresIn: expect.closeTo(maxAge, -4) } });
    const stored = await sessions.update(id, (data) => ({ ...data }));
    expect(stored.cookie.expires?.getTime()).toBeGreaterThan(late.getTime() + maxAge / 2);
    expect(Object.keys(stored).toSorted()).toEqual(["cookie", "user"]);
  });

  it("takes GET for a mistake", async () => {
    const { login } = await startWithRoutes();
    const response = await (await login()).fetch("/my/session/renew");
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("POST");
    expect(response.headers.getSetCookie()).toEqual([]);
  });
});

test("other paths are other people's", async () => {
  const { login } = await startWithRoutes();
  expect((await (await login()).fetch("/my/session/elsewhere")).status).toBe(404);
});

describe("pages of other origins", () => {
  const foreign = [
    { origin: "https://evil.example.com" },
    { origin: "https://evil.example.com", "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { origin: "null", "sec-fetch-site": "cross-site" },
    { origin: "null" },
  ];

  it.each(foreign)("are refused, with the user's cookie, before the store is asked: %o", async (headers) => {
    const store = new LineStore();
    const { login, sessions } = await startApp({ sessions: { store, cookie: { maxAge } } });
    const ada = await login();
    const { url } = await startBare({ store: sessions.store });
    const asked = { ...store.asked };
    for (const [path, method] of [
      ["/", "GET"],
      ["/renew", "POST"],
    ] as const) {
      const sent = { cookie: ada.cookie, ...headers } as Record<string, string>;
      const response = await fetch(url + path, { method, headers: sent });
      expect(await answerOf(response)).toEqual({ status: 403, body: { code: "ORIGIN_REFUSED", retry: false } });
      expect(response.headers.getSetCookie()).toEqual([]);
      expect(response.headers.get("access-control-allow-origin")).toBeNull();
    }
    expect(store.asked).toEqual(asked);
  });

  it("are refused where the browser says that they are foreign, whatever their origin", async () => {
    const { login, url } = await startWithRoutes();
    const ada = await login();
    for (const site of ["same-site", "cross-site"]) {
      const headers = { origin: url, "sec-fetch-site": site };
      expect((await ada.fetch("/my/session", { headers })).status).toBe(403);
    }
  });

  it("pass where they are listed, and may read the answer", async () => {
    const origin = "https://app.example.com";
    const { login } = await startWithRoutes({ routes: { origins: [origin] } });
    const ada = await login();
    const headers = { origin, "sec-fetch-site": "cross-site" };
    const preflight = await ada.fetch("/my/session/renew", { method: "OPTIONS", headers });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-methods")).toBe("POST");
    const response = await ada.fetch("/my/session/renew", { method: "POST", headers });
    expect(response.status).toBe(200);
    expect(response.headers.get("access-control-allow-origin")).toBe(origin);
    expect(response.headers.get("access-control-allow-credentials")).toBe("true");
    expect(response.headers.get("vary")).toContain("Origin");
    const other = { origin: "https://app.example.com.evil.org", "sec-fetch-site": "cross-site" };
    expect((await ada.fetch("/my/session/renew", { method: "OPTIONS", headers: other })).status).toBe(403);
  });

  it.each([
    ["in the option origins of attach()", { attach: { origins: ["https://app.example.com"] } }],
    ["in Socket.IO's cors", { io: { cors: { origin: "https://app.example.com", credentials: true } } }],
  ])("pass where they may connect: %s", async (_, options) => {
    const setup: AppOptions["setup"] = ({ app, sessions }) => app.use("/my/session", sessions.routes);
    const { login } = await startApp({ ...options, setup });
    const ada = await login();
    const ask = async (origin: string): Promise<number> => {
      const headers = { origin, "sec-fetch-site": "cross-site" };
      return (await ada.fetch("/my/session/renew", { method: "POST", headers })).status;
    };
    expect(await ask("https://app.example.com")).toBe(200);
    expect(await ask("https://evil.example.com")).toBe(403);
  });

  it("are refused where the function that decides throws; its error is reported", async () => {
    const { login, sessions } = await startWithRoutes({
      routes: {
        origins() {
          throw new Error("no list today");
        },
      },
    });
    const failed = vi.fn<(error: unknown) => void>();
    sessions.on("error", failed);
    const ada = await login();
    expect((await ada.fetch("/my/session", { headers: { origin: "https://x.example.com" } })).status).toBe(403);
    expect(failed).toHaveBeenCalledExactlyOnceWith(new Error("no list today"));
  });

  it("what the browser says of the page counts more than an origin that a proxy hides", async () => {
    const { login } = await startWithRoutes();
    const ada = await login();
    const headers = { origin: "https://seen-by-the-browser.example.com", "sec-fetch-site": "same-origin" };
    expect((await ada.fetch("/my/session", { headers })).status).toBe(200);
  });
});

describe("where the session middleware did not run", () => {
  it("the routes run it", async () => {
    const { sessions, url } = await startBare({ view: ({ user }) => user });
    const login = createServer((request, response) => {
      sessions.middleware(request, response, () => {
        (request as unknown as { session: { user: string } }).session.user = "ada";
        response.end();
      });
    });
    login.listen(0, "127.0.0.1");
    await once(login, "listening");
    onTestFinished(() => void login.close());
    const ada = new Browser(`http://127.0.0.1:${(login.address() as AddressInfo).port}`);
    await ada.fetch("/");
    const headers = { cookie: ada.cookie };
    expect(await answerOf(await fetch(url, { headers }))).toEqual({
      status: 200,
      body: { view: "ada", expiresIn: expect.closeTo(maxAge, -4) },
    });
    const renewed = await fetch(`${url}/renew`, { method: "POST", headers });
    expect(renewed.headers.getSetCookie()).toHaveLength(1);
    expect((await fetch(`${url}/elsewhere`)).status).toBe(404);
  });

  it("a store that does not answer is 503, and coming back helps", async () => {
    const store = new LineStore();
    const { login, sessions } = await startApp({ sessions: { store, cookie: { maxAge } } });
    const ada = await login();
    const { url } = await startBare({ store: sessions.store });
    const headers = { cookie: ada.cookie };
    expect((await fetch(url, { headers })).status).toBe(200);
    store.state = "fails";
    for (const [path, method] of [
      ["/", "GET"],
      ["/renew", "POST"],
    ] as const) {
      expect(await answerOf(await fetch(url + path, { method, headers }))).toEqual({
        status: 503,
        body: { code: "STORE_UNAVAILABLE", retry: true },
      });
    }
    store.state = "up";
    store.touch = (_id, _data, done) => void setImmediate(done as (error: Error) => void, new Error("read-only"));
    expect((await fetch(url, { headers })).status).toBe(200);
    expect((await fetch(`${url}/renew`, { method: "POST", headers })).status).toBe(503);
    store.inner.emit("disconnect");
    sessions.store.emit("disconnect");
    expect((await fetch(url, { headers })).status).toBe(503);
  });
});

test("with an existing middleware the routes are the same", async () => {
  const middleware = session({
    secret,
    resave: false,
    saveUninitialized: false,
    store: liveStore(new session.MemoryStore()),
    cookie: { maxAge },
  });
  const existing = createSessions({ middleware, view: ({ user }) => ({ user }) });
  const { login } = await startApp({
    existing,
    setup: ({ app }) => app.use("/my/session", existing.routes),
  });
  const ada = await login();
  expect(await ada.get("/my/session")).toEqual({ view: { user: "ada" }, expiresIn: expect.closeTo(maxAge, -4) });
  expect((await ada.post("/my/session/renew")).headers.getSetCookie()).toHaveLength(1);
});

test("wrong options are told at once", () => {
  for (const options of [{ view: "name" }, { routes: { origins: "https://app.example.com" } }]) {
    expect(() => createSessions({ secret, ...options } as never)).toThrow(
      expect.objectContaining({ code: "OPTION_INVALID" }),
    );
  }
});
