// An Engine.IO server: the session events, and how a client is told of a refusal and of an end.
import { once } from "node:events";
import { createRequire } from "node:module";
import { Server, type ServerOptions } from "engine.io";
import { Socket as Client } from "engine.io-client";
import { createPacketDecoderStream, createPacketEncoderStream } from "engine.io-parser";
import { Server as SocketIoServer } from "socket.io";
import { describe, expect, onTestFinished, test } from "vitest";
import { type AttachOptions, createSessions, liveStore, type SocketSession } from "../../src/index.js";
import { type ActiveSession } from "../../src/session/live-session.js";
import { type App, type AppOptions, secret, startApp } from "../support/app.js";
import type { Browser } from "../support/browser.js";
import { faults } from "../support/faults.js";
import { LineStore } from "../support/stores.js";

interface EngineSocket {
  session: SocketSession;
  on(event: string, listener: (...values: any[]) => void): void;
  send(data: string): void;
  close(): void;
}

async function start(
  options: ServerOptions = {},
  attach?: AttachOptions,
  sessions?: AppOptions["sessions"],
): Promise<App & { engine: Server }> {
  const engine = new Server(options);
  const app = await startApp({
    ...(sessions && { sessions }),
    attach: false,
    setup({ http, sessions }) {
      engine.attach(http, { path: "/engine.io" });
      sessions.attach(engine, attach);
    },
  });
  onTestFinished(() => void engine.close());
  return { ...app, engine };
}

function open(browser: Browser, via = "websocket"): Client {
  const client = new Client(browser.url, {
    path: "/engine.io",
    transports: [via as never],
    extraHeaders: browser.cookies.size > 0 ? { cookie: browser.cookie } : {},
  });
  client.on("error", () => undefined);
  onTestFinished(() => void client.close());
  return client;
}

const opened = (client: Client): Promise<void> => new Promise((resolve) => client.on("open", () => resolve()));

describe.each(["polling", "websocket"])("over %s", (via) => {
  test('"session" is emitted once on the server and on the socket, after the "connection" listeners', async () => {
    const { engine, login } = await start();
    const heard: unknown[] = [];
    engine.on("session", (socket: EngineSocket, session: SocketSession) => {
      heard.push(["server", session === socket.session, session.user]);
    });
    engine.on("connection", (socket: EngineSocket) => {
      heard.push(["connection", socket.session.user]);
      socket.on("session", (session: SocketSession) => heard.push(["socket", session === socket.session]));
    });
    await opened(open(await login(), via));
    await expect.poll(() => heard.length).toBe(3);
    expect(heard).toEqual([
      ["connection", "ada"],
      ["server", true, "ada"],
      ["socket", true],
    ]);
  });

  test("the reason of an end is its code, on both sides", async () => {
    const { engine, login } = await start();
    const reasons: string[] = [];
    engine.on("connection", (socket: EngineSocket) => socket.on("close", (reason: string) => reasons.push(reason)));
    const ada = await login();
    const client = open(ada, via);
    await opened(client);
    const closed = new Promise<unknown>((resolve) =>
      client.on("close", (_reason, why) => {
        const { code, reason, status, responseText } = (why as { context: Record<string, unknown> }).context;
        resolve(via === "websocket" ? [code, reason] : [status, responseText]);
      }),
    );
    await ada.post("/logout");
    expect(await closed).toEqual(
      via === "websocket" ? [4401, "SESSION_DESTROYED"] : [401, '{"code":"SESSION_DESTROYED","retry":false}'],
    );
    await expect.poll(() => reasons).toEqual(["SESSION_DESTROYED"]);
  });

  test("what was sent before an end arrives before it", async () => {
    const { engine, login, sessions } = await start();
    engine.on("connection", (socket: EngineSocket) =>
      socket.on("message", () => {
        for (let at = 0; at < 20; at++) socket.send(`${at}`);
        void sessions.destroy(socket as never);
      }),
    );
    const client = open(await login(), via);
    const got: string[] = [];
    client.on("message", (text: string) => got.push(text));
    await opened(client);
    client.send("go");
    await new Promise<void>((resolve) => client.on("close", () => resolve()));
    expect(got).toEqual(Array.from({ length: 20 }, (_, at) => `${at}`));
  });

  test("what a client sends before it leaves is told before the close, also while the session is re-read", async () => {
    const line = new LineStore();
    const { engine, login } = await start({}, {}, { store: liveStore(line), lease: 1 });
    const heard: string[] = [];
    engine.on("connection", (socket: EngineSocket) => {
      socket.on("message", (text: string) => heard.push(text));
      socket.on("close", () => heard.push("close"));
    });
    const client = open(await login(), via);
    await opened(client);
    line.latency = 40;
    for (let at = 0; at < 3; at++) client.send(`${at}`);
    await new Promise<void>((resolve) => client.once("drain", () => resolve()));
    client.close();
    await expect.poll(() => heard).toEqual(["0", "1", "2", "close"]);
  });

  test("a session that ends between the handshake and the connection is still readable, and its socket closed", async () => {
    const { engine, login, sessions } = await start();
    const ada = await login();
    const seen: unknown[] = [];
    engine.generateId = (async () => {
      await sessions.destroy(
        decodeURIComponent(ada.cookies.get("connect.sid") ?? "")
          .slice(2)
          .split(".")[0] as string,
      );
      return "an-id";
    }) as never;
    engine.on("connection", (socket: EngineSocket) => {
      seen.push(socket.session.user);
      socket.on("close", (reason: string) => seen.push(reason));
    });
    const client = open(ada, via);
    await new Promise<void>((resolve) => client.on("close", () => resolve()));
    await expect.poll(() => seen).toEqual(["ada", "SESSION_DESTROYED"]);
  });

  test("the application's own allowRequest is asked first", async () => {
    const { login, sessions } = await start({ allowRequest: (_request, done) => done("not today", false) });
    const refused: unknown[] = [];
    sessions.on("refused", (refusal) => refused.push(refusal));
    const client = open(await login(), via);
    await new Promise<void>((resolve) => client.on("close", () => resolve()));
    expect(refused).toEqual([]);
  });
});

