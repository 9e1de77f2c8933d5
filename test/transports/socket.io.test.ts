// The Socket.IO server in all its shapes.
import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
// @ts-expect-error: an alias of express, which has types of its own
import express4 from "express4";
import { createPacketDecoderStream, createPacketEncoderStream } from "engine.io-parser";
import session from "express-session";
import { Server } from "socket.io";
import { describe, expect, onTestFinished, test } from "vitest";
import WebSocket from "ws";
import { createSessions, type Sessions } from "../../src/index.js";
import { secret, startApp } from "../support/app.js";
import { Browser, transports } from "../support/browser.js";
import { closeServers } from "../support/closing.js";
import { backendOf } from "../../src/store/live-store.js";
import { LineStore } from "../support/stores.js";

function answer(io: { on(event: "connection", listener: (socket: any) => void): unknown }): void {
  io.on("connection", (socket) =>
    socket.on("user", (done: (user: unknown) => void) => done(socket.session.user ?? null)),
  );
}

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

describe.each(transports)("over %s", (via) => {
  test("all namespaces: present, future and dynamic ones", async () => {
    const { io, login, browser } = await startApp({
      setup({ io }) {
        answer(io.of("/before"));
        answer(io.of(/^\/dynamic-\d+$/));
      },
    });
    answer(io.of("/after"));
    const ada = await login();
    for (const name of ["/before", "/after", "/dynamic-1", "/dynamic-2"]) {
      expect(await (await ada.connect(name, { via })).emitWithAck("user"), name).toBe("ada");
      expect((await browser().refused(name, { via })).code, name).toBe("SESSION_MISSING");
    }
  });

  test("one namespace alone", async () => {
    const { io, login, browser, sessions } = await startApp({ attach: false });
    sessions.attach(io.of("/private"));
    answer(io.of("/private"));
    const guest = await browser().connect("/", { via });
    expect((await browser().refused("/private", { via })).code).toBe("SESSION_MISSING");
    const ada = await login();
    const [open, inside] = [await ada.connect("/", { via }), await ada.connect("/private", { via })];
    expect(await inside.emitWithAck("user")).toBe("ada");
    const gone = new Promise((resolve) => inside.once("disconnect", resolve));
    await ada.post("/logout");
    await gone;
    expect(open.connected && guest.connected).toBe(true);
  });

  test("rawSocket.request = null, Socket.IO's own memory advice, breaks nothing, wherever it stands", async () => {
    const { io, login } = await startApp({
      attach: false,
      setup({ io, sessions }) {
        io.engine.on("connection", (rawSocket: { request: unknown }) => (rawSocket.request = null));
        sessions.attach(io);
        answer(io);
      },
    });
    const ada = await login();
    const socket = await ada.connect("/", { via });
    expect(await socket.emitWithAck("user")).toBe("ada");
    const second = io.of("/second");
    answer(second);
    expect(await (await ada.connect("/second", { via })).emitWithAck("user")).toBe("ada");
    const gone = new Promise((resolve) => socket.once("disconnect", resolve));
    await ada.post("/logout");
    await gone;
  });

  test.each(["before", "after"])("attached %s the server is bound to a port", async (when) => {
    const { http, sessions } = withLogin(express());
    const io = new Server();
    if (when === "before") sessions.attach(io, { missing: "create" });
    io.attach(http);
    if (when === "after") sessions.attach(io, { missing: "create" });
    answer(io);
    const ada = await listen(http, io, sessions);
    await ada.connect("/", { via });
    await ada.post("/login");
    expect(await (await ada.connect("/", { via })).emitWithAck("user")).toBe("ada");
  });
});

function withLogin(app: express.Express): { http: ReturnType<typeof createServer>; sessions: Sessions } {
  const sessions = createSessions({ secret });
  app.use(sessions.middleware);
  app.post("/login", (req, res) => {
    req.session.user = "ada";
    res.json({});
  });
  return { http: createServer(app), sessions };
}

