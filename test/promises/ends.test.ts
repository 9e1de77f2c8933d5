// Promises 5 and 6: never resurrected; ended means ended. Real clients over real ports.
import { setTimeout as delay } from "node:timers/promises";
import type { Socket } from "socket.io";
import { describe, expect, test, vi } from "vitest";
import type { EndCode, Sessions } from "../../src/index.js";
import { backendOf, LiveStore } from "../../src/store/live-store.js";
import { MemoryDriver } from "../../src/store/drivers/memory.js";
import { type App, startApp } from "../support/app.js";
import { type Browser, closed, transports } from "../support/browser.js";
import { late, LineStore } from "../support/stores.js";

interface Ending {
  readonly code: EndCode;
  run(app: App, ada: Browser, id: string): Promise<unknown>;
}

const endings: Record<string, Ending> = {
  "req.session.destroy()": { code: "SESSION_DESTROYED", run: (_, ada) => ada.post("/logout") },
  "sessions.destroy(id)": { code: "SESSION_DESTROYED", run: ({ sessions }, _, id) => sessions.destroy(id) },
  "sessions.destroy(req)": { code: "SESSION_DESTROYED", run: (_, ada) => ada.post("/destroy") },
  "store.destroy()": {
    code: "SESSION_DESTROYED",
    run: ({ sessions }, _, id) => new Promise((resolve) => sessions.store.destroy(id, resolve)),
  },
  "store.clear()": {
    code: "SESSION_DESTROYED",
    run: ({ sessions }) => new Promise((resolve) => sessions.store.clear(resolve)),
  },
  "socket.session.destroy()": {
    code: "SESSION_DESTROYED",
    run: ({ sessions }, _, id) => sessions.get(id)?.data.destroy() as Promise<void>,
  },
  // From now on: what comes before takes its time.
  expiry: {
    code: "SESSION_EXPIRED",
    run: ({ sessions }, _, id) => sessions.update(id, ({ cookie }) => void (cookie.maxAge = 400)),
  },
};

describe.each(Object.entries(endings))("%s", (name, { code, run }) => {
  test.each(transports)("closes every socket of the session in all namespaces, with its code, over %s", async (via) => {
    const after: Record<string, unknown> = {};
    let running: Promise<unknown> | undefined;
    const app = await startApp({
      sessions: name === "expiry" ? { cookie: { maxAge: 60_000 } } : {},
      setup({ app, io, sessions }) {
        app.post("/destroy", async (req, res) => {
          await sessions.destroy(req);
          res.end();
        });
        io.of("/other").on("connection", (socket) => {
          socket.on("disconnect", () => (after["otherUser"] = socket.session.user));
        });
        io.on("connection", (socket) => {
          socket.on("disconnect", () => (after["user"] = socket.session.user));
          socket.on("id", (done) => done(socket.session.id));
          socket.on("work", () => {
            running = work(sessions, socket, after);
          });
        });
      },
    });
    const ada = await app.login();
    const socket = await ada.connect("/", { via });
    const other = await ada.connect("/other", { via });
    const tab = await ada.connect("/", { via: "websocket" });
    const id = (await socket.emitWithAck("id")) as string;
    socket.emit("work");
    await socket.emitWithAck("id");
    const closings = Promise.all([closed(socket), closed(other), closed(tab)]);
    await run(app, ada, id);
    const moment = Date.now();
    for (const { told, reason } of await closings) {
      expect(told).toEqual([{ code, retry: false }]);
      expect(reason).toBe("io server disconnect");
    }
    expect(Date.now() - moment).toBeLessThan(5000);
    await running;
    expect(after).toEqual({
      user: "ada",
      otherUser: "ada",
      aborted: true,
      reason: code,
      ended: code,
      kept: "ada",
      save: code,
      update: code,
      destroy: code,
    });
    // The client stays away by itself.
    expect(socket.active).toBe(false);
    expect(await ada.refused("/", { via })).toEqual({ code: "SESSION_UNKNOWN", retry: false });
    expect(await ada.get("/session")).toEqual({});
  });
});

