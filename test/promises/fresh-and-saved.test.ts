// Promises 1 to 4: one object, fresh, saved, nothing lost. Real clients over real ports.
import { setTimeout as delay } from "node:timers/promises";
import type { Request } from "express";
import session from "express-session";
import type { Socket } from "socket.io";
import { describe, expect, test } from "vitest";
import { liveStore, type Sessions } from "../../src/index.js";
import { MemoryDriver } from "../../src/store/drivers/memory.js";
import { LiveStore } from "../../src/store/live-store.js";
import { startApp } from "../support/app.js";
import { transports } from "../support/browser.js";
import { late, LineStore } from "../support/stores.js";

describe.each(transports)("over %s", (via) => {
  test("an open socket sees what HTTP writes, without a reconnect; HTTP sees what a handler wrote, after an await too", async () => {
    const { login } = await startApp({
      setup({ io }) {
        io.on("connection", (socket) => {
          socket.on("read", (done) => done(socket.session.other, socket.session.nested?.a));
          socket.on("write", async (done) => {
            const { session } = socket;
            session.count = 1;
            await delay(5);
            session.nested ??= {};
            session.nested.b = 2;
            done();
          });
        });
      },
    });
    const ada = await login();
    const socket = await ada.connect("/", { via });
    await ada.post("/set", { other: "from HTTP", nested: { a: 1 } });
    expect(await new Promise((resolve) => socket.emit("read", (...values: unknown[]) => resolve(values)))).toEqual([
      "from HTTP",
      1,
    ]);
    await socket.emitWithAck("write");
    // At once: no wait for a save that may still be under way.
    expect(await ada.get("/session")).toEqual({ user: "ada", count: 1, other: "from HTTP", nested: { a: 1, b: 2 } });
  });

  test("socket.session, request.session and handshake.session are one object, the same for all sockets of a session", async () => {
    const seen: unknown[] = [];
    const { login, io, sessions } = await startApp({
      setup: ({ io }) => {
        io.of("/other").on("connection", (socket) => seen.push(socket.session));
        io.use((socket, next) => {
          seen.push(socket.session);
          next();
        });
      },
    });
    io.on("connection", (socket) => {
      const { request, handshake } = socket as unknown as {
        request: { session: unknown };
        handshake: { session: unknown };
      };
      seen.push(socket.session, request.session, handshake.session, sessions.get(socket)?.data);
    });
    const ada = await login();
    const [one] = await Promise.all([ada.connect("/", { via }), ada.connect("/other", { via })]);
    await ada.connect("/", { via });
    expect(new Set(seen).size).toBe(1);
    expect(seen).toHaveLength(11);
    one.disconnect();
  });
});

test("two tabs, ten increments each from socket handlers, plus HTTP writes to another key, on a store 5 ms late", async () => {
  const { login, sessions } = await startApp({
    sessions: { store: new LiveStore(late(new MemoryDriver(), 5)) },
    setup({ io }) {
      io.on("connection", (socket) => {
        socket.on("increment", (done) => {
          socket.session.count = (socket.session.count ?? 0) + 1;
          done();
        });
      });
    },
  });
  const ada = await login();
  const tabs = await Promise.all([ada.connect(), ada.connect("/", { via: "polling" })]);
  const work: Promise<unknown>[] = [];
  for (let index = 0; index < 10; index++) {
    for (const tab of tabs) work.push(tab.emitWithAck("increment"));
    work.push(ada.post("/set", { other: `${index}` }));
  }
  await Promise.all(work);
  const stored = await ada.get("/session");
  expect(stored["count"]).toBe(20);
  expect(stored["other"]).toMatch(/^\d$/);
  expect(sessions.get(tabs[0]?.id ?? "")).toBeUndefined();
});

test("one read of the store per session and node: not per socket, namespace, polling request or event", async () => {
  const line = new LineStore();
  const { login, io } = await startApp({
    sessions: { store: line },
    setup({ io }) {
      io.of("/other");
      io.on("connection", (socket) => socket.on("read", (done) => done(socket.session.user)));
    },
  });
  const ada = await login();
  const before = line.asked.get;
  const sockets = await Promise.all([
    ada.connect(),
    ada.connect("/other"),
    ada.connect("/", { via: "polling" }),
    ada.connect("/", { via: "upgrade" }),
    ...Array.from({ length: 6 }, () => ada.connect()),
  ]);
  for (let index = 0; index < 5; index++) expect(await sockets[2]?.emitWithAck("read")).toBe("ada");
  expect(line.asked.get - before).toBe(1);
  expect(io.engine.clientsCount).toBe(10);
});

