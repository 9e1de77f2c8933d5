// Messages that wait while their session is read again: in order, within a bound, and the client is asked to send no more.
import { once } from "node:events";
import type { Writable } from "node:stream";
import { Server as EngineServer } from "engine.io";
import { Socket as EngineClient } from "engine.io-client";
import { type Socket as ServerSocket } from "socket.io";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { liveStore } from "../../src/index.js";
import { bytesOf } from "../../src/transports/waiting-messages.js";
import type { CreateOptions } from "../../src/options.js";
import { type App, type AppOptions, startApp } from "../support/app.js";
import { closed, connected } from "../support/browser.js";
import { faults } from "../support/faults.js";
import { LineStore } from "../support/stores.js";

/** An app whose store can be told to answer no more: from then on all messages wait. */
async function start(
  limits: Pick<CreateOptions, "maxWaitingEvents" | "maxWaitingBytes"> = {},
  options: AppOptions = {},
): Promise<App & { line: LineStore; stall(): Promise<void> }> {
  const line = new LineStore();
  const store = liveStore(line, { timeout: 60_000 });
  const app = await startApp({ ...options, sessions: { store, lease: 1, ...limits } });
  onTestFinished(() => line.answerAll());
  const stall = async (): Promise<void> => {
    line.state = "waits";
    const before = line.asked.get;
    await expect.poll(() => line.asked.get, { interval: 5 }).toBeGreaterThan(before);
  };
  return { ...app, line, stall };
}

/** The transport of an Engine.IO client, for what an honest one does not do. */
interface Transport {
  readonly ws?: WebSocket;
  doWrite(payload: string, done: () => void): void;
}

/** Sends packets in one piece, which comes whole before the transport can be paused. */
function sendAtOnce(transport: unknown, packets: readonly string[]): void {
  const { ws } = transport as Transport;
  if (ws) sendFrames(ws, packets);
  else (transport as Transport).doWrite(packets.join("\u001e"), () => undefined);
}

function sendFrames(socket: WebSocket, texts: readonly string[]): void {
  const { _socket: line } = socket as unknown as { _socket: Writable };
  line.cork();
  for (const text of texts) socket.send(text);
  line.uncork();
}

describe.each(["polling", "websocket"] as const)("Socket.IO over %s", (via) => {
  test("an honest client is only slowed: order, acknowledgements and attachments survive", async () => {
    const { io, login, line, stall } = await start({ maxWaitingEvents: 3000 });
    const heard: unknown[] = [];
    const received: string[] = [];
    io.on("connection", (socket) => {
      socket.conn.on("packet", ({ type }: { type: string }) => void received.push(type));
      socket.on("say", (at: number, data: Buffer, done?: (at: number) => void) => {
        heard.push(at);
        expect(data).toEqual(Buffer.alloc(100, at));
        done?.(at);
      });
    });
    const ada = await login();
    const socket = await ada.connect("/", { via });
    const other = socket.io.socket("/other");
    io.of("/other").on("connection", (one) => one.on("say", (at: number) => void heard.push(at)));
    await connected(other);
    await stall();
    const before = received.length;
    socket.emit("begin");
    // The first that waits pauses the transport.
    await expect.poll(() => received.length, { interval: 2 }).toBeGreaterThan(before);
    const answers: Promise<unknown>[] = [];
    for (let at = 0; at < 200; at++) {
      if (at % 2 === 0) answers.push(socket.emitWithAck("say", at, Buffer.alloc(100, at)));
      else other.emit("say", at);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(heard).toEqual([]);
    expect(received.length).toBeLessThan(200);
    line.answerAll();
    await expect.poll(() => heard).toEqual(Array.from({ length: 200 }, (_, at) => at));
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 100 }, (_, at) => 2 * at));
  });

  test.each([
    ["number", { maxWaitingEvents: 20 }, 10],
    ["bytes", { maxWaitingBytes: 20_000 }, 1000],
  ] as const)(
    "beyond the %s that may wait, over all namespaces, it is closed with LIMIT_REACHED",
    async (_of, limits, size) => {
      const { io, login, line, stall, sessions } = await start(limits);
      let heard = 0;
      for (const name of ["/", "/other"]) io.of(name).on("connection", (one) => one.on("say", () => void heard++));
      const ada = await login();
      const socket = await ada.connect("/", { via });
      const other = socket.io.socket("/other");
      await connected(other);
      await stall();
      const ends = [closed(socket), closed(other)];
      const event = `["say","${"x".repeat(size)}"]`;
      sendAtOnce(
        socket.io.engine.transport,
        Array.from({ length: 40 }, (_, at) => `42${at % 2 === 0 ? "" : "/other,"}${event}`),
      );
      for (const end of ends) {
        expect(await end).toEqual({ told: [{ code: "LIMIT_REACHED", retry: false }], reason: "io server disconnect" });
      }
      line.answerAll();
      await expect.poll(() => sessions.size).toBe(0);
      expect(heard).toBe(0);
      // The session itself goes on.
      await connected(ada.socket("/", { via }));
    },
  );

  test("what a client sends before it disconnects reaches its handlers", async () => {
    const { io, login, line, stall } = await start();
    const heard: unknown[] = [];
    const namespace = io.of("/room");
    namespace.on("connection", (one) => {
      one.on("say", (text: string) => void heard.push(text));
      one.on("disconnect", (reason) => void heard.push(reason));
    });
    const ada = await login();
    const socket = await ada.connect("/", { via });
    const room = socket.io.socket("/room");
    await connected(room);
    await stall();
    room.emit("say", "last words");
    room.disconnect();
    // The transport is paused: nothing tells that it came.
    await new Promise((resolve) => setTimeout(resolve, 50));
    line.answerAll();
    await expect.poll(() => heard).toEqual(["last words", "client namespace disconnect"]);
  });
});

