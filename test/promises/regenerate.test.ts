// socket.session.regenerate(): a login over the socket. The connection goes on, the browser has a new cookie, and
// whoever else knew the old id has nothing.
import session from "express-session";
import type { Socket as ServerSocket } from "socket.io";
import type { Socket } from "socket.io-client";
import { describe, expect, it, onTestFinished, test, vi } from "vitest";
import { liveStore, SessionError } from "../../src/index.js";
import { type App, type AppOptions, startApp } from "../support/app.js";
import { type Browser, closed, connected, type Refused } from "../support/browser.js";
import { LineStore } from "../support/stores.js";
import { backendOf } from "../../src/store/live-store.js";

const helper = { auth: { session: { v: 1 } } };

/** Where handlers report to the test. */
interface Report {
  user?: string | undefined;
  code?: string;
}

function startWithLogin(options: AppOptions = {}): Promise<App> {
  return startApp({
    ...options,
    sessions: { view: ({ user }) => user, ...options.sessions },
    setup(parts) {
      parts.app.use("/my/session", parts.sessions.routes);
      parts.io.on("connection", (socket) => {
        socket.on("who", (done) => done(socket.session.user));
        socket.on("login", async (user: string, done: (report: Report) => void) => done(await logIn(socket, user)));
      });
      options.setup?.(parts);
    },
  });
}

async function logIn(socket: ServerSocket, user: string): Promise<Report> {
  try {
    await socket.session.regenerate();
    socket.session.user = user;
    await socket.session.save();
    return { user: socket.session.user };
  } catch (error) {
    return { code: (error as { code: string }).code };
  }
}

/** A page with the client helper's half of the protocol; `collect` stands in for what it does with a ticket. */
async function openPage(
  browser: Browser,
  collect: (ticket: string) => Promise<unknown> = (ticket) => browser.post("/my/session/collect", { ticket }),
  options = {},
): Promise<Socket> {
  const socket = browser.socket("/", { ...helper, ...options });
  socket.on("session:collect", async ({ ticket }: { ticket: string }) => {
    await collect(ticket);
    // Some tests break the connection here.
    await socket.emitWithAck("session:collected").catch(() => undefined);
  });
  return connected(socket);
}