async function listen(http: ReturnType<typeof createServer>, io: Server, sessions: Sessions): Promise<Browser> {
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const browser = new Browser(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
  onTestFinished(async () => {
    browser.close();
    await closeServers(io, http);
    await sessions.close();
  });
  return browser;
}

test("Express 4 serves as well", async () => {
  const { http, sessions } = withLogin((express4 as unknown as typeof express)());
  const io = new Server(http);
  sessions.attach(io);
  answer(io);
  const ada = await listen(http, io, sessions);
  await ada.post("/login");
  expect(await (await ada.connect()).emitWithAck("user")).toBe("ada");
});

describe.each(["reject", "anonymous", "create"] as const)("WebTransport, missing: %s", (missing) => {
  // Engine.IO's own protocol over web streams in memory: an HTTP/3 server is not to be had in Node itself.
  test("is not disabled, and a connection without a request is judged like one without a cookie", async () => {
    const { io, sessions } = await startApp({
      attach: { missing },
      io: { transports: ["polling", "websocket", "webtransport"] },
    });
    const up = new TransformStream<Uint8Array, Uint8Array>();
    const down = new TransformStream<Uint8Array, Uint8Array>();
    const encoder = createPacketEncoderStream();
    void encoder.readable.pipeTo(up.writable).catch(() => undefined);
    const writer = encoder.writable.getWriter();
    const reader = down.readable
      .pipeThrough(
        createPacketDecoderStream(1e6, "nodebuffer") as TransformStream<Uint8Array, { type: string; data: unknown }>,
      )
      .getReader();
    const transport = {
      incomingBidirectionalStreams: ReadableStream.from([{ readable: up.readable, writable: down.writable }]),
      closed: new Promise(() => undefined),
      close() {},
    };
    (io.engine as unknown as { onWebTransportSession(session: object): void }).onWebTransportSession(transport);
    void writer.write({ type: "open" });
    expect((await reader.read()).value?.type).toBe("open");
    void writer.write({ type: "message", data: "0" });
    const said = String((await reader.read()).value?.data);
    if (missing === "anonymous") expect(said).toMatch(/^0\{"sid"/);
    else expect(said).toMatch(/^4\{.*"code":"SESSION_MISSING"/);
    expect(await new Promise((resolve) => sessions.store.length((_, count) => resolve(count)))).toBe(0);
  });
});

test("a middleware of the application sees the session, whether it was registered before attach() or after", async () => {
  const seen: unknown[] = [];
  const { login } = await startApp({
    attach: false,
    setup({ io, sessions }) {
      io.use((socket, next) => {
        seen.push(socket.session.user);
        next();
      });
      sessions.attach(io);
      io.use((socket, next) => {
        seen.push(socket.session.user);
        next();
      });
    },
  });
  await (await login()).connect();
  expect(seen).toEqual(["ada", "ada"]);
});

test("catch-all listeners are behind the gate like any other", async () => {
  const order: string[] = [];
  const { login, sessions } = await startApp({
    sessions: { store: new session.MemoryStore(), lease: 1 },
    setup({ io }) {
      io.on("connection", (socket) => {
        socket.onAny((event: string) => void order.push(`any ${event} ${socket.session.user}`));
        socket.on("event", (done) => {
          order.push(`event ${socket.session.user}`);
          done();
        });
      });
    },
  });
  const ada = await login();
  const socket = await ada.connect();
  await new Promise((resolve) => setTimeout(resolve, 5));
  await socket.emitWithAck("event");
  expect(order).toEqual(["any event ada", "event ada"]);
  expect(backendOf(sessions.store).isShared).toBe(true);
});

test("a room per session, by a hash of its id, holds every socket of it", async () => {
  const { io, login, sessions } = await startApp({
    setup({ app, sessions }) {
      app.get("/room", (req, res) => void res.json({ room: sessions.room(req), id: req.sessionID }));
    },
  });
  const [ada, bob] = [await login(), await login("bob")];
  await Promise.all([ada.connect(), ada.connect("/", { via: "polling" }), bob.connect()]);
  const { room, id } = (await ada.get("/room")) as { room: string; id: string };
  expect(room).toMatch(/^session:[\w-]{22}$/);
  expect(room).not.toContain(id.slice(0, 8));
  expect(sessions.room(id)).toBe(room);
  expect((await io.in(room).fetchSockets()).length).toBe(2);
});

test("events, get() and errors of the face", async () => {
  const changes: unknown[] = [];
  const ends: unknown[] = [];
  const { login, sessions, io } = await startApp();
  sessions.on("change", (live) => changes.push(live.data.user));
  sessions.on("end", (live, code) => ends.push([live.data.user, code, live.connections]));
  const ada = await login();
  await ada.connect();
  const [socket] = io.of("/").sockets.values();
  const live = sessions.get(socket as never);
  expect(live).toMatchObject({ connections: 1, ended: undefined });
  expect(sessions.get(live?.id as string)).toBe(live);
  expect(sessions.get(live?.data as never)).toBe(live);
  expect(live?.signal.aborted).toBe(false);
  await ada.get("/session");
  await ada.post("/set", { user: "eve" });
  await sessions.destroy(socket as never);
  expect(changes).toEqual(["eve"]);
  expect(ends).toEqual([["eve", "SESSION_DESTROYED", 1]]);
  expect(sessions.get(live?.id as string)).toBeUndefined();
  expect(sessions.get(socket as never)?.ended).toBe("SESSION_DESTROYED");
  await expect(sessions.update({} as never, () => 1)).rejects.toMatchObject({ code: "TARGET_INVALID" });
  await expect(sessions.destroy("")).rejects.toMatchObject({ code: "TARGET_INVALID" });
  await expect(sessions.update("nobody", () => 1)).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
});

test("wrong options and servers are clear errors", () => {
  const code = (expected: string): unknown => expect.objectContaining({ code: expected });
  expect(() => createSessions({} as never)).toThrow(code("OPTION_INVALID"));
  expect(() => createSessions({ secret: [] })).toThrow(code("OPTION_INVALID"));
  expect(() => createSessions({ secret, lease: -1 })).toThrow(code("OPTION_INVALID"));
  expect(() => createSessions({ secret, absoluteTimeout: "1h" as never })).toThrow(code("OPTION_INVALID"));
  expect(() => createSessions({ secret, store: {} as never })).toThrow(code("STORE_UNSUPPORTED"));
  const sessions = createSessions({ secret });
  const io = new Server();
  expect(() => sessions.attach({} as never)).toThrow(code("SERVER_UNSUPPORTED"));
  expect(() => sessions.attach(io, { missing: "allow" as never })).toThrow(code("OPTION_INVALID"));
  expect(() => sessions.attach(io, { origins: "https://a" as never })).toThrow(code("OPTION_INVALID"));
  sessions.attach(io);
  expect(() => sessions.attach(io)).toThrow(code("OPTION_INVALID"));
  expect(() => createSessions({ secret }).attach(io)).toThrow(code("OPTION_INVALID"));
});

test("what the application's listeners throw is its own uncaught exception, and stops no end", async () => {
  const uncaught: unknown[] = [];
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => uncaught.push(error));
  onTestFinished(() => {
    process.removeAllListeners("uncaughtException");
    for (const listener of others) process.on("uncaughtException", listener);
  });
  const broken = new Error("broken listener");
  const { login, sessions, io } = await startApp({
    setup({ io }) {
      io.on("connection", (socket) => {
        socket.on("disconnect", () => {
          throw broken;
        });
      });
    },
  });
  sessions.on("end", () => {
    throw broken;
  });
  const ada = await login();
  const sockets = [await ada.connect(), await ada.connect(), await ada.connect()];
  await ada.post("/logout");
  await expect.poll(() => sockets.some((socket) => socket.connected)).toBe(false);
  expect(io.of("/").sockets.size).toBe(0);
  expect(uncaught).toEqual([broken, broken, broken, broken]);
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