test("destroy closes the sockets before it resolves, and clients know within 50 ms", async () => {
  const { login, io, sessions } = await startApp({
    setup: ({ io }) => void io.on("connection", (socket) => socket.on("id", (done) => done(socket.session.id))),
  });
  const took: number[] = [];
  // The best of a few: the machine may be busy with something else.
  for (let round = 0; round < 10 && !took.some((ms) => ms < 50); round++) {
    const ada = await login();
    const sockets = await Promise.all(transports.map((via) => ada.connect("/", { via })));
    const id = (await sockets[0]?.emitWithAck("id")) as string;
    const known = Promise.all(sockets.map((socket) => closed(socket)));
    const moment = performance.now();
    await sessions.destroy(id);
    expect(io.of("/").sockets.size).toBe(0);
    await known;
    took.push(performance.now() - moment);
  }
  expect(Math.min(...took)).toBeLessThan(50);
});

/** A handler that is under way when the session ends. */
async function work(sessions: Sessions, socket: Socket, after: Record<string, unknown>): Promise<void> {
  const live = sessions.get(socket);
  if (!live) throw new Error("no live session");
  await new Promise((resolve) => live.signal.addEventListener("abort", resolve, { once: true }));
  const codeOf = (operation: Promise<unknown>): Promise<unknown> =>
    operation.catch((error: { code: string }) => error.code);
  after["aborted"] = live.signal.aborted;
  after["reason"] = (live.signal.reason as { code: string }).code;
  after["ended"] = sessions.get(socket)?.ended;
  socket.session.user = "written too late";
  after["save"] = await codeOf(socket.session.save());
  after["update"] = await codeOf(sessions.update(socket, (data) => void (data.user = "late")));
  after["destroy"] = await codeOf(socket.session.destroy());
  after["kept"] = socket.session.user;
}

test.each([false, true])(
  "a logout while a slow request, a long poll and a socket handler are under way (resave: %s): gone for good, the old cookie is anonymous",
  async (resave) => {
    const gates: (() => void)[] = [];
    const gate = (): Promise<void> => new Promise((resolve) => gates.push(resolve));
    const { login, sessions } = await startApp({
      sessions: {
        resave,
        rolling: true,
        cookie: { maxAge: 60_000 },
        store: new LiveStore(late(new MemoryDriver(), 5)),
      },
      setup({ app, io }) {
        app.get("/slow", async (req, res) => {
          req.session.count = 1;
          await gate();
          req.session.other = "late";
          res.json({});
        });
        app.get("/poll", async (_req, res) => {
          await gate();
          res.json({});
        });
        io.on("connection", (socket) => {
          socket.on("work", async () => {
            socket.session.cart = ["early"];
            await gate();
            socket.session.cart.push("late");
            await socket.session.save().catch(() => undefined);
          });
          socket.on("id", (done) => done(socket.session.id));
        });
      },
    });
    const ada = await login();
    const cookie = ada.cookie;
    const socket = await ada.connect();
    const id = (await socket.emitWithAck("id")) as string;
    const requests = [ada.fetch("/slow"), ada.fetch("/poll")];
    socket.emit("work");
    await expect.poll(() => gates.length).toBe(3);
    const end = closed(socket);
    await ada.post("/logout");
    for (const open of gates) open();
    for (const response of await Promise.all(requests)) expect(response.status).toBe(200);
    expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
    expect(await (await fetch(`${ada.url}/session`, { headers: { cookie } })).json()).toEqual({});
    expect(await backendOf(sessions.store).read(id, (text) => text)).toBeUndefined();
    expect(await new Promise((resolve) => sessions.store.length((_, count) => resolve(count)))).toBe(0);
  },
);

