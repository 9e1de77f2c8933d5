// Promise 10: doors closed by default. Origins, credentials, every value of `missing`.
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { sign } from "cookie-signature";
import { Server as EngineServer } from "engine.io";
import session from "express-session";
import type { Socket } from "socket.io-client";
import { describe, expect, onTestFinished, test } from "vitest";
import WebSocket from "ws";
import { createSessions, memoryStore, type Refusal } from "../../src/index.js";
import { secret, startApp } from "../support/app.js";
import { type Browser, next, transports } from "../support/browser.js";
import { faults } from "../support/faults.js";
import { LineStore } from "../support/stores.js";

function withOrigin(origin: string): { extraHeaders: Record<string, string> } {
  return { extraHeaders: { origin } };
}

function stored(app: { sessions: { store: session.Store } }): Promise<number> {
  return new Promise((resolve) => app.sessions.store.length?.((_, count) => resolve(count ?? 0)));
}

describe.each(["polling", "websocket"] as const)("origins over %s", (via) => {
  test("a foreign origin with the victim's cookie is refused; same origin, none and listed ones pass", async () => {
    const refusals: Refusal[] = [];
    const { login, sessions, url } = await startApp({
      attach: { origins: ["https://app.example.com", /^https:\/\/[a-z]+\.example\.org$/] },
    });
    sessions.on("refused", (refusal) => refusals.push(refusal));
    const ada = await login();
    const port = new URL(url).port;
    for (const foreign of [
      "https://evil.example",
      "null",
      `http://127.0.0.1:${Number(port) + 1}`,
      `https://127.0.0.1:${port}`,
      `http://localhost:${port}`,
      "https://app.example.com.evil.example",
      "http://app.example.com",
      "not an origin",
    ]) {
      expect(await ada.refused("/", { via, ...withOrigin(foreign) }), foreign).toEqual({
        code: "ORIGIN_REFUSED",
        retry: false,
      });
    }
    expect(refusals.at(0)).toMatchObject({ code: "ORIGIN_REFUSED", origin: "https://evil.example" });
    for (const own of [url, "https://app.example.com", "https://sub.example.org"]) {
      await ada.connect("/", { via, ...withOrigin(own) });
    }
    await ada.connect("/", { via });
  });

  test("what the server's cors.origin names passes; its wildcard does not", async () => {
    const named = await startApp({ io: { cors: { origin: ["https://app.example.com"], credentials: true } } });
    const ada = await named.login();
    await ada.connect("/", { via, ...withOrigin("https://app.example.com") });
    expect((await ada.refused("/", { via, ...withOrigin("https://evil.example") })).code).toBe("ORIGIN_REFUSED");
    const wild = await startApp({ io: { cors: { origin: "*" } } });
    const bob = await wild.login();
    expect((await bob.refused("/", { via, ...withOrigin("https://evil.example") })).code).toBe("ORIGIN_REFUSED");
    const decides = await startApp({
      io: { cors: { origin: (origin, done) => done(null, origin === "https://ok.example") } },
    });
    const eve = await decides.login();
    await eve.connect("/", { via, ...withOrigin("https://ok.example") });
    expect((await eve.refused("/", { via, ...withOrigin("https://evil.example") })).code).toBe("ORIGIN_REFUSED");
  });

  test("behind a proxy the browser's origin counts only where the proxy is trusted", async () => {
    const headers = {
      origin: "https://public.example",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "public.example",
    };
    const plain = await startApp();
    expect((await (await plain.login()).refused("/", { via, extraHeaders: headers })).code).toBe("ORIGIN_REFUSED");
    const option = await startApp({ sessions: { proxy: true } });
    await (await option.login()).connect("/", { via, extraHeaders: headers });
    const setting = await startApp({ setup: ({ app }) => void app.set("trust proxy", "loopback") });
    await (await setting.login()).connect("/", { via, extraHeaders: headers });
    const never = await startApp({ sessions: { proxy: false }, setup: ({ app }) => void app.set("trust proxy", true) });
    expect((await (await never.login()).refused("/", { via, extraHeaders: headers })).code).toBe("ORIGIN_REFUSED");
  });

  // socketio/engine.io#641
  test("the server's cors as a function of the request is asked for each; one that throws refuses", async () => {
    const errors: unknown[] = [];
    const { login, sessions } = await startApp({
      io: {
        // Socket.IO's types do not have it, but it passes the option to the package cors.
        cors: ((request: IncomingMessage, done: (error: unknown, options?: object) => void) => {
          if (request.headers.origin === "https://broken.example" && asked++ === 1) throw new Error("broken");
          done(null, { origin: `https://${request.headers["x-tenant"] as string}.example`, credentials: true });
        }) as never,
      },
    });
    let asked = 0;
    sessions.on("error", (error) => errors.push(error));
    const ada = await login();
    const from = (origin: string, tenant: string) => ({ via, extraHeaders: { origin, "x-tenant": tenant } });
    await ada.connect("/", from("https://a.example", "a"));
    await ada.connect("/", from("https://b.example", "b"));
    expect((await ada.refused("/", from("https://a.example", "b"))).code).toBe("ORIGIN_REFUSED");
    // Socket.IO itself asks first.
    expect((await ada.refused("/", from("https://broken.example", "broken"))).code).toBe("ORIGIN_REFUSED");
    expect(errors).toEqual([expect.objectContaining({ message: "broken" })]);
  });

  test("requireOrigin refuses native clients, but no browser on its own site", async () => {
    const { login, url } = await startApp({ attach: { requireOrigin: true } });
    const ada = await login();
    expect((await ada.refused("/", { via })).code).toBe("ORIGIN_REFUSED");
    await ada.connect("/", { via, ...withOrigin(url) });
    await ada.connect("/", { via, extraHeaders: { "sec-fetch-site": "same-origin" } });
  });

  test("a cross-site request that hides its origin is refused", async () => {
    const { login } = await startApp();
    const ada = await login();
    expect((await ada.refused("/", { via, extraHeaders: { "sec-fetch-site": "cross-site" } })).code).toBe(
      "ORIGIN_REFUSED",
    );
  });
});

