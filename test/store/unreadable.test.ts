// Records that are no sessions: cut off, of another program, or of another kind.
import session, { type SessionData } from "express-session";
import { RedisStore } from "connect-redis";
import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { createSessions, type SessionError } from "../../src/index.js";
import { liveStore } from "../../src/store/drivers/express-store/express-store.js";
import { backendOf, type LiveStore } from "../../src/store/live-store.js";
import { postgresStore } from "../../src/store/drivers/postgres/postgres-store.js";
import { redisStore } from "../../src/store/drivers/redis/redis-store.js";
import { Registry } from "../../src/session/registry.js";
import { startApp } from "../support/app.js";
import { ownTable, postgresPool, usePostgres } from "../support/postgres.js";
import { ownPrefix, redisClient, redisClusterClient, useRedis, useRedisCluster } from "../support/redis.js";
import { LineStore } from "../support/stores.js";

const cookie = { originalMaxAge: null, expires: null } as never;
const good = JSON.stringify({ cookie, user: "ada" });
const broken = {
  "cut off": good.slice(0, -8),
  empty: "",
  "no object": "[1]",
  "no JSON": "hello",
  null: "null",
  "a number": "5",
};

interface Place {
  store: LiveStore;
  /** Puts a text where the session's is; "list" puts what is no text. */
  put(id: string, text: string): Promise<unknown>;
}

type Client = Awaited<ReturnType<typeof redisClient>>;

function rawIn(client: Client, prefix: string) {
  return (id: string, text: string): Promise<unknown> =>
    text === "list" ? client.lPush(prefix + id, "x") : client.set(prefix + id, text);
}

const places: Record<string, () => Promise<() => Promise<Place>>> = {
  async Redis() {
    const { url } = await useRedis();
    return async () => {
      const client = await redisClient(url);
      const prefix = ownPrefix();
      return { store: redisStore({ client, prefix }), put: rawIn(client, prefix) };
    };
  },
  async "a Redis cluster"() {
    const { ports } = await useRedisCluster();
    return async () => {
      const client = await redisClusterClient(ports);
      const prefix = ownPrefix();
      return { store: redisStore({ client, prefix }), put: rawIn(client as never, prefix) };
    };
  },
  async "connect-redis"() {
    const { url } = await useRedis();
    return async () => {
      const client = await redisClient(url);
      const prefix = ownPrefix();
      return { store: liveStore(new RedisStore({ client, prefix })), put: rawIn(client, prefix) };
    };
  },
};

