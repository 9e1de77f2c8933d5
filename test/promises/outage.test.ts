// Promise 9: unknown is not gone.
import { setTimeout as delay } from "node:timers/promises";
import type { ErrorRequestHandler, Response } from "express";
import session from "express-session";
import type { Socket } from "socket.io";
import { describe, expect, test } from "vitest";
import { createSessions, liveStore } from "../../src/index.js";
import { backendOf } from "../../src/store/live-store.js";
import { startApp } from "../support/app.js";
import { closed } from "../support/browser.js";
import { jump } from "../support/clocks.js";
import { LineStore } from "../support/stores.js";

const outage = 10_000;

describe.each(["fails", "hangs"] as const)("a store that %s for 10 s", (state) => {
  test(
    "logs nobody out, crashes nothing, refuses new handshakes with its code, and loses no change",
    { timeout: 40_000 },
    async () => {
      const line = new LineStore();
      const errors: unknown[] = [];
      const unhandled: unknown[] = [];
      const onUnhandled = (error: unknown): void => void unhandled.push(error);
      process.on("unhandledRejection", onUnhandled);
      const { login, browser } = await startApp({
        sessions: { store: liveStore(line, { timeout: 300 }), lease: 200 },
        setup({ app, io, sessions }) {
          app.use(((
            _error: unknown,
            _req: unknown,
            res: { status(code: number): { json(body: object): void } },
            _next: unknown,
          ) => {
            res.status(503).json({});
          }) as never);
          sessions.on("error", (error) => errors.push(error));
          io.on("connection", (socket) => {
            socket.on("add", (item: string, done) => {
              (socket.session.cart ??= []).push(item);
              done(socket.session.user);
            });
            socket.on("save", async (done) => done(await socket.session.save().then(() => "saved", codeOf)));
            socket.on("reload", async (done) => done(await socket.session.reload().then(() => "reloaded", codeOf)));
            socket.on("update", async (done) => done(await sessions.update(socket, () => "updated").catch(codeOf)));
            socket.on("careless", (done) => {
              void socket.session.save();
              done();
            });
          });
        },
      });
      const ada = await login();
      const bob = await login("bob");
      const socket = await ada.connect();
      let isClosed = false;
      void closed(socket).then(() => (isClosed = true));

      line.state = state;
      const since = Date.now();
      expect(await socket.emitWithAck("add", "first")).toBe("ada");
      expect(await socket.emitWithAck("save")).toBe("STORE_UNAVAILABLE");
      expect(await socket.emitWithAck("reload")).toBe("STORE_UNAVAILABLE");
      expect(await socket.emitWithAck("update")).toBe("STORE_UNAVAILABLE");
      await socket.emitWithAck("careless");
      expect(await bob.refused()).toEqual({ code: "STORE_UNAVAILABLE", retry: true });
      expect(await ada.refused("/", { via: "polling" })).toEqual({ code: "STORE_UNAVAILABLE", retry: true });
      expect((await bob.fetch("/session")).status).toBe(503);
      let added = 1;
      while (Date.now() - since < outage) {
        expect(await socket.emitWithAck("add", "more")).toBe("ada");
        added++;
        await delay(500);
      }
      expect(isClosed).toBe(false);

      line.state = "up";
      await expect
        .poll(async () => ((await ada.get("/session"))["cart"] as string[] | undefined)?.[0], { timeout: 15_000 })
        .toBe("first");
      expect(await socket.emitWithAck("save")).toBe("saved");
      expect((await ada.get("/session"))["cart"]).toHaveLength(added);
      await bob.connect();
      expect(errors).toContainEqual(expect.objectContaining({ code: "STORE_UNAVAILABLE" }));
      expect(unhandled).toEqual([]);
      expect(browser().cookies.size).toBe(0);
      process.off("unhandledRejection", onUnhandled);
    },
  );
});