test("a page that was led here under another name (DNS rebinding) is refused, where hosts has this server's", async () => {
  const open = await startApp();
  const { login, url } = await startApp({
    sessions: { hosts: ["127.0.0.1"] },
    setup: ({ app, sessions }) => app.use("/my/session", sessions.routes),
  });
  const rebound = `evil.example:${new URL(url).port}`;
  const headers = { host: rebound, origin: `http://${rebound}` };
  // Over polling the client does not let a test choose the Host header.
  const via = "websocket";
  await (await open.login()).connect("/", { via, extraHeaders: headers });
  const ada = await login();
  await ada.connect("/", { via, ...withOrigin(url) });
  await ada.connect("/", { via });
  const statusFrom = (more: object) =>
    new Promise((resolve) =>
      get(`${url}/my/session`, { headers: { cookie: ada.cookie, ...more } }, (answer) =>
        resolve(answer.resume().statusCode),
      ),
    );
  expect(await statusFrom({})).toBe(200);
  for (const extraHeaders of [headers, { host: rebound }, { host: rebound, "sec-fetch-site": "same-origin" }]) {
    expect((await ada.refused("/", { via, extraHeaders })).code).toBe("ORIGIN_REFUSED");
    expect(await statusFrom(extraHeaders), JSON.stringify(extraHeaders)).toBe(403);
  }
});

test("a refused origin is logged once", async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on("warning", onWarning);
  const { login } = await startApp();
  const ada = await login();
  for (let index = 0; index < 3; index++) await ada.refused("/", withOrigin("https://once.example"));
  await new Promise(setImmediate);
  process.off("warning", onWarning);
  expect(warnings.filter(({ message }) => message.includes("https://once.example"))).toHaveLength(1);
});