describe.each(Object.keys(places))("%s", (name) => {
  let open: () => Promise<Place>;
  let place: Place;
  beforeAll(async () => {
    open = await (places[name] as () => Promise<() => Promise<Place>>)();
  });
  beforeEach(async () => {
    place = await open();
  });

  test("one unreadable record is left out of all(), and is no outage", async () => {
    const { store, put } = place;
    await put("good", good);
    for (const [index, text] of [...Object.values(broken), "list"].entries()) {
      await put(`alone ${index}`, text);
      expect((await store.all()).map(({ id, user }) => [id, user])).toEqual([["good", "ada"]]);
      await store.destroy(`alone ${index}`);
    }
    for (const [index, text] of [...Object.values(broken), "list"].entries()) await put(`broken ${index}`, text);
    expect((await store.all()).map(({ id, user }) => [id, user])).toEqual([["good", "ada"]]);
    expect(store.isDown).toBe(false);
    const count = Object.keys(broken).length + 1;
    expect(await store.length()).toBe(1 + count);
    for (let index = 0; index < count; index++) expect(await store.get(`broken ${index}`)).toBeFalsy();
    expect(store.isDown).toBe(false);
    expect(backendOf(store).downSince).toBeUndefined();
  });

  test("nor does one keep others from being read with it", async () => {
    const { store, put } = place;
    if (!backendOf(store).canReadMany) return;
    const ids = ["good", ...Object.keys(broken), "list", "none", "also good"];
    for (const text of ["good", "also good"]) await put(text, good);
    for (const [id, text] of Object.entries(broken)) await put(id, text);
    await put("list", "list");
    const texts = await backendOf(store).readMany(ids);
    expect([texts[0], texts.at(-1)]).toEqual([good, good]);
    expect(texts.slice(1, -3)).toEqual(Object.values(broken));
    // What is no text is none, or an empty one.
    expect(texts.at(-3) ?? "").toBe("");
    expect(texts.at(-2)).toBeUndefined();
    expect(store.isDown).toBe(false);
  });

  test("an unreadable record can be replaced and destroyed by hand", async () => {
    const { store, put } = place;
    for (const text of Object.values(broken)) {
      await put("a", text);
      await store.set("a", { cookie, user: "eve" });
      expect(await store.get("a")).toMatchObject({ user: "eve" });
    }
    await put("b", broken["cut off"]);
    await store.destroy("b");
    expect((await store.ids()).toSorted()).toEqual(["a"]);
  });

  test.each(Object.entries(broken))("who brings the id of one is SESSION_UNKNOWN, told once: %s", async (_, text) => {
    const { store, put } = place;
    const sessions = createSessions({ secret: "a secret for tests", store });
    const errors: unknown[] = [];
    const warnings = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    onTestFinished(() => warnings.mockRestore());
    sessions.on("error", (error) => errors.push(error));
    const app = await startApp({ existing: sessions });
    const ada = await app.login();
    await put(ada.sessionId, text);
    expect(await ada.refused()).toEqual({ code: "SESSION_UNKNOWN", retry: false });
    expect(await ada.refused()).toEqual({ code: "SESSION_UNKNOWN", retry: false });
    const answer = await ada.get("/session");
    expect(answer).not.toMatchObject({ user: "ada" });
    expect(store.isDown).toBe(false);
    // connect-redis takes an empty text for none, and null is none to any store.
    const told = name === "connect-redis" && ["", "null"].includes(text) ? [] : ["RECORD_INVALID"];
    expect(errors.map((error) => (error as SessionError).code)).toEqual(told);
    expect(warnings.mock.calls.map((values) => (values[1] as unknown as SessionError).code)).toEqual(told);
  });
});

describe("times that are none", () => {
  let url: string;
  beforeAll(async () => {
    const postgres = await usePostgres();
    url = postgres.url;
  });
  const future = new Date(Date.now() + 60_000);
  // express-session throws at some of them, where nobody catches it: the process would end.
  test.each([
    { originalMaxAge: "60000", expires: future },
    { originalMaxAge: true, expires: future },
    { originalMaxAge: {}, expires: {} },
    { originalMaxAge: 1e300, expires: null },
    { originalMaxAge: 60_000, expires: "never" },
    { originalMaxAge: null, expires: future.getTime() },
  ])("are left out: %j", async (times) => {
    const pool = postgresPool(url);
    const table = ownTable();
    const app = await startApp({
      sessions: { store: postgresStore({ pool, table, createTable: true }), cookie: { maxAge: 60_000 }, rolling: true },
      setup({ io }) {
        io.on("connection", (socket) => socket.on("touch", (done) => socket.session.touch().then(done, done)));
      },
    });
    const ada = await app.login();
    const text = JSON.stringify({ cookie: { ...times, httpOnly: true, path: "/" }, user: "ada" });
    await pool.query(`UPDATE "${table}" SET sess = $1 WHERE sid = $2`, [text, ada.sessionId]);
    expect(await ada.get("/session")).toEqual({ user: "ada" });
    const socket = await ada.connect();
    expect(await socket.timeout(10_000).emitWithAck("touch")).toBeFalsy();
    await app.sessions.update(ada.sessionId, (data) => void (data.count = 1));
    expect(await ada.get("/session")).toEqual({ user: "ada", count: 1 });
  });
});