test("a reference held across an await, while HTTP changes the session, is still part of it", async () => {
  let goOn = (): void => {};
  const { login } = await startApp({
    setup({ io }) {
      io.on("connection", (socket) => {
        socket.on("hold", async (done) => {
          const cart = (socket.session.cart ??= []);
          cart.push("apple");
          const nested = (socket.session.nested ??= { list: [1] });
          await socket.session.save();
          await new Promise<void>((resolve) => (goOn = resolve));
          cart.push("cherry");
          nested.list?.push(3);
          done();
        });
      });
    },
  });
  const ada = await login();
  const socket = await ada.connect();
  const held = socket.emitWithAck("hold");
  await expect.poll(() => ada.get("/session")).toMatchObject({ cart: ["apple"] });
  await ada.post("/set", { cart: ["apple", "banana"], nested: { a: 1, list: [1, 2] }, other: "x" });
  goOn();
  await held;
  expect(await ada.get("/session")).toEqual({
    user: "ada",
    other: "x",
    cart: ["apple", "banana", "cherry"],
    nested: { a: 1, list: [1, 2, 3] },
  });
});

test("saves are batched while one is under way, and save() means durable", async () => {
  const line = new LineStore();
  line.latency = 20;
  const { login } = await startApp({
    sessions: { store: line },
    setup({ io }) {
      io.on("connection", (socket) => {
        socket.on("increment", () => void (socket.session.count = (socket.session.count ?? 0) + 1));
        socket.on("save", async (done) => {
          await socket.session.save();
          done((line.inner as unknown as { sessions: Record<string, string> }).sessions[socket.session.id]);
        });
      });
    },
  });
  const ada = await login();
  const socket = await ada.connect();
  const before = line.asked.set;
  for (let index = 0; index < 100; index++) socket.emit("increment");
  const stored = JSON.parse((await socket.emitWithAck("save")) as string) as { count: number };
  expect(stored.count).toBe(100);
  expect(line.asked.set - before).toBeLessThanOrEqual(3);
});

test("update() never loses an increment, from a socket, a request and an id at once; a request sees it in req.session", async () => {
  const { login, sessions } = await startApp({
    sessions: { store: new LiveStore(late(new MemoryDriver(), 2)) },
    setup({ app, io, sessions }) {
      app.post("/increment", async (req, res) => {
        req.session.other = "kept";
        const count = await sessions.update(req, (data) => (data.count = (data.count ?? 0) + 1));
        res.json({ count, seen: req.session.count, other: req.session.other });
      });
      io.on("connection", (socket) => {
        socket.on("increment", async (done) => {
          socket.session.cart = ["unsaved"];
          done(await sessions.update(socket, (data) => (data.count = (data.count ?? 0) + 1)));
        });
        socket.on("id", (done) => done(socket.session.id));
        socket.on("count", (done) => done(socket.session.count));
      });
    },
  });
  const ada = await login();
  const socket = await ada.connect();
  const id = (await socket.emitWithAck("id")) as string;
  const answers = await Promise.all([
    ...Array.from({ length: 20 }, async () => (await ada.post("/increment")).json() as Promise<object>),
    ...Array.from({ length: 20 }, () => socket.emitWithAck("increment")),
    ...Array.from({ length: 20 }, () => sessions.update(id, (data) => (data.count = (data.count ?? 0) + 1))),
  ]);
  for (const answer of answers) {
    if (typeof answer !== "object") continue;
    const { count, seen, other } = answer as { count: number; seen: number; other: string };
    expect(seen).toBeGreaterThanOrEqual(count);
    expect(other).toBe("kept");
  }
  expect(await socket.emitWithAck("count")).toBe(60);
  expect(await ada.get("/session")).toEqual({ user: "ada", count: 60, other: "kept", cart: ["unsaved"] });
});

