// Who may come in, in unusual settings: namespaces attached by themselves, proxies, restarts, old protocols, and what
// the handshake costs.
import { once } from "node:events";
import { type IncomingMessage, type ServerResponse } from "node:http";
import { connect } from "node:net";
import cookieParser from "cookie-parser";
import { Server as EngineServer } from "engine.io";
import { type SessionData } from "express-session";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import WebSocket from "ws";
import { memoryStore } from "../../src/index.js";
import { Registry } from "../../src/session/registry.js";
import { backendOf, LiveStore } from "../../src/store/live-store.js";
import { MemoryDriver } from "../../src/store/drivers/memory.js";
import { warnOnce } from "../../src/warnings.js";
import { secret, startApp } from "../support/app.js";
import { connected } from "../support/browser.js";
import { LineStore } from "../support/stores.js";

const behindProxy = {
  origin: "https://public.example",
  "x-forwarded-proto": "https",
  "x-forwarded-host": "public.example",
};

test("a dynamic namespace that is attached by itself guards its children", async () => {
  const app = await startApp({
    attach: false,
    setup: ({ io, sessions }) => void sessions.attach(io.of(/^\/room-\d+$/)),
  });
  expect((await app.browser().refused("/room-1")).code).toBe("SESSION_MISSING");
  await (await app.login()).connect("/room-1");
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

test("of two handshakes with one unknown id neither gets in, however they interleave", async () => {
  for (let later = 0; later < 40; later++) {
    const registry = new Registry(
      backendOf(new LiveStore(new MemoryDriver())),
      { lease: 1000, maxStale: 1000, maxUnsaved: 10 },
      { change() {}, end() {}, lost() {}, error() {}, wantsChanges: () => false },
    );
    const acquire = (): Promise<string> =>
      registry.acquire("unknown", { end() {} }).then(
        () => "in",
        (error: { code: string }) => error.code,
      );
    const first = acquire();
    for (let turn = 0; turn < later; turn++) await Promise.resolve();
    const second = acquire();
    expect(await Promise.all([first, second]), `${later} turns later`).toEqual(["SESSION_UNKNOWN", "SESSION_UNKNOWN"]);
  }
});

test('missing: "create" does not ask the store for a session that is live here', async () => {
  const line = new LineStore();
  const { login } = await startApp({ sessions: { store: line, lease: 60_000 }, attach: { missing: "create" } });
  const ada = await login();
  await ada.connect();
  line.asked.get = 0;
  await ada.connect();
  expect(line.asked.get).toBe(0);
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

test("connection state recovery gives an anonymous client nothing that a session left", async () => {
  const app = await startApp({ attach: { missing: "anonymous" }, io: { connectionStateRecovery: {} } });
  const left: any = await (await app.login()).connect();
  app.io.emit("news");
  await expect.poll(() => left._lastOffset).toBeDefined();
  left.io.engine.close();
  await expect.poll(() => app.io.of("/").sockets.size).toBe(0);
  const guest: any = app.browser().socket();
  Object.assign(guest, { _pid: left._pid, _lastOffset: left._lastOffset });
  await connected(guest);
  expect(guest.recovered).toBe(false);
  const [server] = app.io.of("/").sockets.values();
  expect(server?.recovered).toBe(false);
});

describe('missing: "create" beside cookies of the application', () => {
  const withCookie = () =>
    startApp({
      attach: false,
      setup({ io, sessions }) {
        io.engine.on("initial_headers", (headers: Record<string, string>) => {
          headers["Set-Cookie"] = "theme=dark";
        });
        sessions.attach(io, { missing: "create" });
      },
    });
  const both = [expect.stringMatching("^connect.sid="), "theme=dark"];

  test("sets its own and keeps theirs, over polling", async () => {
    const { url } = await withCookie();
    const response = await fetch(`${url}/socket.io/?EIO=4&transport=polling`);
    await response.text();
    expect(response.headers.getSetCookie().toSorted()).toEqual(both);
  });

  test("sets its own and keeps theirs, over websocket", async () => {
    const { url } = await withCookie();
    const ws = new WebSocket(`${url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`);
    // Both come within one turn.
    const [[response]] = (await Promise.all([once(ws, "upgrade"), once(ws, "open")])) as [[IncomingMessage], unknown];
    ws.terminate();
    expect(response.headers["set-cookie"]?.toSorted()).toEqual(both);
  });
});

test('missing: "create" keeps cookies that a middleware has set on the response', async () => {
  const { url } = await startApp({
    attach: false,
    setup({ io, sessions }) {
      io.engine.use((_request: unknown, response: ServerResponse, next: () => void) => {
        response.setHeader("Set-Cookie", "theme=dark");
        next();
      });
      sessions.attach(io, { missing: "create" });
    },
  });
  const response = await fetch(`${url}/socket.io/?EIO=4&transport=polling`);
  await response.text();
  expect(response.headers.getSetCookie().toSorted()).toEqual([expect.stringMatching("^connect.sid="), "theme=dark"]);
});

test('missing: "create" issues a session also where a cookie parser has read the old one', async () => {
  const app = await startApp({
    attach: false,
    setup({ io, sessions }) {
      io.engine.use(cookieParser(secret));
      sessions.attach(io, { missing: "create" });
    },
  });
  const ada = await app.login();
  await ada.post("/logout");
  const response = await ada.fetch("/socket.io/?EIO=4&transport=polling");
  expect(response.headers.getSetCookie()).toEqual([expect.stringMatching("^connect.sid=")]);
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
  const uncaught: unknown[] = [];
  const onUncaught = (error: unknown): void => void uncaught.push(error);
  process.on("uncaughtException", onUncaught);
  onTestFinished(() => void process.off("uncaughtException", onUncaught));
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

test('missing: "create" sets no cookie for a session that could not be stored', async () => {
  class FullStore extends LineStore {
    override set(_id: string, _data: SessionData, done: (error?: unknown) => void = () => {}): void {
      done(new Error("disk full"));
    }
  }
  const app = await startApp({ sessions: { store: new FullStore() }, attach: { missing: "create" } });
  const errors: unknown[] = [];
  app.sessions.on("error", (error) => errors.push(error));
  const response = await fetch(`${app.url}/socket.io/?EIO=4&transport=polling`);
  await response.text();
  expect(response.headers.getSetCookie()).toEqual([]);
  expect(errors).toEqual([expect.objectContaining({ code: "STORE_UNAVAILABLE" })]);
});

test("a flood of refused origins does not silence the other warnings", () => {
  const emitted = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  for (let index = 0; index < 300; index++) warnOnce("ORIGIN_REFUSED", `https://${index}.example`);
  emitted.mockClear();
  warnOnce("SECURE_COOKIE_UNSEEN");
  expect(emitted).toHaveBeenCalledOnce();
  emitted.mockRestore();
});

test.each(["polling", "websocket"] as const)(
  'missing: "create" while the store is down sends nobody away for good, over %s',
  async (via) => {
    const line = new LineStore();
    const app = await startApp({ sessions: { store: line }, attach: { missing: "create" } });
    line.state = "fails";
    expect(await app.browser().refused("/", { via })).toEqual({ code: "STORE_UNAVAILABLE", retry: true });
  },
);
