import session from "express-session";
import { expect, test } from "vitest";
import { liveStore, createSessions, type SessionError } from "../../src/index.js";
import { LiveStore } from "../../src/store/live-store.js";
import { MemoryDriver } from "../../src/store/memory.js";
import { startApp } from "../support/app.js";
import { closed } from "../support/browser.js";
import { LineStore } from "../support/stores.js";
import { setTimeout as delay } from "node:timers/promises";

const p = (run: (done: (e?: unknown, v?: any) => void) => void): Promise<any> =>
  new Promise((resolve, reject) => run((e, v) => (e ? reject(e as Error) : resolve(v))));

function generate(store: LiveStore, genid?: string): any {
  const request = { sessionStore: store } as any;
  (store as any).generate(request);
  return request;
}

/** The next `set` is held back and arrives when released. */
class Held extends LineStore {
  hold = false;
  release: (() => void) | undefined;
  override set(id: string, data: any, done: any = () => {}): void {
    if (!this.hold) return super.set(id, data, done);
    this.hold = false;
    const copy = JSON.parse(JSON.stringify(data));
    copy.cookie = data.cookie;
    this.release = () => super.set(id, copy, done);
  }
}

async function setup() {
  const line = new Held();
  const store = liveStore(line, { timeout: 60 });
  session({ secret: "s", resave: false, saveUninitialized: false, store });
  const request = generate(store);
  request.session.user = "ada";
  await p((done) => store.set(request.sessionID, request.session, done));
  return { line, store, id: request.sessionID as string, request };
}

test("a set that arrives late does not bring a destroyed session back", async () => {
  const { line, store, id, request } = await setup();
  line.hold = true;
  request.session.user = "late";
  await expect(p((done) => store.set(id, request.session, done))).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  await p((done) => store.destroy(id, done));
  line.release?.();
  await delay(100);
  expect(await p((done) => store.get(id, done as never))).toBeFalsy();
});

test("a set that arrives late does not undo a newer one", async () => {
  const { line, store, id, request } = await setup();
  line.hold = true;
  request.session.a = 1;
  await expect(p((done) => store.set(id, request.session, done))).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  await store.update(id, (data: any) => void (data.b = 2));
  line.release?.();
  await delay(100);
  expect((await p((done) => store.get(id, done as never))).b).toBe(2);
});


test("HTTP activity reaches the store's touch for a session cookie without maxAge (connect-redis: ttl of a day, renewed by touch)", async () => {
  const line = new LineStore();
  const { login } = await startApp({ sessions: { store: line } });
  const ada = await login();
  line.asked.touch = 0;
  for (let i = 0; i < 3; i++) await ada.get("/session");
  expect(line.asked.touch + 0).toBeGreaterThan(0);
});

/** As connect-redis and connect-pg-simple: touch moves the TTL only, not the JSON. */
class TtlStore extends session.Store {
  readonly rows = new Map<string, { text: string; at: number }>();
  #alive(id: string) {
    const row = this.rows.get(id);
    return row && row.at > Date.now() ? row : undefined;
  }
  override get(id: string, done: any): void {
    const row = this.#alive(id);
    setImmediate(done, null, row ? JSON.parse(row.text) : null);
  }
  override set(id: string, data: any, done: any = () => {}): void {
    this.rows.set(id, { text: JSON.stringify(data), at: Date.now() + (data.cookie.originalMaxAge ?? 86_400_000) });
    setImmediate(done, null);
  }
  override touch(id: string, data: any, done: any = () => {}): void {
    const row = this.#alive(id);
    if (row) row.at = Date.now() + (data.cookie.originalMaxAge ?? 86_400_000);
    setImmediate(done, null);
  }
  override destroy(id: string, done: any = () => {}): void {
    this.rows.delete(id);
    setImmediate(done, null);
  }
}

test("socket activity keeps a session alive whose stored text is older than its TTL (another process touched it)", async () => {
  const inner = new TtlStore();
  const { login } = await startApp({
    sessions: { store: inner, cookie: { maxAge: 1200 }, lease: 100 },
    setup({ io }) { io.on("connection", (s) => s.on("here", (done) => done())); },
  });
  const ada = await login();
  const socket = await ada.connect();
  const end = closed(socket);
  let told: unknown;
  void end.then((e) => (told = e.told));
  const [id] = [...inner.rows.keys()] as [string];
  // Another process: an HTTP request touches, 1 s after login.
  await delay(900);
  inner.touch(id, { cookie: { originalMaxAge: 1200 } });
  await delay(500);
  // Now only the socket is active.
  const since = Date.now();
  while (Date.now() - since < 2500 && told === undefined) {
    await socket.timeout(200).emitWithAck("here").catch(() => undefined);
    await delay(100);
  }
  expect(told).toBeUndefined();
});

