// How long sessions live where a storage keeps their expiry beside the data: no write shortens what somebody prolonged,
// activity prolongs, and an idle session ends on time.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import connectPgSimple from "connect-pg-simple";
import { RedisStore } from "connect-redis";
import session, { type SessionData, type Store } from "express-session";
import memorystore from "memorystore";
import sessionFileStore from "session-file-store";
import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { liveStore, memoryStore } from "../../src/index.js";
import type { ActiveSession } from "../../src/session/live-session.js";
import { backendOf, LiveStore } from "../../src/store/live-store.js";
import { MemoryDriver } from "../../src/store/drivers/memory.js";
import { postgresStore } from "../../src/store/drivers/postgres/postgres-store.js";
import { redisStore } from "../../src/store/drivers/redis/redis-store.js";
import { startApp } from "../support/app.js";
import { closed } from "../support/browser.js";
import { jump as passTime } from "../support/clocks.js";
import { inTime } from "../support/pace.js";
import { ownTable, postgresPool, usePostgres } from "../support/postgres.js";
import { ownPrefix, redisClient, useRedis } from "../support/redis.js";
import { LineStore, SweptStore } from "../support/stores.js";

type Loose = session.Session & SessionData & Record<string, any>;

const maxAge = 60_000;
/** Stores keep whole seconds, and the machine may be slow (ms). */
const slack = 5000;

/**
 * What the clock shows is later from now on; timers run as before, and so does the clock of Redis, to which clients say
 * how long a session lives from now.
 */
function jump(ms: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });
}

beforeEach(() => {
  onTestFinished(() => void vi.useRealTimers());
});

function answer(ask: (done: any) => void): Promise<any> {
  return new Promise((resolve, reject) =>
    ask((error: Error | null, value: unknown) => (error ? reject(error) : resolve(value))),
  );
}

/** A session that lasts, stored through this store; its id. */
async function create(store: LiveStore, fields: object = { user: "ada" }, life = maxAge): Promise<string> {
  if (!(store as any).generate) session({ secret: "s", resave: false, saveUninitialized: false, store });
  const request = { sessionStore: store } as any;
  (store as any).generate(request);
  request.session.cookie.maxAge = life;
  Object.assign(request.session, fields);
  await answer((done) => store.set(request.sessionID, request.session, done));
  return request.sessionID;
}

/** A session object as a request gets it; undefined where the store has none. */
async function load(store: LiveStore, id: string): Promise<Loose | undefined> {
  const data = await answer((done) => store.get(id, done));
  return data ? (store.createSession({ sessionID: id, sessionStore: store } as never, data) as Loose) : undefined;
}

/** A request that only reads. */
async function visit(store: LiveStore, id: string): Promise<void> {
  const object = (await load(store, id)) as Loose;
  object.touch();
  await answer((done) => store.touch(id, object, done as () => void));
}

/** Every way to write a session without moving its expiry. */
const writes: Record<string, (store: LiveStore, id: string) => Promise<unknown>> = {
  "req.session.save()": async (store, id) => {
    const object = (await load(store, id)) as Loose;
    object["k1"] = 1;
    await answer((done) => object.save(done));
  },
  "sessions.update()": (store, id) => backendOf(store).update(id, (data) => void (data.count = 1)),
  "a socket's save": async (store, id) => {
    const base = (await backendOf(store).read(id, (text) => text)) as string;
    const next = JSON.stringify({ ...JSON.parse(base), other: "socket" });
    await backendOf(store).commit(id, () => base, next, {
      stored: "",
      sent: next,
      applyConfirmed() {},
      applyCommitted() {},
    });
  },
  "a ticket": async (store, id) => {
    await backendOf(store).tickets.add(id, "nonce", Date.now() + 1000);
    expect(await backendOf(store).tickets.consume(id, "nonce")).toBe(true);
  },
};

interface Beside {
  /** The store of an old service, as it is. */
  readonly inner: Store;
  /** A new live store for these sessions, as after a restart or in another process. */
  open(): LiveStore;
  /** For how long the storage will keep the session (ms). */
  left(id: string): Promise<number>;
}

