import { setTimeout as delay } from "node:timers/promises";
import { inspect } from "node:util";
import session from "express-session";
import WebSocket from "ws";
import { expect, onTestFinished, test, vi } from "vitest";
import { liveStore } from "../../src/index.js";
import { warnOnce } from "../../src/warnings.js";
import { startApp } from "../support/app.js";
import { closed } from "../support/browser.js";
import { LineStore } from "../support/stores.js";

test("socket activity reaches the store's touch for a session cookie without maxAge", async () => {
  const line = new LineStore();
  const { login, io, sessions } = await startApp({ sessions: { store: line }, setup({ io }) { io.on("connection", (s) => s.on("here", (done) => done())); } });
  const ada = await login();
  const socket = await ada.connect();
  line.asked.touch = 0;
  // Past the touch interval of a minute.
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
  onTestFinished(() => void vi.useRealTimers());
  // The client in this process would take the clock's jump for a lost ping.
  const [server] = [...io.of("/").sockets.values()] as any[];
  await (sessions.get(server) as any).enter();
  void socket;
  await delay(50);
  expect(line.asked.touch).toBeGreaterThan(0);
});

test("one answer that makes no sense logs nobody out", async () => {
  class Odd extends LineStore {
    odd = false;
    override get(id: string, done: any): void {
      if (this.odd) { this.odd = false; setImmediate(done, null, []); return; }
      super.get(id, done);
    }
  }
  const line = new Odd();
  const { login, io } = await startApp({ sessions: { store: liveStore(line), lease: 60_000 } });
  const ada = await login();
  const socket = await ada.connect();
  let told: unknown;
  void closed(socket).then((end) => (told = end.told));
  const [server] = [...io.of("/").sockets.values()] as any[];
  line.odd = true;
  server.session.user = "eve";
  await delay(300);
  expect(told).toBeUndefined();
});

test("an id deep inside an error of the storage is not handed on", async () => {
  class Deep extends session.MemoryStore {
    override get = ((id: string, done: any) => done(Object.assign(new Error("down"), { a: { b: { c: { d: { key: id } } } } }))) as never;
  }
  const error = await new Promise<Error>((resolve) => liveStore(new Deep()).get("the-session-id", (e) => resolve(e as Error)));
  expect(inspect(error, { depth: 20 })).not.toContain("the-session-id");
});

test("a flood of foreign origins does not silence the other warnings", async () => {
  const seen: string[] = [];
  const on = (w: any): void => void seen.push(w.code);
  process.on("warning", on);
  for (let i = 0; i < 300; i++) warnOnce("ORIGIN_REFUSED", `https://${i}.example`);
  warnOnce("SECURE_COOKIE_UNSEEN");
  await new Promise(setImmediate);
  process.off("warning", on);
  expect(seen).toContain("SECURE_COOKIE_UNSEEN");
});

test('missing: "create" reads the store no more than once for a browser that has a session', async () => {
  const line = new LineStore();
  const { login } = await startApp({ sessions: { store: line, lease: 60_000 }, attach: { missing: "create" } });
  const ada = await login();
  await ada.connect();
  line.asked.get = 0;
  await ada.connect();
  expect(line.asked.get).toBe(0);
});

test("EIO3: without a cookie nothing gets through", async () => {
  const seen: unknown[] = [];
  const app = await startApp({ io: { allowEIO3: true }, setup({ io }) { io.on("connection", (s) => { seen.push("connected"); s.on("x", () => seen.push("x")); }); io.of("/admin").on("connection", () => seen.push("admin")); } });
  const packets: string[] = [];
  const ws = new WebSocket(`${app.url.replace("http", "ws")}/socket.io/?EIO=3&transport=websocket`);
  ws.on("message", (d: Buffer) => packets.push(d.toString()));
  await new Promise((r) => ws.once("open", () => r(undefined)));
  await delay(50);
  ws.send("40/admin?a=1,");
  await delay(50);
  ws.send('42["x"]');
  await delay(100);
  ws.terminate();
  expect(seen).toEqual([]);
  expect(packets.some((one) => one.includes("SESSION_MISSING"))).toBe(true);
});

test("CONNECT twice for one namespace: both sockets end with the session", async () => {
  const app = await startApp();
  const ada = await app.login();
  const ws = new WebSocket(`${app.url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`, { headers: { cookie: ada.cookie } });
  await new Promise((r) => ws.once("open", () => r(undefined)));
  ws.send("40"); ws.send("40");
  await delay(100);
  const close = new Promise((r) => ws.once("close", r));
  await ada.post("/logout");
  await close;
  await delay(50);
  expect(app.io.of("/").sockets.size).toBe(0);
  expect(app.io.of("/").adapter.rooms.size).toBe(0);
  expect(app.sessions.size).toBe(0);
});
