// The Redis driver against real servers.
import { createHash } from "node:crypto";
import { RedisStore } from "connect-redis";
import { createClient, createClientPool, createCluster } from "redis";
import { createClient as createClient5 } from "redis-5";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { Registry } from "../../../src/session/registry.js";
import { clusterChannelName, slotOf } from "../../../src/store/drivers/redis/channels.js";
import { findClient } from "../../../src/store/drivers/redis/find-client.js";
import { openRedisNotices } from "../../../src/store/drivers/redis/notices.js";
import { redisStore } from "../../../src/store/drivers/redis/redis-store.js";
import { storeContract } from "../../contract/store.js";
import { startApp } from "../../support/app.js";
import { ioRedisClient } from "../../support/ioredis.js";
import {
  byChannels,
  moveSlot,
  ownPrefix,
  redisClient,
  redisClusterClient,
  type RedisCluster,
  startRedis,
  startRedisCluster,
  useRedis,
} from "../../support/redis.js";
import { backendOf } from "../../../src/store/live-store.js";
import { subscribe } from "../../support/subscriber.js";

describe("one server", () => {
  let redis: Awaited<ReturnType<typeof useRedis>>;
  beforeAll(async () => {
    redis = await useRedis();
  });

  storeContract("redis, by keys", async () => ({
    store: redisStore({ client: await redisClient(redis.url), prefix: ownPrefix() }),
  }));

  storeContract("redis, by channels", async () => ({
    store: redisStore({ client: await redisClient(redis.url, byChannels), prefix: ownPrefix() }),
  }));

  storeContract("redis, by redis 5", async () => {
    const client = createClient5({ url: redis.url });
    onTestFinished(() => client.destroy());
    await client.on("error", () => undefined).connect();
    return { store: redisStore({ client, prefix: ownPrefix() }) };
  });

  // The others of its kind: see ioredis.test.ts.
  storeContract("redis, by ioredis", () => ({
    store: redisStore({ client: ioRedisClient("ioredis 6", redis.url), prefix: ownPrefix() }),
  }));

  test("keys, JSON and expiry are those of connect-redis, with and without maxAge", async () => {
    const client = await redisClient(redis.url);
    const prefix = ownPrefix();
    const store = redisStore({ client, prefix, ttl: 100 });
    const old = new RedisStore({ client, prefix, ttl: 100 });
    const inAMinute = { originalMaxAge: 60_000, expires: new Date(Date.now() + 60_000), httpOnly: true, path: "/" };
    const forever = { originalMaxAge: null, expires: null, httpOnly: true, path: "/" };
    for (const [name, cookie] of Object.entries({ inAMinute, forever })) {
      const data = { cookie, user: "ada" } as never;
      await new Promise<void>((resolve, reject) =>
        store.set(`${name} new`, data, (error) => (error ? reject(error as Error) : resolve())),
      );
      await old.set(`${name} old`, data);
      const [ours, theirs] = [`${prefix}${name} new`, `${prefix}${name} old`];
      expect(await client.get(ours)).toBe(await client.get(theirs));
      const lives = await Promise.all([client.pTTL(ours), client.pTTL(theirs)]);
      // Both count from when they were written.
      expect(Math.abs(lives[0] - lives[1])).toBeLessThan(20_000);
      expect(await old.get(`${name} new`)).toMatchObject({ user: "ada" });
    }
  });

  test("neither channels nor keys of ends hold an id, and none of ours looks like a session", async () => {
    // A server of its own: all that it has and publishes is looked at.
    const { url, server } = await startRedis();
    onTestFinished(() => server.close());
    const client = await redisClient(url, byChannels);
    const prefix = ownPrefix();
    const store = redisStore({ client, prefix });
    subscribe(store, () => undefined, false);
    const sent: string[] = [];
    const monitor = await redisClient(url);
    await monitor.pSubscribe("*", (message, channel) => sent.push(channel, message));
    await backendOf(store).watch("the-id");
    await backendOf(store).end("the-id", "SESSION_ROTATED");
    await expect.poll(() => sent.length).toBe(2);
    const channels = await client.pubSubChannels("socket-session:*");
    expect(channels).toContain(sent[0]);
    const keys = await client.keys("*");
    expect(keys).toContain(sent[0]);
    expect([...sent, ...keys].join(" ")).not.toContain("the-id");
    expect(keys.filter((key) => key.startsWith(prefix))).toEqual([]);
  });

  test("reads pass a clientSideCache by, which may be behind what other nodes wrote", async () => {
    const client = await redisClient(redis.url, { RESP: 3, clientSideCache: { ttl: 0, maxEntries: 0 } });
    await expectFreshReads(client, await redisClient(redis.url));
    expect(client.clientSideCache?.size()).toBe(0);
  });

  test("a client that maps types to others serves as any", async () => {
    const client = await redisClient(redis.url, { commandOptions: { typeMapping: { [36]: Buffer, [58]: String } } });
    await expectFreshReads(client, client);
  });

  test("databases of one server do not hear of each other, and nodes of one database do", async () => {
    const prefix = ownPrefix();
    const storeIn = async (database: number) =>
      redisStore({ client: await redisClient(`${redis.url}/${database}`, byChannels), prefix });
    const [first, second, alsoSecond] = [await storeIn(0), await storeIn(1), await storeIn(1)];
    const heard: unknown[][] = [[], []];
    for (const [index, store] of [first, second].entries()) {
      subscribe(store, (notice) => void (notice.kind === "ended" && heard[index]?.push(notice.code)));
      await backendOf(store).watch("id");
    }
    await backendOf(alsoSecond).end("id", "SESSION_DESTROYED");
    await backendOf(await storeIn(0)).end("id", "SESSION_ROTATED");
    await expect.poll(() => heard).toEqual([["SESSION_ROTATED"], ["SESSION_DESTROYED"]]);
  });

  test("a client that is not connected is STORE_UNAVAILABLE, and the cause says what to do", async () => {
    const client = createClient({ url: redis.url }).on("error", () => undefined);
    const store = redisStore({ client, prefix: ownPrefix() });
    const error = await new Promise<Error>((resolve) => store.get("id", (failure) => resolve(failure as Error)));
    expect(error).toMatchObject({ code: "STORE_UNAVAILABLE", cause: { code: "STORE_NOT_READY" } });
    expect(error.message).toContain("The Redis client is not connected. Fix: await client.connect()");
    expect(error.message).not.toMatch(/createTable|replica/);
  });

  test("scripts that the server has forgotten are sent again", async () => {
    const client = await redisClient(redis.url);
    const store = redisStore({ client, prefix: ownPrefix() });
    for (let round = 0; round < 2; round++) {
      await client.scriptFlush();
      await backendOf(store).end("id", "SESSION_DESTROYED");
    }
    expect(await client.scriptExists(shaOfAnything)).toEqual([0]);
  });
});

