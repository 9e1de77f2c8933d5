// The view: sockets are told what their page may see at once, and after each change of it, wherever it was made.
import type { Socket } from "socket.io-client";
import { describe, expect, it, test, vi } from "vitest";
import { type App, type AppOptions, startApp } from "../support/app.js";
import { type Browser, connected } from "../support/browser.js";

interface Shown {
  view: unknown;
  expiresIn: number | null;
}

const maxAge = 60_000;

function startWithView(options: AppOptions = {}): Promise<App> {
  return startApp({
    ...options,
    sessions: { cookie: { maxAge }, view: ({ user, nested }) => ({ user, nested }), ...options.sessions },
    setup(parts) {
      parts.io.on("connection", (socket) => {
        socket.emit("hello");
        socket.on("set", (values, done) => done(Object.assign(socket.session, values) && undefined));
      });
      options.setup?.(parts);
    },
  });
}

/** A connected socket, and what it was told since: every event in its order. */
async function watch(browser: Browser, namespace = "/", options = {}): Promise<{ socket: Socket; told: unknown[] }> {
  const told: unknown[] = [];
  const socket = browser.socket(namespace, options);
  socket.onAny((event, value) => told.push(event === "session:view" ? (value as Shown) : event));
  await connected(socket);
  // What the server sends before this answer has arrived by then.
  await settled(socket);
  return { socket, told };
}

async function settled(socket: Socket): Promise<void> {
  await socket.emitWithAck("set", {});
}

describe("a socket", () => {
  it("is told at once, before anything that a handler sends", async () => {
    const { login } = await startWithView();
    const { told } = await watch(await login("ada"));
    expect(told).toEqual([{ view: { user: "ada" }, expiresIn: expect.any(Number) }, "hello"]);
    const { expiresIn } = told[0] as { expiresIn: number };
    expect(expiresIn).toBeGreaterThan(maxAge / 2);
    expect(expiresIn).toBeLessThanOrEqual(maxAge);
  });

  it("is told of each change of the view, by HTTP, by a socket, by update(), and of no other change", async () => {
    const { login, sessions } = await startWithView();
    const ada = await login("ada");
    const { socket, told } = await watch(ada);
    const { told: other } = await watch(ada);
    told.length = other.length = 0;

    await ada.post("/set", { nested: { a: 1 } });
    await ada.post("/set", { count: 1, other: "not for pages" });
    await socket.emitWithAck("set", { nested: { a: 2 } });
    await socket.emitWithAck("set", { count: 2 });
    const live = sessions.get(ada.sessionId);
    await live?.data.save();
    await sessions.update(live?.id as string, (data) => {
      data.user = "grace";
      data.count = 3;
    });
    await sessions.update(live?.id as string, (data) => data.nested);
    await settled(socket);

    const views = [
      { user: "ada", nested: { a: 1 } },
      { user: "ada", nested: { a: 2 } },
      { user: "grace", nested: { a: 2 } },
    ];
    expect(told.map((one) => (one as Shown).view)).toEqual(views);
    await expect.poll(() => other.map((one) => (one as Shown).view)).toEqual(views);
  });

  it("gets JSON, even of what Socket.IO would send as binary data", async () => {
    const { login } = await startWithView({
      sessions: { view: () => ({ bytes: Buffer.from("hi"), none: undefined }) },
    });
    const { told } = await watch(await login());
    expect((told[0] as Shown).view).toEqual({ bytes: { type: "Buffer", data: [104, 105] } });
  });

  it("of each namespace is told once", async () => {
    const { io, login } = await startWithView({
      setup: ({ io }) => {
        io.of("/chat").on("connection", (socket) => socket.on("set", (_, done) => done()));
      },
    });
    const ada = await login("ada");
    const { socket: main, told } = await watch(ada);
    const chat = main.io.socket("/chat");
    const toldThere: unknown[] = [];
    chat.onAny((_, value) => toldThere.push((value as Shown).view));
    await connected(chat);
    await ada.post("/set", { user: "grace" });
    await settled(main);
    await settled(chat);
    expect(io.of("/chat").sockets.size).toBe(1);
    expect(toldThere).toEqual([{ user: "ada" }, { user: "grace" }]);
    expect(told.filter((one) => one !== "hello").map((one) => (one as Shown).view)).toEqual(toldThere);
  });
});

