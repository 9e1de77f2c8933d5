// Connections that come and go in unusual ways: what they leave behind, and what their handlers still may do.
import { EventEmitter, once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import WebSocket from "ws";
import { liveStore } from "../../src/index.js";
import { startApp } from "../support/app.js";
import { jump } from "../support/clocks.js";
import { type Browser, closed } from "../support/browser.js";
import { inTime } from "../support/pace.js";
import { LineStore } from "../support/stores.js";
import { backendOf } from "../../src/store/live-store.js";

/** A client that speaks the protocol itself, before its first CONNECT. */
async function openRaw(browser: Browser): Promise<{ ws: WebSocket; packets: string[] }> {
  const ws = new WebSocket(`${browser.url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`, {
    headers: { cookie: browser.cookie },
  });
  const packets: string[] = [];
  ws.on("message", (data: Buffer) => packets.push(data.toString()));
  await once(ws, "open");
  return { ws, packets };
}

test("a change by a handler that outlived its connection is saved after an outage, also if the client is back", async () => {
  const line = new LineStore();
  const app = await startApp({ sessions: { store: liveStore(line), lease: 60_000 } });
  const errors: unknown[] = [];
  app.sessions.on("error", (error) => errors.push(error));
  const ada = await app.login();
  const socket = await ada.connect();
  const [server] = [...app.io.of("/").sockets.values()] as any[];
  const { session } = server;
  expect(session.user).toBe("ada");
  socket.disconnect();
  await expect.poll(() => app.sessions.size).toBe(0);
  await ada.connect();
  line.state = "fails";
  session.other = "kept";
  await expect.poll(() => errors).toContainEqual(expect.objectContaining({ code: "STORE_UNAVAILABLE" }));
  line.state = "up";
  const stored = (): Promise<string | undefined> => backendOf(app.sessions.store).read(session.id, (text) => text);
  await expect.poll(stored).toContain('"other":"kept"');
});

test("a middleware that never calls next leaves nothing in the adapter's rooms", async () => {
  let isAsked = false;
  const app = await startApp({
    setup({ io }) {
      io.use(() => {
        isAsked = true;
      });
    },
  });
  const socket = (await app.login()).socket();
  socket.connect();
  await expect.poll(() => isAsked).toBe(true);
  socket.io.engine.close();
  await expect.poll(() => app.io.engine.clientsCount).toBe(0);
  expect(app.io.of("/").adapter.rooms.size).toBe(0);
});

test("of a client that connects to one namespace twice both sockets end with the session", async () => {
  const app = await startApp();
  const ada = await app.login();
  const { ws, packets } = await openRaw(ada);
  ws.send("40");
  ws.send("40");
  await expect.poll(() => packets.filter((packet) => packet.startsWith("40"))).toHaveLength(2);
  const close = once(ws, "close");
  await ada.post("/logout");
  await close;
  await expect.poll(() => app.io.of("/").sockets.size).toBe(0);
  expect(app.io.of("/").adapter.rooms.size).toBe(0);
  expect(app.sessions.size).toBe(0);
});

test("a client that sends null for auth, which some parsers let through, gets its session and ends no process", async () => {
  class Encoder {
    encode = (packet: unknown): string[] => [JSON.stringify(packet)];
  }
  class Decoder extends EventEmitter {
    add = (text: string): boolean => this.emit("decoded", JSON.parse(text));
    destroy(): void {}
  }
  const app = await startApp({ io: { parser: { Encoder, Decoder } } });
  const { ws, packets } = await openRaw(await app.login());
  onTestFinished(() => ws.terminate());
  ws.send(`4${JSON.stringify({ type: 0, nsp: "/", data: null })}`);
  await expect.poll(() => packets.at(-1)).toContain('"type":0');
  const [socket] = await app.io.fetchSockets();
  expect(socket?.handshake.auth).toEqual({});
  expect(app.sessions.size).toBe(1);
});

test("a connection that closes while its session is read holds no live session", async () => {
  const line = new LineStore();
  const app = await startApp({ sessions: { store: line } });
  const ada = await app.login();
  line.state = "waits";
  line.asked.get = 0;
  const ws = new WebSocket(`${app.url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`, {
    headers: { cookie: ada.cookie },
  });
  await once(ws, "open");
  await expect.poll(() => line.asked.get, { interval: 5 }).toBe(1);
  ws.terminate();
  await expect.poll(() => app.io.engine.clientsCount, { interval: 5 }).toBe(0);
  expect(app.sessions.size).toBe(1);
  line.answerAll();
  await expect.poll(() => app.sessions.size).toBe(0);
});

test("an event after the session's time reaches no handler, even before the clock has ended it", async () => {
  let calls = 0;
  const app = await startApp({
    sessions: { cookie: { maxAge: 10_000 } },
    setup({ io }) {
      io.on("connection", (socket) => socket.on("here", () => calls++));
    },
  });
  const socket = await (await app.login()).connect();
  const end = closed(socket);
  jump(11_000);
  socket.emit("here");
  expect((await end).told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
  expect(calls).toBe(0);
});

test("the last event before a silence is told to the store, although touches are throttled", async () => {
  const app = await startApp({
    // Told at most once in a tenth of it.
    sessions: { cookie: { maxAge: 20_000 } },
    setup({ io }) {
      io.on("connection", (socket) => socket.on("here", (done) => done(Date.now())));
    },
  });
  const expiresOf = (id: string): Promise<number> =>
    backendOf(app.sessions.store).read(id, (text) => Date.parse(JSON.parse(text as string).cookie.expires));
  const { id, at } = await inTime(2000, async () => {
    const ada = await app.login();
    const socket = await ada.connect();
    const before = await expiresOf(ada.sessionId);
    await expect.poll(() => Date.now() + 20_000).toBeGreaterThan(before + 300);
    const heard = (await socket.emitWithAck("here")) as number;
    expect(await expiresOf(ada.sessionId)).toBe(before);
    return { id: ada.sessionId, at: heard };
  });
  await expect.poll(() => expiresOf(id)).toBeGreaterThanOrEqual(at + 20_000 - 150);
});

test("an absolute lifetime ends a silent socket, too", async () => {
  const absoluteTimeout = 500;
  const app = await startApp({ sessions: { absoluteTimeout } });
  const socket = await inTime(absoluteTimeout, async () => (await app.login()).connect());
  expect((await closed(socket)).told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
});

test("a client that was refused in an outage may try again on the same connection", async () => {
  const line = new LineStore();
  const app = await startApp({ sessions: { store: line } });
  const ada = await app.login();
  line.state = "fails";
  const { ws, packets } = await openRaw(ada);
  ws.send("40");
  await expect.poll(() => packets.at(-1)).toMatch(/^44.*STORE_UNAVAILABLE/);
  line.state = "up";
  ws.send("40");
  await expect.poll(() => packets.at(-1)).toMatch(/^40\{/);
  ws.terminate();
});
