// Storage that answers some and not others: connections that are held or dead, one session alone, writes alone.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { liveStore } from "../../src/index.js";
import { Registry } from "../../src/session/registry.js";
import { postgresStore } from "../../src/store/drivers/postgres/postgres-store.js";
import { slotOf } from "../../src/store/drivers/redis/channels.js";
import { redisStore } from "../../src/store/drivers/redis/redis-store.js";
import { startApp } from "../support/app.js";
import { ownTable, postgresPool, usePostgres } from "../support/postgres.js";
import { redisClient, redisClusterClient, startRedis, startRedisCluster } from "../support/redis.js";
import { LineStore } from "../support/stores.js";
import { backendOf } from "../../src/store/live-store.js";

/** A line to a port of this machine: what is open when it dies carries nothing any more, what is opened later works. */
async function mortalWire(port: number): Promise<{ port: number; die(): void }> {
  const sockets: Socket[] = [];
  let lives = 0;
  const wire = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    const born = lives;
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.push(from);
      from.on("error", () => to.destroy()).on("close", () => to.destroy());
      from.on("data", (data) => born === lives && to.write(data));
    }
  });
  wire.listen(0, "127.0.0.1");
  await once(wire, "listening");
  onTestFinished(() => {
    wire.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (wire.address() as AddressInfo).port, die: () => void lives++ };
}