describe("a login over the socket", () => {
  it.each(["polling", "websocket", "upgrade"] as const)(
    "gives the browser a new cookie, and the socket goes on (%s)",
    async (via) => {
      const { io, login, sessions } = await startWithLogin();
      const guest = await login("guest");
      await guest.post("/set", { count: 7 });
      const old = { id: guest.sessionId, cookie: guest.cookie };
      const socket = await openPage(guest, undefined, { via });
      const ended = vi.fn<() => void>();
      for (const event of ["session:end", "disconnect"]) socket.on(event, ended);
      const shown: unknown[] = [];
      socket.on("session:view", ({ view }) => shown.push(view));

      expect(await socket.emitWithAck("login", "ada")).toEqual({ user: "ada" });
      expect(guest.sessionId).not.toBe(old.id);
      // HTTP, the socket and its room have the new session, which took nothing along.
      expect(await guest.get("/session")).toEqual({ user: "ada" });
      expect(await socket.emitWithAck("who")).toBe("ada");
      const [serverSocket] = io.of("/").sockets.values();
      expect(serverSocket?.rooms.has(sessions.room(guest.sessionId))).toBe(true);
      expect(serverSocket?.rooms.has(sessions.room(old.id))).toBe(false);
      expect(serverSocket?.request).toHaveProperty("session", serverSocket?.session);
      expect(serverSocket?.handshake).toHaveProperty("session", serverSocket?.session);
      expect(sessions.size).toBe(1);
      expect(shown).toEqual([null, "ada"]);
      // The old id is worth nothing.
      expect(await guest.get("/my/session")).toMatchObject({ view: "ada" });
      expect((await guest.fetch("/my/session", { headers: { cookie: old.cookie } })).status).toBe(401);
      // The new one's end is the socket's.
      expect(ended).not.toHaveBeenCalled();
      const end = closed(socket);
      await guest.post("/logout");
      expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
    },
  );

  it("keeps the cookie's flags, and sets it once", async () => {
    const { login } = await startWithLogin({
      sessions: { rolling: true, cookie: { maxAge: 60_000, sameSite: "lax" } },
    });
    const guest = await login("guest");
    let response: Response | undefined;
    const socket = await openPage(guest, async (ticket) => {
      response = await guest.post("/my/session/collect", { ticket });
    });
    await socket.emitWithAck("login", "ada");
    expect(response?.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^connect\.sid=s%3A.*; Path=\/; Expires=.*; HttpOnly; SameSite=Lax$/),
    ]);
    expect(await response?.json()).toEqual({ view: null, expiresIn: expect.closeTo(60_000, -4) });
    expect(response?.headers.get("cache-control")).toBe("no-store");
  });

  it("works where the application reads bodies itself, and where only the routes do", async () => {
    const { login } = await startWithLogin();
    const guest = await login("guest");
    const socket = await openPage(guest, (ticket) =>
      // Not JSON by its type: the application's parser leaves it alone.
      guest.fetch("/my/session/collect", { method: "POST", body: JSON.stringify({ ticket }) }),
    );
    expect(await socket.emitWithAck("login", "ada")).toEqual({ user: "ada" });
  });

  it("works where the handshake's request is dropped, and the cookie belongs to a path", async () => {
    const { browser } = await startWithLogin({
      sessions: { cookie: { path: "/my" } },
      setup: ({ app, io }) => {
        io.engine.on("connection", (socket: { request: unknown }) => {
          socket.request = null;
        });
        app.post("/my/login", (req, res) => {
          req.session.user = "guest";
          res.end();
        });
      },
    });
    const guest = browser();
    await guest.post("/my/login");
    const socket = await openPage(guest);
    expect(await socket.emitWithAck("login", "ada")).toEqual({ user: "ada" });
    expect(await guest.get("/my/session")).toMatchObject({ view: "ada" });
  });

  it("works where the page's request comes to another node than its socket", async () => {
    const shared = new session.MemoryStore();
    const one = await startWithLogin({ sessions: { store: liveStore(shared) } });
    const two = await startWithLogin({ sessions: { store: liveStore(shared) } });
    const guest = await one.login("guest");
    const there = two.browser();
    there.cookies.set("connect.sid", guest.cookies.get("connect.sid") as string);
    const socket = await openPage(guest, (ticket) => there.post("/my/session/collect", { ticket }));
    expect(await socket.emitWithAck("login", "ada")).toEqual({ user: "ada" });
    expect(there.sessionId).not.toBe(guest.sessionId);
    expect(await there.get("/session")).toEqual({ user: "ada" });
    expect((await guest.fetch("/my/session")).status).toBe(401);
  });

  it("moves all namespaces of the connection", async () => {
    const { io, login } = await startWithLogin();
    io.of("/chat").on("connection", (socket) => socket.on("who", (done) => done(socket.session.user)));
    const guest = await login("guest");
    const socket = await openPage(guest);
    const chat = await connected(socket.io.socket("/chat"));
    await socket.emitWithAck("login", "ada");
    expect(await chat.emitWithAck("who")).toBe("ada");
  });

  it("can be done again, and twice at once is once", async () => {
    const { login } = await startWithLogin();
    const guest = await login("guest");
    const collect = vi.fn<(ticket: string) => Promise<unknown>>((ticket) =>
      guest.post("/my/session/collect", { ticket }),
    );
    const socket = await openPage(guest, collect);
    const both = await Promise.all([socket.emitWithAck("login", "ada"), socket.emitWithAck("login", "ada")]);
    expect(both).toEqual([{ user: "ada" }, { user: "ada" }]);
    expect(collect).toHaveBeenCalledTimes(1);
    expect(await socket.emitWithAck("login", "grace")).toEqual({ user: "grace" });
    expect(await guest.get("/session")).toEqual({ user: "grace" });
  });

  it("tells the other tabs SESSION_ROTATED; they come back with the new cookie", async () => {
    const { login } = await startWithLogin();
    const guest = await login("guest");
    const other = closed(await guest.connect());
    const otherPage = closed(await openPage(guest));
    const socket = await openPage(guest);
    await socket.emitWithAck("login", "ada");
    for (const tab of [await other, await otherPage])
      expect(tab.told).toEqual([{ code: "SESSION_ROTATED", retry: true }]);
    expect(await (await guest.connect()).emitWithAck("who")).toBe("ada");
  });

  it("loses no event that comes meanwhile, not even one that waits for a look into the store", async () => {
    const store = new LineStore();
    const { login } = await startWithLogin({ sessions: { store, lease: 1 } });
    const guest = await login("guest");
    const socket = await openPage(guest);
    store.latency = 3;
    const loggedIn = socket.emitWithAck("login", "ada");
    const answers: Promise<unknown>[] = [];
    const asking = setInterval(() => answers.push(socket.timeout(5000).emitWithAck("who")), 1);
    expect(await loggedIn).toEqual({ user: "ada" });
    clearInterval(asking);
    expect(answers.length).toBeGreaterThan(3);
    // One that was lost has no answer.
    await Promise.all(answers);
  });

  it("is kept where the client's connection breaks after the cookie was collected", async () => {
    const reports: Report[] = [];
    const { login, sessions } = await startWithLogin({
      setup: ({ io }) => {
        io.on("connection", (socket) => {
          socket.on("login and go", async () => reports.push(await logIn(socket, "ada")));
        });
      },
    });
    const guest = await login("guest");
    const socket: Socket = await openPage(guest, async (ticket) => {
      await guest.post("/my/session/collect", { ticket });
      socket.io.engine.close();
    });
    socket.emit("login and go");
    await expect.poll(() => reports).toEqual([{ user: "ada" }]);
    await expect.poll(() => sessions.size).toBe(0);
    expect(await guest.get("/session")).toEqual({ user: "ada" });
  });
});