test("a polling client's POST is not answered while messages wait, and is dropped with the client", async () => {
  const { io, http, login, line, stall } = await start();
  const connection = once(io, "connection");
  const ada = await login();
  const socket = await ada.connect("/", { via: "polling" });
  const [server] = (await connection) as [ServerSocket];
  await stall();
  let posts = 0;
  http.on("request", ({ method }) => void (method === "POST" && posts++));
  const gone = new Promise((resolve) => server.conn.once("close", resolve));
  socket.emit("first");
  await expect.poll(() => posts).toBe(1);
  socket.emit("second");
  await expect.poll(() => posts).toBe(2);
  socket.emit("third");
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(posts).toBe(2);
  // It leaves without a word: its requests are cut.
  http.closeAllConnections();
  await gone;
  line.answerAll();
});

test("CONNECTs that wait for admission are bounded, too", async () => {
  const { io, login, line, url } = await start({ maxWaitingEvents: 20 });
  io.of(/^\/room-\d+$/);
  const ada = await login();
  line.state = "waits";
  const socket = new WebSocket(`${url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`, {
    headers: { cookie: ada.cookie },
  });
  const said: string[] = [];
  socket.on("message", (data: Buffer) => said.push(data.toString()));
  await once(socket, "open");
  for (let at = 0; at < 30; at++) socket.send(`40/room-${at},`);
  await once(socket, "close");
  expect(said.some((text) => text.startsWith("44") && text.includes("LIMIT_REACHED"))).toBe(true);
});

test.each(["polling", "websocket"] as const)("Engine.IO over %s: LIMIT_REACHED is how it closes", async (via) => {
  const { http, login, sessions, stall, url } = await start({ maxWaitingEvents: 20 }, { attach: false });
  const engine = new EngineServer();
  engine.attach(http, { path: "/engine.io" });
  sessions.attach(engine);
  onTestFinished(() => void engine.close());
  const reasons: unknown[] = [];
  engine.on("connection", (socket) => socket.on("close", (reason: unknown) => reasons.push(reason)));
  const socket = new EngineClient(url, {
    path: "/engine.io",
    transports: [via],
    extraHeaders: { cookie: (await login()).cookie },
  });
  await new Promise((resolve) => socket.on("open", () => resolve(undefined)));
  await stall();
  const close = new Promise<unknown>((resolve) => socket.on("close", (_reason, description) => resolve(description)));
  sendAtOnce(socket.transport, Array<string>(30).fill("4x"));
  await close;
  await expect.poll(() => reasons).toEqual(["LIMIT_REACHED"]);
});