describe("PostgreSQL", () => {
  let url: string;
  let close: () => Promise<void>;
  beforeAll(async () => void ({ url, close } = await usePostgres()));
  afterAll(() => close());

  test("a session whose row is locked does not keep the pool's connections from the others", async () => {
    const table = ownTable();
    const pool = postgresPool(url, { max: 3 });
    const { login, sessions } = await startApp({
      sessions: { store: postgresStore({ pool, table, createTable: true, timeout: 500 }) },
      setup({ io }) {
        io.on("connection", (socket) => socket.on("set", (value, done) => done(void (socket.session.other = value))));
      },
    });
    const failed = vi.fn<(error: unknown) => void>();
    sessions.on("error", failed);
    const [ada, bob] = [await login("ada"), await login("bob")];
    const socket = await ada.connect();
    const admin = new Client({ connectionString: url });
    await admin.connect();
    onTestFinished(() => admin.end());
    await admin.query("BEGIN");
    await admin.query(`SELECT 1 FROM "${table}" WHERE sess->>'user' = 'ada' FOR UPDATE`);
    await socket.emitWithAck("set", "kept");
    // Each try waits for the lock on a connection of its own. (Within a transaction the view would stand still.)
    const observer = postgresPool(url, { max: 1 });
    const waiting = `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1`;
    const tries = new Set<number>();
    const countTries = async (): Promise<number> => {
      for (const { pid } of (await observer.query<{ pid: number }>(waiting, [`%${table}%`])).rows) tries.add(pid);
      return tries.size;
    };
    await expect.poll(countTries, { interval: 20 }).toBeGreaterThan(3);
    await expect.poll(() => bob.get("/session").catch(() => undefined)).toEqual({ user: "bob" });
    await admin.query("ROLLBACK");
    await expect.poll(() => ada.get("/session")).toEqual({ user: "ada", other: "kept" });
  });

  test("connections that are dead without a word are given up, and new ones serve", async () => {
    const wire = await mortalWire(Number(new URL(url).port));
    const pool = postgresPool(url.replace(/:\d+\//, `:${wire.port}/`), { max: 3 });
    const { login } = await startApp({
      sessions: { store: postgresStore({ pool, table: ownTable(), createTable: true, timeout: 500 }) },
      attach: false,
    });
    const ada = await login("ada");
    await Promise.all(Array.from({ length: 6 }, () => ada.get("/session")));
    wire.die();
    await expect.poll(() => ada.get("/session").catch(() => undefined)).toEqual({ user: "ada" });
  });
});

test("a Redis that is full is told once; who only reads goes on, and what was changed is saved when there is room", async () => {
  const { url, server } = await startRedis();
  onTestFinished(() => server.close());
  const client = await redisClient(url);
  const { login, sessions } = await startApp({
    sessions: { store: redisStore({ client }), cookie: { maxAge: 600_000 } },
    setup({ io }) {
      io.on("connection", (socket) => socket.on("set", (value, done) => done(void (socket.session.other = value))));
    },
  });
  const errors: unknown[] = [];
  sessions.on("error", (error) => errors.push((error as { code?: string }).code));
  const browsers = await Promise.all(["ada", "bob", "eve"].map((user) => login(user)));
  const sockets = await Promise.all(browsers.map((browser) => browser.connect()));
  await client.sendCommand(["CONFIG", "SET", "maxmemory", "1"]);
  const commit = vi.spyOn(backendOf(sessions.store), "commit");
  for (const socket of sockets) await socket.emitWithAck("set", "kept");
  // Each of them has tried more than once, and reads went well meanwhile.
  await expect.poll(() => commit.mock.calls.length).toBeGreaterThan(9);
  expect(await browsers[0]?.get("/session")).toMatchObject({ user: "ada" });
  await client.sendCommand(["CONFIG", "SET", "maxmemory", "0"]);
  await expect.poll(() => sessions.pending).toBe(0);
  expect(errors).toEqual(["STORE_UNAVAILABLE"]);
  expect(await browsers[0]?.get("/session")).toEqual({ user: "ada", other: "kept" });
});

test("while a master of a Redis cluster is away, silent sessions of the others are looked at within their lease", async () => {
  const { ports, servers, close } = await startRedisCluster();
  onTestFinished(close);
  const client = await redisClusterClient(ports);
  const store = redisStore({ client, timeout: 300 });
  onTestFinished(() => store.close());
  const registry = new Registry(
    backendOf(store),
    { lease: 1000, maxStale: 300_000, maxUnsaved: 100 },
    { change() {}, end() {}, error() {}, lost() {}, wantsChanges: () => false },
  );
  onTestFinished(() => registry.close());
  const ids = Array.from({ length: 900 }, (_, number) => `id ${number}`);
  const masterOf = (id: string): number => Math.floor(slotOf(`sess:${id}`) / (16_384 / 3));
  // Many on the first, which will be away, and few on the second.
  const away = ids.filter((id) => masterOf(id) === 0).slice(0, 220);
  const others = ids.filter((id) => masterOf(id) === 1).slice(0, 20);
  const ended = new Set<string>();
  for (const id of [...away, ...others]) {
    const data = { cookie: { originalMaxAge: null, expires: null }, user: "ada" };
    await new Promise((resolve) => store.set(id, data as never, resolve));
    await registry.acquire(id, { end: () => void ended.add(id) });
  }
  await servers[0]?.stop();
  await expect.poll(() => store.isHearing).toBe(false);
  // A logout that nobody tells of: by connect-redis, say.
  const raw = client as unknown as { del(key: string): Promise<number> };
  await Promise.all(others.map((id) => raw.del(`sess:${id}`)));
  await expect.poll(() => [...ended].toSorted()).toEqual(others.toSorted());
});

describe("a wrapped store", () => {
  test("that never answers for one session goes on serving the others", async () => {
    const line = new LineStore();
    const get = line.get.bind(line);
    line.get = (id, done) => void (id === "odd" || get(id, done));
    const store = liveStore(line, { timeout: 50 });
    const ask = (id: string): Promise<unknown> => new Promise((resolve) => store.get(id, resolve));
    for (let batch = 0; batch < 6; batch++) {
      await Promise.all(Array.from({ length: 200 }, () => ask("odd")));
      expect(await ask("other")).toBeNull();
    }
  });

  test("that hangs again while a late write is answered holds up the session no longer than its timeout", async () => {
    const line = new LineStore();
    const held: (() => void)[] = [];
    let isHeld = false;
    const set = line.set.bind(line);
    line.set = (id, data, done) => void (isHeld ? held.push(() => set(id, data, done)) : set(id, data, done));
    const store = liveStore(line, { timeout: 100 });
    const cookie = { originalMaxAge: null, expires: null };
    const put = (data: object): Promise<unknown> =>
      new Promise((resolve) => store.set("id", { cookie, ...data } as never, resolve));
    expect(await put({ user: "ada" })).toBeNull();
    isHeld = true;
    expect(await put({ count: 1 })).toMatchObject({ code: "STORE_UNAVAILABLE" });
    isHeld = false;
    expect(await put({ count: 2 })).toBeNull();
    // The late one arrives; what puts the newer state in its place is held.
    isHeld = true;
    for (const arrive of held.splice(0)) arrive();
    await expect.poll(() => held).toHaveLength(1);
    isHeld = false;
    expect(await backendOf(store).update("id", (data) => (data.count = 3))).toBe(3);
  });
});
