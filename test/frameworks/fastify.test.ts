// The plugin for Fastify, and @fastify/session over the store of createSessions(), each with the real Fastify.
import { EventEmitter, once } from "node:events";
import type { AddressInfo } from "node:net";
import { Server } from "socket.io";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { type CreateOptions, createSessions, type LiveStore, memoryStore, type Sessions } from "../../src/index.js";
import sessionPlugin, { type PluginOptions } from "../../src/fastify/index.js";
import { redisStore } from "../../src/redis.js";
import { faultyStore } from "../../src/testing/index.js";
import { Browser, closed } from "../support/browser.js";
import { Project } from "../support/project.js";
import { ownPrefix, redisClient, useRedis } from "../support/redis.js";
import { inStacks, loadFromStacks } from "./host.js";

const Fastify = loadFromStacks("fastify");
const secret = "a secret for tests, of 32 letters";

interface App {
  readonly app: any;
  readonly io: Server;
  readonly sessions: Sessions;
  readonly errors: unknown[];
  login(): Promise<Browser>;
  visit(of: Browser): Browser;
}

/** Starts an application with the plugin; `setup` adds to it before it listens. */
async function startPlugin(
  options: Partial<CreateOptions> & PluginOptions = {},
  setup?: (app: any) => void,
): Promise<App> {
  const app = Fastify();
  const io = new Server(app.server);
  const errors: unknown[] = [];
  await app.register(sessionPlugin, { secret, io, ...options });
  app.addHook("onRequest", async (request: any) => {
    request.log.error = (error: unknown) => void errors.push(error);
  });
  app.post("/login", async ({ session }: any) => ((session.user = "ada"), {}));
  app.post("/logout", async (request: any) => (await app.sessions.destroy(request), {}));
  app.get("/session", async ({ session, sessionID }: any) => ({ ...dataOf(session), id: sessionID }));
  setup?.(app);
  return listen({ app, io, sessions: app.sessions, errors });
}

async function listen(parts: Pick<App, "app" | "io" | "sessions" | "errors">): Promise<App> {
  const { app } = parts;
  const url: string = await app.listen({ host: "127.0.0.1", port: 0 });
  onTestFinished(() => app.close());
  const visit = (of?: Browser): Browser => {
    const browser = new Browser(url);
    for (const [name, value] of of?.cookies ?? []) browser.cookies.set(name, value);
    onTestFinished(() => browser.close());
    return browser;
  };
  const login = async (): Promise<Browser> => {
    const browser = visit();
    expect((await browser.post("/login")).status).toBe(200);
    return browser;
  };
  return { ...parts, login, visit };
}

function dataOf(session: object): object {
  const { cookie: _, ...data } = session as { cookie: unknown };
  return data;
}

/** Each socket counts what it is sent. */
function count(io: Server): void {
  io.on("connection", (socket) =>
    socket.on("add", (done) => done((socket.session.count = (socket.session.count ?? 0) + 1))),
  );
}

/** On Redis: logs in over HTTP on one node, writes on a socket of another, reads on the first, and logs out there. */
async function holdOnTwoNodes(start: (store: LiveStore) => Promise<App>): Promise<void> {
  const { url } = await useRedis();
  const prefix = ownPrefix();
  const open = async (): Promise<App> => start(redisStore({ client: await redisClient(url), prefix }));
  const [one, two] = [await open(), await open()];
  count(two.io);
  const ada = await one.login();
  const socket = await two.visit(ada).connect();
  expect(await socket.emitWithAck("add")).toBe(1);
  expect(await socket.emitWithAck("add")).toBe(2);
  await expect.poll(() => ada.get("/session")).toMatchObject({ user: "ada", count: 2 });
  const end = closed(socket);
  await ada.post("/logout");
  expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
  expect(await two.visit(ada).refused()).toEqual({ code: "SESSION_UNKNOWN", retry: false });
}