test("createSessions({ middleware }): a store that says it is disconnected is STORE_UNAVAILABLE, not a bad cookie", async () => {
  const inner = new LineStore();
  const middleware = session({ secret: "s", resave: false, saveUninitialized: false, store: liveStore(inner) });
  const app = await startApp({ existing: createSessions({ middleware }) });
  const ada = await app.login();
  inner.emit("disconnect");
  inner.state = "fails";
  expect(await ada.refused()).toEqual({ code: "STORE_UNAVAILABLE", retry: true });
});

test("an idle user who acts in a short outage is not closed (maxStale counts from the outage)", async () => {
  const line = new LineStore();
  const { login } = await startApp({
    sessions: { store: line, lease: 50, maxStale: 500 },
    setup({ io }) { io.on("connection", (s) => s.on("here", (done) => done("ok"))); },
  });
  const ada = await login();
  const socket = await ada.connect();
  await delay(700);
  line.state = "fails";
  expect(await socket.timeout(300).emitWithAck("here").catch((e: Error) => e.message)).toBe("ok");
});

test("a service without absoluteTimeout does not forget when the session was created", async () => {
  const driver = new MemoryDriver();
  const withLimit = new LiveStore(driver);
  withLimit.absoluteTimeout = 60_000;
  const without = new LiveStore(driver);
  session({ secret: "s", resave: false, saveUninitialized: false, store: withLimit });
  const request = generate(withLimit);
  await p((done) => withLimit.set(request.sessionID, request.session, done));
  expect(await driver.read(request.sessionID)).toContain("__created");
  const data = await p((done) => without.get(request.sessionID, done as never));
  const made = without.createSession({ sessionID: request.sessionID, sessionStore: without } as never, data) as any;
  made.x = 1;
  await p((done) => without.set(request.sessionID, made, done));
  expect(await driver.read(request.sessionID)).toContain("__created");
});

test("nobody chooses its own moment of creation", async () => {
  const driver = new MemoryDriver();
  const store = new LiveStore(driver);
  store.absoluteTimeout = 60_000;
  session({ secret: "s", resave: false, saveUninitialized: false, store });
  const request = generate(store);
  Object.assign(request.session, JSON.parse('{"__created": 9e15}'));
  await p((done) => store.set(request.sessionID, request.session, done));
  expect(JSON.parse((await driver.read(request.sessionID)) as string).__created).toBeLessThanOrEqual(Date.now());
});

test("a promise store whose method rejects is STORE_UNAVAILABLE, no unhandled rejection", async () => {
  class Async extends session.MemoryStore {
    override get = (async () => { throw new Error("down"); }) as never;
  }
  const unhandled: unknown[] = [];
  const on = (e: unknown): void => void unhandled.push(e);
  process.on("unhandledRejection", on);
  const store = liveStore(new Async(), { timeout: 100 });
  await expect(p((done) => store.get("x", done as never))).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  await delay(20);
  process.off("unhandledRejection", on);
  expect(unhandled).toEqual([]);
});

test("update() with a rejecting async function is UPDATE_ASYNC alone", async () => {
  const sessions = createSessions({ secret: "s" });
  const request = generate(sessions.store);
  await p((done) => sessions.store.set(request.sessionID, request.session, done));
  const unhandled: unknown[] = [];
  const on = (e: unknown): void => void unhandled.push(e);
  process.on("unhandledRejection", on);
  await expect(sessions.update(request.sessionID, (async () => { throw new Error("mine"); }) as never)).rejects.toMatchObject({ code: "UPDATE_ASYNC" });
  await delay(20);
  process.off("unhandledRejection", on);
  expect(unhandled).toEqual([]);
});

test("targets: req.session is a session object; nothing is TARGET_INVALID", async () => {
  const seen: unknown[] = [];
  const app = await startApp({
    setup({ app, sessions }) {
      app.get("/room", (req, res) => {
        try { res.json({ room: sessions.room(req.session as never), same: sessions.room(req) }); }
        catch (error) { res.json({ code: (error as SessionError).code }); }
      });
    },
  });
  const ada = await app.login();
  const answer = await ada.get<any>("/room");
  await expect(app.sessions.destroy(undefined as never)).rejects.toMatchObject({ code: "TARGET_INVALID" });
  expect(answer.room).toBe(answer.same);
});