test("a polling client that leaves while it is being admitted gets no socket", async () => {
  const line = new LineStore();
  const { engine, http, login } = await start({}, {}, { store: liveStore(line) });
  const ada = await login();
  let connections = 0;
  engine.on("connection", () => connections++);
  const refused = once(engine, "connection_error");
  const gone = new Promise((resolve) => http.once("request", (_, response) => response.once("close", resolve)));
  line.state = "waits";
  const leaving = new AbortController();
  const failed = expect(ada.fetch("/engine.io/?EIO=4&transport=polling", { signal: leaving.signal })).rejects.toThrow();
  const asked = line.asked.get;
  await expect.poll(() => line.asked.get, { interval: 5 }).toBeGreaterThan(asked);
  leaving.abort();
  await failed;
  await gone;
  line.answerAll();
  const [{ context }] = (await refused) as [{ context: { message: string } }];
  expect(context.message).toBe("The client has gone.");
  expect(connections).toBe(0);
});

test("an end at the moment of the upgrade is told over the new transport", async () => {
  const { engine, login, sessions } = await start();
  engine.on("connection", (socket: EngineSocket) =>
    socket.on("upgrading", (transport: { prependListener(event: string, listener: (packet: any) => void): void }) =>
      transport.prependListener("packet", ({ type }: { type: string }) => {
        if (type === "upgrade") (sessions.get(socket as never) as unknown as ActiveSession).end("SESSION_DESTROYED");
      }),
    ),
  );
  const ada = await login();
  const client = new Client(ada.url, { path: "/engine.io", extraHeaders: { cookie: ada.cookie } });
  const why = await new Promise<unknown>((resolve) => client.on("close", (_reason, closing) => resolve(closing)));
  expect((why as { context: object }).context).toMatchObject({ code: 4401, reason: "SESSION_DESTROYED" });
});

test("an anonymous socket has an empty session and hears no session event", async () => {
  const { engine, browser } = await start({}, { missing: "anonymous" });
  let events = 0;
  engine.on("session", () => events++);
  const connection = once(engine, "connection");
  await opened(open(browser()));
  const [socket] = (await connection) as [EngineSocket];
  expect(socket.session.id).toBeUndefined();
  await new Promise((resolve) => setImmediate(resolve));
  expect(events).toBe(0);
});

