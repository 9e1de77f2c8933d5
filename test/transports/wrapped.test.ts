// Other code that wraps or replaces the functions of sockets: tracers, wildcard listeners, an application's own. The
// gate stands before its handlers all the same, and every end closes its sockets.
import { once } from "node:events";
import { createRequire } from "node:module";
import { SocketIoInstrumentation } from "@opentelemetry/instrumentation-socket.io";
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { Server as EngineServer } from "engine.io";
import { Socket as EngineClient } from "engine.io-client";
import wildcard from "socketio-wildcard";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { liveStore } from "../../src/index.js";
import { type App, type AppOptions, startApp } from "../support/app.js";
import { closed } from "../support/browser.js";
import { LineStore } from "../support/stores.js";

type Method = (this: unknown, ...values: unknown[]) => unknown;
type Wrapped = Record<string, Method>;

/** Wraps a method as shimmer does, which tracers use: an own property that calls what was there. */
function wrap(target: object, name: string, seen: (...values: unknown[]) => void = () => undefined): void {
  const methods = target as Wrapped;
  const original = methods[name] as Method;
  const wrapped: Method = function (...values) {
    seen(...values);
    return original.apply(this, values);
  };
  Object.defineProperty(methods, name, { value: wrapped, writable: true, configurable: true, enumerable: true });
}

/** Sessions whose lease is over at each event, in a store whose answers can be late. */
async function startSlow(options: AppOptions = {}): Promise<App & { line: LineStore }> {
  const line = new LineStore();
  const app = await startApp({ ...options, sessions: { store: liveStore(line, { timeout: 60_000 }), lease: 1 } });
  return { ...app, line };
}

/** Resolves when a message of the only connection waits for the store: nothing more is read then. */
async function waits(engine: object): Promise<void> {
  const [conn] = Object.values((engine as { clients: object }).clients) as { transport: { socket: WebSocket } }[];
  await expect.poll(() => conn?.transport.socket.isPaused, { interval: 2 }).toBe(true);
}

/** From now on the store is asked, and does not answer: a look at the session that has begun is what messages wait for. */
async function stall(line: LineStore): Promise<void> {
  line.state = "waits";
  const before = line.asked.get;
  await expect.poll(() => line.asked.get, { interval: 5 }).toBeGreaterThan(before);
}

/** What other code may do to a socket of Socket.IO. */
const wraps: readonly (readonly [what: string, by: (socket: any) => void])[] = [
  ["onevent is wrapped", (socket) => wrap(socket, "onevent")],
  [
    "emit, on and onevent are wrapped, twice",
    (socket) => {
      for (const name of ["emit", "on", "onevent", "emit", "on", "onevent"]) wrap(socket, name);
    },
  ],
  [
    "every method is wrapped",
    (socket) => {
      for (const name of ["_onpacket", "onevent", "emit", "on", "dispatch", "packet", "join", "disconnect"])
        wrap(socket, name);
    },
  ],
  [
    "onevent is replaced",
    (socket) => {
      socket.onevent = function (packet: { data: unknown[]; id?: number }) {
        const values = packet.id === undefined ? packet.data : [...packet.data, socket.ack(packet.id)];
        for (const listener of socket.listeners(values[0])) listener.apply(socket, values.slice(1));
      };
    },
  ],
  ["socketio-wildcard stands before it", (socket) => wildcard()(socket)],
];