describe.each(["polling", "websocket"] as const)("credentials over %s", (via) => {
  test("hostile cookies are refused with a code, and never reach the store as anything but a string", async () => {
    const asked: unknown[] = [];
    class Spy extends session.MemoryStore {
      override get = (id: string, done: (error: unknown, data?: session.SessionData | null) => void): void => {
        asked.push(id);
        session.MemoryStore.prototype.get.call(this, id, done);
      };
    }
    const { login, browser } = await startApp({ sessions: { store: new Spy() } });
    const ada = await login();
    const good = ada.cookies.get("connect.sid") as string;
    const id = decodeURIComponent(good).slice(2).split(".")[0] as string;
    asked.length = 0;
    const cases: Record<string, [string, string]> = {
      none: ["SESSION_MISSING", "other=1"],
      empty: ["SESSION_MISSING", "connect.sid="],
      "raw id": ["SESSION_INVALID", `connect.sid=${id}`],
      tampered: ["SESSION_INVALID", `connect.sid=${good.slice(0, -2)}xx`],
      "other secret": ["SESSION_INVALID", `connect.sid=${encodeURIComponent(`s:${sign(id, "wrong")}`)}`],
      JSON: ["SESSION_INVALID", `connect.sid=${encodeURIComponent('j:{"$gt":""}')}`],
      "signed JSON of another secret": [
        "SESSION_INVALID",
        `connect.sid=${encodeURIComponent(`s:${sign('j:{"$gt":""}', "x")}`)}`,
      ],
      "no signature": ["SESSION_INVALID", "connect.sid=s:"],
      "broken encoding": ["SESSION_INVALID", "connect.sid=%E0%A4%A"],
      prototype: ["SESSION_MISSING", "__proto__=s:x; constructor=1"],
      "repeated, hostile first": ["SESSION_INVALID", `connect.sid=j:{}; connect.sid=${good}`],
      destroyed: ["SESSION_UNKNOWN", `connect.sid=${encodeURIComponent(`s:${sign("gone", secret)}`)}`],
    };
    for (const [name, [code, cookie]] of Object.entries(cases)) {
      expect((await browser().refused("/", { via, extraHeaders: { cookie } })).code, name).toBe(code);
    }
    expect(asked).toEqual(["gone"]);
    await browser().connect("/", { via, extraHeaders: { cookie: `a=1; connect.sid=${good}; connect.sid=j:{}` } });
  });

  test("a cookie header of 64 KB is no crash", async () => {
    const { login, browser } = await startApp();
    const ada = await login();
    const huge = `${"x=y; ".repeat(13_000)}${ada.cookie}`;
    await expect(browser().refused("/", { via, extraHeaders: { cookie: huge } })).rejects.toThrow();
    await ada.connect("/", { via });
  });

  test("every secret of a rotated list is good, the first signs", async () => {
    const store = memoryStore();
    const old = await startApp({ sessions: { secret: "old", store } });
    const ada = await old.login();
    const rotated = await startApp({ sessions: { secret: ["new", "old"], store } });
    const cookie = ada.cookie;
    const same = rotated.browser();
    await same.connect("/", { via, extraHeaders: { cookie } });
    const forgotten = await startApp({ sessions: { secret: ["new"], store } });
    expect((await forgotten.browser().refused("/", { via, extraHeaders: { cookie } })).code).toBe("SESSION_INVALID");
  });

  test("sessionId(request) finds the id another way; objects are refused, errors too, and the cookie still counts", async () => {
    const ids: string[] = [];
    const { login, browser } = await startApp({
      attach: {
        sessionId: (request) => {
          const token = request.headers["x-token"];
          if (token === "throws") throw new Error("broken reader");
          if (token === "object") return { $gt: "" } as unknown as string;
          return token === "good" ? ids[0] : undefined;
        },
      },
      setup: ({ app }) => {
        app.get("/id", (req, res) => {
          ids.push(req.sessionID);
          res.json({});
        });
      },
    });
    const ada = await login();
    await ada.get("/id");
    const native = (token: string): object => ({ via, extraHeaders: { "x-token": token } });
    await browser().connect("/", native("good"));
    expect((await browser().refused("/", native("object"))).code).toBe("SESSION_INVALID");
    expect((await browser().refused("/", native("throws"))).code).toBe("SESSION_INVALID");
    expect((await browser().refused("/", native("none"))).code).toBe("SESSION_MISSING");
    await ada.connect("/", { via });
  });
});

