import { setTimeout as delay } from "node:timers/promises";
import { sign } from "cookie-signature";
import { expect, test } from "vitest";
import { memoryStore, createSessions } from "../../src/index.js";
import { Registry } from "../../src/live/registry.js";
import { LiveStore } from "../../src/store/live-store.js";
import { MemoryDriver } from "../../src/store/memory.js";
import { startApp } from "../support/app.js";

test("attach() to a dynamic namespace guards its children, or says that it cannot", async () => {
  let refusedAttach: unknown;
  const app = await startApp({
    attach: false,
    setup({ io, sessions }) {
      try { sessions.attach(io.of(/^\/room-\d+$/)); } catch (error) { refusedAttach = error; }
    },
  });
  if (refusedAttach) return;
  expect((await app.browser().refused("/room-1")).code).toBe("SESSION_MISSING");
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

test("behind Traefik (X-Forwarded-Proto: wss) the own origin is no foreign one", async () => {
  const app = await startApp({ sessions: { proxy: true } });
  const ada = await app.login();
  await ada.connect("/", { extraHeaders: { origin: "https://public.example", "x-forwarded-proto": "wss", "x-forwarded-host": "public.example" } });
});

test("after a restart, sockets come back through a trusted proxy before the first HTTP request", async () => {
  const store = memoryStore();
  const trust = { setup: ({ app }: any) => void app.set("trust proxy", "loopback"), sessions: { store } };
  const before = await startApp(trust);
  const ada = await before.login();
  const after = await startApp(trust);
  await after.browser().connect("/", {
    extraHeaders: { cookie: ada.cookie, origin: "https://public.example", "x-forwarded-proto": "https", "x-forwarded-host": "public.example" },
  });
});

test("an origins function that fails is ORIGIN_REFUSED, not a store outage", async () => {
  const app = await startApp({ attach: { origins: async () => { throw new Error("db"); } } });
  const ada = await app.login();
  expect(await ada.refused("/", { extraHeaders: { origin: "https://x.example" } })).toEqual({ code: "ORIGIN_REFUSED", retry: false });
});


test("two handshakes with the same unknown id: neither gets in, whatever the interleaving", async () => {
  for (let offset = 0; offset < 40; offset++) {
    const store = new LiveStore(new MemoryDriver());
    const registry = new Registry(store, { lease: 1000, maxStale: 1000 }, { change() {}, end() {}, error() {}, wantsChanges: () => false });
    const first = registry.acquire("unknown", { end() {} }).then(() => "in", (e) => e.code);
    for (let i = 0; i < offset; i++) null;
    const second = registry.acquire("unknown", { end() {} }).then(() => "in", (e) => e.code);
    expect([await first, await second, offset]).toEqual(["SESSION_UNKNOWN", "SESSION_UNKNOWN", offset]);
  }
});

test("a change made by a handler that outlived its connection is retried after an outage, also if the client is back", async () => {
  const { LineStore } = await import("../support/stores.js");
  const { liveStore } = await import("../../src/index.js");
  const line = new LineStore();
  const app = await startApp({ sessions: { store: liveStore(line, { timeout: 100 }), lease: 60_000 } });
  const ada = await app.login();
  const socket = await ada.connect();
  const [server] = [...app.io.of("/").sockets.values()] as any[];
  const session = server.session;
  void session.user;
  socket.disconnect();
  await expect.poll(() => app.sessions.size).toBe(0);
  await ada.connect();
  line.state = "fails";
  session.late = "kept";
  await delay(200);
  line.state = "up";
  await delay(3000);
  expect(await ada.get("/session")).toMatchObject({ late: "kept" });
});

test("a middleware that never calls next leaves nothing in the adapter's rooms", async () => {
  const app = await startApp({ setup({ io }) { io.use(() => {}); } });
  const ada = await app.login();
  const socket = ada.socket();
  socket.connect();
  await expect.poll(() => app.io.engine.clientsCount).toBe(1);
  await delay(100);
  socket.io.engine.close();
  await expect.poll(() => app.io.engine.clientsCount).toBe(0);
  await delay(50);
  expect(app.io.of("/").adapter.rooms.size).toBe(0);
});

