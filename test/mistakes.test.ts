// The mistakes that people make, one by one: each is told, with what was given, why it is wrong and what to write.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import session from "express-session";
import { Redis } from "ioredis";
import { Client, Pool } from "pg";
import { createClient } from "redis";
import { Server, type Socket } from "socket.io";
import { io as connect } from "socket.io-client";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { createSessions, liveStore, memoryStore } from "../src/index.js";
import { seePage } from "../src/errors.js";
import sessionPlugin from "../src/fastify/index.js";
import { sessionGuard, SessionIoAdapter, SessionModule } from "../src/nest/index.js";
import { postgresStore } from "../src/postgres.js";
import { useSession } from "../src/react.js";
import { redisStore } from "../src/redis.js";
import { createTestClient } from "../src/testing/index.js";
import { type AppOptions, secret, startApp } from "./support/app.js";
import { Browser } from "./support/browser.js";

type Loose = (...values: unknown[]) => unknown;
const loosely = createSessions as unknown as Loose;
const anyStore = (store: unknown) => (): unknown => loosely({ secret, store });
const anyRedisOptions = (options: unknown) => (): unknown => redisStore(options as never);
const anyPostgresOptions = (options: unknown) => (): unknown => postgresStore(options as never);
/** Connects to nobody. */
const idle = new Redis({ lazyConnect: true });
const sessionsOf = (options = {}): ReturnType<typeof createSessions> => createSessions({ secret, ...options });