test("HTTP in an outage: who has no session goes on, and what fails has changed nothing", async () => {
  const line = new LineStore();
  const told: unknown[] = [];
  const { app, io, login, browser, sessions } = await startApp({
    sessions: { store: liveStore(line, { timeout: 300 }), lease: 50 },
    setup({ app }) {
      app.get("/open", (_req, res) => res.json({}));
      // The store goes away while this request is under way.
      app.post("/late", (req, res) => {
        req.session.other = "late";
        line.state = "fails";
        res.json({});
      });
    },
  });
  app.use(((error: unknown, _req: unknown, res: Response, _next: unknown) => {
    told.push(error);
    if (!res.headersSent) res.sendStatus(503);
  }) as ErrorRequestHandler);
  const ada = await login();
  const socket = await ada.connect();
  expect(sessions.store.isDown).toBe(false);
  expect((await ada.fetch("/late", { method: "POST" })).status).toBe(200);
  expect((await browser().fetch("/open")).status).toBe(200);
  expect((await ada.fetch("/open")).status).toBe(503);
  expect((await ada.fetch("/logout", { method: "POST" })).status).toBe(503);
  const [server] = [...io.of("/").sockets.values()] as [Socket];
  await expect(sessions.destroy(server)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  expect(told.length).toBeGreaterThan(2);
  for (const error of told) expect(error).toMatchObject({ code: "STORE_UNAVAILABLE" });
  expect(sessions.store.isDown).toBe(true);
  line.state = "up";
  await expect.poll(() => ada.fetch("/session").then(({ status }) => status)).toBe(200);
  expect(await ada.get("/session")).toEqual({ user: "ada" });
  expect(sessions.store.isDown).toBe(false);
  expect(socket.connected).toBe(true);
});

test("after maxStale without an answer connections are closed with STORE_UNAVAILABLE, and the client may come back", async () => {
  const line = new LineStore();
  const { login } = await startApp({
    sessions: { store: line, lease: 50, maxStale: 2500 },
    setup({ io }) {
      io.on("connection", (socket) => {
        socket.on("add", (item: string) => void (socket.session.cart = [...(socket.session.cart ?? []), item]));
      });
    },
  });
  const ada = await login();
  const socket = await ada.connect();
  line.state = "fails";
  const end = closed(socket);
  const adding = setInterval(() => socket.emit("add", "kept"), 20);
  const { told, reason } = await end.finally(() => clearInterval(adding));
  expect(told).toEqual([{ code: "STORE_UNAVAILABLE", retry: true }]);
  expect(reason).toMatch(/^transport/);
  line.state = "up";
  // What handlers changed before is saved although nobody is connected.
  await expect.poll(async () => (await ada.get("/session"))["cart"]).toContain("kept");
  await ada.connect();
});

function codeOf(error: { code: string }): string {
  return error.code;
}

test("an outage is told once, what waits is counted, and sessions that nobody is connected to wait up to a limit", async () => {
  const line = new LineStore();
  const errors: { code: string; message: string }[] = [];
  const maxUnsaved = 2;
  const { login, sessions, io } = await startApp({
    sessions: { store: liveStore(line), maxUnsaved },
    setup({ io, sessions }) {
      sessions.on("error", (error) => errors.push(error as never));
      io.on("connection", (socket) => {
        socket.on("set", (done) => done(void (socket.session.other = "changed")));
      });
    },
  });
  const all = await Promise.all([1, 2, 3, 4].map((index) => login(`user ${index}`)));
  const sockets = [];
  for (const browser of all) sockets.push(await browser.connect());
  line.state = "fails";
  for (const socket of sockets) await socket.emitWithAck("set");
  await expect.poll(() => sessions.pending).toBe(4);
  // Each was tried several times.
  await expect.poll(() => line.asked.get).toBeGreaterThan(8);
  expect(errors.map(({ code }) => code)).toEqual(["STORE_UNAVAILABLE"]);
  for (const [index, socket] of sockets.entries()) {
    socket.disconnect();
    await expect.poll(() => io.engine.clientsCount).toBe(3 - index);
  }
  expect(sessions.size).toBe(maxUnsaved);
  expect(errors.slice(1).map(({ message }) => message)).toEqual([
    expect.stringContaining("given up"),
    expect.stringContaining("given up"),
  ]);
  line.state = "up";
  await expect.poll(() => sessions.pending).toBe(0);
  // The oldest were given up.
  const kept = await Promise.all(all.map(async (browser) => (await browser.get("/session"))["other"]));
  expect(kept).toEqual([undefined, undefined, "changed", "changed"]);
  expect(sessions.size).toBe(0);
  // The next outage is told again.
  const socket = await all[0]?.connect();
  line.state = "fails";
  await socket?.emitWithAck("set");
  await expect.poll(() => errors.length).toBe(4);
  line.state = "up";
  await expect.poll(() => sessions.pending).toBe(0);
});

test("a change by a handler that outlived its connection is saved after an outage, also if the client is back", async () => {
  const line = new LineStore();
  const app = await startApp({ sessions: { store: liveStore(line), lease: 60_000 } });
  const errors: unknown[] = [];
  app.sessions.on("error", (error) => errors.push(error));
  const ada = await app.login();
  const socket = await ada.connect();
  const [server] = [...app.io.of("/").sockets.values()] as any[];
  const { session } = server;
  expect(session.user).toBe("ada");
  socket.disconnect();
  await expect.poll(() => app.sessions.size).toBe(0);
  await ada.connect();
  line.state = "fails";
  session.other = "kept";
  await expect.poll(() => errors).toContainEqual(expect.objectContaining({ code: "STORE_UNAVAILABLE" }));
  line.state = "up";
  const stored = async (): Promise<string | undefined> =>
    backendOf(app.sessions.store).read(session.id, (text) => text);
  await expect.poll(stored).toContain('"other":"kept"');
});

test("a store that says that it is disconnected is STORE_UNAVAILABLE through an existing middleware, too", async () => {
  const inner = new LineStore();
  const middleware = session({ secret: "s", resave: false, saveUninitialized: false, store: liveStore(inner) });
  const app = await startApp({ existing: createSessions({ middleware }) });
  const ada = await app.login();
  inner.emit("disconnect");
  inner.state = "fails";
  expect(await ada.refused()).toEqual({ code: "STORE_UNAVAILABLE", retry: true });
});

test("maxStale counts from the outage: who was idle for longer before it goes on", async () => {
  const line = new LineStore();
  const { login } = await startApp({
    sessions: { store: line, lease: 50, maxStale: 500 },
    setup({ io }) {
      io.on("connection", (socket) => socket.on("here", (done) => done("ok")));
    },
  });
  const socket = await (await login()).connect();
  jump(700);
  line.state = "fails";
  expect(await socket.timeout(10_000).emitWithAck("here")).toBe("ok");
});