/** What a node reads through a client, after another node wrote through its own. */
async function expectFreshReads(client: unknown, other: unknown): Promise<void> {
  const prefix = ownPrefix();
  const reader = redisStore({ client: client as never, prefix });
  const writer = redisStore({ client: other as never, prefix });
  const id = "id";
  await new Promise<void>((resolve, reject) =>
    writer.set(id, { cookie: { originalMaxAge: null } } as never, (error) =>
      error ? reject(error as Error) : resolve(),
    ),
  );
  for (let n = 0; n < 20; n++) {
    await backendOf(writer).update(id, (data) => void Object.assign(data, { n }));
    const texts = [await backendOf(reader).read(id, (text) => text), ...(await backendOf(reader).readMany([id]))];
    for (const text of texts) expect(JSON.parse(text as string)).toMatchObject({ n });
  }
}

const shaOfAnything = createHash("sha1").update("return 1").digest("hex");

describe("what cannot work is refused, with what to do", () => {
  const listening = () => createClient().on("error", () => undefined);
  const redis4 = { evalSha() {}, executeIsolated() {}, duplicate() {}, listenerCount: () => 1 };
  const redis3 = { evalsha() {}, internal_send_command() {}, duplicate() {}, listenerCount: () => 1 };
  test.each([
    ["nothing", undefined, "npm install redis"],
    ["a client of redis 4", redis4, "npm install redis@6"],
    ["a client of redis 3", redis3, "npm install redis@6"],
    ["something else", {}, "createClient()"],
    ["a pool", createClientPool().on("error", () => undefined), "createClient()"],
    ["a client with a keyPrefix", createClient({ keyPrefix: "app:" }), "prefix"],
    ["a client without an error listener", createClient(), 'client.on("error"'],
  ])("%s", (_, client, fix) => {
    expect(() => redisStore({ client: client as never })).toThrow(
      expect.objectContaining({ code: "STORE_CLIENT_INVALID", message: expect.stringContaining(fix) as string }),
    );
  });

  test("a subscriber, of another node perhaps", async () => {
    const { url } = await useRedis();
    const client = await redisClient(url);
    await client.subscribe("anything", () => undefined);
    expect(() => redisStore({ client })).toThrow(expect.objectContaining({ code: "STORE_CLIENT_INVALID" }));
  });

  test.each([{ prefix: 1 }, { ttl: 0 }, { ttl: Number.NaN }, { timeout: -1 }])("%o", (options) => {
    expect(() => redisStore({ client: listening(), ...(options as object) })).toThrow(
      expect.objectContaining({ code: "OPTION_INVALID" }),
    );
  });
});

