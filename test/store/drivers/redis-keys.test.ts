// A node that hears by keys: whoever changes a session that it has, with this library or without it, is heard at once. The
// lease is so long that it finds nothing.
import { RedisStore } from "connect-redis";
import type { SessionData } from "express-session";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Registry } from "../../../src/session/registry.js";
import { redisStore, type RedisStoreOptions } from "../../../src/store/drivers/redis/redis-store.js";
import { backendOf, type LiveStore } from "../../../src/store/live-store.js";
import { ioRedisClient, ioRedisClusterClient, type IoRedisPackage } from "../../support/ioredis.js";
import {
  byChannels,
  moveSlot,
  ownPrefix,
  redisClient,
  redisClusterClient,
  type RedisCluster,
  type RedisServer,
  startRedis,
  startRedisCluster,
} from "../../support/redis.js";
import { Wire } from "../../support/wire.js";

type Loose = Record<string, unknown>;
type Client = Awaited<ReturnType<typeof redisClient>>;

/** A node with live sessions. */
class Node {
  readonly ended: Record<string, string> = {};
  readonly errors: string[] = [];
  readonly registry: Registry;

  constructor(
    readonly store: LiveStore,
    lease = 3_600_000,
  ) {
    this.registry = new Registry(
      backendOf(store),
      { lease, maxStale: 300_000, maxUnsaved: 100 },
      {
        change() {},
        end: (live, code) => void (this.ended[live.id] = code),
        error: (error) => void this.errors.push((error as { code: string }).code),
        lost() {},
        wantsChanges: () => false,
      },
    );
    onTestFinished(async () => {
      await this.registry.close().catch(() => undefined);
      store.close();
    });
  }

  /** The data of a session for a new connection. */
  async connect(id: string): Promise<Loose> {
    return (await this.registry.acquire(id, { end() {} })).data as unknown as Loose;
  }
}

function data(fields: object, maxAge?: number): SessionData {
  const expires = maxAge === undefined ? null : new Date(Date.now() + maxAge);
  return { cookie: { originalMaxAge: maxAge ?? null, expires, path: "/" }, ...fields } as never;
}

/** The packages differ in how they are told: on the connection that reads, or on another one. */
interface Kind {
  open(url: string, options?: object): Promise<RedisStoreOptions["client"]>;
  openCluster(ports: readonly number[]): Promise<RedisStoreOptions["client"]>;
}

const byIoRedis = (name: IoRedisPackage): Kind => ({
  open: async (url, options) => ioRedisClient(name, url, options),
  openCluster: async (ports) => ioRedisClusterClient(name, ports),
});
const kinds: readonly (readonly [string, Kind])[] = [
  ["node-redis", { open: redisClient, openCluster: redisClusterClient }],
  ["ioredis 6", byIoRedis("ioredis 6")],
  ["ioredis 5", byIoRedis("ioredis 5")],
];