describe("the plugin", () => {
  test("shares sessions with other nodes on Redis, and their end", async () => {
    await holdOnTwoNodes((store) => startPlugin({ store }));
  });

  test("counts for routes outside of the plugin, in all hooks, and for a request that no route takes", async () => {
    const seen: unknown[] = [];
    const { login } = await startPlugin({}, (app) => {
      app.register(async (inner: any) => {
        inner.addHook("onRequest", async ({ session }: any) => void seen.push(session.user));
        inner.get("/inner", async ({ session }: any) => ({ user: session.user }));
      });
      app.setNotFoundHandler((request: any, reply: any) => reply.code(404).send({ user: request.session.user }));
    });
    const ada = await login();
    expect(await ada.get("/inner")).toEqual({ user: "ada" });
    expect(seen).toEqual(["ada"]);
    expect(await ada.get("/nowhere")).toEqual({ user: "ada" });
  });

  test("lets a request replace its session, as express-session does", async () => {
    const { login } = await startPlugin({}, (app) => {
      app.post("/forget", async (request: any) => ((request.session = null), { now: request.session }));
    });
    const ada = await login();
    expect(await (await ada.post("/forget")).json()).toEqual({ now: null });
  });

  test("serves the session routes at a path of their own, and nothing beside it", async () => {
    const options = { routesAt: "/session-routes", view: ({ user }: { user?: string }) => ({ user }) };
    const { login, visit } = await startPlugin(options, (app) => {
      app.get("/session-routes-not", async () => ({ mine: true }));
    });
    const ada = await login();
    expect(await ada.get("/session-routes")).toEqual({ view: { user: "ada" }, expiresIn: null });
    expect(await ada.get("/session-routes/?now=1")).toEqual({ view: { user: "ada" }, expiresIn: null });
    expect(await (await ada.post("/session-routes/renew")).json()).toEqual({ expiresIn: null });
    expect(await ada.get("/session-routes-not")).toEqual({ mine: true });
    expect((await ada.fetch("/session-routes/other")).status).toBe(404);
    const stranger = await visit(new Browser("")).fetch("/session-routes");
    expect([stranger.status, await stranger.json()]).toEqual([401, { code: "SESSION_MISSING", retry: false }]);
  });

  test.each(["session", "/", "/session/", ""])("refuses %j as the path of the session routes", async (routesAt) => {
    const app = Fastify();
    await expect(app.register(sessionPlugin, { secret, routesAt })).rejects.toMatchObject({ code: "OPTION_INVALID" });
  });

  test("refuses an option that neither it nor createSessions() has", async () => {
    const app = Fastify();
    await expect(app.register(sessionPlugin, { secret, socket: {} })).rejects.toMatchObject({ code: "OPTION_INVALID" });
  });

  test("hands a store that fails to Fastify's error handler", async () => {
    const store = faultyStore();
    const { login } = await startPlugin({ store });
    const ada = await login();
    store.fail();
    const response = await ada.fetch("/session");
    expect([response.status, await response.json()]).toMatchObject([500, { code: "STORE_UNAVAILABLE" }]);
  });

  test("answers a request whose session cannot be saved, and logs why", async () => {
    const { login, errors } = await startPlugin({}, (app) => {
      app.get("/big", async ({ session }: any) => ((session.big = 1n), { fine: true }));
    });
    const ada = await login();
    expect(await ada.get("/big")).toEqual({ fine: true });
    await expect.poll(() => errors).toMatchObject([{ code: "DATA_INVALID" }]);
  });
});

