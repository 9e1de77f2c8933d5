// What the methods of `sessions` and of `socket.session` take and answer, in unusual cases.
import { expect, onTestFinished, test, vi } from "vitest";
import { type SessionError } from "../../src/index.js";
import { Registry } from "../../src/session/registry.js";
import type { NoticeListener } from "../../src/store/drivers/driver.js";
import { backendOf, LiveStore } from "../../src/store/live-store.js";
import { MemoryDriver } from "../../src/store/drivers/memory.js";
import { startApp } from "../support/app.js";
import { closed } from "../support/browser.js";
import { late, LineStore } from "../support/stores.js";

test("an express-session object is a target like its request; nothing at all is TARGET_INVALID", async () => {
  const app = await startApp({
    setup({ app, sessions }) {
      app.get("/rooms", (req, res) => {
        res.json([sessions.room(req.session as never), sessions.room(req)]);
      });
    },
  });
  const ada = await app.login();
  const [ofSession, ofRequest] = await ada.get<string[]>("/rooms");
  expect(ofSession).toBeTypeOf("string");
  expect(ofSession).toBe(ofRequest);
  await expect(app.sessions.destroy(undefined as never)).rejects.toMatchObject({
    code: "TARGET_INVALID",
  } satisfies Partial<SessionError>);
});

test("reload() of a session that is gone rejects with SESSION_DESTROYED", async () => {
  const line = new LineStore();
  const app = await startApp({ sessions: { store: line, lease: 60_000 } });
  await (await app.login()).connect();
  const [server] = [...app.io.of("/").sockets.values()] as any[];
  line.inner.destroy(server.session.id);
  await expect(server.session.reload()).rejects.toMatchObject({ code: "SESSION_DESTROYED" });
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

test("a change that is told while a session is read for its first connection is not left to the lease", async () => {
  const driver = new MemoryDriver();
  let listener: NoticeListener | undefined;
  const reading = vi.spyOn(driver, "read");
  const store = new LiveStore(
    Object.assign(driver, {
      isShared: true,
      notices: {
        listen: (given: NoticeListener) => void (listener = given),
        watch: async () => undefined,
        unwatch: () => undefined,
        close: () => undefined,
      },
    }),
  );
  listener?.hearing(true);
  const counts: unknown[] = [];
  const registry = new Registry(
    backendOf(store),
    { lease: 30_000, maxStale: 300_000, maxUnsaved: 100 },
    {
      change: (live) => counts.push(live.data.count),
      end: () => undefined,
      error: () => undefined,
      lost: () => undefined,
      wantsChanges: () => true,
    },
  );
  onTestFinished(() => registry.close());
  const text = (count: number): string => `{"cookie":{"originalMaxAge":null,"expires":null},"count":${count}}`;
  await driver.create("id", text(1), Number.POSITIVE_INFINITY);
  reading.mockImplementationOnce(async () => {
    // It has been read, and is not answered yet: another node writes and tells.
    await driver.replace("id", text(2), undefined, text(1));
    listener?.heard("id", "changed");
    return text(1);
  });
  await registry.acquire("id", { end: () => undefined });
  await expect.poll(() => counts).toEqual([2]);
});