describe.each(kinds)("one server, by %s", (kind, { open }) => {
  let redis: RedisServer;
  let admin: Client;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.server.close());

  /** A node, an old service and their sessions; the node has read one of them, so that it hears. */
  async function start(url = redis.url, lease?: number) {
    admin = await redisClient(url);
    const prefix = ownPrefix();
    const node = new Node(redisStore({ client: await open(url), prefix }), lease);
    const old = new RedisStore({ client: await redisClient(url), prefix });
    await old.set("first", data({ user: "first" }));
    await node.connect("first");
    expect(node.store.hears).toBe("keys");
    return { node, old, prefix };
  }

  /** How often the server was asked what, since this was called. */
  async function counting(url = redis.url): Promise<() => Promise<Record<string, number>>> {
    const client = await redisClient(url);
    await client.configResetStat();
    return async () => {
      const stats = (await client.info("commandstats")).matchAll(/cmdstat_(\S+?):calls=(\d+)/g);
      const calls = Object.fromEntries([...stats].map(([, name, calls]) => [name, Number(calls)]));
      for (const own of ["info", "config|resetstat"]) delete calls[own];
      return calls;
    };
  }

  test("a change of an old service, again and again", async () => {
    const { node, old } = await start();
    await old.set("id", data({ user: "ada" }));
    const live = await node.connect("id");
    for (const user of ["bob", "eve", "mallory"]) {
      await old.set("id", data({ user }));
      await expect.poll(() => live["user"], { interval: 1 }).toBe(user);
    }
  });

  test("a logout of an old service is SESSION_DESTROYED, the end of its time SESSION_EXPIRED", async () => {
    const { node, old } = await start();
    await old.set("logs out", data({}));
    await old.set("expires", data({}, 1500));
    await Promise.all([node.connect("logs out"), node.connect("expires")]);
    await old.destroy("logs out");
    await expect.poll(() => node.ended).toEqual({ "logs out": "SESSION_DESTROYED" });
    await expect.poll(() => node.ended["expires"]).toBe("SESSION_EXPIRED");
  });

  test("an end by another node has its reason", async () => {
    const { node, old, prefix } = await start();
    const other = redisStore({ client: await redisClient(redis.url), prefix });
    await old.set("id", data({}));
    await node.connect("id");
    await backendOf(other).end("id", "SESSION_ROTATED");
    await expect.poll(() => node.ended).toEqual({ id: "SESSION_ROTATED" });
  });

  test("a touch of an old service costs one read, and changes nothing", async () => {
    const { node, old } = await start();
    await old.set("id", data({ user: "ada" }, 600_000));
    const live = await node.connect("id");
    const calls = await counting();
    await old.touch("id", data({ user: "ada" }, 600_000));
    await expect.poll(async () => (await calls())["mget"]).toBe(1);
    expect(live["user"]).toBe("ada");
    expect(node.ended).toEqual({});
  });

  test("an id that had no session gets one", async () => {
    const { node, old } = await start();
    const heard: unknown[] = [];
    const backend = backendOf(node.store);
    const subscriber = { flush: () => undefined, watches: () => true, connectionsOf: () => 0 };
    onTestFinished(backend.subscribe({ ...subscriber, onNotice: (notice) => void heard.push(notice) }));
    void backend.watch("new");
    expect(await backend.read("new", (text) => text)).toBeUndefined();
    await old.set("new", data({}));
    await expect.poll(() => heard).toEqual([{ kind: "changed", id: "new" }]);
  });

  test("everything is flushed, or evicted", async () => {
    const { url, server } = await startRedis();
    onTestFinished(() => server.close());
    for (const lose of [
      () => admin.flushAll(),
      async () => {
        await admin.configSet({ "maxmemory-policy": "allkeys-random", maxmemory: "1" });
        await admin.sendCommand(["DEL", "nothing"]);
        // A server without memory evicts all that it has before a write, which it then refuses.
        await admin.set("any", "1").catch(() => undefined);
      },
    ]) {
      const { node, old } = await start(url);
      await old.set("id", data({}));
      await node.connect("id");
      await lose();
      await expect.poll(() => Object.keys(node.ended).toSorted()).toEqual(["first", "id"]);
    }
  });

  test("where a server cannot remember all that was read, the lease bounds what it does not tell", async () => {
    const { url, server } = await startRedis(["--tracking-table-max-keys", "1"]);
    onTestFinished(() => server.close());
    const { node, old } = await start(url, 500);
    const ids = ["a", "b", "c"];
    for (const id of ids) await old.set(id, data({ user: "ada" }));
    const lives = await Promise.all(ids.map((id) => node.connect(id)));
    for (const user of ["bob", "eve"]) {
      for (const id of ids) await old.set(id, data({ user }));
      await expect.poll(() => lives.map((live) => live["user"])).toEqual([user, user, user]);
    }
  });

  test("own writes are not read again, and what others write after them is heard", async () => {
    const { node, old, prefix } = await start();
    await old.set("id", data({ count: 0 }, 600_000));
    const live = await node.connect("id");
    const backend = backendOf(node.store);
    const calls = await counting();
    for (let count = 1; count <= 5; count++) {
      await backend.update("id", (session) => void Object.assign(session, { count }));
      await backend.prolong("id", Date.now() + count * 1000);
    }
    // The notice of what was written after them comes after theirs.
    await old.set("first", data({ user: "second" }));
    const first = node.registry.get("first")?.data as unknown as Loose;
    await expect.poll(() => first["user"]).toBe("second");
    expect((await calls())["evalsha"]).toBe(10);
    const invalidated = await readsOf(calls, backend);
    expect(live["count"]).toBe(5);
    await old.set("id", { ...JSON.parse((await admin.get(`${prefix}id`)) as string), count: 6 } as never);
    await expect.poll(() => live["count"], { interval: 1 }).toBe(6);
    expect((await calls())["mget"]).toBe(invalidated + 1);
  });

  /** How many reads there were, when none is under way. */
  async function readsOf(calls: () => Promise<Record<string, number>>, backend: ReturnType<typeof backendOf>) {
    await backend.read("first", () => undefined);
    return (await calls())["mget"] as number;
  }

  test("all who connect in one turn are one read, and who leaves costs nothing", async () => {
    const { node, old } = await start();
    const ids = Array.from({ length: 300 }, (_, index) => `id ${index}`);
    await Promise.all(ids.map((id) => old.set(id, data({}))));
    const connections = ids.map(() => ({ end() {} }));
    const calls = await counting();
    const lives = await Promise.all(ids.map((id, index) => node.registry.acquire(id, connections[index] as never)));
    expect(await calls()).toEqual({ mget: 1 });
    for (const [index, live] of lives.entries()) live.remove(connections[index] as never);
    expect(node.registry.size).toBe(1);
    expect(await calls()).toEqual({ mget: 1 });
  });

  test("a key that holds something else lets nobody in, and ends nothing", async () => {
    const { node, old, prefix } = await start();
    await old.set("id", data({}));
    await node.connect("id");
    for (const id of ["id", "list"]) {
      await admin.del(prefix + id);
      await admin.rPush(prefix + id, "x");
    }
    await expect(node.connect("list")).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
    await expect.poll(() => node.errors).toContain("RECORD_INVALID");
  });

  test("what happened while the connection was away is read when it is back", async () => {
    const { node, old } = await start();
    for (const id of ["changes", "ends"]) await old.set(id, data({ user: "ada" }));
    const live = await node.connect("changes");
    await node.connect("ends");
    for (let round = 0; round < 3; round++) {
      await admin.sendCommand(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
      await old.set("changes", data({ user: `user ${round}` }));
      await expect.poll(() => live["user"]).toBe(`user ${round}`);
      await expect.poll(() => node.store.hears).toBe("keys");
    }
    await old.destroy("ends");
    await expect.poll(() => node.ended).toEqual({ ends: "SESSION_DESTROYED" });
    await old.set("changes", data({ user: "last" }));
    await expect.poll(() => live["user"], { interval: 1 }).toBe("last");
  });

  test("commands that were under way when the connection was lost are sent over the other", async () => {
    const { node, old } = await start();
    await old.set("id", data({ count: 0 }));
    await node.connect("id");
    const backend = backendOf(node.store);
    const increase = (session: SessionData): void =>
      void Object.assign(session, { count: ((session as unknown as Loose)["count"] as number) + 1 });
    let count = 0;
    for (let round = 0; round < 20; round++) {
      await expect.poll(() => node.store.hears, { interval: 1 }).toBe("keys");
      const working = Promise.all([1, 2, 3].map(() => backend.update("id", increase)));
      const killed = admin.sendCommand(["CLIENT", "KILL", "TYPE", "pubsub"]);
      await Promise.all([working, killed]);
      count += 3;
    }
    expect(await old.get("id")).toMatchObject({ count });
  });

  test("the connections of a session are counted on all nodes, however they hear", async () => {
    const { node, old, prefix } = await start();
    const others = await Promise.all(
      [{}, byChannels].map(
        async (options) => new Node(redisStore({ client: await redisClient(redis.url, options), prefix })),
      ),
    );
    expect(await backendOf(node.store).connectionsOf("first")).toEqual([1]);
    for (const other of others) for (let times = 0; times < 2; times++) await other.connect("first");
    expect(others.map(({ store }) => store.hears)).toEqual(["keys", "channels"]);
    for (const each of [node, ...others]) {
      expect((await backendOf(each.store).connectionsOf("first")).toSorted()).toEqual([1, 2, 2]);
    }
    // One that does not have the session answers, too: nobody waits for it.
    await old.set("second", data({}));
    await others[1]?.connect("second");
    const since = performance.now();
    for (let times = 0; times < 5; times++) {
      expect(await backendOf(node.store).connectionsOf("second")).toEqual([1]);
    }
    expect(performance.now() - since).toBeLessThan(5 * 250);
  });

  describe("channels are heard instead", () => {
    async function hears(options: object, url = redis.url): Promise<unknown> {
      const prefix = ownPrefix();
      const store = redisStore({ client: await open(url, options), prefix });
      const node = new Node(store);
      expect(store.hears).toBeUndefined();
      const other = redisStore({ client: await redisClient(redis.url), prefix });
      await new RedisStore({ client: await redisClient(redis.url), prefix }).set("id", data({}));
      await node.connect("id");
      const { hears: heard } = store;
      await backendOf(other).end("id", "SESSION_ROTATED");
      await expect.poll(() => node.ended).toEqual({ id: "SESSION_ROTATED" });
      return heard;
    }

    if (kind === "node-redis") {
      test("for a client with RESP 2", async () => {
        expect(await hears(byChannels)).toBe("channels");
      });
    }

    test("for a user without the right to CLIENT TRACKING", async () => {
      const client = await redisClient(redis.url);
      await client.aclSetUser("no-tracking", ["on", ">secret", "~*", "&*", "+@all", "-client|tracking"]);
      expect(await hears({ username: "no-tracking", password: "secret" })).toBe("channels");
    });

    test("behind a proxy that does not tell what the server tells", async () => {
      const wire = await Wire.to(redis.port);
      onTestFinished(() => wire.close());
      wire.state = "mutes";
      expect(await hears({}, `redis://127.0.0.1:${wire.port}`)).toBe("channels");
    });
  });
});

