// What the library leans on in express-session: run with the oldest version that is supported and with the newest.
import { once } from "node:events";
import { createServer, IncomingMessage, type RequestListener } from "node:http";
import { type AddressInfo, Socket } from "node:net";
import { sign } from "cookie-signature";
import session from "express-session";
import { describe, expect, onTestFinished, test } from "vitest";
import { ProxyTrust } from "../../src/handshake/proxy-trust.js";
import {
  findIdThrough,
  makeSession,
  makeSessionOf,
  type Middleware,
  replaceSession,
  sendCookie,
} from "../../src/http/express-session-internals.js";
import { memoryStore } from "../../src/store/drivers/memory.js";

const secret = "a secret for tests";
const trust = new ProxyTrust(false);
type Request = IncomingMessage & { session: Record<string, unknown>; sessionID: string };

function middlewareFor(options: Partial<session.SessionOptions> = {}) {
  const store = memoryStore();
  onTestFinished(() => store.close());
  const given = { secret, store, resave: false, saveUninitialized: false, ...options };
  return { store, middleware: session(given) as unknown as Middleware };
}

function requestWith(cookie?: string, url = "/socket.io/"): IncomingMessage {
  const request = new IncomingMessage(new Socket());
  return Object.assign(request, { url, method: "GET", headers: { host: "localhost", ...(cookie && { cookie }) } });
}

function cookieOf(id: string, by = secret): string {
  return `connect.sid=${encodeURIComponent(`s:${sign(id, by)}`)}`;
}

/** Serves one request with the middleware before the handler; answers with the cookies that it sets. */
async function serve(middleware: Middleware, cookie: string, handle: RequestListener): Promise<string[]> {
  const server = createServer((request, response) => middleware(request, response, () => handle(request, response)));
  onTestFinished(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const response = await fetch(url, { headers: { cookie } });
  await response.text();
  return response.headers.getSetCookie();
}

/** Holds the installed express-session to what the library leans on. */
export function expressSessionContract(version: string): void {
  describe(`express-session ${version}`, () => {
    test("asks the store for the id of a request before it returns, and leaves the store as it was", () => {
      const { store, middleware } = middlewareFor();
      const { get } = store;
      const find = (cookie?: string) => findIdThrough(middleware, store, requestWith(cookie), "connect.sid", trust);
      expect(find(cookieOf("an id"))).toEqual({ id: "an id" });
      expect(find(cookieOf("an id", "another secret"))).toEqual({ code: "SESSION_INVALID" });
      expect(find("connect.sid=an%20id")).toEqual({ code: "SESSION_INVALID" });
      expect(find()).toEqual({ code: "SESSION_MISSING" });
      store.emit("disconnect");
      expect(find(cookieOf("an id"))).toEqual({ code: "STORE_UNAVAILABLE" });
      store.emit("connect");
      expect(find(cookieOf("an id"))).toEqual({ id: "an id" });
      expect(store.get).toBe(get);
      expect(Object.hasOwn(store, "get")).toBe(false);
    });

    test("makes a session with its own options, before it returns, and tells its cookie", () => {
      const { store, middleware } = middlewareFor({
        name: "sid",
        genid: () => "made here",
        cookie: { path: "/socket.io", maxAge: 60_000 },
      });
      const made = makeSession(middleware, requestWith(cookieOf("another")), trust);
      expect(made).toMatchObject({ id: "made here", store, cookie: { path: "/socket.io" } });
      // It counts from when the cookie was made.
      expect(made?.cookie["originalMaxAge"]).toSatisfy((left: number) => left > 50_000 && left <= 60_000);
      expect(made?.setCookie).toMatch(/^sid=s%3Amade%20here\.[^;]+; Path=\/socket\.io; Expires=[^;]+; HttpOnly$/);
      expect(Object.keys(made?.session ?? {})).toEqual(["cookie"]);
      expect(makeSession(middleware, requestWith(undefined, "/elsewhere"), trust)).toBeUndefined();
    });

    test("tells no secure cookie over plain HTTP", () => {
      const { middleware } = middlewareFor({ cookie: { secure: true } });
      expect(makeSession(middleware, requestWith(), trust)).toMatchObject({ setCookie: undefined });
    });

    test("puts a generator on its store, which makes sessions whatever the cookie's path", () => {
      const { store } = middlewareFor({ genid: () => "made here", cookie: { path: "/elsewhere" } });
      const { id, session: made } = makeSessionOf(store, requestWith(), trust);
      expect([id, made.id, made.cookie.path]).toEqual(["made here", "made here", "/elsewhere"]);
    });

    test("sends the cookie of a session without a change, and nothing of that is stored", async () => {
      const { store, middleware } = middlewareFor({ cookie: { maxAge: 60_000 } });
      await store.set("one", { cookie: Object.assign(new session.Cookie(), { maxAge: 60_000 }), user: "ada" } as never);
      const plain = await serve(middleware, cookieOf("one"), (_request, response) => void response.end());
      expect(plain).toEqual([]);
      const renewed = await serve(middleware, cookieOf("one"), (request, response) => {
        const { session: found } = request as Request;
        sendCookie(found, () => response.writeHead(200));
        expect(Object.keys(found)).toEqual(["cookie", "user"]);
        response.end();
      });
      expect(renewed).toEqual([expect.stringMatching(/^connect\.sid=s%3Aone\./)]);
      expect(Object.keys((await store.get("one")) ?? {})).toEqual(["cookie", "user"]);
    });

    test("sets the cookie of a session that took another one's place", async () => {
      const { store, middleware } = middlewareFor();
      for (const id of ["old", "new"]) await store.set(id, { cookie: new session.Cookie(), user: id } as never);
      const data = (await store.get("new")) as session.SessionData;
      const cookies = await serve(middleware, cookieOf("old"), (request, response) => {
        replaceSession(request, store, "new", data);
        response.end();
      });
      expect(cookies).toEqual([expect.stringMatching(/^connect\.sid=s%3Anew\./)]);
    });

    test("has wrapped response.end() when it calls next()", async () => {
      const { middleware } = middlewareFor();
      let isWrapped: boolean | undefined;
      const outer: Middleware = (request, response, next) => {
        const { end } = response;
        middleware(request, response, () => {
          isWrapped = response.end !== end;
          next();
        });
      };
      await serve(outer, cookieOf("one"), (_request, response) => void response.end());
      expect(isWrapped).toBe(true);
    });
  });
}
