// Engine.IO and ws servers that are used in unusual ways, and clients that mean harm.
import { once } from "node:events";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { createRequire } from "node:module";
import { Server as EngineServer } from "engine.io";
import { Socket as EngineClient } from "engine.io-client";
import { describe, expect, onTestFinished, test } from "vitest";
import { Server } from "socket.io";
import { WebSocket, WebSocketServer } from "ws";
import { type AttachOptions, createSessions, liveStore } from "../../src/index.js";
import { type App, secret, startApp } from "../support/app.js";
import { LineStore } from "../support/stores.js";

/** What would have ended the process. */
function faults(): unknown[] {
  const found: unknown[] = [];
  const note = (error: unknown): void => void found.push(error);
  for (const event of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(event, note);
    onTestFinished(() => void process.off(event, note));
  }
  return found;
}

interface WsApp extends App {
  readonly server: WebSocketServer;
  readonly line: LineStore;
}

/** An app with a ws server, whose sessions are read anew all the time. */
async function startWs(options: object = {}, attach: AttachOptions = {}): Promise<WsApp> {
  const line = new LineStore();
  let server: WebSocketServer | undefined;
  const app = await startApp({
    attach: false,
    sessions: { store: liveStore(line), lease: 1 },
    setup({ http, sessions }) {
      server = new WebSocketServer({ server: http, path: "/ws", ...options });
      sessions.attach(server, attach);
    },
  });
  return { ...app, server: server as WebSocketServer, line };
}

async function startEngine(options: object = {}, attach: AttachOptions = {}) {
  const line = new LineStore();
  const engine = new EngineServer(options);
  const app = await startApp({
    attach: false,
    sessions: { store: liveStore(line), lease: 1 },
    setup({ http, sessions }) {
      engine.attach(http);
      sessions.attach(engine, attach);
    },
  });
  return { ...app, engine, line };
}

/** From now on the store is slow, and asked: what comes within the next `ms` waits for its answer. */
async function slowDown(line: LineStore, ms: number): Promise<void> {
  line.latency = ms;
  const before = line.asked.get;
  // Sessions that are silent are read again, too.
  await expect.poll(() => line.asked.get, { interval: 2 }).toBeGreaterThan(before);
}

/** The socket of a client that has logged in, on both sides. */
async function connectWs({ login, server, url }: WsApp): Promise<{ client: WebSocket; socket: WebSocket }> {
  const ada = await login();
  const connected = once(server, "connection");
  const client = new WebSocket(`${url.replace("http", "ws")}/ws`, { headers: { cookie: ada.cookie } });
  onTestFinished(() => client.terminate());
  await once(client, "open");
  return { client, socket: (await connected)[0] as WebSocket };
}

function connectEngine(url: string, cookie: string, via: "polling" | "websocket" = "polling"): EngineClient {
  const client = new EngineClient(url, { transports: [via], extraHeaders: { cookie } });
  onTestFinished(() => void client.close());
  return client;
}

describe("cookies of a handshake", () => {
  const origin = "http://app.example.com";

  /** The names of the cookies that a handshake over polling sets. */
  async function cookiesOf(url: string): Promise<string[]> {
    const asked = httpRequest(url, { headers: { origin } }).end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    response.resume();
    return (response.headers["set-cookie"] ?? []).map((cookie) => cookie.split("=")[0] as string).toSorted();
  }

  test.each([
    ["Engine.IO", undefined],
    ["Engine.IO", { origin, credentials: true }],
    ["Socket.IO", undefined],
    ["Socket.IO", { origin, credentials: true }],
  ])("the session's and the application's stand beside each other: %s, cors %j", async (kind, cors) => {
    const mine = (headers: Record<string, unknown>): unknown => (headers["set-cookie"] = "mine=1");
    const engine = new EngineServer({ ...(cors && { cors }) });
    const { url } = await startApp({
      attach: false,
      io: { ...(cors && { cors }) },
      setup({ http, io, sessions }) {
        if (kind === "Engine.IO") engine.attach(http);
        const emitter = kind === "Engine.IO" ? engine : io.engine;
        emitter.on("initial_headers", mine);
        sessions.attach(kind === "Engine.IO" ? engine : io, { missing: "create", origins: [origin] });
      },
    });
    const path = kind === "Engine.IO" ? "/engine.io/" : "/socket.io/";
    expect(await cookiesOf(`${url}${path}?EIO=4&transport=polling`)).toEqual(["connect.sid", "mine"]);
  });
});

test('a "trust proxy" function that throws ends no process when a client sends a ticket', async () => {
  const found = faults();
  const { app, browser, sessions, url } = await startWs({}, { tickets: true });
  const errors: unknown[] = [];
  sessions.on("error", (error) => errors.push(error));
  app.set("trust proxy", () => {
    throw new Error("no address");
  });
  await browser().fetch("/session");
  const client = new WebSocket(`${url.replace("http", "ws")}/ws`, ["session.ticket.abc", "x"], {
    headers: { "sec-fetch-site": "same-origin" },
  });
  const [error] = (await once(client, "error")) as [Error];
  expect(error.message).toContain("401");
  expect(errors).toContainEqual(new Error("no address"));
  expect(found).toEqual([]);
});