describe("app.close()", () => {
  test("saves what sockets changed, and closes them so that they come back", async () => {
    const store = memoryStore();
    const { app, io, login } = await startPlugin({ store });
    const ada = await login();
    const socket = await ada.connect("/", { reconnection: true });
    const end = closed(socket);
    const [inside] = [...io.sockets.sockets.values()] as [any];
    inside.session.count = 1;
    await app.close();
    expect(await end).toEqual({ told: [], reason: "transport close" });
    // Socket.IO's client reconnects by itself.
    expect(socket.active).toBe(true);
    expect(await store.get(ada.sessionId)).toMatchObject({ user: "ada", count: 1 });
  });

  test("closes WebSockets as a server that goes away, also one that does not answer", async () => {
    const app = Fastify();
    const wss = new WebSocketServer({ server: app.server });
    await app.register(sessionPlugin, { secret, io: [wss], attach: { missing: "anonymous" } });
    await app.listen({ host: "127.0.0.1", port: 0 });
    const address = `ws://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
    const [socket, deaf] = [new WebSocket(address), new WebSocket(address)];
    await Promise.all([once(socket, "open"), once(deaf, "open")]);
    deaf.pause();
    const [[code]] = await Promise.all([once(socket, "close"), app.close()]);
    expect(code).toBe(1001);
    expect(wss.clients.size).toBe(0);
    deaf.terminate();
  });

  test("lets the process end: no timer and no connection is left", async () => {
    const project = new Project({ packages: ["socket.io-client", "ws"], from: inStacks("fastify") });
    onTestFinished(() => project.remove());
    project.write({
      "app.js": `
        import { EventEmitter, once } from "node:events";
        import Fastify from "fastify";
        import { Server } from "socket.io";
        import { io as connect } from "socket.io-client";
        import sessionPlugin from "socket-session/fastify";
        const app = Fastify();
        const io = new Server(app.server);
        await app.register(sessionPlugin, { secret: "s", io, attach: { missing: "create" }, cookie: { maxAge: 60_000 } });
        io.on("connection", (socket) => (socket.session.seen = true));
        const url = await app.listen({ host: "127.0.0.1", port: 0 });
        const sockets = ["polling", "websocket"].map((via) => connect(url, { transports: [via], forceNew: true, reconnection: false }));
        await Promise.all(sockets.map((socket) => new Promise((done) => socket.on("connect", done))));
        await app.close();
        console.log("closed", sockets.map(({ connected }) => connected).join());`,
    });
    expect(await project.node("app.js")).toEqual({ status: 0, text: expect.stringMatching(/^closed/) });
  });
});

describe("@fastify/session over sessions.store", () => {
  async function startTheirs(options: Partial<CreateOptions> = {}, setup?: (app: any) => void): Promise<App> {
    const app = Fastify();
    const io = new Server(app.server);
    const sessions = createSessions({ secret, name: "sid", ...options }).attach(io);
    await app.register(loadFromStacks("@fastify/cookie"));
    const theirs = { cookieName: "sid", cookiePrefix: "s:", cookie: { secure: false } };
    const rules = { rolling: false, saveUninitialized: false };
    await app.register(loadFromStacks("@fastify/session"), { secret, store: sessions.store, ...theirs, ...rules });
    app.post("/login", async ({ session }: any) => (session.set("user", "ada"), {}));
    app.post("/logout", async ({ session }: any) => (await session.destroy(), {}));
    app.post("/leave", async (request: any) => (await sessions.destroy(request), {}));
    app.get("/session", async ({ session }: any) => dataOf(session));
    app.addHook("onClose", () => sessions.close());
    app.addHook("preClose", () => io.close());
    setup?.(app);
    return listen({ app, io, sessions, errors: [] });
  }

  test("sockets and requests see what the other writes; both kinds of logout end the sockets", async () => {
    const { io, login } = await startTheirs();
    count(io);
    for (const logout of ["/logout", "/leave"]) {
      const ada = await login();
      const socket = await ada.connect();
      await socket.emitWithAck("add");
      await expect.poll(() => ada.get("/session")).toEqual({ user: "ada", count: 1 });
      const end = closed(socket);
      expect((await ada.post(logout)).status).toBe(200);
      expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
      expect(await ada.get("/session")).toEqual({});
    }
  });

  test("shares sessions with other nodes on Redis, and their end", async () => {
    await holdOnTwoNodes((store) => startTheirs({ store }));
  });

  test("its requests are targets", async () => {
    const { login, sessions } = await startTheirs({}, (app) => {
      app.get("/target", async (request: any) => ({
        live: sessions.get(request)?.data.user,
        rooms: [sessions.room(request), sessions.room(request.session)],
        count: await sessions.update(request, (session) => (session.count = (session.count ?? 0) + 1)),
      }));
    });
    const ada = await login();
    await ada.connect();
    const { live, count, rooms } = await ada.get<any>("/target");
    expect({ live, count }).toEqual({ live: "ada", count: 1 });
    expect(rooms).toEqual([rooms[1], rooms[1]]);
  });

  test("a request that still runs after the logout does not bring the session back", async () => {
    let goOn: () => void = () => undefined;
    const requests = new EventEmitter();
    const { login, sessions } = await startTheirs({}, (app) => {
      app.post("/slow", async ({ session }: any) => {
        await new Promise<void>((resolve) => {
          goOn = resolve;
          requests.emit("begun");
        });
        session.set("late", true);
        return {};
      });
    });
    const ada = await login();
    const id = decodeURIComponent(ada.cookies.get("sid") as string)
      .slice(2)
      .split(".")[0] as string;
    expect(await sessions.store.get(id)).toMatchObject({ user: "ada" });
    const begun = once(requests, "begun");
    const slow = ada.post("/slow");
    await begun;
    await sessions.destroy(id);
    goOn();
    await slow;
    expect(await sessions.store.get(id)).toBeFalsy();
  });
});
