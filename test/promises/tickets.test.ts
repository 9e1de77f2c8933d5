// Tickets: who cannot send the cookie gets in once, and what an attacker does with one gets nobody in.
import type { Server as HttpServer } from "node:http";
import session from "express-session";
import { describe, expect, it, onTestFinished, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { type AttachOptions, createSessions, liveStore, type Refusal } from "../../src/index.js";
import { type App, type AppOptions, secret, startApp } from "../support/app.js";
import { clock } from "../../src/testing/index.js";
import { type Browser, connected, type Refused, transports } from "../support/browser.js";
import { LineStore } from "../support/stores.js";

const page = "https://app.example.com";
const invalid = { code: "TICKET_INVALID", retry: true };
const attach: AttachOptions = { tickets: true, origins: [page, "https://other.example.com"] };

function startWithTickets(options: AppOptions = {}): Promise<App> {
  return startApp({
    attach,
    ...options,
    sessions: { routes: { origins: [page] }, ...options.sessions },
    setup(parts) {
      parts.app.use("/my/session", parts.sessions.routes);
      parts.io.on("connection", (socket) => {
        socket.on("who", (done) => done({ user: socket.session.user, auth: socket.handshake.auth }));
      });
      options.setup?.(parts);
    },
  });
}

/** A ticket, fetched with this browser's cookie by a page of this origin, or by no page. */
async function fetchTicket(browser: Browser, origin = page): Promise<string> {
  const headers = { ...(origin !== "" && { origin }) };
  const response = await browser.fetch("/my/session/ticket", { method: "POST", headers });
  return ((await response.json()) as { ticket: string }).ticket;
}

/** What a client shows that has a ticket, and no cookie but what `headers` say. */
function showing(ticket: unknown, origin: string | undefined = page, headers: Record<string, string> = {}) {
  const auth = { session: { v: 1, ticket }, own: "data" };
  return { auth, extraHeaders: { ...(origin !== "" && { origin }), ...headers } };
}

describe("a ticket", () => {
  it.each(transports)("lets in once, over %s, and nobody sees it", async (via) => {
    const { browser, login } = await startWithTickets();
    const ticket = await fetchTicket(await login("ada"));
    const cookieless = browser();
    const socket = await cookieless.connect("/", { via, ...showing(ticket) });
    expect(await socket.emitWithAck("who")).toEqual({ user: "ada", auth: { session: { v: 1 }, own: "data" } });
    expect(await cookieless.refused("/", { via, ...showing(ticket) })).toEqual(invalid);
  });

  it("says how long it lasts, and is no cookie, no id and no text that anybody can read", async () => {
    const { login } = await startWithTickets({ sessions: { routes: { ticketLifetime: 5000, origins: [page] } } });
    const ada = await login();
    const response = await ada.fetch("/my/session/ticket", { method: "POST" });
    const { ticket, expiresIn } = (await response.json()) as { ticket: string; expiresIn: number };
    expect(expiresIn).toBe(5000);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(ticket).toMatch(/^[\w-]+$/);
    for (const text of [ticket, Buffer.from(ticket, "base64url").toString("latin1")]) {
      expect(text).not.toContain(ada.sessionId);
    }
  });

  it.each(transports)(
    "that was fetched without a browser lets in who names no origin, or the server's own, over %s",
    async (via) => {
      const { browser, login, url } = await startWithTickets();
      const ada = await login("ada");
      for (const origin of ["", url]) {
        const ticket = await fetchTicket(ada, "");
        const socket = await browser().connect("/", { via, ...showing(ticket, origin) });
        expect((await socket.emitWithAck("who")).user).toBe("ada");
      }
    },
  );

  it("is given to nobody without a session", async () => {
    const { browser } = await startWithTickets();
    expect((await browser().post("/my/session/ticket")).status).toBe(401);
  });

  it("can be one of several: each lets in, the seventeenth takes the place of the first", async () => {
    const { browser, login } = await startWithTickets();
    const ada = await login("ada");
    const tickets: string[] = [];
    for (let count = 0; count < 17; count++) tickets.push(await fetchTicket(ada));
    const client = browser();
    expect(await client.refused("/", showing(tickets[0]))).toEqual(invalid);
    for (const ticket of [tickets[16], tickets[1]]) await client.connect("/", showing(ticket));
  });

  it("brings a connection its session for all namespaces, in whichever order they come", async () => {
    const { browser, io, login } = await startWithTickets();
    io.of("/chat").on("connection", (socket) => socket.on("who", (done) => done({ user: socket.session.user })));
    const ada = await login("ada");
    const first = browser().socket("/", showing(await fetchTicket(ada)));
    // Two tickets of one session on one connection, and a third namespace without any.
    const chat = first.io.socket("/chat", { auth: showing(await fetchTicket(ada)).auth });
    await Promise.all([connected(first), connected(chat)]);
    expect(await chat.emitWithAck("who")).toEqual({ user: "ada" });
    io.of("/more").on("connection", (socket) => socket.emit("user", socket.session.user));
    const more = first.io.socket("/more");
    const user = new Promise((resolve) => more.once("user", resolve));
    await connected(more);
    expect(await user).toBe("ada");
  });

  it.each([
    { absoluteTimeout: undefined },
    { absoluteTimeout: 60_000 },
    { store: liveStore(new session.MemoryStore()) },
  ])("is not seen in the session, and outlives what others write to it: %o", async (options) => {
    const { browser, login, sessions } = await startWithTickets({ sessions: options });
    const ada = await login("ada");
    const socket = await ada.connect();
    const ticket = await fetchTicket(ada);
    await ada.post("/set", { count: 1, __tickets: { mine: Date.now() + 60_000 } });
    const keys = await sessions.update(ada.sessionId, (data) => {
      const seen = Object.keys(data);
      data.count = 2;
      (data as { __tickets?: unknown }).__tickets = {};
      return seen;
    });
    await sessions.update(ada.sessionId, (data) => {
      delete data.other;
    });
    expect(keys.toSorted()).toEqual(["cookie", "count", "user"]);
    expect(await ada.get("/session")).toEqual({ user: "ada", count: 2 });
    expect({ ...sessions.get(ada.sessionId)?.data }).not.toHaveProperty("__tickets");
    const all = await new Promise<object>((resolve) =>
      sessions.store.all((_, list) => resolve(list as unknown as object)),
    );
    expect(JSON.stringify(Object.values(all))).not.toContain("__");
    await browser().connect("/", showing(ticket));
    expect(await socket.emitWithAck("who")).toMatchObject({ user: "ada" });
  });

  it("keeps the session's place: its end closes a socket that came by it", async () => {
    const { browser, login } = await startWithTickets();
    const ada = await login("ada");
    const socket = await browser().connect("/", showing(await fetchTicket(ada)));
    const ended = new Promise<Refused>((resolve) => socket.once("session:end", resolve));
    await ada.post("/logout");
    expect((await ended).code).toBe("SESSION_DESTROYED");
  });

  it("makes the sockets of an anonymous connection those of its session", async () => {
    const { browser, io, login, sessions } = await startWithTickets({ attach: { ...attach, missing: "anonymous" } });
    const ada = await login("ada");
    const socket = browser().socket("/", { extraHeaders: { origin: page } });
    await connected(socket);
    expect((await socket.emitWithAck("who")).user).toBeUndefined();
    io.of("/private").on("connection", () => undefined);
    await connected(socket.io.socket("/private", { auth: showing(await fetchTicket(ada)).auth }));
    expect((await socket.emitWithAck("who")).user).toBe("ada");
    const heard = new Promise((resolve) => socket.once("hello", resolve));
    io.to(sessions.room(ada.sessionId)).emit("hello", "room");
    expect(await heard).toBe("room");
  });

  it("also makes one the session's whose middlewares are still running", async () => {
    const { browser, io, login } = await startWithTickets({ attach: { ...attach, missing: "anonymous" } });
    let goOn: (() => void) | undefined;
    const running = new Promise<void>((resolve) => {
      io.of("/slow").use((_, next) => {
        goOn = next;
        resolve();
      });
    });
    io.of("/slow").on("connection", (socket) => socket.on("who", (done) => done(socket.session.user)));
    const ada = await login("ada");
    const slow = browser().socket("/slow", { extraHeaders: { origin: page } });
    const connecting = connected(slow);
    await running;
    await connected(slow.io.socket("/", { auth: showing(await fetchTicket(ada)).auth }));
    goOn?.();
    await connecting;
    expect(await slow.emitWithAck("who")).toBe("ada");
  });
});

describe("a ticket lets nobody in", () => {
  it("where the server does not take tickets", async () => {
    const { browser, login } = await startWithTickets({ attach: { origins: [page] } });
    const refused = await browser().refused("/", showing(await fetchTicket(await login())));
    expect(refused).toEqual({ code: "SESSION_MISSING", retry: false });
  });

  it("twice, not even at the same moment", async () => {
    const { browser, login } = await startWithTickets();
    const ticket = await fetchTicket(await login());
    const tries = Array.from({ length: 10 }, () => browser().refused("/", showing(ticket)));
    const results = await Promise.allSettled(tries);
    expect(results.filter(({ status }) => status === "rejected")).toHaveLength(1);
    for (const result of results) if (result.status === "fulfilled") expect(result.value).toEqual(invalid);
  });

  it("when it is late", async () => {
    const { browser, login } = await startWithTickets({
      sessions: { routes: { ticketLifetime: 60_000, origins: [page] } },
    });
    const ada = await login();
    const [early, late] = [await fetchTicket(ada), await fetchTicket(ada)];
    await clock.advance(50_000);
    await browser().connect("/", showing(early));
    await clock.advance(10_000);
    expect(await browser().refused("/", showing(late))).toEqual(invalid);
  });

  it.each(["https://other.example.com", ""])("from another origin: %o", async (origin) => {
    const { browser, login } = await startWithTickets();
    const ticket = await fetchTicket(await login());
    expect(await browser().refused("/", showing(ticket, origin))).toEqual(invalid);
    // It is not used up by that.
    await browser().connect("/", showing(ticket));
  });

  it("from a page of another origin, where it was fetched without a browser", async () => {
    const { browser, login } = await startWithTickets();
    const ticket = await fetchTicket(await login(), "");
    expect(await browser().refused("/", showing(ticket))).toEqual(invalid);
    await browser().connect("/", showing(ticket, ""));
  });

  it("without a browser, where a page of the server's own origin has fetched it", async () => {
    const { browser, login, url } = await startWithTickets();
    const ticket = await fetchTicket(await login(), url);
    expect(await browser().refused("/", showing(ticket, ""))).toEqual(invalid);
    await browser().connect("/", showing(ticket, url));
  });

  it("of an origin that the server refuses, whatever the ticket says", async () => {
    const store = new LineStore();
    const { browser, login } = await startWithTickets({ attach: { tickets: true }, sessions: { store } });
    const ticket = await fetchTicket(await login());
    const asked = { ...store.asked };
    expect(await browser().refused("/", showing(ticket))).toEqual({ code: "ORIGIN_REFUSED", retry: false });
    expect(store.asked).toEqual(asked);
  });

  it("who has another session", async () => {
    const { login } = await startWithTickets();
    const [ada, eve] = [await login("ada"), await login("eve")];
    const ticket = await fetchTicket(ada);
    // Her page is given a ticket of somebody else's session, or she has stolen one: her cookie does not go with it.
    expect(await eve.refused("/", showing(ticket, page, { cookie: eve.cookie }))).toEqual(invalid);
    const own = await fetchTicket(ada);
    const socket = await ada.connect("/", showing(own, page, { cookie: ada.cookie }));
    expect((await socket.emitWithAck("who")).user).toBe("ada");
  });

  it("on a connection that another ticket has brought another session", async () => {
    const { browser, io, login } = await startWithTickets();
    const [ada, eve] = [await login("ada"), await login("eve")];
    const first = browser().socket("/", showing(await fetchTicket(ada)));
    io.of("/chat").on("connection", () => undefined);
    await connected(first);
    const other = first.io.socket("/chat", { auth: showing(await fetchTicket(eve)).auth });
    await expect(connected(other)).rejects.toMatchObject({ data: invalid });
    expect((await first.emitWithAck("who")).user).toBe("ada");
  });

  it("beside another session's that comes at the same moment on the same connection", async () => {
    const store = new LineStore();
    const { io, login } = await startWithTickets({ sessions: { store } });
    io.of("/chat").on("connection", () => undefined);
    const [ada, eve, past] = [await login("ada"), await login("eve"), await login("past")];
    const { cookie } = past;
    await past.post("/logout");
    // A cookie of the past says nothing, but takes its time.
    const first = past.socket("/", showing(await fetchTicket(ada), page, { cookie }));
    const chat = first.io.socket("/chat", { auth: showing(await fetchTicket(eve)).auth });
    store.latency = 20;
    const results = await Promise.allSettled([connected(first), connected(chat)]);
    const [one, other] = results[0].status === "fulfilled" ? [results[0], results[1]] : [results[1], results[0]];
    expect(one.status).toBe("fulfilled");
    expect(other).toMatchObject({ status: "rejected", reason: { data: invalid } });
  });

  it("who guesses, forges or sends nonsense", async () => {
    const { browser, login } = await startWithTickets();
    const ada = await login();
    const ticket = await fetchTicket(ada);
    const bytes = Buffer.from(ticket, "base64url");
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    const { login: elsewhere } = await startWithTickets({ sessions: { secret: "another secret" } });
    const guesses: unknown[] = [
      "",
      "x",
      ada.sessionId,
      ada.cookies.get("connect.sid"),
      bytes.toString("base64url"),
      `${ticket}AAAA`,
      await fetchTicket(await elsewhere()),
      { toString: () => ticket },
      [ticket],
      7,
      true,
    ];
    const client = browser();
    for (const guess of guesses) expect(await client.refused("/", showing(guess))).toEqual(invalid);
    await client.connect("/", showing(ticket));
  });

  it("after the logout, and after the login that gave the browser a new session", async () => {
    const { browser, login } = await startWithTickets({
      setup: ({ app }) => {
        app.post("/rotate", (req, res, next) => {
          req.session.regenerate((error) => (error ? next(error) : res.json({})));
        });
      },
    });
    for (const path of ["/logout", "/rotate"]) {
      const ada = await login();
      const ticket = await fetchTicket(ada);
      await ada.post(path);
      expect(await browser().refused("/", showing(ticket))).toEqual(invalid);
    }
  });

  it("twice on two nodes over one store; the second node takes what the first has issued", async () => {
    const shared = new session.MemoryStore();
    const one = await startWithTickets({ sessions: { store: liveStore(shared) } });
    const two = await startWithTickets({ sessions: { store: liveStore(shared) } });
    const ada = await one.login("ada");
    const ticket = await fetchTicket(ada);
    const socket = await two.browser().connect("/", showing(ticket));
    expect((await socket.emitWithAck("who")).user).toBe("ada");
    for (const { browser } of [one, two]) expect(await browser().refused("/", showing(ticket))).toEqual(invalid);
    const late = await fetchTicket(ada);
    await ada.post("/logout");
    expect(await two.browser().refused("/", showing(late))).toEqual(invalid);
  });
});

test("what is refused is reported once, when it is known", async () => {
  const { browser, io, sessions } = await startWithTickets();
  io.of("/chat").on("connection", () => undefined);
  const refusals: string[] = [];
  sessions.on("refused", ({ code }: Refusal) => refusals.push(code));
  const socket = browser().socket("/", { extraHeaders: { origin: page } });
  const opened = new Promise((resolve) => socket.io.on("open", () => resolve(undefined)));
  // A transport is open, and no CONNECT has come: nothing is decided.
  socket.io.connect();
  await opened;
  expect(refusals).toEqual([]);
  const both = [socket, socket.io.socket("/chat")].map((one) => connected(one));
  for (const one of both) await expect(one).rejects.toMatchObject({ data: { code: "SESSION_MISSING" } });
  expect(refusals).toEqual(["SESSION_MISSING"]);
  expect(await browser().refused("/", showing("guess"))).toEqual(invalid);
  expect(refusals).toEqual(["SESSION_MISSING", "TICKET_INVALID"]);
});

test("after a bad ticket a good one is taken on the same connection", async () => {
  const { browser, login } = await startWithTickets();
  const ada = await login("ada");
  const tickets = ["bad", await fetchTicket(ada)];
  const socket = browser().socket("/", { ...showing(""), auth: (give) => give(showing(tickets.shift()).auth) });
  await expect(connected(socket)).rejects.toMatchObject({ data: invalid });
  await connected(socket);
  expect((await socket.emitWithAck("who")).user).toBe("ada");
});

describe("over ws", () => {
  /** Opens a WebSocket with these subprotocols; answers with the one that was chosen, or the refusal. */
  async function open(url: string, protocols: string[], headers: Record<string, string> = {}): Promise<unknown> {
    const client = new WebSocket(`${url.replace("http", "ws")}/ws`, protocols, {
      headers: { origin: page, ...headers },
    });
    return new Promise((resolve) => {
      client.once("open", () => {
        resolve(client.protocol);
        client.close();
      });
      client.once("unexpected-response", (_, response) => {
        response.on("data", (data: Buffer) => resolve(JSON.parse(data.toString())));
      });
    });
  }

  function startWs(tickets = true, handle: (http: HttpServer, options: object) => WebSocketServer = made) {
    const users: unknown[] = [];
    const offered: unknown[] = [];
    const starting = startWithTickets({
      setup({ http, sessions }) {
        const server = handle(http, {
          verifyClient({ req }: { req: { headers: Record<string, unknown> } }) {
            offered.push(req.headers["sec-websocket-protocol"]);
            return true;
          },
        });
        onTestFinished(() => server.close());
        sessions.attach(server, { ...attach, tickets });
        server.on("connection", ({ session: data }) => users.push(data.user));
      },
    });
    return { starting, users, offered };
  }
  const made = (http: HttpServer, options: object) => new WebSocketServer({ server: http, path: "/ws", ...options });

  it("a ticket is a subprotocol; the answer is one of the application's own", async () => {
    const { starting, users, offered } = startWs();
    const { login, url } = await starting;
    const ada = await login("ada");
    expect(await open(url, [`session.ticket.${await fetchTicket(ada)}`, "chat.v2", "chat.v1"])).toBe("chat.v2");
    expect(users).toEqual(["ada"]);
    expect(offered).toEqual(["chat.v2, chat.v1"]);
  });

  it("one that is used, guessed, of another origin or of another session is refused", async () => {
    const { starting, users } = startWs();
    const { login, url } = await starting;
    const [ada, eve] = [await login("ada"), await login("eve")];
    const ticket = `session.ticket.${await fetchTicket(ada)}`;
    expect(await open(url, [ticket, "chat"], { origin: "https://other.example.com" })).toEqual(invalid);
    expect(await open(url, [ticket, "chat"], { cookie: eve.cookie })).toEqual(invalid);
    expect(await open(url, [ticket, "chat"])).toBe("chat");
    expect(await open(url, [ticket, "chat"])).toEqual(invalid);
    expect(await open(url, ["session.ticket.guess", "chat"])).toEqual(invalid);
    expect(users).toEqual(["ada"]);
    expect((await login()).sessionId).not.toBe("");
  });

  it("is never the answer, also where tickets are not taken", async () => {
    const { starting, offered } = startWs(false);
    const { login, url } = await starting;
    const ada = await login();
    const ticket = `session.ticket.${await fetchTicket(ada)}`;
    expect(await open(url, [ticket, "chat"])).toEqual({ code: "SESSION_MISSING", retry: false });
    expect(await open(url, [ticket, "chat"], { cookie: ada.cookie })).toBe("chat");
    expect(offered).toEqual(["chat", "chat"]);
  });
});

describe("options", () => {
  it("tickets need a place, a client without a session, and a secret", async () => {
    const { io, sessions } = await startApp({ attach: false });
    const { engine } = io;
    const wrong = expect.objectContaining({ code: "OPTION_INVALID" });
    expect(() => sessions.attach(engine, { tickets: true })).toThrow(wrong);
    expect(() => sessions.attach(io, { tickets: true, missing: "create" })).toThrow(wrong);
    expect(() => createSessions({ secret, routes: { ticketLifetime: 0 } })).toThrow(wrong);
    const middleware = session({ secret, resave: false, saveUninitialized: false, store: sessions.store });
    expect(() => createSessions({ middleware }).attach(io, { tickets: true })).toThrow(wrong);
    expect(() => createSessions({ middleware, secret: "" }).attach(io, { tickets: true })).toThrow(wrong);
  });

  it("an existing middleware with a secret beside it has tickets, too", async () => {
    const store = liveStore(new session.MemoryStore());
    const middleware = session({ secret, resave: false, saveUninitialized: false, store });
    const existing = createSessions({ middleware, secret: "for tickets", routes: { origins: [page] } });
    const { browser, login } = await startWithTickets({ existing });
    const socket = await browser().connect("/", showing(await fetchTicket(await login("ada"))));
    expect((await socket.emitWithAck("who")).user).toBe("ada");
  });
});
