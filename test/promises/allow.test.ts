// Promise 13: allowed means still allowed. What test/contract/server.ts does not say for every kind of server: namespaces
// with rules of their own, tickets, Passport, and data that cannot be written. Logins over a socket: allow-login.test.ts.
import type express from "express";
import passport from "passport";
import { Strategy } from "passport-local";
import { Server } from "socket.io";
import type { Socket } from "socket.io-client";
import { describe, expect, it, onTestFinished, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { type Allow, createSessions, type LiveSession, liveStore, type SocketSession } from "../../src/index.js";
import { secret, startApp } from "../support/app.js";
import { type Browser, closed, connected, transports } from "../support/browser.js";
import { LineStore } from "../support/stores.js";

const isUser: Allow = (session) => typeof session.user === "string";
const isAdmin: Allow = (session) => session.other === "admin";
const forbidden = { code: "SESSION_FORBIDDEN", retry: false };

/** Sockets in several namespaces over one transport. */
async function connectTo(browser: Browser, ...namespaces: string[]): Promise<Socket[]> {
  const [name = "/", ...others] = namespaces;
  const first = browser.socket(name);
  const sockets = [first, ...others.map((other) => first.io.socket(other))];
  await Promise.all(sockets.map(connected));
  return sockets;
}

/** As if these packets came in one piece, and were read in this turn. */
function receive(socket: object | undefined, ...events: string[]): void {
  for (const event of events)
    (socket as { _onpacket(packet: object): void })._onpacket({ type: 2, data: [event], nsp: "/" });
}

describe("namespaces with rules of their own, over one transport,", () => {
  const start = async () => {
    const app = await startApp({
      attach: false,
      setup({ io, sessions }) {
        sessions.attach(io, { allow: isUser });
        sessions.attach(io.of("/admin"), { allow: isAdmin });
        sessions.attach(io.of("/open"), { allow: () => true });
        for (const name of ["/", "/chat", "/admin", "/open"]) {
          io.of(name).on("connection", (socket) => socket.on("who", (done) => done(socket.session.user)));
        }
      },
    });
    const ada = await app.login();
    return { ...app, ada };
  };

  it("are refused one by one: the others stay, and the client may come back on the same transport", async () => {
    const refused: unknown[] = [];
    const { ada, sessions } = await start();
    sessions.on("refused", ({ code }) => refused.push(code));
    const [home, open] = (await connectTo(ada, "/", "/open")) as [Socket, Socket];
    expect(refused).toEqual([]);
    const admin = home.io.socket("/admin");
    const refusal = await connected(admin).catch((error: Error & { data?: unknown }) => error.data);
    expect([refusal, refused]).toEqual([forbidden, ["SESSION_FORBIDDEN"]]);
    // That of /admin is let go of.
    expect(sessions.get(ada.sessionId)?.connections).toBe(2);
    await ada.post("/set", { other: "admin" });
    await connected(admin);
    for (const socket of [home, open, admin]) expect(await socket.emitWithAck("who")).toBe("ada");
    expect(home.io.engine).toBe(admin.io.engine);
  });

  it("are closed one by one, and only what stays is counted", async () => {
    const { ada, sessions } = await start();
    await ada.post("/set", { other: "admin" });
    const [home, admin, open] = (await connectTo(ada, "/", "/admin", "/open")) as [Socket, Socket, Socket];
    const live = sessions.get(ada.sessionId);
    // Each attachment has the transport once.
    expect(live?.connections).toBe(3);
    const end = closed(admin);
    await ada.post("/set", { other: "nobody" });
    expect(await end).toMatchObject({ told: [forbidden], reason: "io server disconnect" });
    expect(live?.connections).toBe(2);
    for (const socket of [home, open]) expect(await socket.emitWithAck("who")).toBe("ada");
    await ada.post("/set", { other: "admin" });
    await connected(admin);
    expect(live?.connections).toBe(3);
  });

  it("outlive those of the whole server, which are closed together", async () => {
    const { ada, io, sessions } = await start();
    const [home, chat, open] = (await connectTo(ada, "/", "/chat", "/open")) as [Socket, Socket, Socket];
    const ends = Promise.all([closed(home), closed(chat)]);
    await sessions.update(ada.sessionId, (session) => void delete session.user);
    for (const { told } of await ends) expect(told).toEqual([forbidden]);
    expect(await open.emitWithAck("who")).toBe(null);
    // Nobody else holds the transport: it closes with the last of them.
    open.disconnect();
    await expect.poll(() => io.engine.clientsCount).toBe(0);
  });
});

test("a whole server closes the transport with the sockets", async () => {
  const { login, io } = await startApp({ attach: { allow: isUser } });
  const ada = await login();
  const sockets = await connectTo(ada, "/");
  const end = closed(sockets[0] as Socket);
  await ada.post("/set", { user: null });
  expect(await end).toMatchObject({ told: [forbidden] });
  await expect.poll(() => io.engine.clientsCount).toBe(0);
});

describe("a ticket", () => {
  const start = async (missing: "reject" | "anonymous") => {
    const app = await startApp({
      attach: false,
      setup({ app, io, sessions }) {
        app.use("/my/session", sessions.routes);
        sessions.attach(io, { tickets: true, missing, allow: missing === "reject" ? isUser : notBob });
        io.on("connection", (socket) => socket.on("who", (done) => done(socket.session.user)));
      },
    });
    return app;
  };
  const ticketOf = async (browser: Browser): Promise<string> => {
    const response = await browser.fetch("/my/session/ticket", { method: "POST" });
    return ((await response.json()) as { ticket: string }).ticket;
  };
  const notBob: Allow = (session) => session.user !== "bob";
  const showing = (ticket: string) => ({ auth: { session: { v: 1, ticket } } });

  it.each(transports)(
    "of a session that is not allowed lets nobody in; of an allowed one it does (%s)",
    async (via) => {
      const { browser, login, sessions } = await start("reject");
      const ada = await login();
      const guest = browser();
      await guest.post("/set", { other: "guest" });
      const refused = browser();
      expect(await refused.refused("/", { via, ...showing(await ticketOf(guest)) })).toEqual(forbidden);
      await expect.poll(() => sessions.size).toBe(0);
      const socket = await browser().connect("/", { via, ...showing(await ticketOf(ada)) });
      const end = closed(socket);
      await ada.post("/set", { user: null });
      await sessions.update(ada.sessionId, (session) => void delete session.user);
      expect(await end).toMatchObject({ told: [forbidden] });
    },
  );

  const startWs = async () => {
    const app = await startApp({
      attach: false,
      setup({ app, http, sessions }) {
        app.use("/my/session", sessions.routes);
        const wss = new WebSocketServer({ server: http, path: "/ws" });
        sessions.attach(wss, { tickets: true, missing: "anonymous", allow: isUser });
        wss.on("connection", (socket) => socket.send(socket.session.user as string));
        onTestFinished(() => wss.close());
      },
    });
    /** Tells the name that the server says, the refusal, or the close. */
    const open = (ticket: string, headers = {}) => {
      const protocols = ["app", `session.ticket.${ticket}`];
      const socket = new WebSocket(`${app.url.replace("http", "ws")}/ws`, protocols, { headers });
      onTestFinished(() => socket.terminate());
      return {
        message: new Promise((resolve) => socket.on("message", (data: Buffer) => resolve(data.toString()))),
        error: new Promise((resolve) => socket.on("error", (error) => resolve(error.message))),
        close: new Promise((resolve) => socket.on("close", resolve)),
      };
    };
    return { ...app, open };
  };

  it("goes around no rule on ws", async () => {
    const { browser, login, open } = await startWs();
    const guest = browser();
    await guest.post("/set", { other: "guest" });
    expect(await open(await ticketOf(guest)).error).toMatch(/403/);
    expect(await open(await ticketOf(await login())).message).toBe("ada");
  });

  it("of the very session that the cookie has is asked about like any other, and the socket counts once", async () => {
    const { browser, login, open, sessions } = await startWs();
    const guest = browser();
    await guest.post("/set", { other: "guest" });
    const ticket = await ticketOf(guest);
    expect(await open(ticket, { cookie: guest.cookie }).error).toMatch(/403/);
    await expect.poll(() => sessions.size).toBe(0);
    const ada = await login();
    const socket = open(await ticketOf(ada), { cookie: ada.cookie });
    expect(await socket.message).toBe("ada");
    expect(sessions.get(ada.sessionId)?.connections).toBe(1);
    await ada.post("/set", { user: null });
    expect(await socket.close).toBe(3003);
    expect(sessions.size).toBe(0);
  });

  it("of a session that is not allowed leaves the sockets open that are there without one", async () => {
    const { browser, login, io } = await start("anonymous");
    io.of("/more").on("connection", (socket) => socket.on("who", (done) => done(socket.session.user)));
    const [bob, ada] = [await login("bob"), await login()];
    const [first] = (await connectTo(browser(), "/")) as [Socket];
    const more = first.io.socket("/more", showing(await ticketOf(bob)));
    expect(await connected(more).catch((error: Error & { data?: unknown }) => error.data)).toEqual(forbidden);
    expect(await first.emitWithAck("who")).toBe(null);
    more.auth = showing(await ticketOf(ada)).auth;
    await connected(more);
    for (const socket of [first, more]) expect(await socket.emitWithAck("who")).toBe("ada");
    const ends = Promise.all([closed(first), closed(more)]);
    await ada.post("/set", { user: "bob" });
    for (const { told } of await ends) expect(told).toEqual([forbidden]);
  });
});

test("Passport's req.logout() closes the sockets, and the browser that comes back is refused", async () => {
  const isLoggedIn: Allow = (session) => (session as { passport?: { user?: unknown } }).passport?.user !== undefined;
  const { browser } = await startApp({
    attach: { allow: isLoggedIn },
    setup({ app }) {
      const passports = new passport.Passport();
      passports.use(new Strategy((name, _password, done) => done(null, { name })));
      passports.serializeUser((user, done) => done(null, (user as { name: string }).name));
      passports.deserializeUser((name, done) => done(null, { name } as never));
      app.use(passports.initialize() as express.RequestHandler, passports.session() as express.RequestHandler);
      app.post("/passport", passports.authenticate("local") as express.RequestHandler, (_req, res) => {
        res.json({});
      });
      app.post("/passport/logout", (req, res, next) => {
        (req as never as { logout(done: (error?: unknown) => void): void }).logout((error) =>
          error ? next(error) : res.json({}),
        );
      });
    },
  });
  const ada = browser();
  expect(await ada.refused()).toEqual({ code: "SESSION_MISSING", retry: false });
  await ada.post("/passport", { username: "ada", password: "x" });
  const ends = Promise.all([closed(await ada.connect()), closed(await ada.connect("/", { via: "polling" }))]);
  await ada.post("/passport/logout");
  // The new id, which logout() asks for as well, may be heard of first.
  const rotated = { code: "SESSION_ROTATED", retry: true };
  for (const { told } of await ends) expect([forbidden, rotated]).toContainEqual(told[0]);
  expect(await ada.refused()).toEqual(forbidden);
});

test("an event that comes with the change, before its turn is over, waits and reaches no handler", async () => {
  const handled: string[] = [];
  const { io, login, sessions } = await startApp({
    attach: { allow: isUser },
    setup: ({ io }) => io.on("connection", (socket) => socket.onAny((name: string) => handled.push(name))),
  });
  const ada = await login();
  const socket = await ada.connect();
  const [own] = io.of("/").sockets.values();
  const live = sessions.get(ada.sessionId);
  const end = closed(socket);
  delete (live as LiveSession).data.user;
  receive(own, "late");
  expect(own?.connected).toBe(true);
  expect(await end).toMatchObject({ told: [forbidden] });
  expect(handled).toEqual([]);
});

test("of what comes with the change nothing reaches the application, though more of it comes than may wait", async () => {
  const handled: string[] = [];
  const { io, login } = await startApp({
    sessions: { maxWaitingEvents: 3 },
    attach: { allow: isUser },
    setup({ io }) {
      io.on("connection", (socket) => {
        socket.on("leave", () => delete socket.session.user);
        socket.onAny((name: string) => handled.push(name));
        socket.use(([name], go) => (handled.push(`middleware of ${name}`), go()));
      });
    },
  });
  const end = closed(await (await login()).connect());
  const [own] = io.of("/").sockets.values();
  receive(own, "leave", ...Array<string>(10).fill("late"));
  expect((await end).told).toEqual([{ code: "LIMIT_REACHED", retry: false }]);
  expect(handled).toEqual(["leave", "middleware of leave"]);
});

test("a listener that throws does not keep the next event from its handler", async () => {
  const { io, login } = await startApp({
    attach: { allow: isUser },
    setup({ io }) {
      io.on("connection", (socket) => {
        socket.on("who", (done) => done(socket.session.user));
        socket.onAny((name: string) => {
          if (name === "boom") throw new Error("boom");
        });
      });
    },
  });
  const socket = await (await login()).connect();
  const [own] = io.of("/").sockets.values();
  expect(() => receive(own, "boom")).toThrow("boom");
  expect(await socket.timeout(5000).emitWithAck("who")).toBe("ada");
});

describe("while a namespace's middlewares run, a change that forbids the session", () => {
  const start = async (middleware: (socket: { session: SocketSession }, go: () => void) => void) => {
    const connected: string[] = [];
    const app = await startApp({
      attach: { allow: isUser },
      setup({ io }) {
        io.use((socket, go) => middleware(socket, go));
        io.on("connection", (socket) => connected.push(socket.id));
      },
    });
    return { ...app, connected };
  };

  it("by a middleware lets nobody in", async () => {
    const { login, connected, sessions } = await start((socket, go) => {
      delete socket.session.user;
      go();
    });
    expect(await (await login()).refused()).toEqual(forbidden);
    expect(connected).toEqual([]);
    await expect.poll(() => sessions.size).toBe(0);
  });

  it("by somebody else lets nobody in", async () => {
    let go: (() => void) | undefined;
    const { login, connected } = await start((_socket, next) => void (go = next));
    const ada = await login();
    const coming = ada.refused();
    await expect.poll(() => go).toBeDefined();
    await ada.post("/set", { user: null });
    go?.();
    expect(await coming).toEqual(forbidden);
    expect(connected).toEqual([]);
  });
});

test("an answer by a promise that takes too long is a no, and is reported", async () => {
  const errors: string[] = [];
  const { login, sessions } = await startApp({ attach: { allow: () => new Promise<boolean>(() => undefined) } });
  sessions.on("error", (error) => errors.push((error as Error).message));
  const ada = await login();
  expect(await ada.refused()).toEqual(forbidden);
  expect(errors).toEqual(["allow did not answer within 5000 ms."]);
});

test("attach() takes nothing but a function", () => {
  const sessions = createSessions({ secret });
  expect(() => sessions.attach(new Server(), { allow: true as never })).toThrow(/allow must be a function/);
});

test("a client that makes its session unwritable stays no longer for that", async () => {
  const { login, sessions } = await startApp({
    attach: { allow: isUser },
    setup: ({ io }) =>
      io.on("connection", (socket) => socket.on("keep", (value, done) => done((socket.session.other = value) && 0))),
  });
  sessions.on("error", () => undefined);
  const ada = await login();
  const socket = await ada.connect();
  let deep: unknown = 1;
  for (let level = 0; level < 1500; level++) deep = [deep];
  await socket.emitWithAck("keep", deep);
  const end = closed(socket);
  await ada.post("/set", { user: null });
  const other = await ada.connect().catch((error: Error & { data?: unknown }) => error.data);
  expect(other).toEqual(forbidden);
  expect(await end).toMatchObject({ told: [forbidden] });
});

test("an outage closes nobody: what is known is still allowed", async () => {
  const line = new LineStore();
  const { login } = await startApp({
    sessions: { store: liveStore(line), lease: 20 },
    attach: { allow: isUser },
    setup: ({ io }) => io.on("connection", (socket) => socket.on("who", (done) => done(socket.session.user))),
  });
  const ada = await login();
  const socket = await ada.connect();
  line.state = "fails";
  for (let at = 0; at < 5; at++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    expect(await socket.emitWithAck("who")).toBe("ada");
  }
  // A change of this node counts although the store does not have it.
  line.state = "up";
  await ada.post("/set", { user: "bob" });
  await expect.poll(() => socket.emitWithAck("who")).toBe("bob");
});
