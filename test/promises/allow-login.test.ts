// Promise 13 during a login over the socket: the old session is asked about as ever, and nobody's event meets the new one
// before it is known who has logged in.
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Socket } from "socket.io-client";
import { describe, expect, it, vi } from "vitest";
import type { Allow, SocketSession } from "../../src/index.js";
import { backendOf } from "../../src/store/live-store.js";
import { type App, startApp } from "../support/app.js";
import { type Browser, closed, connected, type Refused } from "../support/browser.js";

const isUser: Allow = (session) => typeof session.user === "string";
const forbidden: Refused = { code: "SESSION_FORBIDDEN", retry: false };

interface Login {
  /** What the handler does when it has its new session. */
  afterwards?: (session: SocketSession, name: string) => unknown;
  /** What the page does with its ticket. */
  collect?: (guest: Browser, ticket: string) => Promise<unknown>;
  setup?: (app: Pick<App, "io">) => void;
}

interface Started extends App {
  readonly guest: Browser;
  readonly socket: Socket;
  /** Who the events of the clients were from. */
  readonly seen: unknown[];
}

async function start({ afterwards, collect, setup }: Login = {}): Promise<Started> {
  const seen: unknown[] = [];
  const app = await startApp({
    attach: { allow: isUser },
    setup({ app, io, sessions }) {
      app.use("/my/session", sessions.routes);
      io.on("connection", (socket) => {
        socket.on("who", (done) => {
          seen.push(socket.session.user);
          done?.(socket.session.user);
        });
        socket.on("login", async (name: string, done) => {
          await socket.session.regenerate().catch(() => undefined);
          await (afterwards ? afterwards(socket.session, name) : (socket.session.user = name));
          done?.(socket.session.user);
        });
      });
      setup?.({ io });
    },
  });
  const guest = await app.login("guest");
  const socket = guest.socket("/", { auth: { session: { v: 1 } } });
  socket.on("session:collect", async ({ ticket }: { ticket: string }) => {
    await (collect ? collect(guest, ticket) : guest.post("/my/session/collect", { ticket }));
    socket.emit("session:collected");
  });
  return { ...app, guest, seen, socket: await connected(socket) };
}

/** Holds a login when the connection has its new session and the handler does not go on yet. */
function holdLogin({ sessions }: App): { readonly moved: Promise<void>; goOn(): void } {
  const backend = backendOf(sessions.store);
  const end = backend.end.bind(backend);
  let goOn = (): void => undefined;
  const held = new Promise<void>((resolve) => (goOn = resolve));
  const moved = new Promise<void>((resolve) => {
    vi.spyOn(backend, "end").mockImplementation(async (id, code) => {
      await end(id, code);
      if (code !== "SESSION_ROTATED") return;
      resolve();
      await held;
    });
  });
  return { moved, goOn };
}

describe("a login over the socket", () => {
  it("stays with its new session, which is asked about from then on", async () => {
    const { guest, socket } = await start();
    expect(await socket.emitWithAck("login", "ada")).toBe("ada");
    expect(await socket.emitWithAck("who")).toBe("ada");
    const end = closed(socket);
    await guest.post("/set", { user: null });
    expect(await end).toMatchObject({ told: [forbidden] });
  });

  it("that gives the new session nobody is closed", async () => {
    const { socket, seen } = await start({ afterwards: () => undefined });
    const end = closed(socket);
    socket.emit("login", "ada");
    expect(await end).toMatchObject({ told: [forbidden] });
    expect(seen).toEqual([]);
  });
});

describe("while the new session is nobody's", () => {
  it("an event waits until it is known who has logged in", async () => {
    const app = await start();
    const { socket, seen } = app;
    const login = holdLogin(app);
    const loggedIn = socket.emitWithAck("login", "ada");
    await login.moved;
    const who = [socket.emitWithAck("who"), socket.emitWithAck("who")];
    // What came before it on the same line has been read.
    await app.guest.get("/session");
    await nextTurn();
    expect(seen).toEqual([]);
    login.goOn();
    expect(await loggedIn).toBe("ada");
    expect(await Promise.all(who)).toEqual(["ada", "ada"]);
  });

  it("an event reaches no handler where nobody logs in after all", async () => {
    const app = await start({ afterwards: () => undefined });
    const login = holdLogin(app);
    app.socket.emit("login", "ada");
    await login.moved;
    app.socket.emit("who");
    await app.guest.get("/session");
    await nextTurn();
    const end = closed(app.socket);
    login.goOn();
    expect(await end).toMatchObject({ told: [forbidden] });
    expect(app.seen).toEqual([]);
  });

  it("a namespace is joined when it is known who has logged in", async () => {
    const joined: unknown[] = [];
    let goOn: (() => void) | undefined;
    const app = await start({
      setup({ io }) {
        for (const name of ["/more", "/slow"])
          io.of(name).on("connection", (socket) => joined.push([name, socket.session.user]));
        io.of("/slow").use((_socket, next) => void (goOn = next));
      },
    });
    const login = holdLogin(app);
    const slow = connected(app.socket.io.socket("/slow"));
    await expect.poll(() => goOn).toBeDefined();
    const loggedIn = app.socket.emitWithAck("login", "ada");
    await login.moved;
    const more = connected(app.socket.io.socket("/more"));
    goOn?.();
    await app.guest.get("/session");
    await nextTurn();
    expect(joined).toEqual([]);
    login.goOn();
    expect(await loggedIn).toBe("ada");
    await Promise.all([slow, more]);
    expect(joined.toSorted()).toEqual([
      ["/more", "ada"],
      ["/slow", "ada"],
    ]);
  });

  it("a namespace is not joined by a client that leaves meanwhile, and nothing is left of it", async () => {
    const joined: unknown[] = [];
    let goOn: (() => void) | undefined;
    const app = await start({
      setup({ io }) {
        io.of("/slow").on("connection", (socket) => joined.push(socket.session.user));
        io.of("/slow").use((_socket, next) => void (goOn = next));
      },
    });
    const login = holdLogin(app);
    app.socket.io.socket("/slow").connect();
    await expect.poll(() => goOn).toBeDefined();
    app.socket.emit("login", "ada");
    await login.moved;
    goOn?.();
    await nextTurn();
    app.socket.io.engine.close();
    await expect.poll(() => app.io.engine.clientsCount).toBe(0);
    login.goOn();
    await expect.poll(() => app.sessions.size).toBe(0);
    expect(joined).toEqual([]);
    expect(app.io.of("/slow").sockets.size).toBe(0);
  });
});

describe("a change that forbids the old session", () => {
  it("closes the socket while the page keeps its ticket", async () => {
    const collect = vi.fn<() => Promise<void>>(() => new Promise(() => undefined));
    const app = await start({ collect });
    app.socket.emit("login", "ada");
    await expect.poll(() => collect.mock.calls.length).toBe(1);
    const end = closed(app.socket);
    await app.guest.post("/set", { user: null });
    app.socket.emit("who");
    expect(await end).toMatchObject({ told: [forbidden] });
    expect(app.seen).not.toContain(null);
    await expect.poll(() => app.sessions.size).toBe(0);
  });

  it("closes the socket although it gets its new session a moment later", async () => {
    const app = await start({
      async collect(guest, ticket) {
        const old = guest.sessionId;
        await guest.post("/my/session/collect", { ticket });
        await app.sessions.update(old, (session) => void delete session.user);
      },
    });
    const end = closed(app.socket);
    app.socket.emit("login", "ada");
    expect(await end).toMatchObject({ told: [forbidden] });
    await expect.poll(() => app.sessions.size).toBe(0);
  });
});
