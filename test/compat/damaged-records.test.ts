// The older modules' entry points: what stores hold that they should not, clients that leave, recovered sockets.
import { EventEmitter, once } from "node:events";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { createRequire } from "node:module";
import cookieParser from "cookie-parser";
import { sign } from "cookie-signature";
import { Server as EngineServer } from "engine.io";
import expressSession from "express-session";
import { describe, expect, onTestFinished, test } from "vitest";
import eioSession from "../../src/compat/engine.io-session.js";
import sharedsession from "../../src/compat/express-socket.io-session.js";
import sessionIo from "../../src/compat/session.io.js";
import SessionSockets from "../../src/compat/session.socket.io.js";
import { liveStore } from "../../src/index.js";
import { secret, startApp } from "../support/app.js";
import { LineStore } from "../support/stores.js";

const id = "0123456789abcdef0123";
const cookie = `connect.sid=s:${encodeURIComponent(sign(id, secret))}`;
const parser = cookieParser(secret) as never;

describe.each(["raw", "live"])("a damaged record in a %s store ends no process, and is answered", (kind) => {
  function storeWith(record: string): expressSession.Store {
    const raw = new expressSession.MemoryStore();
    (raw as unknown as { sessions: Record<string, string> }).sessions[id] = record;
    const errors: unknown[] = [];
    const note = (error: unknown): void => void errors.push(error);
    process.on("uncaughtException", note);
    onTestFinished(() => {
      process.off("uncaughtException", note);
      expect(errors).toEqual([]);
    });
    return kind === "raw" ? raw : liveStore(raw);
  }

  const records = ["{}", '{"cookie":"x"}', '{"cookie":null}', '{"cookie":{"expires":"garbage"}}', "5", '"text"', "[]"];

  test.each(records)("session.socket.io: %s", async (record) => {
    const sockets = new SessionSockets({ sockets: {}, of: () => ({}) }, storeWith(record), parser);
    await new Promise((resolve) => sockets.getSession({ handshake: { headers: { cookie } } } as never, resolve));
  });

  test.each(records)("session.io: %s", async (record) => {
    const middleware = sessionIo(parser, storeWith(record));
    await new Promise((resolve) => middleware({ headers: { cookie } } as never, resolve as never));
  });

  test.each(records)("engine.io-session: %s", async (record) => {
    const engine = new EventEmitter();
    const answered = Promise.race([once(engine, "session"), new Promise((resolve) => engine.on("error", resolve))]);
    const socket = Object.assign(new EventEmitter(), {
      request: { headers: { cookie }, url: "/", method: "GET", socket: {} },
      server: engine,
      transport: new EventEmitter(),
      readyState: "open",
      close: () => undefined,
    });
    eioSession({ cookieParser: cookieParser() as never, store: storeWith(record), secret })(socket);
    await answered;
  });
});

test("session.socket.io does not tell of a socket that has gone while its session was read", async () => {
  const line = new LineStore();
  const heard: string[] = [];
  let isRead: Promise<unknown> | undefined;
  const { browser, io } = await startApp({
    attach: false,
    setup({ io: server }) {
      const get = line.get.bind(line);
      line.get = (key, done) => {
        isRead = new Promise((resolve) => get(key, (...answer) => resolve(done(...answer))));
      };
      new SessionSockets(server, line, parser).on("connection", (_error, socket) => {
        heard.push("connection");
        (socket as unknown as EventEmitter).on("disconnect", () => heard.push("disconnect"));
      });
    },
  });
  line.latency = 200;
  const socket = browser().socket("/", { extraHeaders: { cookie } });
  socket.connect();
  await expect.poll(() => isRead !== undefined, { interval: 5 }).toBe(true);
  socket.disconnect();
  await expect.poll(() => io.sockets.sockets.size, { interval: 5 }).toBe(0);
  await isRead;
  await new Promise((resolve) => setImmediate(resolve));
  expect(heard).toEqual([]);
});

describe("engine.io-session.attach()", () => {
  const options = { cookieParser: cookieParser() as never, store: new expressSession.MemoryStore(), secret };

  test.each([undefined, { origin: "http://app.example.com", credentials: true }])(
    "sets its cookie beside the application's, cors %j",
    async (cors) => {
      const { url } = await startApp({
        attach: false,
        setup({ http }) {
          const engine = new EngineServer({ ...(cors && { cors }) });
          engine.attach(http);
          engine.on("initial_headers", (headers: Record<string, unknown>) => (headers["set-cookie"] = "mine=1"));
          eioSession(options).attach(engine);
        },
      });
      const asked = httpRequest(`${url}/engine.io/?EIO=4&transport=polling`).end();
      const [response] = (await once(asked, "response")) as [IncomingMessage];
      response.resume();
      const names = response.headers["set-cookie"]?.map((one) => one.split("=")[0]);
      expect(names?.toSorted()).toEqual(["connect.sid", "mine"]);
    },
  );

  test("refuses Engine.IO on uWebSockets.js, whose requests cannot wait", () => {
    const { uServer } = createRequire(import.meta.url)("engine.io") as { uServer: new () => EventEmitter };
    expect(() => eioSession(options).attach(new uServer())).toThrow(
      expect.objectContaining({ code: "SERVER_UNSUPPORTED" }) as Error,
    );
  });
});

// What docs/migrate/express-socket.io-session.md warns of; undefined is Socket.IO's default.
test.each([
  [undefined, "undefined"],
  [false, "object"],
])("express-socket.io-session and a recovered socket, with skipMiddlewares: %s", async (skipMiddlewares, there) => {
  const seen: unknown[] = [];
  const { browser } = await startApp({
    attach: false,
    io: { connectionStateRecovery: skipMiddlewares === undefined ? {} : { skipMiddlewares } },
    setup({ io }) {
      io.use(sharedsession(expressSession({ secret, resave: false, saveUninitialized: false })));
      io.on("connection", (socket) => {
        seen.push([socket.recovered, typeof (socket.handshake as { session?: unknown }).session]);
        socket.emit("hello");
      });
    },
  });
  const client = browser().socket("/", { via: "websocket" });
  const greeted = new Promise<void>((resolve) => void client.once("hello", () => resolve()));
  client.connect();
  await greeted;
  client.io.reconnectionDelay(10);
  client.io.reconnection(true);
  client.io.engine.close();
  await expect
    .poll(() => seen)
    .toEqual([
      [false, "object"],
      [true, there],
    ]);
});