test("who comes to a session whose record was damaged is SESSION_UNKNOWN, also while others are in", async () => {
  const { url } = await useRedis();
  const client = await redisClient(url);
  const prefix = ownPrefix();
  const app = await startApp({ sessions: { store: redisStore({ client, prefix }), lease: 50 } });
  app.sessions.on("error", () => undefined);
  const ada = await app.login();
  const socket = await ada.connect();
  await client.set(prefix + ada.sessionId, broken["cut off"]);
  await vi.waitFor(async () => expect(await ada.refused()).toEqual({ code: "SESSION_UNKNOWN", retry: false }));
  expect(socket.connected).toBe(true);
});

test("PostgreSQL: JSON that is no object is no session", async () => {
  const { url } = await usePostgres();
  const pool = postgresPool(url);
  const table = ownTable();
  const store = postgresStore({ pool, table, createTable: true });
  await store.set("good", { cookie, user: "ada" } as SessionData);
  await pool.query(`INSERT INTO "${table}" (sid, sess, expire) VALUES ('bad', '[1]', now() + interval '1 hour')`);
  expect((await store.all()).map(({ id }) => id)).toEqual(["good"]);
  expect(await store.get("bad")).toBeFalsy();
  expect(store.isDown).toBe(false);
  await store.set("bad", { cookie, user: "eve" } as SessionData);
  expect(await store.get("bad")).toMatchObject({ user: "eve" });
});

test("a wrapped store that lists without ids, and one that fails for a record", async () => {
  class Listing extends session.MemoryStore {
    override all = (done: (error: unknown, list?: never) => void): void =>
      done(null, [{ cookie, user: "ada" }, null, 7] as never);
  }
  const store = liveStore(new Listing());
  expect((await store.all()).map(({ user }) => user)).toEqual(["ada"]);
  await expect(store.ids()).rejects.toMatchObject({ code: "STORE_UNSUPPORTED" });
  class Failing extends session.MemoryStore {
    override all = (done: (error: unknown) => void): void => done(new SyntaxError("Unexpected token"));
  }
  const failing = liveStore(new Failing());
  await expect(failing.all()).rejects.toMatchObject({ code: "RECORD_INVALID" });
  expect(failing.isDown).toBe(false);
});

test("many unreadable records do not keep other sessions of a wrapped store from being looked at", async () => {
  const warnings = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  onTestFinished(() => warnings.mockRestore());
  const line = new LineStore();
  const store = liveStore(line);
  const { sessions: raw } = line.inner as unknown as { sessions: Record<string, string> };
  const events = { change() {}, end() {}, error() {}, lost() {}, wantsChanges: () => false };
  const registry = new Registry(backendOf(store), { lease: 100, maxStale: 500, maxUnsaved: 100 }, events);
  onTestFinished(() => registry.close().catch(() => undefined));
  const closed: string[] = [];
  const ids = Array.from({ length: 100 }, (_, index) => `${index < 5 ? "good" : "bad"} ${index}`);
  for (const id of ids) {
    raw[id] = good;
    await registry.acquire(id, { end: () => closed.push(id) });
  }
  for (const id of ids) if (id.startsWith("bad")) raw[id] = broken["cut off"];
  await expect.poll(() => closed.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(95);
  expect(closed.filter((id) => id.startsWith("good"))).toEqual([]);
});

test.each([
  ["originalMaxAge", "x"],
  ["originalMaxAge", { a: 1 }],
  ["expires", { a: 1 }],
  ["domain", { a: 1 }],
  ["path", 5],
  ["sameSite", "laxx"],
  ["priority", "none"],
])("a record whose cookie has %s: %j does not keep its requests from being answered", async (field, value) => {
  const memory = new session.MemoryStore() as session.MemoryStore & { sessions: Record<string, string> };
  const { login } = await startApp({
    sessions: { store: liveStore(memory), cookie: { maxAge: 60_000 }, rolling: true },
  });
  const ada = await login("ada");
  const [id, text] = Object.entries(memory.sessions)[0] as [string, string];
  const record = JSON.parse(text) as { cookie: object };
  memory.sessions[id] = JSON.stringify({ ...record, cookie: { ...record.cookie, [field]: value } });
  const response = await ada.fetch("/session", { signal: AbortSignal.timeout(5000) });
  expect(await response.json()).toMatchObject({ user: "ada" });
  await ada.connect();
});
