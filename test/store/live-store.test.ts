// The live store over storages that answer late, wrongly or not at all, and over those with an expiry of their own.
import { setImmediate } from "node:timers/promises";
import { inspect } from "node:util";
import session, { type SessionData } from "express-session";
import { expect, onTestFinished, test, vi } from "vitest";
import { createSessions, liveStore } from "../../src/index.js";
import { backendOf, LiveStore } from "../../src/store/live-store.js";
import { MemoryDriver } from "../../src/store/drivers/memory.js";
import { startApp } from "../support/app.js";
import { jump } from "../support/clocks.js";
import { LineStore } from "../support/stores.js";
import { subscribe } from "../support/subscriber.js";

type Loose = session.Session & SessionData & Record<string, any>;

/** What a method of a store answers to its callback. */
function answer(ask: (done: any) => void): Promise<any> {
  return new Promise((resolve, reject) =>
    ask((error: Error | null, value: unknown) => (error ? reject(error) : resolve(value))),
  );
}

/** A session as express-session generates it for this store, not stored yet. */
function generate(store: LiveStore): { sessionID: string; session: Loose } {
  if (!(store as any).generate) session({ secret: "s", resave: false, saveUninitialized: false, store });
  const request = { sessionStore: store } as any;
  (store as any).generate(request);
  return request;
}

async function stored(store: LiveStore, fields: object = {}): Promise<{ id: string; data: Loose }> {
  const { sessionID: id, session: data } = generate(store);
  Object.assign(data, fields);
  await answer((done) => store.set(id, data, done));
  return { id, data };
}

/** Promises that reject and have nobody who handles it. */
function unhandledRejections(): unknown[] {
  const seen: unknown[] = [];
  const onRejection = (error: unknown): void => void seen.push(error);
  process.on("unhandledRejection", onRejection);
  onTestFinished(() => void process.off("unhandledRejection", onRejection));
  return seen;
}

/** Holds back a write, which arrives when it is released. */
class HoldingStore extends LineStore {
  holdsNext = false;
  release: () => void = () => {};

  override set(id: string, data: SessionData, done: any = () => {}): void {
    if (!this.holdsNext) return super.set(id, data, done);
    this.holdsNext = false;
    const copy = Object.assign(structuredClone(JSON.parse(JSON.stringify(data))), { cookie: data.cookie });
    this.release = () => super.set(id, copy, done);
  }

  text(id: string): string | undefined {
    return (this.inner as unknown as { sessions: Record<string, string> }).sessions[id];
  }
}

async function withHeldWrite() {
  const line = new HoldingStore();
  const store = liveStore(line, { timeout: 500 });
  const { id, data } = await stored(store, { user: "ada" });
  line.holdsNext = true;
  data.user = "late";
  await expect(answer((done) => store.set(id, data, done))).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  return { line, store, id };
}

test("a write that arrives after the end does not bring the session back", async () => {
  const { line, store, id } = await withHeldWrite();
  await answer((done) => store.destroy(id, done));
  line.release();
  expect(line.text(id)).toContain("late");
  await expect.poll(() => line.text(id)).toBeUndefined();
  expect(await answer((done) => store.get(id, done))).toBeFalsy();
});

test("a write that arrives after a newer one does not undo it", async () => {
  const { line, store, id } = await withHeldWrite();
  await backendOf(store).update(id, (data) => void (data.other = "newer"));
  line.release();
  expect(line.text(id)).not.toContain("newer");
  await expect.poll(() => line.text(id)).toContain("newer");
  expect(await answer((done) => store.get(id, done))).toMatchObject({ other: "newer" });
});

/** As connect-redis and connect-pg-simple: touch moves the expiry only, not the text. */
class TtlStore extends session.Store {
  readonly rows = new Map<string, { text: string; expires: number }>();

  override get(id: string, done: (error: unknown, data?: SessionData | null) => void): void {
    const row = this.#alive(id);
    done(null, row ? (JSON.parse(row.text) as SessionData) : null);
  }