/** An old service's request that only reads. */
async function visitOld({ inner }: Beside, id: string): Promise<void> {
  const data = (await answer((done) => inner.get(id, done))) as Loose;
  const object = inner.createSession({ sessionID: id, sessionStore: inner } as never, data) as Loose;
  object.touch();
  await answer((done) => inner.touch?.(id, object, done));
}

const PgStore = connectPgSimple(session);
let redis: Awaited<ReturnType<typeof useRedis>>;
let postgres: Awaited<ReturnType<typeof usePostgres>>;
beforeAll(async () => {
  [redis, postgres] = await Promise.all([useRedis(), usePostgres()]);
});

async function onRedis(wrap: boolean): Promise<Beside> {
  const client = await redisClient(redis.url);
  const prefix = ownPrefix();
  const inner = new RedisStore({ client, prefix });
  return {
    inner,
    open: () => (wrap ? liveStore(inner) : redisStore({ client, prefix })),
    left: (id) => client.pTTL(prefix + id),
  };
}

async function onPostgres(wrap: boolean): Promise<Beside> {
  const pool = postgresPool(postgres.url);
  const table = ownTable();
  await backendOf(postgresStore({ pool, table, createTable: true })).read("nobody", () => undefined);
  const inner = new PgStore({ pool, tableName: table, pruneSessionInterval: false }) as unknown as Store;
  return {
    inner,
    open: () => (wrap ? liveStore(inner) : postgresStore({ pool, table, sweepInterval: false })),
    left: async (id) => {
      const { rows } = await pool.query(`SELECT expire FROM "${table}" WHERE sid = $1`, [id]);
      return rows.length > 0 ? (rows[0].expire as Date).getTime() - Date.now() : 0;
    },
  };
}

const all: [string, () => Promise<Beside>][] = [
  ["liveStore() over connect-redis", () => onRedis(true)],
  ["liveStore() over connect-pg-simple", () => onPostgres(true)],
  ["redisStore() beside connect-redis", () => onRedis(false)],
  ["postgresStore() beside connect-pg-simple", () => onPostgres(false)],
];