describe("told at once, by an error:", () => {
  test("what is refused as a store is left open", () => {
    const pool = new Pool();
    for (const given of [pool, idle]) expect(anyStore(given)).toThrow("STORE_UNSUPPORTED");
    expect({ isEnding: pool.ending, status: idle.status }).toEqual({ isEnding: false, status: "wait" });
  });

  const mistakes: [what: string, make: () => unknown, ...says: string[]][] = [
    ["no options", () => loosely(), "OPTION_INVALID", "createSessions({ secret: process.env.SESSION_SECRET })"],
    ["no secret", () => loosely({ secret: process.env["NOT_SET"] }), "OPTION_INVALID", "secret", "SESSION_SECRET"],
    ["an empty secret", () => loosely({ secret: "" }), "OPTION_INVALID", "not an empty string"],
    ["a typing error", () => loosely({ secret, leese: 5 }), "OPTION_INVALID", '"leese"', "Did you mean lease?"],
    ["an unknown option", () => loosely({ secret, colour: 5 }), "OPTION_INVALID", 'no option "colour"'],
    ["an option of attach()", () => loosely({ secret, origins: [] }), "sessions.attach(io, { origins })"],
    ["an option of the cookie", () => loosely({ secret, maxAge: 5 }), "createSessions({ cookie: { maxAge } })"],
    ["an option of the server", () => sessionsOf().attach(new Server(), { cors: {} } as never), "new Server(server, {"],
    ["an address for a store", anyRedisOptions({ url: "" }), "redisStore({ client: createClient({ url }) })"],
    [
      "one origin",
      () => sessionsOf().attach(new Server(), { origins: "https://a.example" as never }),
      'origins: ["https://a.example"]',
    ],
    ["the HTTP server", () => sessionsOf().attach(createServer() as never), "SERVER_UNSUPPORTED", "pass io"],
    ["a string as server", () => sessionsOf().attach("io" as never), "SERVER_UNSUPPORTED", "It is a string"],
    ["a call of the middleware", () => (sessionsOf().middleware as Loose)(), "write app.use(sessions.middleware),"],
    ["a call of the routes", () => (sessionsOf().routes as Loose)(), 'app.use("/session", sessions.routes), without'],
    ["a wrong value", () => loosely({ secret, lease: "30s" }), "OPTION_INVALID", "lease must be a number above 0"],
    ["a client of Redis as store", anyStore(createClient()), "STORE_UNSUPPORTED", "store: redisStore({ client })"],
    ["a pool of PostgreSQL as store", anyStore(new Pool()), "STORE_UNSUPPORTED", "store: postgresStore({ pool })"],
    ["a Map as store", anyStore(new Map()), "STORE_UNSUPPORTED", "It is a Map", "memoryStore()"],
    [
      "a client of Redis as the options",
      anyRedisOptions(createClient()),
      "STORE_CLIENT_INVALID",
      "redisStore({ client })",
    ],
    ["a client of ioredis as the options", anyRedisOptions(idle), "STORE_CLIENT_INVALID", "redisStore({ client })"],
    [
      "a client of redis 4",
      anyRedisOptions({ client: { evalSha() {}, executeIsolated() {} } }),
      "STORE_CLIENT_INVALID",
      "npm install redis@6",
    ],
    ["no client", anyRedisOptions({}), "STORE_CLIENT_INVALID", "There is no client"],
    ["a pool as the options", anyPostgresOptions(new Pool()), "STORE_CLIENT_INVALID", "postgresStore({ pool })"],
    ["one connection as pool", anyPostgresOptions({ pool: new Client() }), "STORE_CLIENT_INVALID", "one client"],
    ["a class as store", anyStore(session.MemoryStore), "STORE_UNSUPPORTED", "what new or a call of it gives"],
    ["a promise as store", anyStore(Promise.resolve()), "STORE_UNSUPPORTED", "await it first"],
    ["a path as store", anyStore("./sessions"), "STORE_UNSUPPORTED", "It is a string"],
    [
      "the option user over a wrapped store",
      () => sessionsOf({ store: new session.MemoryStore(), user: () => "ada" }),
      "STORE_UNSUPPORTED",
      "redisStore()",
    ],
    ["a typing error in attach()", () => sessionsOf().attach(new Server(), { orgins: [] } as never), "origins?"],
    ["a wildcard as origin", () => sessionsOf().attach(new Server(), { origins: ["*"] }), "OPTION_INVALID", '"*"'],
    ["something else than a server", () => sessionsOf().attach({} as never), "SERVER_UNSUPPORTED", "npm install"],
    [
      "two createSessions() for one server",
      () => {
        const io = new Server();
        sessionsOf().attach(io);
        sessionsOf().attach(io);
      },
      "OPTION_INVALID",
      "attach",
    ],
    [
      "the same server attached twice",
      () => {
        const [io, sessions] = [new Server(), sessionsOf()];
        sessions.attach(io).attach(io);
      },
      "OPTION_INVALID",
      "Attach one createSessions() to it, once",
    ],
    ["an event that is none", () => sessionsOf().on("ended" as never, () => {}), "OPTION_INVALID", "Did you mean end?"],
    ["a listener that is none", () => sessionsOf().on("end", {} as never), "OPTION_INVALID", "not an object"],
    ["no listener", () => sessionsOf().on("end", undefined as never), "OPTION_INVALID", "not undefined"],
    ["nothing as target", () => sessionsOf().room(undefined as never), "TARGET_INVALID", "It is undefined"],
    ["a request that no middleware saw", () => sessionsOf().room({ headers: {} } as never), "sessions.middleware)"],
    ["an event that is no name", () => sessionsOf().on(undefined as never, noop), "OPTION_INVALID", "not undefined"],
    ["the end of listening to none", () => sessionsOf().off("ended" as never, noop), "Did you mean end?"],
    ["no listener to take away", () => sessionsOf().off("end", undefined as never), "OPTION_INVALID", "not undefined"],
    ["the session of nothing", () => sessionsOf().get(undefined as never), "TARGET_INVALID", "It is undefined"],
    ["the session of an empty id", () => sessionsOf().get(""), "TARGET_INVALID", "It is an empty string"],
    ["a stream of nothing", () => (sessionsOf().stream as Loose)(), "sessions.stream(req, res)", "first argument"],
    [
      "a stream without a response",
      () => (sessionsOf().stream as Loose)({ headers: {} }),
      "second argument is undefined",
    ],
    ["a server in place of the options", () => loosely(new Server()), "OPTION_INVALID", "Its options are a Server"],
    ["a secret of blanks", () => loosely({ secret: " " }), "OPTION_INVALID", "not an empty string"],
    ["a secret made of a variable that is not set", () => loosely({ secret: "undefined" }), 'the text "undefined"'],
    ["a path as routes", () => loosely({ secret, routes: "/session" }), 'app.use("/session", sessions.routes)'],
    ["an option of connect-pg-simple", anyPostgresOptions({ createTableIfMissing: true }), "{ createTable: true }"],
    ["an address for a pool", anyPostgresOptions({ connectionString: "" }), "new Pool({ connectionString })"],
    ["an address as pool", anyPostgresOptions({ pool: "postgres://" }), "STORE_CLIENT_INVALID", "It is a string"],
    ["an address as client", anyRedisOptions({ client: "redis://" }), "STORE_CLIENT_INVALID", "It is a string"],
    ["a test client of nothing", () => (createTestClient as Loose)(), "OPTION_INVALID", "not undefined"],
    ["a test client of an address that is none", () => createTestClient("localhost:3000"), '("localhost:3000")'],
    [
      "a typing error in createTestClient()",
      () => (createTestClient as Loose)(createServer(), { orgin: 1 }),
      "origin?",
    ],
    ["forRoot() without anything", () => (SessionModule.forRoot as Loose)(), "OPTION_INVALID", "at least { secret }"],
    ["forRootAsync() without a function", () => (SessionModule.forRootAsync as Loose)({}), "useFactory: () =>"],
    ["a guard that asks nobody", () => (sessionGuard as Loose)(), "OPTION_INVALID", "not undefined"],
    ["an adapter without its application", () => new SessionIoAdapter({} as never), "NestFactory.create()"],
    [
      "an adapter of an application without the module",
      () => new SessionIoAdapter({ getHttpServer: createServer, get: unknownToNest } as never),
      "OPTION_INVALID",
      "SessionModule.forRoot({ secret })",
    ],
    ["a middleware that is not express-session's", () => loosely({ middleware: () => {} }), "OPTION_INVALID"],
    [
      "a middleware over a plain store",
      () => loosely({ middleware: session({ secret, resave: false, saveUninitialized: false }) }),
      "STORE_NOT_LIVE",
      "liveStore(yourStore)",
    ],
  ];

  test.each(mistakes)("%s", (_, make, ...says) => {
    const error = thrownBy(make);
    for (const part of says) expect(`${error.code} ${error.message}`).toContain(part);
    expect(error.message).toContain("Fix:");
  });

  test("a name of three letters is no typing error of another: nothing is suggested", () => {
    expect(thrownBy(anyPostgresOptions({ url: "" })).message).not.toContain("Did you mean");
    expect(thrownBy(anyRedisOptions({ tl: 5 })).message).toContain("Did you mean ttl?");
  });

  test("Fastify's plugin that is called, registered twice, or without servers for its options", async () => {
    await expect((sessionPlugin as Loose)({}, { secret })).rejects.toThrow("await fastify.register(sessionPlugin");
    const fastify = { addHook: noop, decorate: noop, decorateRequest: noop };
    const register = (app: object, options: object): Promise<void> => sessionPlugin(app as never, options as never);
    await expect(register({ ...fastify, sessions: {} }, { secret })).rejects.toThrow("use fastify.sessions. Likely");
    const options = { secret, attach: { missing: "anonymous" } };
    await expect(register(fastify, options)).rejects.toMatchObject({
      code: "OPTION_INVALID",
      message: /io is missing/,
    });
  });

  test("what is attached or streamed after close()", async () => {
    const sessions = sessionsOf();
    await sessions.close();
    const codes = [() => sessions.attach(new Server()), () => (sessions.stream as Loose)()].map((make) =>
      thrownBy(make),
    );
    expect(codes.map(({ code }) => code)).toEqual(["SESSIONS_CLOSED", "SESSIONS_CLOSED"]);
  });

  test("a second stream in one answer", async () => {
    const app = await startApp({
      setup: ({ app: express, sessions }) =>
        express.get("/twice", (req, res) => {
          sessions.stream(req, res);
          const { code, message } = thrownBy(() => sessions.stream(req, res));
          res.end(`${code} ${message}`);
        }),
    });
    const answer = await (await app.login()).fetch("/twice");
    expect(await answer.text()).toMatch(/^OPTION_INVALID .* is a stream already/);
  });

  test("a pool that has ended", async () => {
    const pool = new Pool();
    pool.on("error", noop);
    await pool.end();
    const sessions = sessionsOf({ store: postgresStore({ pool }) });
    onTestFinished(() => sessions.close());
    const cause = { code: "STORE_NOT_READY", message: expect.stringContaining("pool.end()") };
    await expect(sessions.update("an id", noop)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE", cause });
  });

  test("a path of a test client that is none", async () => {
    const client = createTestClient(createServer());
    onTestFinished(() => client.close());
    await expect(client.login("login")).rejects.toMatchObject({ code: "OPTION_INVALID", message: /"\/login"/ });
  });

  test.each([
    ["nothing", undefined],
    ["the socket", connect({ autoConnect: false })],
  ])("React's hook without the session of withSession(), with %s in its place", (_title, given) => {
    const error = thrownBy(() => (useSession as Loose)(given));
    expect(error).toMatchObject({ code: "OPTION_INVALID", message: /give what withSession\(\) returns. See docs/ });
  });

  test("the sessions of nobody", async () => {
    await expect(sessionsOf({ user: () => "ada" }).ofUser(Number.NaN)).rejects.toThrow("not NaN");
    const asking = sessionsOf({ user: () => "ada" }).ofUser(undefined as never);
    await expect(asking).rejects.toMatchObject({ code: "OPTION_INVALID", message: /not undefined.*logged in/s });
  });

  test.each(["attach() forgotten", "another namespace attached"])("a target of a server with %s", async (mistake) => {
    const app = await startApp({ attach: false });
    if (mistake === "another namespace attached") app.sessions.attach(app.io.of("/chat"));
    const [socket] = await Promise.all([
      new Promise<Socket>((resolve) => app.io.once("connection", resolve)),
      (await app.login()).connect(),
    ]);
    expect(() => app.sessions.room(socket)).toThrow('namespace "/", to which no sessions are attached');
    await expect(app.sessions.update(socket, noop)).rejects.toThrow("Write sessions.attach(io)");
    await expect(app.sessions.destroy(socket)).rejects.toMatchObject({ code: "TARGET_INVALID" });
  });

  test("a change that cannot be stored, and what comes after the end", async () => {
    const app = await startApp();
    app.sessions.on("error", () => {});
    const [socket] = await Promise.all([
      new Promise<Socket>((resolve) => app.io.once("connection", resolve)),
      (await app.login()).connect(),
    ]);
    socket.session.cart = [10n] as never;
    await expect(socket.session.save()).rejects.toMatchObject({ code: "DATA_INVALID", message: /the field "cart"/ });
    delete socket.session.cart;
    const error = new Promise<Error>((resolve) => app.sessions.on("error", resolve as never));
    socket.session.cart = new Map([["apple", 1]]) as never;
    expect((await error).message).toContain('The field "cart" is a Map: it is stored as {}.');
    await app.sessions.destroy(socket);
    await expect(socket.session.save()).rejects.toMatchObject({ code: "SESSION_DESTROYED" });
  });
});

describe("told while it runs, once, though nobody listens:", () => {
  let seen: (Error & { code?: string })[] = [];
  const onWarning = (warning: Error): void => void seen.push(warning);
  beforeEach(() => {
    seen = [];
    process.on("warning", onWarning);
  });
  afterEach(() => {
    process.off("warning", onWarning);
    const ours = seen.filter(({ name }) => name === "SocketSessionWarning");
    for (const { code, message } of ours) expect(message.endsWith(seePage(code ?? ""))).toBe(true);
  });

  /** The messages of a code, when all of them have been printed. */
  async function printed(code: string): Promise<string[]> {
    await new Promise(setImmediate);
    return seen.filter((warning) => warning.code === code).map(({ message }) => message);
  }

  test("a secure cookie over plain HTTP", async () => {
    const app = await startApp({ sessions: { cookie: { secure: true } } });
    await app.browser().fetch("/session");
    expect(await printed("SECURE_COOKIE_OVER_HTTP")).toEqual([]);
    for (let index = 0; index < 2; index++) await app.login();
    await vi.waitFor(async () => expect(await printed("SECURE_COOKIE_OVER_HTTP")).toHaveLength(1));
    expect((await printed("SECURE_COOKIE_OVER_HTTP"))[0]).toContain('cookie: { secure: "auto" }');
  });

  test("a cookie that browsers drop, as it is not secure", async () => {
    const store = liveStore(memoryStore());
    const start = (options: object): unknown => sessionsOf({ store, ...options });
    for (const secure of [true, "auto"] as const) {
      start({ name: "__Host-sid", cookie: { secure, sameSite: "none", partitioned: true } });
    }
    expect(await printed("COOKIE_NEEDS_SECURE")).toEqual([]);
    for (let index = 0; index < 2; index++) start({ cookie: { sameSite: "none" } });
    start({ cookie: { partitioned: true } });
    start({ name: "__Host-sid" });
    const needs = ['It has sameSite: "none".', "It has partitioned: true.", "It has the name __Host-sid."];
    expect(await printed("COOKIE_NEEDS_SECURE")).toEqual(needs.map((one) => expect.stringContaining(one)));
  });

  test("a middleware whose cookie browsers drop, and a function that gives one", async () => {
    const store = liveStore(memoryStore());
    const options = { secret, store, resave: false, saveUninitialized: false };
    sessionsOf({ middleware: session({ ...options, name: "__Secure-sid", cookie: { secure: true } }) });
    expect(await printed("COOKIE_NEEDS_SECURE")).toEqual([]);
    sessionsOf({ middleware: session({ ...options, name: "__Secure-sid", cookie: { path: "/" } }) });
    const app = await startApp({ sessions: { name: "__Host-sid2", cookie: () => ({ path: "/" }) } });
    await app.login();
    const needs = ["the name __Secure-sid", "the name __Host-sid2"];
    expect(await printed("COOKIE_NEEDS_SECURE")).toEqual(needs.map((one) => expect.stringContaining(one)));
  });

  test("a secret of the examples, in production alone", async () => {
    const store = liveStore(memoryStore());
    onTestFinished(() => void vi.unstubAllEnvs());
    const start = (...secrets: string[]): void => void sessionsOf({ secret: secrets, store });
    start("for development only");
    vi.stubEnv("NODE_ENV", "production");
    start(secret, "f4c0a0b1-2d3e-4f50-8a6b-7c8d9e0f1a2b");
    expect(await printed("SECRET_KNOWN")).toEqual([]);
    for (let index = 0; index < 2; index++) start("another one of mine", "for development only");
    expect(await printed("SECRET_KNOWN")).toEqual([expect.stringContaining("openssl rand -base64 32")]);
    expect((await printed("SECRET_KNOWN"))[0]).not.toContain("for development");
  });

  test("a session that is replaced", async () => {
    const app = await startApp();
    const [socket] = await Promise.all([
      new Promise<Socket>((resolve) => app.io.once("connection", resolve)),
      (await app.login()).connect(),
    ]);
    const { session } = socket;
    const loose = socket as { session: unknown };
    loose.session = session;
    expect(await printed("SESSION_ASSIGNED")).toEqual([]);
    for (const value of [{ user: "eve" }, null]) loose.session = value;
    expect(await printed("SESSION_ASSIGNED")).toEqual([expect.stringContaining("Object.assign(socket.session, {")]);
    expect((await printed("SESSION_ASSIGNED"))[0]).toContain("The value was an object.");
    expect(socket.session).toBe(session);
    expect(Object.keys(socket)).not.toContain("session");
  });

  test("another service's secret", async () => {
    const [app, other] = [await startApp(), await startApp({ sessions: { secret: "another secret" } })];
    const ada = await other.login();
    const stranger = app.browser();
    for (const [name, value] of ada.cookies) stranger.cookies.set(name, value);
    for (let index = 0; index < 2; index++)
      expect(await stranger.refused()).toEqual({ code: "SESSION_INVALID", retry: false });
    expect(await printed("SESSION_INVALID")).toEqual([expect.stringContaining("the same secret")]);
  });

  test("a page of another origin, and the one that the server takes itself for", async () => {
    const app = await startApp();
    const ada = await app.login();
    await ada.refused("/", { extraHeaders: { origin: "https://app.example.com" } });
    const [message] = await printed("ORIGIN_REFUSED");
    expect(message).toContain(`"https://app.example.com", the server takes itself for "${app.url}"`);
    expect(message).toContain('sessions.attach(io, { origins: ["https://app.example.com"] })');
    expect(message).not.toContain("changeOrigin");
  });

  test("a page of another origin that uses the session routes", async () => {
    const app = await startApp({
      setup: ({ app: express, sessions }) => express.use("/session-routes", sessions.routes),
    });
    const ada = await app.login();
    await ada.fetch("/session-routes", { headers: { origin: "https://shop.example.com" } });
    const line = 'sessions.attach(io, { origins: ["https://shop.example.com"] })';
    expect(await printed("ORIGIN_REFUSED")).toEqual([expect.stringContaining(line)]);
  });

  test("a dev proxy that changes the host", async () => {
    const app = await startApp();
    const ada = await app.login();
    await ada.refused("/", { extraHeaders: { origin: "http://localhost:5173" } });
    expect(await printed("ORIGIN_REFUSED")).toEqual([expect.stringContaining("leave out its changeOrigin")]);
  });

  test("the middleware given to io.use()", async () => {
    const app = await startApp({ attach: false, setup: ({ io, sessions }) => io.use(sessions.middleware as never) });
    const ada = await app.login();
    await expect(ada.connect()).rejects.toThrow("sessions.attach(io)");
    expect(await printed("MIDDLEWARE_ON_SOCKETS")).toHaveLength(1);
  });

  // Before the next one, which uses the warning up.
  test("never what the library does itself: a session that it makes in the handshake", async () => {
    const app = await startApp({ attach: { missing: "create" } });
    expect((await app.browser().connect()).connected).toBe(true);
    expect(await printed("ENGINE_MIDDLEWARE")).toEqual([]);
  });

  test("the guide's io.engine.use() left in", async () => {
    const app = await startApp({ setup: ({ io, sessions }) => io.engine.use(sessions.middleware) });
    const ada = await app.login();
    expect((await ada.connect()).connected).toBe(true);
    expect(await printed("ENGINE_MIDDLEWARE")).toEqual([expect.stringContaining("remove it")]);
  });

  test("attach() forgotten, when a page asks for the routes; not where streams or no sockets are", async () => {
    const setup: AppOptions["setup"] = ({ app: express, sessions }) => {
      express.use("/routes", sessions.routes);
      express.get("/events", (req, res) => {
        sessions.stream(req, res);
        res.end();
      });
    };
    await (await (await startApp({ setup })).login()).fetch("/routes");
    const streaming = await (await startApp({ attach: false, setup })).login();
    await streaming.fetch("/events");
    await streaming.fetch("/routes");
    const { app, http } = await startApp({ attach: false, setup });
    const alone = app.listen(0);
    onTestFinished(() => void alone.close());
    const visitor = new Browser(`http://127.0.0.1:${(alone.address() as AddressInfo).port}`);
    expect((await visitor.fetch("/routes")).status).toBe(401);
    expect(await printed("NOT_ATTACHED")).toEqual([]);
    const forgetful = new Browser(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
    for (let index = 0; index < 2; index++) await forgetful.fetch("/routes");
    expect(await printed("NOT_ATTACHED")).toEqual([expect.stringContaining("sessions.attach(io)")]);
  });

  test("another instance's middleware", async () => {
    const other = createSessions({ secret, store: memoryStore() });
    const app = await startApp({ attach: false, setup: ({ app: express }) => express.use(other.middleware) });
    await app.browser().fetch("/behind-both");
    expect(await printed("STORES_DIFFER")).toHaveLength(1);
  });

  test("attached when clients are there already", async () => {
    const app = await startApp({ attach: false });
    const ada = await app.login();
    await ada.connect();
    app.sessions.attach(app.io);
    expect(await printed("ATTACHED_LATE")).toEqual([expect.stringContaining("attach before server.listen()")]);
  });

  test("a view that throws, with the line of the application", async () => {
    const view = (): never => {
      throw new TypeError("no such field");
    };
    const app = await startApp({ sessions: { view } });
    for (let index = 0; index < 2; index++) await (await app.login()).connect();
    await vi.waitFor(async () => expect(await printed("APPLICATION_ERROR")).toHaveLength(1));
    const [message] = await printed("APPLICATION_ERROR");
    expect(message).toContain("no such field");
    expect(message).toContain("mistakes.test.ts");
    expect(message).toContain('sessions.on("error"');
  });

  test("a view that is async", async () => {
    const app = await startApp({ sessions: { view: async () => ({ name: "ada" }) } });
    await (await app.login()).connect();
    expect(await printed("OPTION_INVALID")).toEqual([expect.stringContaining("view() returned a promise")]);
  });

  test("a value that JSON cannot hold, and a change after the end", async () => {
    const app = await startApp({
      setup: ({ io }) =>
        io.on("connection", (socket) => socket.on("add", () => (socket.session.other = 10n as unknown as string))),
    });
    const socket = await (await app.login()).connect();
    socket.emit("add");
    await vi.waitFor(async () => expect(await printed("DATA_INVALID")).toHaveLength(1));
    expect((await printed("DATA_INVALID"))[0]).toContain('the field "other"');
    const [live] = [app.io.sockets.sockets.values().next().value];
    if (!live) throw new Error("there is a socket");
    await app.sessions.destroy(live);
    live.session.count = 1;
    expect(await printed("SESSION_DESTROYED")).toEqual([expect.stringContaining("A change after its end was dropped")]);
  });

  test("nothing is printed for what somebody listens to", async () => {
    const app = await startApp({ sessions: { view: () => Promise.resolve(1) } });
    const errors: unknown[] = [];
    app.sessions.on("error", (error) => errors.push(error));
    await (await app.login()).connect();
    expect(errors).toHaveLength(1);
    expect(await printed("OPTION_INVALID")).toEqual([]);
  });
});

function noop(): void {}

function unknownToNest(): never {
  throw new Error("Nest could not find Sessions element");
}

function thrownBy(make: () => unknown): Error & { code: string } {
  try {
    make();
  } catch (error) {
    return error as Error & { code: string };
  }
  throw new Error("it was silent");
}