describe.each(transports)("missing, over %s", (via) => {
  test('"reject" stores nothing', async () => {
    const app = await startApp();
    expect(await app.browser().refused("/", { via })).toEqual({ code: "SESSION_MISSING", retry: false });
    expect(await stored(app)).toBe(0);
  });

  test('"anonymous": an empty session that cannot be written, nothing stored', async () => {
    const app = await startApp({
      attach: { missing: "anonymous" },
      setup({ io, sessions }) {
        io.on("connection", (socket) => {
          socket.on("try", async (done) => {
            const codes: unknown[] = [];
            const attempt = async (run: () => unknown): Promise<void> => {
              try {
                await run();
                codes.push("done");
              } catch (error) {
                codes.push((error as { code: string }).code);
              }
            };
            await attempt(() => (socket.session.user = "nobody"));
            await attempt(() => delete socket.session.user);
            await attempt(() => socket.session.save());
            await attempt(() => sessions.update(socket, () => 1));
            await attempt(() => sessions.room(socket));
            done({
              codes,
              user: socket.session.user ?? null,
              id: typeof socket.session.id,
              live: typeof sessions.get(socket),
            });
          });
        });
      },
    });
    const guest = await app.browser().connect("/", { via });
    expect(await guest.emitWithAck("try")).toEqual({
      codes: ["SESSION_MISSING", "done", "SESSION_MISSING", "SESSION_MISSING", "SESSION_MISSING"],
      user: null,
      id: "undefined",
      live: "undefined",
    });
    const stale = app.browser();
    await stale.connect("/", {
      via,
      extraHeaders: { cookie: `connect.sid=${encodeURIComponent(`s:${sign("gone", secret)}`)}` },
    });
    expect(await stored(app)).toBe(0);
    const ada = await app.login();
    const socket = await ada.connect("/", { via });
    expect(((await socket.emitWithAck("try")) as { codes: string[] }).codes).toEqual([
      "done",
      "done",
      "done",
      "done",
      "done",
    ]);
  });

  test('"create": one session, stored, its cookie in the handshake response, good over HTTP', async () => {
    const app = await startApp({
      attach: { missing: "create" },
      io: { cookie: true },
      sessions: { cookie: { maxAge: 60_000 }, rolling: true },
      setup({ io }) {
        io.of("/other");
        io.on("connection", (socket) => {
          socket.on("set", async (done) => {
            socket.session.user = "created";
            done();
          });
        });
      },
    });
    const lines: string[] = [];
    app.io.engine.on("headers", (headers: Record<string, string | string[]>) => {
      for (const [name, value] of Object.entries(headers)) {
        if (name.toLowerCase() === "set-cookie") lines.push(...[value].flat());
      }
    });
    const guest = app.browser();
    const socket = await guest.connect("/", { via });
    await connectAlso(guest, socket);
    await socket.emitWithAck("set");
    const ours = lines.filter((line) => line.startsWith("connect.sid="));
    expect(ours).toHaveLength(1);
    expect(ours[0]).toMatch(/^connect\.sid=s%3A[^;]+; Path=\/; Expires=[^;]+; HttpOnly$/);
    guest.take(ours[0] as string);
    expect(await guest.get("/session")).toEqual({ user: "created" });
    expect(await stored(app)).toBe(1);
    // Whoever has a session gets no other.
    await guest.connect("/", { via });
    expect(await stored(app)).toBe(1);
    expect(lines.filter((line) => line.startsWith("connect.sid="))).toHaveLength(1);
    // A cookie that is worth nothing is as good as none, and a foreign page creates nothing.
    await app.browser().connect("/", { via, extraHeaders: { cookie: "connect.sid=tampered" } });
    expect(await stored(app)).toBe(2);
    expect((await app.browser().refused("/", { via, ...withOrigin("https://evil.example") })).code).toBe(
      "ORIGIN_REFUSED",
    );
    expect(await stored(app)).toBe(2);
  });
});

async function connectAlso(guest: Browser, socket: Socket): Promise<void> {
  const other = socket.io.socket("/other");
  guest.sockets.push(other);
  const connected = next(other, "connect");
  other.connect();
  await connected;
}

test('"create" cannot set a secure cookie over plain HTTP: refused, nothing stored', async () => {
  const app = await startApp({ attach: { missing: "create" }, sessions: { cookie: { secure: true } } });
  expect((await app.browser().refused()).code).toBe("SESSION_MISSING");
  expect(await stored(app)).toBe(0);
});