describe("a cluster", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster.close());

  storeContract("redis cluster", async () => ({
    store: redisStore({ client: await redisClusterClient(cluster.ports), prefix: ownPrefix() }),
  }));

  test("reads pass a clientSideCache by, which may be behind what other nodes wrote", async () => {
    const client = createCluster({
      rootNodes: cluster.ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })),
      RESP: 3,
      clientSideCache: { ttl: 0, maxEntries: 0 },
    });
    await client.on("error", () => undefined).connect();
    onTestFinished(() => client.destroy());
    await expectFreshReads(client, await redisClusterClient(cluster.ports));
    expect(client.clientSideCache?.size()).toBe(0);
  });

  test("knows in which slot the server has a key", async () => {
    const client = await redisClient(`redis://127.0.0.1:${cluster.ports[0]}`);
    for (const key of ["", "sess:abc", "{tag}rest", "a{b}{c}", "{}whole", "{{x}}", "ключ", `sess:${ownPrefix()}`]) {
      expect({ key, slot: slotOf(key) }).toEqual({ key, slot: await client.clusterKeySlot(key) });
    }
  });

  test("a slot that moves to another master is heard there", async () => {
    const client = await redisClusterClient(cluster.ports, byChannels);
    const prefix = ownPrefix();
    const [store, other] = [redisStore({ client, prefix }), redisStore({ client, prefix })];
    const seen: unknown[] = [];
    subscribe(store, (notice) => void seen.push(notice));
    const id = "moves";
    await backendOf(store).watch(id);
    await moveSlot(cluster, client, prefix + id);
    await expect.poll(() => store.isHearing, { interval: 1 }).toBe(false);
    await expect.poll(() => store.isHearing, { timeout: 10_000 }).toBe(true);
    await backendOf(other).end(id, "SESSION_DESTROYED");
    await expect.poll(() => seen).toContainEqual({ kind: "ended", id, code: "SESSION_DESTROYED" });
  });

  test("a slot that moved without a word is noticed by the next question, once the client knows of it", async () => {
    const client = await redisClusterClient(cluster.ports, byChannels);
    const name = clusterChannelName(ownPrefix());
    const found = findClient(client, 5000);
    const connection = await openRedisNotices(found, [], "", { onMessage() {}, onInvalidated() {}, onLost() {} });
    onTestFinished(() => connection.close());
    await connection.subscribe([name]);
    await connection.ping();
    await moveSlot(cluster, client, name);
    await client.sendCommand(name, true, ["GET", name]);
    await expect(connection.ping()).rejects.toThrow("moved");
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