describe.each(wraps)("Socket.IO, where %s", (_what, by) => {
  test.each(["io.use before attach()", "io.use after attach()", "a connection handler"] as const)(
    "in %s",
    async (where) => {
      const { io, login, line, sessions } = await startSlow({
        attach: false,
        setup({ io, sessions }) {
          const use = (): unknown => io.use((socket, next) => (by(socket), next()));
          if (where === "io.use before attach()") use();
          sessions.attach(io);
          if (where === "io.use after attach()") use();
        },
      });
      const heard: unknown[] = [];
      io.on("connection", (socket) => {
        if (where === "a connection handler") by(socket);
        socket.on("say", (text: string, done: (user: unknown) => void) => {
          heard.push(text);
          done(socket.session.user);
        });
      });
      const ada = await login();
      const socket = await ada.connect("/");
      expect(await socket.emitWithAck("say", "first")).toBe("ada");
      // The gate: what comes waits for the store, in its order.
      await stall(line);
      const answers = ["second", "third"].map((text) => socket.emitWithAck("say", text));
      await waits(io.engine);
      expect(heard).toEqual(["first"]);
      line.answerAll();
      expect(await Promise.all(answers)).toEqual(["ada", "ada"]);
      expect(heard).toEqual(["first", "second", "third"]);
      // The end.
      const end = closed(socket);
      await ada.post("/logout");
      expect(await end).toEqual({
        told: [{ code: "SESSION_DESTROYED", retry: false }],
        reason: "io server disconnect",
      });
      expect(sessions.size).toBe(0);
    },
  );
});

test("a wrap stays where a ticket brings open sockets a session", async () => {
  const seen: unknown[] = [];
  const { io, login, browser, sessions, app } = await startApp({ attach: { tickets: true, missing: "anonymous" } });
  app.use("/session", sessions.routes);
  for (const name of ["/", "/second"]) {
    io.of(name).use((socket, next) => {
      wrap(socket, "onevent", (packet) => seen.push((packet as { data: unknown[] }).data[0]));
      next();
    });
    io.of(name).on("connection", (socket) =>
      socket.on("who", (done: (user: unknown) => void) => done(socket.session.user ?? "nobody")),
    );
  }
  const ada = await login();
  const { ticket } = (await (await ada.post("/session/ticket")).json()) as { ticket: string };
  const guest = browser();
  const first = await guest.connect("/");
  expect(await first.emitWithAck("who")).toBe("nobody");
  const second = first.io.socket("/second", { auth: { session: { v: 1, ticket } } });
  second.connect();
  expect(await second.emitWithAck("who")).toBe("ada");
  expect(await first.emitWithAck("who")).toBe("ada");
  expect(seen).toEqual(["who", "who", "who"]);
  const ends = [closed(first), closed(second)];
  await ada.post("/logout");
  for (const end of ends) expect((await end).told.map(({ code }) => code)).toEqual(["SESSION_DESTROYED"]);
});

test("socketio-wildcard hears every event, behind the gate", async () => {
  const { io, login, line } = await startSlow();
  const heard: unknown[] = [];
  io.use(wildcard() as never);
  io.on("connection", (socket) => {
    socket.on("*" as never, (packet: { data: unknown[] }) => {
      heard.push(packet.data[0], socket.session.user);
    });
  });
  const ada = await login();
  const socket = await ada.connect("/");
  await stall(line);
  socket.emit("anything");
  await waits(io.engine);
  expect(heard).toEqual([]);
  line.answerAll();
  await expect.poll(() => heard).toEqual(["anything", "ada"]);
});

describe("under @opentelemetry/instrumentation-socket.io", () => {
  const exporter = new InMemorySpanExporter();
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const instrumentation = new SocketIoInstrumentation();

  beforeAll(() => {
    provider.register();
    instrumentation.setTracerProvider(provider);
    // It wraps the prototypes of what is required from here on: these are those of the Socket.IO that is imported above.
    const require = createRequire(createRequire(import.meta.url).resolve("socket.io"));
    for (const file of ["socket.io", "./socket.js", "./broadcast-operator.js"]) require(file);
  });
  afterAll(async () => {
    instrumentation.disable();
    await provider.shutdown();
  });

  test("events are traced, wait for the store, and an end closes", async () => {
    const { io, login, line } = await startSlow();
    const heard: unknown[] = [];
    io.on("connection", (socket) => {
      socket.on("say", (text: string, done: (user: unknown) => void) => {
        heard.push(text);
        done(socket.session.user);
      });
    });
    const ada = await login();
    const socket = await ada.connect("/");
    expect(await socket.emitWithAck("say", "first")).toBe("ada");
    await stall(line);
    const answer = socket.emitWithAck("say", "second");
    await waits(io.engine);
    expect(heard).toEqual(["first"]);
    line.answerAll();
    expect(await answer).toBe("ada");
    const end = closed(socket);
    await ada.post("/logout");
    expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
    const events = exporter.getFinishedSpans().map(({ attributes }) => attributes["messaging.socket.io.event_name"]);
    expect(events.filter((event) => event !== "connection")).toEqual(["say", "say", "session:end"]);
  });
});