test.each([
  ["what a store keeps for itself", "socket-session:user:1"],
  ["what no store of PostgreSQL can hold", "a\0b"],
])("sessionId cannot name %s", async (_, id) => {
  const app = await startApp({ attach: { sessionId: () => id } });
  expect((await app.browser().refused()).code).toBe("SESSION_INVALID");
});

describe("createSessions({ middleware })", () => {
  test.each(transports)("takes an existing express-session middleware over a live store, over %s", async (via) => {
    const middleware = session({
      secret: ["s1", "s0"],
      name: "own",
      resave: false,
      saveUninitialized: false,
      store: memoryStore(),
    });
    const existing = createSessions({ middleware });
    const app = await startApp({
      existing,
      attach: { missing: "create" },
      setup({ io }) {
        io.on("connection", (socket) => socket.on("user", (done) => done(socket.session.user ?? null)));
      },
    });
    expect(existing.middleware).toBe(middleware);
    const ada = await app.login();
    expect(await (await ada.connect("/", { via })).emitWithAck("user")).toBe("ada");
    expect(await stored(app)).toBe(1);
    await app.browser().connect("/", { via });
    expect(await stored(app)).toBe(2);
  });

  test("tells missing, invalid and unknown apart", async () => {
    const middleware = session({ secret: "s", resave: false, saveUninitialized: true, store: memoryStore() });
    const app = await startApp({ existing: createSessions({ middleware }) });
    const refused = async (cookie: string): Promise<string> =>
      (await app.browser().refused("/", { extraHeaders: { cookie } })).code;
    expect(await refused("a=1")).toBe("SESSION_MISSING");
    expect(await refused("connect.sid=abc")).toBe("SESSION_INVALID");
    expect(await refused(`connect.sid=${encodeURIComponent(`s:${sign("gone", "s")}`)}`)).toBe("SESSION_UNKNOWN");
    expect(await stored(app)).toBe(0);
  });

  test("with any other store it throws an error that shows the one-line fix", () => {
    const middleware = session({ secret: "s", resave: false, saveUninitialized: false });
    expect(() => createSessions({ middleware })).toThrow(
      expect.objectContaining({
        code: "STORE_NOT_LIVE",
        message: expect.stringContaining("store: liveStore(yourStore)") as string,
      }),
    );
    expect(() => createSessions({ middleware: ((_a: never, _b: never, next: () => void) => next()) as never })).toThrow(
      expect.objectContaining({ code: "OPTION_INVALID" }),
    );
  });
});

test("a dynamic namespace that is attached by itself guards its children", async () => {
  const app = await startApp({
    attach: false,
    setup: ({ io, sessions }) => void sessions.attach(io.of(/^\/room-\d+$/)),
  });
  expect((await app.browser().refused("/room-1")).code).toBe("SESSION_MISSING");
  await (await app.login()).connect("/room-1");
});

test("refused clients leave none of the dynamic namespaces that they named, and take none from under others", async () => {
  let enter = (): void => undefined;
  const entering = new Promise<void>((resolve) => (enter = resolve));
  const { io, browser, login } = await startApp({
    attach: { allow: (_, request) => (request ? entering.then(() => true) : true) },
    io: { cleanupEmptyChildNamespaces: true },
    setup: ({ io }) => void io.of(/^\/room-\d+$/),
  });
  const names = (): string[] => [...io._nsps.keys()];
  const guest = browser();
  for (const name of ["/room-1", "/room-2"]) await guest.refused(name);
  expect(names()).toEqual(["/"]);
  const connecting = (await login()).connect("/room-1");
  await expect.poll(names).toContain("/room-1");
  await guest.refused("/room-1");
  enter();
  const ada = await connecting;
  const heard = once(ada as never, "news");
  io.of("/room-1").emit("news");
  await heard;
  await guest.refused("/room-1");
  expect(names()).toContain("/room-1");
});

test("attach(io) after attach(namespace) does not loosen the namespace", async () => {
  const app = await startApp({
    attach: false,
    setup({ io, sessions }) {
      sessions.attach(io.of("/admin"), { missing: "reject" });
      sessions.attach(io, { missing: "anonymous" });
    },
  });
  await app.browser().connect("/");
  expect((await app.browser().refused("/admin")).code).toBe("SESSION_MISSING");
});