test("ws: LIMIT_REACHED is a close code, and the code as reason", async () => {
  const { http, login, sessions, stall, url } = await start({ maxWaitingEvents: 20 }, { attach: false });
  const wss = new WebSocketServer({ server: http, path: "/ws" });
  sessions.attach(wss);
  onTestFinished(() => wss.close());
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws`, { headers: { cookie: (await login()).cookie } });
  await once(socket, "open");
  await stall();
  sendFrames(socket, Array<string>(30).fill("x"));
  const [code, reason] = (await once(socket, "close")) as [number, Buffer];
  expect([code, reason.toString()]).toEqual([1008, "LIMIT_REACHED"]);
});

test("bytes are counted without recursion: texts, attachments, and a few for each value", () => {
  expect(bytesOf("x".repeat(1000))).toBe(1002);
  expect(bytesOf(["message", Buffer.alloc(1000), true])).toBeGreaterThanOrEqual(1000);
  expect(bytesOf({ type: 2, data: ["say", { key: "é" }] })).toBeLessThan(60);
  let deep: unknown[] = [];
  for (let at = 0; at < 100_000; at++) deep = [deep];
  expect(bytesOf(deep)).toBeGreaterThan(200_000);
});

/** From now on the store is slow, and asked: what comes within the next `ms` waits for its answer. */
async function slowDown(line: LineStore, ms: number): Promise<void> {
  line.latency = ms;
  const before = line.asked.get;
  // Sessions that are silent are read again, too.
  await expect.poll(() => line.asked.get, { interval: 2 }).toBeGreaterThan(before);
}

/** A ws socket on both sides, and the store of its session, which is read anew all the time. */
async function connectWs(options: object = {}): Promise<{ client: WebSocket; socket: WebSocket; line: LineStore }> {
  let server: WebSocketServer | undefined;
  const { line, login, url } = await start(
    {},
    {
      attach: false,
      setup({ http, sessions }) {
        server = new WebSocketServer({ server: http, path: "/ws", ...options });
        sessions.attach(server);
      },
    },
  );
  const { cookie } = await login();
  const connected = once(server as WebSocketServer, "connection");
  const client = new WebSocket(`${url.replace("http", "ws")}/ws`, { headers: { cookie } });
  onTestFinished(() => client.terminate());
  await once(client, "open");
  return { client, socket: (await connected)[0] as WebSocket, line };
}

test.each(["polling", "websocket"] as const)(
  "Engine.IO: a handler that closes its socket hears no more of it (%s)",
  async (via) => {
    const heard: string[] = [];
    const engine = new EngineServer();
    const { line, login, url } = await start(
      {},
      {
        attach: false,
        setup({ http, sessions }) {
          engine.attach(http);
          sessions.attach(engine);
        },
      },
    );
    engine.on("connection", (socket) => {
      socket.on("close", () => heard.push("close"));
      socket.on("message", (data: unknown) => {
        heard.push(String(data));
        socket.close();
      });
    });
    const { cookie } = await login();
    const client = new EngineClient(url, { transports: [via], extraHeaders: { cookie } });
    onTestFinished(() => void client.close());
    await new Promise<void>((resolve) => void client.on("open", () => resolve()));
    await slowDown(line, 400);
    for (const text of ["1", "2", "3"]) client.send(text);
    await expect.poll(() => heard).toContain("close");
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard).toEqual(["1", "close"]);
  },
);

test.each(["pause", "resume"] as const)(
  "ws: what the application asks for while a message waits counts: %s()",
  async (call) => {
    const { client, socket, line } = await connectWs();
    const heard: string[] = [];
    socket.on("message", (data: Buffer) => heard.push(data.toString()));
    await slowDown(line, 400);
    client.send("1");
    await expect.poll(() => socket.isPaused, { interval: 2 }).toBe(true);
    socket[call]();
    expect(socket.isPaused).toBe(true);
    client.send("2");
    await expect.poll(() => heard).toContain("1");
    if (call === "pause") {
      expect(socket.isPaused).toBe(true);
      expect(heard).toEqual(["1"]);
      socket.resume();
    }
    await expect.poll(() => heard).toEqual(["1", "2"]);
  },
);

test("ws before 8.3, where a socket cannot be paused, messages wait all the same", async () => {
  const found = faults();
  class Old extends WebSocket {}
  for (const name of ["pause", "resume", "isPaused"]) {
    Object.defineProperty(Old.prototype, name, { value: undefined });
  }
  const { client, socket, line } = await connectWs({ WebSocket: Old });
  const heard: string[] = [];
  socket.on("message", (data: Buffer) => heard.push(data.toString()));
  await slowDown(line, 200);
  client.send("1");
  client.send("2");
  await expect.poll(() => heard).toEqual(["1", "2"]);
  expect(found).toEqual([]);
});