describe("rejects, and leaves the session as it is", () => {
  const needsHttp = { code: "REGENERATE_NEEDS_HTTP" };

  it("without the client helper", async () => {
    const { login } = await startWithLogin();
    const guest = await login("guest");
    const socket = await guest.connect();
    expect(await socket.emitWithAck("login", "ada")).toEqual(needsHttp);
    expect(await socket.emitWithAck("who")).toBe("guest");
  });

  it.each(["does not try", "has lost its cookie", "has another cookie", "has a wrong ticket"])(
    "when the page %s",
    async (what) => {
      const { browser, login, sessions } = await startWithLogin();
      const guest = await login("guest");
      const other = await login("eve");
      const statuses: number[] = [];
      const socket = await openPage(guest, async (ticket) => {
        if (what === "does not try") return;
        const by = { "has lost its cookie": browser(), "has another cookie": other }[what] ?? guest;
        const wrong = (ticket.startsWith("A") ? "B" : "A") + ticket.slice(1);
        const sent = what === "has a wrong ticket" ? wrong : ticket;
        const response = await by.post("/my/session/collect", { ticket: sent });
        statuses.push(response.status);
        expect(response.headers.getSetCookie()).toEqual([]);
      });
      const before = guest.cookie;
      expect(await socket.emitWithAck("login", "ada")).toEqual(needsHttp);
      expect(statuses).toEqual(what === "does not try" ? [] : [401]);
      expect(await socket.emitWithAck("who")).toBe("guest");
      expect(guest.cookie).toBe(before);
      expect(await guest.get("/session")).toEqual({ user: "guest" });
      // Nothing is left of the session that nobody wanted.
      const count = await new Promise((resolve) => sessions.store.length((_, length) => resolve(length)));
      expect(count).toBe(2);
    },
  );

  it("when the page does not answer in time; its ticket is no good any more", async () => {
    const { login } = await startWithLogin();
    const guest = await login("guest");
    const socket = await guest.connect("/", helper);
    let ticket: string | undefined;
    const asked = new Promise<void>((resolve) =>
      socket.on("session:collect", (order: { ticket: string }) => {
        ticket = order.ticket;
        resolve();
      }),
    );
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const report = socket.emitWithAck("login", "ada");
    await asked;
    vi.advanceTimersByTime(9_999);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await socket.emitWithAck("who")).toBe("guest");
    vi.advanceTimersByTime(1);
    expect(await report).toEqual(needsHttp);
    vi.useRealTimers();
    expect(await (await guest.post("/my/session/collect", { ticket })).json()).toEqual({
      code: "TICKET_INVALID",
      retry: true,
    });
    expect(await guest.get("/session")).toEqual({ user: "guest" });
  });

  it("when the session ends meanwhile: the end stands, also for the new one", async () => {
    const { login, sessions } = await startWithLogin();
    const guest = await login("guest");
    const reports: Report[] = [];
    const socket = await openPage(guest, async (ticket) => {
      const old = guest.sessionId;
      await guest.post("/my/session/collect", { ticket });
      await sessions.destroy(old);
    });
    const end = closed(socket);
    socket.emit("login", "ada", (report: Report) => reports.push(report));
    expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
    const count = (): Promise<unknown> =>
      new Promise((resolve) => sessions.store.length((_, length) => resolve(length)));
    await expect.poll(count).toBe(0);
    expect(reports).toEqual([]);
  });

  it("when the session has ended before: its ticket collects nothing", async () => {
    const { login, sessions } = await startWithLogin();
    const guest = await login("guest");
    let answer: unknown;
    const socket = await openPage(guest, async (ticket) => {
      await sessions.destroy(guest.sessionId);
      answer = await (await guest.post("/my/session/collect", { ticket })).json();
    });
    const end = closed(socket);
    socket.emit("login", "ada", () => undefined);
    await end;
    await expect.poll(() => answer).toEqual({ code: "SESSION_DESTROYED", retry: false });
  });

  it("when the store does not answer", async () => {
    const store = new LineStore();
    const { login } = await startWithLogin({ sessions: { store } });
    const guest = await login("guest");
    const socket = await openPage(guest);
    store.state = "fails";
    expect(await socket.emitWithAck("login", "ada")).toEqual({ code: "STORE_UNAVAILABLE" });
    store.state = "up";
    expect(await socket.emitWithAck("who")).toBe("guest");
  });

  it("when the old session ends while the new one is read for the socket", async () => {
    const { login, sessions } = await startWithLogin();
    const guest = await login("guest");
    const socket = await openPage(guest);
    const old = guest.sessionId;
    const { store } = sessions;
    // Called first of all when a live session is made.
    vi.spyOn(backendOf(store), "watch").mockImplementation(() => sessions.destroy(old));
    const end = closed(socket);
    socket.emit("login", "ada", () => undefined);
    expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
    await expect.poll(() => new Promise((resolve) => store.length((_, length) => resolve(length)))).toBe(0);
    expect(sessions.size).toBe(0);
  });

  it("when the old session cannot be ended: the new one goes", async () => {
    const { login, sessions } = await startWithLogin();
    const guest = await login("guest");
    const socket = await openPage(guest);
    const { store } = sessions;
    const backend = backendOf(store);
    const end = backend.end.bind(backend);
    vi.spyOn(backend, "end").mockImplementation(async (id, code) => {
      if (code === "SESSION_ROTATED") throw new SessionError("STORE_UNAVAILABLE");
      return end(id, code);
    });
    const old = guest.cookie;
    expect(await socket.emitWithAck("login", "ada")).toEqual({ code: "STORE_UNAVAILABLE" });
    expect(await socket.emitWithAck("who")).toBe("guest");
    expect(await (await guest.fetch("/session", { headers: { cookie: old } })).json()).toEqual({ user: "guest" });
    expect(await new Promise((resolve) => store.length((_, length) => resolve(length)))).toBe(1);
    expect(sessions.size).toBe(1);
  });

  it("on an anonymous socket", async () => {
    const { browser } = await startWithLogin({ attach: { missing: "anonymous" } });
    const socket = await openPage(browser());
    expect(await socket.emitWithAck("login", "ada")).toEqual({ code: "SESSION_MISSING" });
  });
});