describe.each(kinds)("a cluster, by %s", (_, { openCluster }) => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster.close());

  const ids = Array.from({ length: 12 }, (_, index) => `id ${index}`);

  async function start() {
    const prefix = ownPrefix();
    const client = await redisClusterClient(cluster.ports);
    const old = new RedisStore({ client: (await redisClusterClient(cluster.ports)) as never, prefix });
    const node = new Node(redisStore({ client: await openCluster(cluster.ports), prefix }));
    for (const id of ids) await old.set(id, data({ user: "ada" }));
    const lives = await Promise.all(ids.map((id) => node.connect(id)));
    expect(node.store.hears).toBe("keys");
    return { client, prefix, node, old, lives };
  }

  test("changes and logouts on all masters, by an old service and after own writes", async () => {
    const { node, old, lives } = await start();
    for (const id of ids) await backendOf(node.store).update(id, (session) => void Object.assign(session, { own: 1 }));
    for (const id of ids) await old.set(id, data({ user: "bob" }));
    await expect.poll(() => lives.map((live) => live["user"])).toEqual(ids.map(() => "bob"));
    await Promise.all(ids.map((id) => old.destroy(id)));
    await expect.poll(() => node.ended).toEqual(Object.fromEntries(ids.map((id) => [id, "SESSION_DESTROYED"])));
  });

  test("a key that holds something else lets nobody in", async () => {
    const { node, client, prefix } = await start();
    const raw = client as unknown as { rPush(key: string, value: string): Promise<unknown> };
    await raw.rPush(`${prefix}list`, "x");
    await expect(node.connect("list")).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
    expect(node.errors).toEqual(["RECORD_INVALID"]);
  });

  test("a slot that moves is heard on its new master", { timeout: 60_000 }, async () => {
    const { node, old, prefix, client, lives } = await start();
    const [id] = ids as [string];
    await moveSlot(cluster, client, prefix + id);
    await expect.poll(() => node.store.isHearing, { interval: 1, timeout: 15_000 }).toBe(false);
    await expect.poll(() => node.store.isHearing, { timeout: 15_000 }).toBe(true);
    for (const user of ["new", "newer"]) {
      await old.set(id, data({ user }));
      await expect.poll(() => lives[0]?.["user"]).toBe(user);
    }
    expect(node.ended).toEqual({});
  });
});