describe.each(all)("%s", (name, make) => {
  const isWrapped = name.startsWith("liveStore");
  let beside: Beside;
  let store: LiveStore;
  beforeEach(async () => {
    beside = await make();
    store = beside.open();
    onTestFinished(() => store.close());
  });

  describe.each(Object.entries(writes))("%s", (_, write) => {
    test("leaves a session that requests prolonged as long as they did", async () => {
      const id = await create(store);
      for (let index = 0; index < 3; index++) {
        jump(40_000);
        await visit(store, id);
      }
      await write(store, id);
      expect(await beside.left(id)).toBeGreaterThan(maxAge - slack);
      expect(await load(store, id)).toMatchObject({ user: "ada" });
    });

    test("leaves a session that another process prolonged as long as it did", async () => {
      const id = await create(store);
      store.close();
      const other = beside.open();
      onTestFinished(() => other.close());
      jump(40_000);
      await visitOld(beside, id);
      await write(other, id);
      expect(await beside.left(id)).toBeGreaterThan(maxAge - slack);
      // By its text it is over.
      jump(40_000);
      await visitOld(beside, id);
      await write(other, id);
      expect(await beside.left(id)).toBeGreaterThan(maxAge - slack);
      expect(await load(other, id)).toMatchObject({ user: "ada" });
    });
  });

  test("a touch that comes late, after a newer one, does not shorten the session", async () => {
    const id = await create(store);
    jump(10_000);
    const slow = (await load(store, id)) as Loose;
    slow.touch();
    jump(30_000);
    await visitOld(beside, id);
    await visit(store, id);
    await answer((done) => store.touch(id, slow, done as () => void));
    await backendOf(store).prolong(id, Date.now() - 20_000);
    expect(await beside.left(id)).toBeGreaterThan(maxAge - slack);
  });

  test("a shorter maxAge counts", async () => {
    // express-session's cookie looks at the clock twice.
    jump(0);
    const id = await create(store);
    await visit(store, id);
    const object = (await load(store, id)) as Loose;
    object.cookie.maxAge = 20_000;
    object["k1"] = 1;
    await answer((done) => store.set(id, object, done));
    expect(await beside.left(id)).toBeLessThan(20_000 + slack);
    const again = (await load(store, id)) as Loose;
    expect(again.cookie.originalMaxAge).toBe(20_000);
    again.cookie.maxAge = 10_000;
    // express-session does not look at the cookie when it decides whether to save.
    await answer((done) => store.touch(id, again, done as () => void));
    expect(await beside.left(id)).toBeLessThan(10_000 + slack);
    expect((await load(store, id))?.cookie.originalMaxAge).toBe(10_000);
  });

  test("an earlier expiry that was made by hand counts", async () => {
    const id = await create(store);
    await visit(store, id);
    const expires = new Date(Date.now() + 20_000);
    await answer((done) =>
      store.touch(id, { cookie: { originalMaxAge: maxAge, expires } } as never, done as () => void),
    );
    expect(await beside.left(id)).toBeLessThan(20_000 + slack);
    const earlier = new Date(Date.now() + 5000);
    const other = await create(store);
    await answer((done) => store.set(other, { cookie: { originalMaxAge: maxAge, expires: earlier } } as never, done));
    expect(await beside.left(other)).toBeLessThan(5000 + slack);
  });

  if (!isWrapped) {
    test("a user's sessions are found though an old service kept one alive beside its text", async () => {
      backendOf(store).claim({ user: (data) => data.user });
      const id = await create(store);
      for (let index = 0; index < 3; index++) {
        jump(40_000);
        await visitOld(beside, id);
      }
      await backendOf(store).update(id, (data) => void (data.count = 1));
      jump(10_000);
      // Writes the note anew, without what is over.
      const second = await create(store);
      const found = await backendOf(store).sessionsOf("ada");
      expect(found.map((one) => one.id).toSorted()).toEqual([id, second].toSorted());
    });
  }

  test("writes that are no activity do not prolong the session", async () => {
    const id = await create(store);
    await visit(store, id);
    const before = await beside.left(id);
    if (!isWrapped) {
      for (const write of Object.values(writes)) await write(store, id);
      expect(await beside.left(id)).toBeLessThanOrEqual(before);
      return;
    }
    // The store knows no write that leaves the expiry: it may keep the session for longer, but it is over here.
    jump(30_000);
    for (const write of Object.values(writes)) await write(store, id);
    jump(29_000);
    expect(await load(store, id)).toMatchObject({ user: "ada" });
    await backendOf(store).update(id, (data) => void (data.count = 2));
    jump(2000);
    expect(await load(store, id)).toBeUndefined();
    await expect(backendOf(store).update(id, () => 0)).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
  });

  if (isWrapped) {
    test("a session of a few seconds ends on time, though the last write was no activity", async () => {
      const id = await create(store, {}, 4000);
      jump(1500);
      await backendOf(store).update(id, (data) => void (data.count = 1));
      jump(2000);
      expect(await load(store, id)).toBeDefined();
      jump(600);
      expect(await load(store, id)).toBeUndefined();
    });
  }
});

describe("beside another process that writes the same wrapped store", () => {
  test("a write leaves what the other may have prolonged unseen", async () => {
    const beside = await onPostgres(true);
    const [one, other] = [beside.open(), beside.open()];
    onTestFinished(() => [one, other].forEach((store) => store.close()));
    jump(10);
    // Seen here: that there is another.
    await load(one, await create(other));
    const id = await create(one);
    jump(40_000);
    await visit(other, id);
    await backendOf(one).update(id, (data) => void (data.count = 1));
    expect(await beside.left(id)).toBeGreaterThan(maxAge - slack);
  });

  test("a session that lives past what was told from here shows that there is another", async () => {
    const beside = await onPostgres(true);
    const store = beside.open();
    onTestFinished(() => store.close());
    const [id, second] = [await create(store), await create(store)];
    for (let index = 0; index < 2; index++) {
      jump(40_000);
      for (const one of [id, second]) await visitOld(beside, one);
    }
    await visit(store, id);
    await visit(store, second);
    jump(40_000);
    await visitOld(beside, second);
    await backendOf(store).update(second, (data) => void (data.count = 1));
    expect(await beside.left(second)).toBeGreaterThan(maxAge - slack);
  });
});