describe("session fixation", () => {
  it("an attacker who planted the id, and has sockets of the session, gets nothing of the login", async () => {
    const { browser, io, login, sessions } = await startWithLogin();
    const attacker = await login("guest");
    // The victim's browser was given the attacker's cookie.
    const victim = browser();
    victim.cookies.set("connect.sid", attacker.cookies.get("connect.sid") as string);
    const heard: unknown[] = [];
    const spy = await openPage(attacker, async (ticket) => heard.push(ticket));
    spy.onAny((event, value) => heard.push([event, value]));
    const spyEnd = closed(spy);
    const tickets: string[] = [];
    const page = await openPage(victim, async (ticket) => {
      tickets.push(ticket);
      // It says that it has collected for another, and tries nonsense.
      await spy.emitWithAck("session:collected");
      expect((await attacker.post("/my/session/collect", { ticket: "guess" })).status).toBe(401);
      await victim.post("/my/session/collect", { ticket });
    });
    expect(await page.emitWithAck("login", "ada")).toEqual({ user: "ada" });
    expect((await spyEnd).told).toEqual([{ code: "SESSION_ROTATED", retry: true } satisfies Refused]);
    expect(JSON.stringify(heard)).not.toContain("ada");
    expect(JSON.stringify(heard)).not.toContain("session:collect");
    expect(attacker.sessionId).not.toBe(victim.sessionId);
    // A ticket that was used, with the old cookie that goes with it.
    expect((await attacker.post("/my/session/collect", { ticket: tickets[0] })).status).toBe(401);
    expect(await attacker.get("/session")).toEqual({});
    expect(await victim.get("/session")).toEqual({ user: "ada" });
    expect(io.of("/").sockets.size).toBe(1);
    expect(sessions.size).toBe(1);
  });

  it("the session that a handler kept from before is over, and another socket's is not moved by it", async () => {
    const kept: Report[] = [];
    const { login } = await startWithLogin({
      setup: ({ io }) => {
        io.on("connection", (socket) => {
          const { session } = socket;
          socket.on("old", async (done) => {
            await session.regenerate().catch(({ code }: Report) => kept.push({ code: code as string }));
            done();
          });
        });
      },
    });
    const guest = await login("guest");
    const socket = await openPage(guest);
    await socket.emitWithAck("login", "ada");
    await socket.emitWithAck("old");
    expect(kept).toEqual([{ code: "SESSION_ROTATED" }]);
    expect(await socket.emitWithAck("who")).toBe("ada");
  });

  it("a ticket for the cookie opens no socket, and a ticket for a socket collects no cookie", async () => {
    const { login } = await startWithLogin({ attach: { tickets: true } });
    const guest = await login("guest");
    const codes: unknown[] = [];
    const socket = await openPage(guest, async (ticket) => {
      codes.push((await guest.refused("/", { auth: { session: { v: 1, ticket } } })).code);
      const other = (await (await guest.post("/my/session/ticket")).json()) as { ticket: string };
      const response = await guest.post("/my/session/collect", other);
      codes.push(((await response.json()) as { code: string }).code);
      await guest.post("/my/session/collect", { ticket });
    });
    expect(await socket.emitWithAck("login", "ada")).toEqual({ user: "ada" });
    expect(codes).toEqual(["TICKET_INVALID", "TICKET_INVALID"]);
  });

  it("a foreign page collects nothing", async () => {
    const { login } = await startWithLogin();
    const guest = await login("guest");
    const socket = await openPage(guest, (ticket) =>
      guest.fetch("/my/session/collect", {
        method: "POST",
        body: JSON.stringify({ ticket }),
        headers: { "content-type": "application/json", "sec-fetch-site": "cross-site", origin: "https://evil.example" },
      }),
    );
    expect(await socket.emitWithAck("login", "ada")).toEqual({ code: "REGENERATE_NEEDS_HTTP" });
  });
});

test("what the helper says when nothing is to be collected is answered, and reaches no handler", async () => {
  const heard = vi.fn<() => void>();
  const { login } = await startWithLogin({
    setup: ({ io }) => void io.on("connection", (socket) => socket.on("session:collected", heard)),
  });
  const guest = await login("guest");
  await (await openPage(guest)).emitWithAck("session:collected");
  expect(heard).not.toHaveBeenCalled();
});