  override set(id: string, data: SessionData, done?: (error?: unknown) => void): void {
    this.rows.set(id, { text: JSON.stringify(data), expires: Date.now() + (data.cookie.originalMaxAge as number) });
    done?.();
  }

  override touch(id: string, data: { cookie: { originalMaxAge: number | null } }, done?: () => void): void {
    const row = this.#alive(id);
    if (row) row.expires = Date.now() + (data.cookie.originalMaxAge as number);
    done?.();
  }

  override destroy(id: string, done?: (error?: unknown) => void): void {
    this.rows.delete(id);
    done?.();
  }

  #alive(id: string): { text: string; expires: number } | undefined {
    const row = this.rows.get(id);
    return row && row.expires > Date.now() ? row : undefined;
  }
}

test("activity of sockets keeps a session alive that another process touched, although its text shows an older expiry", async () => {
  const inner = new TtlStore();
  const cookie = { originalMaxAge: 60_000 };
  const { login } = await startApp({
    sessions: { store: inner, cookie: { maxAge: cookie.originalMaxAge }, lease: 100 },
    // The client is in this process: it would take the jumps for a lost ping.
    io: { pingInterval: 3_600_000 },
    setup({ io }) {
      io.on("connection", (socket) => socket.on("here", (done) => done()));
    },
  });
  const socket = await (await login()).connect();
  const [id] = [...inner.rows.keys()] as [string];
  jump(24_000);
  inner.touch(id, { cookie });
  // The expiry in the text passes, then the one that the touch gave; only the socket is active.
  jump(44_000);
  for (let index = 0; index < 15; index++) {
    await socket.timeout(10_000).emitWithAck("here");
    jump(4000);
  }
});

test("one answer that makes no sense logs nobody out and loses no change", async () => {
  class OddStore extends LineStore {
    isOdd = false;
    override get(id: string, done: (error: unknown, data?: SessionData | null) => void): void {
      if (!this.isOdd) return super.get(id, done);
      this.isOdd = false;
      done(null, [] as never);
    }
  }
  const line = new OddStore();
  const { login, io, sessions } = await startApp({ sessions: { store: line, lease: 60_000 } });
  const socket = await (await login()).connect();
  const [server] = [...io.of("/").sockets.values()] as any[];
  line.isOdd = true;
  server.session.user = "eve";
  const text = async (): Promise<string | undefined> =>
    backendOf(sessions.store).read(server.session.id, (found) => found);
  await expect.poll(() => line.isOdd).toBe(false);
  await expect.poll(text).toContain('"user":"eve"');
  expect(socket.connected).toBe(true);
});

test("an id deep inside an error of the storage is not handed on", async () => {
  class DeepStore extends session.MemoryStore {
    override get = ((id: string, done: (error: Error) => void) =>
      done(Object.assign(new Error("down"), { a: { b: { c: { d: { key: id } } } } }))) as never;
  }
  const error = await answer((done) => liveStore(new DeepStore()).get("the-session-id", done)).catch(
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code: "STORE_UNAVAILABLE" });
  expect(inspect(error, { depth: 20 })).not.toContain("the-session-id");
});

test("a service without absoluteTimeout does not forget when a session was created", async () => {
  const driver = new MemoryDriver();
  const withLimit = new LiveStore(driver);
  backendOf(withLimit).claim({ absoluteTimeout: 60_000 });
  const without = new LiveStore(driver);
  const { id } = await stored(withLimit);
  expect(await driver.read(id)).toContain("__created");
  const data = await answer((done) => without.get(id, done));
  const made = without.createSession({ sessionID: id, sessionStore: without } as never, data) as Loose;
  made.other = "x";
  await answer((done) => without.set(id, made, done));
  expect(await driver.read(id)).toContain('"other":"x"');
  expect(await driver.read(id)).toContain("__created");
});

test("nobody chooses when their session was created", async () => {
  const driver = new MemoryDriver();
  const store = new LiveStore(driver);
  backendOf(store).claim({ absoluteTimeout: 60_000 });
  const { id } = await stored(store, { __created: 9e15 });
  expect(JSON.parse((await driver.read(id)) as string).__created).toBeLessThanOrEqual(Date.now());
});