describe("Engine.IO", () => {
  test.each(["polling", "websocket"] as const)(
    "a handler that closes its socket hears no more of it (%s)",
    async (via) => {
      const heard: string[] = [];
      const { engine, line, login, url } = await startEngine();
      engine.on("connection", (socket) => {
        socket.on("close", () => heard.push("close"));
        socket.on("message", (data: unknown) => {
          heard.push(String(data));
          socket.close();
        });
      });
      const client = connectEngine(url, (await login()).cookie, via);
      await new Promise<void>((resolve) => void client.on("open", () => resolve()));
      await slowDown(line, 400);
      for (const text of ["1", "2", "3"]) client.send(text);
      await expect.poll(() => heard).toContain("close");
      await new Promise((resolve) => setImmediate(resolve));
      expect(heard).toEqual(["1", "close"]);
    },
  );

  test("on uWebSockets.js is refused when it is attached, and so is what Socket.IO cannot do there", () => {
    const { uServer } = createRequire(import.meta.url)("engine.io") as { uServer: new () => EngineServer };
    const sessions = createSessions({ secret });
    const unsupported = expect.objectContaining({ code: "SERVER_UNSUPPORTED" }) as Error;
    expect(() => sessions.attach(new uServer())).toThrow(unsupported);
    const app: Record<string, () => object> = { any: () => app, ws: () => app, get: () => app };
    const creating = new Server();
    sessions.attach(creating, { missing: "create" });
    expect(() => creating.attachApp(app)).toThrow(unsupported);
    const usual = new Server();
    sessions.attach(usual);
    expect(() => usual.attachApp(app)).not.toThrow();
  });

  test("a handshake after sessions.close() ends no process, where the application has replaced allowRequest", async () => {
    const found = faults();
    const { engine, login, sessions, url } = await startEngine();
    (engine as unknown as { opts: { allowRequest: unknown } }).opts.allowRequest = (
      _request: unknown,
      done: (error: null, isAllowed: boolean) => void,
    ) => done(null, true);
    const { cookie } = await login();
    await sessions.close();
    const closed = new Promise((resolve) => void engine.on("connection", (socket) => void socket.on("close", resolve)));
    connectEngine(url, cookie);
    expect(await closed).toBe("SESSIONS_CLOSED");
    expect(found).toEqual([]);
  });

  test("what a listener of the server's session event throws is the application's, and the socket has its own", async () => {
    const found = faults();
    const { engine, login, url } = await startEngine();
    engine.on("session", () => {
      throw new Error("the application's");
    });
    const told = new Promise<{ user?: string }>((resolve) => {
      engine.on("connection", (socket) => socket.on("session", resolve));
    });
    connectEngine(url, (await login()).cookie);
    expect((await told).user).toBe("ada");
    await expect.poll(() => found).toEqual([new Error("the application's")]);
  });
});

describe("ws", () => {
  test("an emit that a socket brings along is called", async () => {
    const seen: unknown[] = [];
    class Own extends WebSocket {
      constructor(...values: [never]) {
        super(...values);
        const { emit } = this;
        this.emit = (event: never, ...rest: never[]) => {
          seen.push(event);
          return emit.call(this, event, ...rest);
        };
      }
    }
    const { client, socket } = await connectWs(await startWs({ WebSocket: Own }));
    const heard = once(socket, "message");
    client.send("hello");
    expect(String((await heard)[0])).toBe("hello");
    expect(seen).toContain("message");
    const closed = once(socket, "close");
    client.close();
    await closed;
    expect(seen).toContain("close");
  });

  test.each(["pause", "resume"] as const)(
    "what the application asks for while a message waits counts: %s()",
    async (call) => {
      const app = await startWs();
      const { client, socket } = await connectWs(app);
      const heard: string[] = [];
      socket.on("message", (data: Buffer) => heard.push(data.toString()));
      await slowDown(app.line, 400);
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

  test("before 8.3, where a socket cannot be paused, messages wait all the same", async () => {
    const found = faults();
    class Old extends WebSocket {}
    for (const name of ["pause", "resume", "isPaused"]) {
      Object.defineProperty(Old.prototype, name, { value: undefined });
    }
    const app = await startWs({ WebSocket: Old });
    const { client, socket } = await connectWs(app);
    const heard: string[] = [];
    socket.on("message", (data: Buffer) => heard.push(data.toString()));
    await slowDown(app.line, 200);
    client.send("1");
    client.send("2");
    await expect.poll(() => heard).toEqual(["1", "2"]);
    expect(found).toEqual([]);
  });

  test("beside Socket.IO on one HTTP server, as the README says, both answer, also after a second", async () => {
    const line = new LineStore();
    const app = await startApp({
      sessions: { store: liveStore(line) },
      io: { destroyUpgrade: false },
      setup({ http, sessions }) {
        const live = new WebSocketServer({ noServer: true });
        sessions.attach(live);
        http.on("upgrade", (request, socket, head) => {
          if (request.url !== "/live") return;
          live.handleUpgrade(request, socket, head, (one) => live.emit("connection", one, request));
        });
      },
    });
    const ada = await app.login();
    await ada.connect("/", { via: "websocket" });
    await expect.poll(() => app.sessions.size).toBe(1);
    const bob = await app.login("bob");
    line.latency = 1200;
    const client = new WebSocket(`${app.url.replace("http", "ws")}/live`, { headers: { cookie: bob.cookie } });
    onTestFinished(() => client.terminate());
    await once(client, "open");
  });
});