test("WebTransport has no request: refused, or anonymous where that is allowed", async () => {
  for (const missing of ["reject", "anonymous"] as const) {
    const { engine } = await start({ transports: ["webtransport"] as never }, { missing });
    const closings: string[] = [];
    const messages: string[] = [];
    engine.on("connection", (socket: EngineSocket) => {
      socket.on("close", (reason: string) => closings.push(reason));
      socket.on("message", (text: string) => messages.push(text));
    });
    const [mine, theirs] = pipes();
    const session = { incomingBidirectionalStreams: streamOf(theirs), closed: new Promise(() => {}), close() {} };
    void engine.onWebTransportSession(session);
    const writer = mine.writable.getWriter();
    await writer.write({ type: "open" });
    await writer.write({ type: "message", data: "at once" });
    if (missing === "reject") {
      await expect.poll(() => closings).toEqual(["SESSION_MISSING"]);
      expect(messages).toEqual([]);
    } else await expect.poll(() => messages).toEqual(["at once"]);
  }
});

function pipes() {
  const [up, down] = [new TransformStream(), new TransformStream()];
  const encoder = createPacketEncoderStream() as any;
  const decoder = createPacketDecoderStream(1e6, "nodebuffer") as any;
  void encoder.readable.pipeTo(up.writable);
  void down.readable.pipeTo(decoder.writable).catch(() => undefined);
  return [
    { writable: encoder.writable as WritableStream, readable: decoder.readable as ReadableStream },
    { readable: up.readable, writable: down.writable },
  ] as const;
}

function streamOf(stream: object): ReadableStream {
  return new ReadableStream({ start: (controller) => controller.enqueue(stream) });
}

test("a second attach() throws, also above or below Socket.IO", async () => {
  const { io, sessions } = await startApp();
  expect(() => sessions.attach(io.engine)).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
  const other = await startApp({ attach: false });
  other.sessions.attach(other.io.engine);
  expect(() => other.sessions.attach(other.io)).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
  const engine = new Server();
  createSessions({ secret }).attach(engine);
  expect(() => createSessions({ secret }).attach(engine)).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
});

test("Engine.IO on uWebSockets.js is refused when it is attached, and so is what Socket.IO cannot do there", () => {
  const { uServer } = createRequire(import.meta.url)("engine.io") as { uServer: new () => Server };
  const sessions = createSessions({ secret });
  const unsupported = expect.objectContaining({ code: "SERVER_UNSUPPORTED" }) as Error;
  expect(() => sessions.attach(new uServer())).toThrow(unsupported);
  const app: Record<string, () => object> = { any: () => app, ws: () => app, get: () => app };
  const creating = new SocketIoServer();
  sessions.attach(creating, { missing: "create" });
  expect(() => creating.attachApp(app)).toThrow(unsupported);
  const usual = new SocketIoServer();
  sessions.attach(usual);
  expect(() => usual.attachApp(app)).not.toThrow();
});

test("a handshake after sessions.close() ends no process, where the application has replaced allowRequest", async () => {
  const found = faults();
  const { engine, login, sessions } = await start();
  (engine as unknown as { opts: { allowRequest: unknown } }).opts.allowRequest = (
    _request: unknown,
    done: (error: null, isAllowed: boolean) => void,
  ) => done(null, true);
  const ada = await login();
  await sessions.close();
  const closed = new Promise((resolve) => void engine.on("connection", (socket) => void socket.on("close", resolve)));
  open(ada, "polling");
  expect(await closed).toBe("SESSIONS_CLOSED");
  expect(found).toEqual([]);
});

test("what a listener of the server's session event throws is the application's, and the socket has its own", async () => {
  const found = faults();
  const { engine, login } = await start();
  engine.on("session", () => {
    throw new Error("the application's");
  });
  const told = new Promise<{ user?: string }>((resolve) => {
    engine.on("connection", (socket) => socket.on("session", resolve));
  });
  open(await login(), "polling");
  expect((await told).user).toBe("ada");
  await expect.poll(() => found).toEqual([new Error("the application's")]);
});