describe("without the view option", () => {
  it("a plain client is told nothing, one with the helper how long its session lasts", async () => {
    const { login } = await startWithView({ sessions: { view: undefined } });
    const ada = await login();
    const { told: plain } = await watch(ada);
    const { told: helped } = await watch(ada, "/", { auth: { session: { v: 1 }, own: "data" } });
    await ada.post("/set", { user: "grace" });
    expect(plain).toEqual(["hello"]);
    expect(helped).toEqual([{ view: null, expiresIn: expect.any(Number), hasView: false }, "hello"]);
  });

  it("and without an end of the session, that there is none", async () => {
    const { login } = await startWithView({ sessions: { view: undefined, cookie: {} } });
    const { told } = await watch(await login(), "/", { auth: { session: { v: 1 } } });
    expect(told[0]).toEqual({ view: null, expiresIn: null, hasView: false });
  });
});

test("an anonymous socket is told that there is nothing to see", async () => {
  const view = vi.fn<() => string>(() => "somebody's");
  const { browser, sessions } = await startWithView({
    sessions: { view },
    attach: { missing: "anonymous" },
    setup: ({ io }) => void io.on("connection", (socket) => socket.on("ask", (done) => done())),
  });
  const told: unknown[] = [];
  const socket = browser().socket();
  socket.on("session:view", (value) => told.push(value));
  await connected(socket);
  await socket.emitWithAck("ask");
  expect(told).toEqual([{ view: null, expiresIn: null }]);
  expect(view).not.toHaveBeenCalled();
  expect(sessions.size).toBe(0);
});

test("the view is made once for all sockets of a session, once for each change, and for no event", async () => {
  const view = vi.fn<(data: { user?: string }) => unknown>(({ user }) => ({ user }));
  const { login } = await startWithView({ sessions: { view } });
  const ada = await login("ada");
  const { socket } = await watch(ada);
  await watch(ada);
  await watch(ada);
  expect(view).toHaveBeenCalledTimes(1);
  for (let count = 0; count < 5; count++) await settled(socket);
  expect(view).toHaveBeenCalledTimes(1);
  await socket.emitWithAck("set", { user: "grace" });
  await expect.poll(() => view.mock.calls.length).toBe(2);
});

test("a view that throws is reported and shows nothing, until it works again", async () => {
  const { login, sessions } = await startWithView({
    sessions: {
      view: ({ user }) => {
        if (user === "broken") throw new Error("no view of this one");
        return { user };
      },
    },
  });
  const failed = vi.fn<(error: unknown) => void>();
  sessions.on("error", failed);
  const ada = await login("broken");
  const { socket, told } = await watch(ada);
  expect(told).toEqual(["hello"]);
  expect(failed).toHaveBeenCalledExactlyOnceWith(new Error("no view of this one"));
  await ada.post("/set", { user: "mended" });
  await settled(socket);
  expect(told.at(-1)).toEqual({ view: { user: "mended" }, expiresIn: expect.any(Number) });
  await ada.post("/set", { user: "broken" });
  // Nor what it was before, to who comes now.
  expect((await watch(ada)).told).toEqual(["hello"]);
  await ada.post("/set", { user: "mended" });
  await settled(socket);
  expect(told).toEqual(["hello", told[1], { view: { user: "mended" }, expiresIn: expect.any(Number) }]);
});

test("the view gets a copy: what it changes changes nothing, and it sees neither id nor what is ours alone", async () => {
  let seen: object | undefined;
  const { login } = await startWithView({
    sessions: {
      absoluteTimeout: maxAge,
      view: (data) => {
        seen = { ...data };
        data.user = "changed by the view";
        return data.user;
      },
    },
  });
  const ada = await login("ada");
  const { socket } = await watch(ada);
  await settled(socket);
  expect(Object.keys(seen ?? {}).toSorted()).toEqual(["cookie", "user"]);
  expect(JSON.stringify(seen)).not.toContain(ada.sessionId);
  expect(await ada.get("/session")).toEqual({ user: "ada" });
});