test("a handshake that races the end is refused: while middlewares run, and while the store is read", async () => {
  let inMiddleware: (() => void) | undefined;
  const { login, sessions, io } = await startApp({
    sessions: { store: new LiveStore(late(new MemoryDriver(), 20)) },
    setup({ io }) {
      io.use((_socket, next) => {
        if (inMiddleware) next();
        else inMiddleware = next;
      });
    },
  });
  let connections = 0;
  io.on("connection", () => connections++);
  const ada = await login();
  const refused = ada.refused();
  await expect.poll(() => inMiddleware).toBeDefined();
  await ada.post("/logout");
  inMiddleware?.();
  expect(await refused).toEqual({ code: "SESSION_DESTROYED", retry: false });

  expect(connections).toBe(0);

  // At whatever moment of the handshake the session ends: the socket is refused, or told and closed.
  for (let wait = 0; wait <= 80; wait += 10) {
    const bob = await login("bob");
    const socket = bob.socket();
    const over = new Promise<string>((resolve) => {
      socket.once("connect_error", (error: Error & { data?: { code: string } }) => resolve(error.data?.code ?? ""));
      socket.once("session:end", ({ code }: { code: string }) => resolve(code));
    });
    socket.connect();
    await delay(wait);
    await bob.post("/logout");
    expect(["SESSION_UNKNOWN", "SESSION_DESTROYED"]).toContain(await over);
  }
  await expect.poll(() => io.of("/").sockets.size).toBe(0);
  expect(sessions.get("anything")).toBeUndefined();
});

test("a late plain assignment ends no process: it is reported and dropped", async () => {
  const errors: unknown[] = [];
  let goOn = (): void => {};
  let finished: (value: unknown) => void;
  const done = new Promise((resolve) => (finished = resolve));
  const { login, sessions } = await startApp({
    setup({ io }) {
      io.on("connection", (socket) => {
        socket.on("work", async () => {
          await new Promise<void>((resolve) => (goOn = resolve));
          socket.session.count = 99;
          delete socket.session.user;
          finished({ ...socket.session, cookie: undefined });
        });
        socket.on("ready", (reply) => reply());
      });
    },
  });
  sessions.on("error", (error) => errors.push(error));
  const ada = await login();
  const socket = await ada.connect();
  socket.emit("work");
  await socket.emitWithAck("ready");
  await ada.post("/logout");
  goOn();
  expect(await done).toEqual({ user: "ada" });
  expect(errors).toContainEqual(expect.objectContaining({ code: "SESSION_DESTROYED" }));
});

test("reload() of a session that is gone rejects with SESSION_DESTROYED", async () => {
  const line = new LineStore();
  const app = await startApp({ sessions: { store: line, lease: 60_000 } });
  await (await app.login()).connect();
  const [server] = [...app.io.of("/").sockets.values()] as any[];
  line.inner.destroy(server.session.id);
  await expect(server.session.reload()).rejects.toMatchObject({ code: "SESSION_DESTROYED" });
});

test("a signal that is asked for after the end is aborted, with the end's code as reason", async () => {
  const app = await startApp();
  const ada = await app.login();
  await ada.connect();
  const [server] = app.io.of("/").sockets.values();
  await ada.post("/logout");
  const signal = app.sessions.get(server as never)?.signal;
  expect(signal?.aborted).toBe(true);
  expect(signal?.reason).toMatchObject({ code: "SESSION_DESTROYED" });
});

test("a session that ends while it is being saved is not kept to be saved", async () => {
  const { login, sessions } = await startApp({
    sessions: { store: new LiveStore(late(new MemoryDriver(), 20)), maxUnsaved: 2 },
    setup({ io }) {
      io.on("connection", (socket) => {
        socket.on("logout", async () => {
          socket.session.other = "bye";
          await socket.session.destroy();
        });
      });
    },
  });
  const failed = vi.fn<(error: unknown) => void>();
  sessions.on("error", failed);
  for (let index = 0; index < 5; index++) {
    const socket = await (await login()).connect();
    const gone = closed(socket);
    socket.emit("logout");
    await gone;
  }
  await expect.poll(() => [sessions.pending, sessions.size]).toEqual([0, 0]);
  expect(failed).not.toHaveBeenCalled();
});