test("another process's change to a shared store is seen after the lease, before the handler runs, and events keep their order", async () => {
  const shared = new session.MemoryStore();
  const mine = liveStore(shared);
  const order: number[] = [];
  const { login } = await startApp({
    sessions: { store: mine, lease: 1 },
    setup({ io }) {
      io.on("connection", (socket) => {
        socket.on("read", (n: number, done) => {
          order.push(n);
          done(socket.session.other);
        });
      });
    },
  });
  const ada = await login();
  const socket = await ada.connect();
  // What another process writes reaches the storage, not this live store.
  const stored = (shared as unknown as { sessions: Record<string, string> }).sessions;
  const [id] = Object.keys(stored) as [string];
  stored[id] = JSON.stringify({ ...(JSON.parse(stored[id] as string) as object), other: "elsewhere" });
  await delay(5);
  const answers = await Promise.all([1, 2, 3, 4, 5].map((n) => socket.emitWithAck("read", n)));
  expect(answers).toEqual(Array.from({ length: 5 }, () => "elsewhere"));
  expect(order).toEqual([1, 2, 3, 4, 5]);
});

test("fields, methods and callbacks are as in express-session", async () => {
  const { login } = await startApp({
    setup({ io }) {
      io.on("connection", (socket) => {
        socket.on("look", async (done) => {
          const { session } = socket;
          const spread = { ...session };
          session.count = 1;
          const viaCallback = await new Promise((resolve) => session.save((error) => resolve(error)));
          const reloaded = await new Promise((resolve) => session.reload((error) => resolve(error)));
          const regenerated = await session.regenerate().catch((error: { code: string }) => error.code);
          delete session.count;
          done({
            keys: Object.keys(session).toSorted(),
            spread: Object.keys(spread).toSorted(),
            json: JSON.stringify(session).includes(session.id),
            viaCallback,
            reloaded,
            regenerated,
            has: "user" in session,
            maxAge: session.cookie.maxAge,
            path: session.cookie.path,
          });
        });
      });
    },
  });
  const ada = await login();
  const socket = await ada.connect();
  expect(await socket.emitWithAck("look")).toEqual({
    keys: ["cookie", "user"],
    spread: ["cookie", "user"],
    json: false,
    viaCallback: null,
    reloaded: null,
    regenerated: "REGENERATE_NEEDS_HTTP",
    has: true,
    maxAge: null,
    path: "/",
  });
});

test("a cookie change on the socket is kept: maxAge set there is the session's", async () => {
  const { login } = await startApp({
    sessions: { cookie: { maxAge: 60_000 } },
    setup({ app, io }) {
      app.get("/max-age", (req, res) => void res.json({ maxAge: req.session.cookie.originalMaxAge }));
      io.on("connection", (socket) => {
        socket.on("remember", async (done) => {
          socket.session.cookie.maxAge = 1_000_000;
          await socket.session.save();
          done();
        });
      });
    },
  });
  const ada = await login();
  await (await ada.connect()).emitWithAck("remember");
  expect(((await ada.get("/max-age"))["maxAge"] as number) / 1000).toBeCloseTo(1000, -1);
});

test("data that cannot be saved is an error with a code; other changes are saved when it is gone", async () => {
  const errors: unknown[] = [];
  const { login } = await startApp({
    setup({ io, sessions }) {
      sessions.on("error", (error) => errors.push(error));
      io.on("connection", (socket) => {
        socket.on("bad", async (done) => {
          const session = socket.session as unknown as Record<string, unknown> & { save(): Promise<void> };
          session["bad"] = 1n;
          session["count"] = 7;
          done(await session.save().catch((error: { code: string }) => error.code));
        });
        socket.on("mend", async (done) => {
          delete (socket.session as unknown as Record<string, unknown>)["bad"];
          await socket.session.save();
          done();
        });
      });
    },
  });
  const ada = await login();
  const socket = await ada.connect();
  expect(await socket.emitWithAck("bad")).toBe("DATA_INVALID");
  await socket.emitWithAck("mend");
  expect(await ada.get("/session")).toEqual({ user: "ada", count: 7 });
  expect(errors).toContainEqual(expect.objectContaining({ code: "DATA_INVALID" }));
});

test("what update(request) changed is not written again at the end of the request", async () => {
  const app = await startApp({
    setup({ app, sessions }) {
      app.post("/work", async (req, res) => {
        await sessions.update(req, (session) => void (session.count = 1));
        await sessions.update(req.sessionID, (session) => void (session.count = 5));
        req.session.other = "x";
        res.json({});
      });
    },
  });
  const ada = await app.login();
  await ada.post("/work");
  expect(await ada.get("/session")).toMatchObject({ count: 5, other: "x" });
});