test("a client of Engine.IO 3 without a cookie reaches no handler of any namespace", async () => {
  const seen: string[] = [];
  const app = await startApp({
    io: { allowEIO3: true },
    setup({ io }) {
      io.on("connection", (socket) => {
        seen.push("connection");
        socket.on("event", () => seen.push("event"));
      });
      io.of("/admin").on("connection", () => seen.push("admin"));
    },
  });
  const packets: string[] = [];
  const ws = new WebSocket(`${app.url.replace("http", "ws")}/socket.io/?EIO=3&transport=websocket`);
  ws.on("message", (data: Buffer) => packets.push(data.toString()));
  const refused = (namespace: string) => () =>
    packets.some((packet) => packet.startsWith(`44${namespace}`) && packet.includes("SESSION_MISSING"));
  await expect.poll(refused("{")).toBe(true);
  ws.send("40/admin?a=1,");
  await expect.poll(refused("/admin")).toBe(true);
  // Socket.IO closes a connection that sends an event where it has no socket.
  const close = once(ws, "close");
  ws.send('42["event"]');
  await close;
  expect(seen).toEqual([]);
});

// socketio/socket.io#3564
test("a client that resets its upgrade while it is being decided does not end the process", async () => {
  const line = new LineStore();
  const app = await startApp({ sessions: { store: line }, attach: { missing: "create" } });
  const engine = new EngineServer();
  engine.attach(app.http, { path: "/engine.io" });
  app.sessions.attach(engine);
  onTestFinished(() => void engine.close());
  const ada = await app.login();
  const uncaught = faults();
  for (const path of ["/socket.io/", "/engine.io/"]) {
    line.latency = 100;
    const asked = line.asked.get;
    const client = connect(Number(new URL(app.url).port), "127.0.0.1");
    client.on("error", () => undefined);
    client.write(
      `GET ${path}?EIO=4&transport=websocket HTTP/1.1\r\nHost: ${new URL(app.url).host}\r\nCookie: ${ada.cookie}\r\n` +
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    await expect.poll(() => line.asked.get, { interval: 5 }).toBeGreaterThan(asked);
    client.resetAndDestroy();
    await expect.poll(() => app.sessions.size).toBe(0);
    line.latency = 0;
  }
  expect(await app.login()).toBeDefined();
  expect(uncaught).toEqual([]);
});

const behindProxy = {
  origin: "https://public.example",
  "x-forwarded-proto": "https",
  "x-forwarded-host": "public.example",
};

test("a proxy that says wss in X-Forwarded-Proto (Traefik) makes the own origin no foreign one", async () => {
  const app = await startApp({ sessions: { proxy: true } });
  const ada = await app.login();
  await ada.connect("/", { extraHeaders: { ...behindProxy, "x-forwarded-proto": "wss" } });
});

test("after a restart sockets come back through a trusted proxy before the first HTTP request", async () => {
  const store = memoryStore();
  const start = () => startApp({ sessions: { store }, setup: ({ app }) => void app.set("trust proxy", "loopback") });
  const ada = await (await start()).login();
  const restarted = await start();
  await restarted.browser().connect("/", { extraHeaders: { cookie: ada.cookie, ...behindProxy } });
});

test("an origins function that fails is ORIGIN_REFUSED, not a store outage", async () => {
  const app = await startApp({ attach: { origins: () => Promise.reject(new Error("no database")) } });
  const ada = await app.login();
  expect(await ada.refused("/", { extraHeaders: { origin: "https://x.example" } })).toEqual({
    code: "ORIGIN_REFUSED",
    retry: false,
  });
});

test("origin: true of the server's cors counts only with credentials: true", async () => {
  const foreign = { extraHeaders: { origin: "https://x.example" } };
  const careless = await startApp({ io: { cors: { origin: true } } });
  expect((await (await careless.login()).refused("/", foreign)).code).toBe("ORIGIN_REFUSED");
  const meant = await startApp({ io: { cors: { origin: true, credentials: true } } });
  await (await meant.login()).connect("/", foreign);
});

test("a page of a sister site that hides its origin is refused", async () => {
  const ada = await (await startApp()).login();
  for (const site of ["same-site", "cross-site"]) {
    const refused = await ada.refused("/", { extraHeaders: { "sec-fetch-site": site } });
    expect(refused.code, site).toBe("ORIGIN_REFUSED");
  }
});