describe("Engine.IO and ws, where emit, on and send are wrapped", () => {
  test.each(["before attach()", "in a connection handler"])("Engine.IO: %s", async (where) => {
    const { http, login, line, sessions, url } = await startSlow({ attach: false });
    const engine = new EngineServer();
    engine.attach(http, { path: "/engine.io" });
    const by = (socket: object): void => ["emit", "on", "send", "onPacket"].forEach((name) => wrap(socket, name));
    if (where === "before attach()") engine.on("connection", by);
    sessions.attach(engine);
    if (where !== "before attach()") engine.on("connection", by);
    const heard: string[] = [];
    engine.on("connection", (socket) => {
      socket.on("message", (text: string) => {
        heard.push(text);
        socket.send(`${socket.session.user} ${text}`);
      });
    });
    onTestFinished(() => void engine.close());
    const ada = await login();
    const socket = new EngineClient(url, {
      path: "/engine.io",
      transports: ["websocket"],
      extraHeaders: { cookie: ada.cookie },
    });
    const answers: unknown[] = [];
    socket.on("message", (text) => answers.push(text));
    const end = new Promise((resolve) => socket.on("close", resolve));
    socket.send("first");
    await expect.poll(() => answers).toEqual(["ada first"]);
    await stall(line);
    socket.send("second");
    await waits(engine);
    expect(heard).toEqual(["first"]);
    line.answerAll();
    await expect.poll(() => answers).toEqual(["ada first", "ada second"]);
    await ada.post("/logout");
    await end;
    expect(sessions.size).toBe(0);
  });

  test("ws", async () => {
    const { http, login, line, sessions, url } = await startSlow({ attach: false });
    const wss = new WebSocketServer({ server: http, path: "/ws" });
    sessions.attach(wss);
    onTestFinished(() => wss.close());
    const heard: string[] = [];
    wss.on("connection", (socket) => {
      for (const name of ["emit", "on", "send", "pause", "resume"]) wrap(socket, name);
      socket.on("message", (data: Buffer) => {
        heard.push(data.toString());
        socket.send(`${socket.session.user} ${data.toString()}`);
      });
    });
    const ada = await login();
    const socket = new WebSocket(`${url.replace("http", "ws")}/ws`, { headers: { cookie: ada.cookie } });
    await once(socket, "open");
    const answers: unknown[] = [];
    socket.on("message", (data: Buffer) => answers.push(data.toString()));
    socket.send("first");
    await expect.poll(() => answers).toEqual(["ada first"]);
    await stall(line);
    socket.send("second");
    await expect.poll(() => [...wss.clients][0]?.isPaused, { interval: 2 }).toBe(true);
    expect(heard).toEqual(["first"]);
    line.answerAll();
    await expect.poll(() => answers).toEqual(["ada first", "ada second"]);
    const end = once(socket, "close");
    await ada.post("/logout");
    expect(String((await end)[1])).toBe("SESSION_DESTROYED");
    expect(sessions.size).toBe(0);
  });
});

test("ws: an emit that a socket brings along is called", async () => {
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
  let server: WebSocketServer | undefined;
  const { login, url } = await startSlow({
    attach: false,
    setup({ http, sessions }) {
      server = new WebSocketServer({ server: http, path: "/ws", WebSocket: Own });
      sessions.attach(server);
    },
  });
  const connected = once(server as WebSocketServer, "connection");
  const client = new WebSocket(`${url.replace("http", "ws")}/ws`, { headers: { cookie: (await login()).cookie } });
  onTestFinished(() => client.terminate());
  await once(client, "open");
  const [socket] = (await connected) as [WebSocket];
  const heard = once(socket, "message");
  client.send("hello");
  expect(String((await heard)[0])).toBe("hello");
  expect(seen).toContain("message");
  const closed = once(socket, "close");
  client.close();
  await closed;
  expect(seen).toContain("close");
});