test("update() stands on what its caller changed a moment ago, on a socket and in a request", async () => {
  const app = await startApp({
    setup({ app, sessions }) {
      app.post("/count", async (req, res) => {
        req.session.count = 10;
        await sessions.update(req, (session) => void (session.count = (session.count ?? 0) + 1));
        res.json({ count: req.session.count });
      });
    },
  });
  const ada = await app.login();
  await ada.connect();
  const [server] = [...app.io.of("/").sockets.values()] as any[];
  server.session.count = 5;
  expect(await app.sessions.update(server, (session) => (session.count = (session.count ?? 0) + 1))).toBe(6);
  expect(await (await ada.post("/count")).json()).toEqual({ count: 11 });
  expect(server.session.count).toBe(11);
});

describe("update(request) beside other writes of the same request", () => {
  const raise = (data: { count?: number }): number => (data.count = (data.count ?? 0) + 1);
  type Route = (req: Request, sessions: Sessions, socket: Socket) => Promise<unknown>;
  const save = (req: Request): Promise<void> =>
    new Promise((resolve, reject) => req.session.save((error) => (error ? reject(error as Error) : resolve())));
  const routes: readonly { how: string; work: Route; expected: object }[] = [
    {
      how: "another update() at the same time",
      work: (req, sessions) => Promise.all([sessions.update(req, raise), sessions.update(req, raise)]),
      expected: { count: 2 },
    },
    {
      how: "a save() that is asked for before the update is stored",
      work: (req, sessions) => {
        const updating = sessions.update(req, raise);
        req.session.other = "x";
        return Promise.all([updating, save(req)]);
      },
      expected: { count: 1, other: "x" },
    },
    {
      how: "a save() that is asked for before, and under way",
      work: (req, sessions) => {
        req.session.other = "x";
        return Promise.all([save(req), sessions.update(req, raise), sessions.update(req, raise)]);
      },
      expected: { count: 2, other: "x" },
    },
    {
      how: "a change that is made while it is under way",
      work: async (req, sessions) => {
        const updating = sessions.update(req, raise);
        req.session.other = "x";
        await updating;
        expect(req.session).toMatchObject({ count: 1, other: "x" });
      },
      expected: { count: 1, other: "x" },
    },
    {
      how: "a save() while it waits for what a socket has changed",
      work: async (req, sessions, socket) => {
        socket.session.nested = { a: 1 };
        const updating = sessions.update(req, raise);
        req.session.other = "x";
        await Promise.all([updating, save(req)]);
        // The end of the request would mend it.
        expect(await sessions.update(req.sessionID, ({ other }) => other)).toBe("x");
      },
      expected: { count: 1, other: "x", nested: { a: 1 } },
    },
    {
      how: "an end of the request that does not wait for it",
      work: async (req, sessions) => void sessions.update(req, raise),
      expected: { count: 1 },
    },
    {
      how: "what a socket changes between two of them",
      work: async (req, sessions) => {
        const first = sessions.update(req, raise);
        req.session.other = "mine";
        const saving = save(req);
        await first;
        await saving;
        await sessions.update(req.sessionID, (data) => void Object.assign(data, { count: 7, other: "theirs" }));
      },
      expected: { count: 7, other: "theirs" },
    },
  ];
  test.each(routes)("$how: nothing is lost", async ({ work, expected }) => {
    const line = new LineStore();
    line.latency = 5;
    const app = await startApp({
      sessions: { store: line },
      setup({ app: server, io, sessions }) {
        server.post("/work", async (req, res) => {
          await work(req, sessions, [...io.of("/").sockets.values()][0] as Socket);
          res.json({});
        });
      },
    });
    const ada = await app.login();
    await ada.connect();
    expect((await ada.post("/work")).status).toBe(200);
    await expect.poll(() => ada.get("/session")).toMatchObject(expected);
  });
});

test("close() resolves when what was changed before is stored", async () => {
  const line = new LineStore();
  const app = await startApp({ sessions: { store: line } });
  await (await app.login()).connect();
  const [server] = [...app.io.of("/").sockets.values()] as any[];
  const { id } = server.session;
  line.latency = 20;
  server.session.other = "x";
  await app.sessions.close();
  expect((line.inner as any).sessions[id]).toContain('"other":"x"');
});
