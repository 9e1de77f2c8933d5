// The client outside of a browser: how it comes back, and what it then sends.
import type { Socket } from "socket.io-client";
import { expect, it, onTestFinished, vi } from "vitest";
import { type ClientSession, withSession } from "../../src/client/index.js";
import { type App, type AppOptions, startApp } from "../support/app.js";
import { jump } from "../support/clocks.js";
import { type Browser, connected, next } from "../support/browser.js";
import { LineStore } from "../support/stores.js";

const url = "/session";

it("comes back with one socket, where the server takes its time to answer", async () => {
  let judged = 0;
  const app = await startWithRotation({
    setup: ({ io }) =>
      void io.use((_socket, go) => {
        judged++;
        // Longer than the client waits before it tries by itself.
        setTimeout(go, judged === 1 ? 0 : 1000);
      }),
  });
  const { ada, socket } = await start(app, { reconnectionDelay: 20, reconnectionDelayMax: 20 });
  await rotate(ada, socket);
  await next(socket, "connect");
  expect(judged).toBe(2);
  expect(app.io.sockets.sockets.size).toBe(1);
});

it("does not count how long a store is away after a rotation", async () => {
  const store = new LineStore();
  const app = await startWithRotation({ sessions: { store } });
  const { ada, socket, session } = await start(app, { reconnectionDelay: 100, reconnectionDelayMax: 100 });
  socket.once("disconnect", () => (store.state = "fails"));
  const refusals: unknown[] = [];
  socket.on("connect_error", (error: Error & { data?: { code: string } }) => {
    refusals.push(error.data?.code);
    jump(31_000);
  });
  jump(0);
  await rotate(ada, socket);
  await expect.poll(() => refusals.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(2);
  expect([session.ended, new Set(refusals)]).toEqual([undefined, new Set(["STORE_UNAVAILABLE"])]);
  store.state = "up";
  await expect.poll(() => session.view, { timeout: 10_000 }).toEqual({ user: "bob" });
});

it("throws away what waits in Socket.IO's queue of retries when the session is over", async () => {
  const app = await startWithRotation();
  const { ada, socket, session } = await start(app, { reconnection: false, retries: 3, ackTimeout: 10_000 });
  socket.io.engine.close();
  await expect.poll(() => socket.connected).toBe(false);
  socket.emit("note", "ada's secret");
  await ada.post("/logout");
  const ended = new Promise((resolve) => void session.on("end", resolve));
  socket.connect();
  expect(await ended).toEqual({ code: "SESSION_UNKNOWN" });
  await ada.post("/login", { user: "eve" });
  showCookie(ada, socket);
  await connected(socket);
  expect(await socket.emitWithAck("note", "eve's")).toEqual([["eve", "eve's"]]);
});

it.each([
  ["Socket.IO's buffer", {}],
  ["its queue of retries", { retries: 3, ackTimeout: 10_000 }],
])(
  "throws away what the page emits into %s after the end, and sends what it emits after connect()",
  async (_, options) => {
    const app = await startWithRotation();
    const { ada, socket, session } = await start(app, { reconnection: false, ...options });
    await ada.post("/logout");
    await expect.poll(() => [session.ended, socket.active]).toEqual(["SESSION_DESTROYED", false]);
    socket.emit("note", "ada's secret");
    // Nor does a refusal on the way bring it in.
    socket.connect();
    socket.emit("note", "ada's second secret");
    await next(socket, "connect_error");
    await ada.post("/login", { user: "eve" });
    showCookie(ada, socket);
    socket.connect();
    expect(await socket.emitWithAck("note", "eve's")).toEqual([["eve", "eve's"]]);
  },
);

it("throws away what a page emits that was never let in, and close() gives the socket back as it was", async () => {
  const app = await startWithRotation();
  const ada = app.browser();
  const socket = ada.socket("/", { reconnection: false });
  const { connect } = socket;
  const session = withSession(socket, { url });
  expect(socket.connect).not.toBe(connect);
  socket.connect();
  await expect.poll(() => [session.ended, socket.active]).toEqual(["SESSION_MISSING", false]);
  socket.emit("note", "a stranger's");
  await ada.post("/login", { user: "ada" });
  showCookie(ada, socket);
  socket.connect();
  expect(await socket.emitWithAck("note", "ada's")).toEqual([["ada", "ada's"]]);
  session.close();
  expect(socket.connect).toBe(connect);
});

it("sends what the page emitted after its own connect(), though the store first refuses it", async () => {
  const store = new LineStore();
  const app = await startWithRotation({ sessions: { store } });
  const { ada, socket, session } = await start(app, { reconnection: false });
  await ada.post("/logout");
  await expect.poll(() => [session.ended, socket.active]).toEqual(["SESSION_DESTROYED", false]);
  await ada.post("/login", { user: "eve" });
  showCookie(ada, socket);
  store.state = "fails";
  socket.connect();
  const told = socket.emitWithAck("note", "eve's");
  await next(socket, "connect_error");
  store.state = "up";
  expect(await told).toEqual([["eve", "eve's"]]);
});

it("stays away where allow says no, and tells no other tab: these may be where they are allowed", async () => {
  vi.stubGlobal("location", {});
  const channel = new BroadcastChannel(`socket-session ${url}`);
  onTestFinished(() => {
    vi.unstubAllGlobals();
    channel.close();
  });
  const heard: unknown[] = [];
  channel.addEventListener("message", (event) => heard.push((event as MessageEvent).data));
  const app = await startWithRotation({
    setup: ({ io, sessions }) =>
      void sessions.attach(io.of("/admin"), { allow: ({ other }) => other === "admin", missing: "reject" }),
  });
  const { ada, socket, session } = await start(app, {});
  await ada.post("/set", { other: "admin" });
  const admin = ada.socket("/admin", { reconnection: true });
  const adminSession = withSession(admin, { url });
  onTestFinished(() => adminSession.close());
  const ends: unknown[] = [];
  adminSession.on("end", (end) => ends.push(end));
  await connected(admin);
  await ada.post("/set", { other: "nobody" });
  await expect.poll(() => ends).toEqual([{ code: "SESSION_FORBIDDEN" }]);
  expect([adminSession.ended, admin.active, adminSession.view]).toEqual(["SESSION_FORBIDDEN", false, undefined]);
  admin.connect();
  await expect.poll(() => ends).toHaveLength(1);
  await next(admin, "connect_error");
  const marker = new BroadcastChannel(`socket-session ${url}`);
  onTestFinished(() => marker.close());
  const last = { renewed: null };
  marker.postMessage(last);
  await expect.poll(() => heard).toContainEqual(last);
  expect(heard).not.toContainEqual({ end: "SESSION_FORBIDDEN" });
  expect([socket.connected, session.ended]).toEqual([true, undefined]);
  await ada.post("/set", { other: "admin" });
  await connected(admin);
  await expect.poll(() => [adminSession.ended, adminSession.view]).toEqual([undefined, { user: "ada" }]);
});

it("does not believe the answer to a renewal where fetch() sends no cookie, as in Node", async () => {
  const app = await startWithRotation();
  const { socket, session } = await start(app, {}, `${app.url}${url}`);
  expect(await session.renew()).toBe(false);
  expect([session.ended, socket.connected]).toEqual([undefined, true]);
});

/** An app with a login that gives the browser another session, and a socket that notes who wrote what. */
function startWithRotation(options: AppOptions = {}): Promise<App> {
  return startApp({
    ...options,
    sessions: { view: ({ user }) => ({ user }), ...options.sessions },
    setup(parts) {
      const notes: unknown[] = [];
      parts.app.use(url, parts.sessions.routes);
      parts.app.post("/rotate", (req, res, pass) => {
        req.session.regenerate((error) => {
          if (error) return pass(error);
          req.session.user = "bob";
          req.session.save(() => res.json({}));
        });
      });
      parts.io.on("connection", (socket) => {
        socket.on("note", (text: string, done: (notes: unknown[]) => void) => {
          notes.push([socket.session.user, text]);
          done(notes);
        });
      });
      options.setup?.(parts);
    },
  });
}

/** A client that has logged in and sees its session. */
async function start(
  app: App,
  options: object,
  routes = url,
): Promise<{ ada: Browser; socket: Socket; session: ClientSession<unknown> }> {
  const ada = await app.login();
  const socket = ada.socket("/", { reconnection: true, ...options });
  const session = withSession(socket, { url: routes });
  onTestFinished(() => session.close());
  await connected(socket);
  await expect.poll(() => session.view).toEqual({ user: "ada" });
  return { ada, socket, session };
}

/** Logs in as somebody else: all later handshakes have the new cookie. */
async function rotate(browser: Browser, socket: Socket): Promise<void> {
  const away = next(socket, "disconnect");
  await browser.post("/rotate");
  showCookie(browser, socket);
  await away;
}

/** Node's client sends the cookie that it was made with. */
function showCookie(browser: Browser, socket: Socket): void {
  (socket.io.opts as { extraHeaders: object }).extraHeaders = { cookie: browser.cookie };
}