describe("a store that hands out sessions whose time is over", () => {
  test("an idle session is over on time, and no read prolongs it", async () => {
    const inner = new SweptStore();
    const store = liveStore(inner);
    const id = await create(store);
    await visit(store, id);
    jump(maxAge - 1000);
    expect(await load(store, id)).toMatchObject({ user: "ada" });
    jump(2000);
    expect(await load(store, id)).toBeUndefined();
    await expect(backendOf(store).update(id, () => 0)).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
    await expect(backendOf(store).prolong(id, Date.now())).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
    expect(await load(store, id)).toBeUndefined();
    // Nothing but the session, which waits for the sweep.
    expect(inner.rows.size).toBe(1);
  });

  test("all() and ids() have those that live, with the expiry that is known here", async () => {
    const store = liveStore(new SweptStore());
    const [idle, used] = [await create(store), await create(store)];
    jump(maxAge - 1000);
    await visit(store, used);
    jump(2000);
    const sessions = await store.all();
    expect(sessions.map(({ id }) => id)).toEqual([used]);
    expect(Date.parse(String(sessions[0]?.cookie.expires))).toBeGreaterThan(Date.now() + maxAge - slack);
    expect(await store.ids()).toEqual([used]);
    expect(await load(store, idle)).toBeUndefined();
  });

  test("a session that is used lives on, here and after a restart", async () => {
    const inner = new SweptStore();
    const store = liveStore(inner);
    const id = await create(store);
    for (let index = 0; index < 3; index++) {
      jump(40_000);
      await visit(store, id);
    }
    expect(await load(store, id)).toMatchObject({ user: "ada" });
    expect(await load(liveStore(inner), id)).toMatchObject({ user: "ada" });
    jump(maxAge + 1000);
    expect(await load(liveStore(inner), id)).toBeUndefined();
  });

  test("a silent socket is told, HTTP finds nobody, and a handshake is refused", async () => {
    const short = 1500;
    const app = await startApp({ sessions: { store: liveStore(new SweptStore()), cookie: { maxAge: short } } });
    const { ada, end, since } = await inTime(short, async () => {
      const since = Date.now();
      const ada = await app.login();
      return { ada, end: closed(await ada.connect()), since };
    });
    expect((await end).told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
    expect(Date.now() - since).toBeLessThan(short + slack);
    expect(await ada.refused()).toMatchObject({ code: "SESSION_UNKNOWN" });
    expect(await ada.get("/session")).toEqual({});
  });
});

test("who writes over a socket all the time stays, where a store's touch moves nothing but its own clock", async () => {
  const short = 1500;
  const beside = await onRedis(true);
  const app = await startApp({
    sessions: { store: beside.open(), cookie: { maxAge: short } },
    setup({ io }) {
      io.on("connection", (socket) =>
        socket.on("type", (text: string, done: () => void) => {
          socket.session.other = text;
          done();
        }),
      );
    },
  });
  await inTime(short / 2, async (step) => {
    const ada = await app.login();
    const socket = await ada.connect();
    const until = Date.now() + 2 * short;
    while (Date.now() < until) {
      await socket.timeout(10_000).emitWithAck("type", `${Date.now()}`);
      step();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(socket.connected).toBe(true);
    expect(await ada.get("/session")).toMatchObject({ user: "ada" });
  });
});

test("an expiry that was moved back by hand counts for open sockets, too, unless their client goes on", async () => {
  const store = memoryStore();
  const app = await startApp({
    sessions: { store, cookie: { maxAge } },
    setup({ io }) {
      io.on("connection", (socket) => socket.on("here", (done) => done()));
    },
  });
  const [ada, eve] = [await app.login(), await app.login()];
  const [idle, used] = [await ada.connect(), await eve.connect()];
  await Promise.all([idle, used].map((socket) => socket.timeout(10_000).emitWithAck("here")));
  const end = closed(idle);
  const expires = new Date(Date.now() + 1500).toISOString();
  for (const { sessionId } of [ada, eve]) {
    await store.touch(sessionId, { cookie: { originalMaxAge: maxAge, expires } } as never);
  }
  await used.timeout(10_000).emitWithAck("here");
  expect((await end).told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
  expect(await ada.get("/session")).toEqual({});
  expect(used.connected).toBe(true);
  expect(await eve.get("/session")).toMatchObject({ user: "ada" });
});

describe("stores whose touch writes the data", () => {
  const MemoryStore = memorystore(session);
  const FileStore = sessionFileStore(session);
  const stores: [string, () => Promise<Store>][] = [
    ["express-session's MemoryStore", async () => new session.MemoryStore()],
    ["memorystore", async () => new MemoryStore({ checkPeriod: 0 }) as unknown as Store],
    [
      "session-file-store",
      async () => {
        const path = await mkdtemp(join(tmpdir(), "socket-session-"));
        onTestFinished(() => rm(path, { recursive: true, force: true }));
        return new FileStore({ path, retries: 0, reapInterval: -1, logFn: () => {} });
      },
    ],
  ];
  test.each(stores)("%s: writes that are no activity leave an idle session its end", async (_, make) => {
    const store = liveStore(await make());
    const id = await create(store);
    for (let index = 0; index < 3; index++) {
      jump(19_000);
      await backendOf(store).update(id, (data) => void (data.count = index));
    }
    jump(4000);
    expect(await load(store, id)).toBeUndefined();
  });

  test.each(stores)("%s: a write after a restart neither shortens nor prolongs", async (_, make) => {
    const inner = await make();
    const first = liveStore(inner);
    const id = await create(first);
    jump(40_000);
    await visit(first, id);
    const store = liveStore(inner);
    // Known from the first touch on.
    await visit(store, await create(store));
    jump(30_000);
    await backendOf(store).update(id, (data) => void (data.count = 1));
    expect((await load(store, id))?.cookie.maxAge).toBeGreaterThan(30_000 - slack);
    expect((await load(store, id))?.cookie.maxAge).toBeLessThan(30_000 + slack);
  });
});

// connect-redis gives a session without maxAge a day, which its touch renews.
test("activity over HTTP reaches the store's own touch although the cookie has no maxAge", async () => {
  const line = new LineStore();
  const { login } = await startApp({ sessions: { store: line } });
  const ada = await login();
  line.asked.touch = 0;
  await ada.get("/session");
  expect(line.asked.touch).toBeGreaterThan(0);
});

test("activity of sockets reaches the store's own touch although the cookie has no maxAge", async () => {
  const line = new LineStore();
  const { login, io, sessions } = await startApp({ sessions: { store: line } });
  await (await login()).connect();
  line.asked.touch = 0;
  // Past the touch interval of a minute. The client is in this process: it would take the jump for a lost ping.
  passTime(61_000);
  const [server] = [...io.of("/").sockets.values()] as any[];
  await (sessions.get(server) as ActiveSession).beforeEvent();
  await expect.poll(() => line.asked.touch).toBeGreaterThan(0);
});

test("a slow writer who still has the old maxAge does not move the expiry that a new maxAge gave", async () => {
  const store = new LiveStore(new MemoryDriver());
  const id = await create(store, {}, 3_600_000);
  const [slow, quick] = [await load(store, id), await load(store, id)] as [Loose, Loose];
  quick.cookie.maxAge = 60_000;
  await answer((done) => store.set(id, quick, done));
  slow.touch();
  slow.other = "x";
  await answer((done) => store.set(id, slow, done));
  const { cookie, other } = JSON.parse((await backendOf(store).read(id, (text) => text)) as string);
  expect(other).toBe("x");
  expect(cookie.originalMaxAge).toBeCloseTo(60_000, -4);
  expect(Date.parse(cookie.expires)).toBeLessThanOrEqual(Date.now() + 60_000);
});

test("older activity that is told late does not shorten the session", async () => {
  const store = new LiveStore(new MemoryDriver());
  const id = await create(store);
  const before = await backendOf(store).read(id, (text) => text);
  await backendOf(store).prolong(id, Date.now() - 10_000);
  expect(await backendOf(store).read(id, (text) => text)).toBe(before);
});