test("a store whose method returns a promise that rejects is STORE_UNAVAILABLE, and no unhandled rejection", async () => {
  class PromiseStore extends session.MemoryStore {
    override get = (() => Promise.reject(new Error("down"))) as never;
  }
  const unhandled = unhandledRejections();
  const store = liveStore(new PromiseStore(), { timeout: 100 });
  await expect(answer((done) => store.get("x", done))).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  await setImmediate();
  expect(unhandled).toEqual([]);
});

test("update() with an async function that rejects is UPDATE_ASYNC, and no unhandled rejection", async () => {
  const { store } = createSessions({ secret: "s" });
  const { id } = await stored(store);
  const unhandled = unhandledRejections();
  const updating = backendOf(store).update(id, () => Promise.reject(new Error("of the application")));
  await expect(updating).rejects.toMatchObject({ code: "UPDATE_ASYNC" });
  await setImmediate();
  expect(unhandled).toEqual([]);
});

test("an id that was rotated and is destroyed again was rotated", async () => {
  const store = new LiveStore(new MemoryDriver());
  const { id } = await stored(store);
  await backendOf(store).end(id, "SESSION_ROTATED");
  await backendOf(store).end(id, "SESSION_DESTROYED");
  expect(backendOf(store).endOf(id)).toMatchObject({ code: "SESSION_ROTATED" });
});

test("an id that ended more than a minute ago may be used again, however quiet the server is", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const store = new LiveStore(new MemoryDriver());
  const put = (): void => void store.set("id", { cookie: { originalMaxAge: null }, user: "ada" } as never);
  put();
  await vi.advanceTimersByTimeAsync(0);
  await backendOf(store).end("id", "SESSION_DESTROYED");
  await vi.advanceTimersByTimeAsync(59_000);
  put();
  await vi.advanceTimersByTimeAsync(0);
  expect(await backendOf(store).read("id", (text) => text)).toBeUndefined();
  await vi.advanceTimersByTimeAsync(2000);
  put();
  await vi.advanceTimersByTimeAsync(0);
  expect(await backendOf(store).read("id", (text) => text)).toContain("ada");
});

test("a save under way takes in what others write before its turn, here and in another process", async () => {
  const line = new LineStore();
  const { login, io, sessions } = await startApp({ sessions: { store: line, lease: 60_000 } });
  await (await login()).connect();
  const [server] = [...io.of("/").sockets.values()] as any[];
  const live = server.session;
  expect(live.user).toBe("ada");
  const { store } = sessions;
  const texts = (line.inner as any).sessions as Record<string, string>;
  const data = await answer((done) => store.get(live.id, done));
  const request = store.createSession({ sessionID: live.id, sessionStore: store } as never, data) as Loose;
  Object.assign(request, { k1: 2 });
  const unsubscribe = subscribe(store, () => {
    // Right after the request's write, before the socket's.
    unsubscribe();
    texts[live.id] = JSON.stringify({ ...JSON.parse(texts[live.id] as string), k1: 9 });
  });
  live.other = "socket";
  const written = answer((done) => store.set(live.id, request, done));
  await Promise.all([written, live.save()]);
  expect(live).toMatchObject({ k1: 9, other: "socket" });
  await live.save();
  expect(JSON.parse(texts[live.id] as string)).toMatchObject({ k1: 9, other: "socket" });
});

test("an absolute lifetime that is over is over for whoever reads, and for a writer who does not read first", async () => {
  const store = new LiveStore(new MemoryDriver());
  backendOf(store).claim({ absoluteTimeout: 60_000 });
  const [read, written] = [await stored(store), await stored(store)];
  jump(61_000);
  expect(await answer((done) => store.get(read.id, done))).toBeFalsy();
  expect(backendOf(store).endOf(read.id)).toMatchObject({ code: "SESSION_EXPIRED" });
  const writing = backendOf(store).update(written.id, (data) => void (data.other = "x"));
  await expect(writing).rejects.toMatchObject({ code: "SESSION_EXPIRED" });
});
