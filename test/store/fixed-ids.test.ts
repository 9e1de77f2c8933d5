// Ids that repeat, because `genid` makes them: who logged out and logs in again on another node stays logged in.
import { beforeAll, describe, expect, test } from "vitest";
import type { LiveStore } from "../../src/store/live-store.js";
import { postgresStore } from "../../src/store/drivers/postgres/postgres-store.js";
import { channelName, clusterChannelName } from "../../src/store/drivers/redis/channels.js";
import { redisStore } from "../../src/store/drivers/redis/redis-store.js";
import { type App, secret, startApp } from "../support/app.js";
import { closed } from "../support/browser.js";
import { ownTable, postgresPool, usePostgres } from "../support/postgres.js";
import { ownPrefix, redisClient, redisClusterClient, useRedis, useRedisCluster } from "../support/redis.js";

interface Place {
  readonly stores: readonly LiveStore[];
  /** Puts back what a snapshot has of this session, and of what is remembered of it, taken `ago` ms earlier. */
  snapshot(id: string): Promise<(ago: number) => Promise<unknown>>;
}

interface Storage {
  readonly name: string;
  open(): Promise<{ nodes(count: number): Promise<Place> }>;
}

type Client = Awaited<ReturnType<typeof redisClient>>;

async function inRedis(connect: () => Promise<Client>, count: number, channelOf: (key: string) => string) {
  const prefix = ownPrefix();
  const client = await connect();
  const stores = await Promise.all(
    Array.from({ length: count }, async () => redisStore({ client: await connect(), prefix })),
  );
  const snapshot: Place["snapshot"] = async (id) => {
    const keys = [prefix + id, channelOf(prefix + id)];
    const before = await Promise.all(keys.map((key) => Promise.all([client.get(key), client.pTTL(key)])));
    return async (ago) => {
      for (const [index, [text, age]] of before.entries()) {
        await client.del(keys[index] as string);
        if (text !== null) await client.set(keys[index] as string, text, { PX: age - ago });
      }
    };
  };
  return { stores, snapshot };
}

const storages: readonly Storage[] = [
  {
    name: "Redis",
    open: async () => {
      const { url } = await useRedis();
      return {
        nodes: (count) =>
          inRedis(
            () => redisClient(url),
            count,
            (key) => channelName(key, 0),
          ),
      };
    },
  },
  {
    name: "a Redis cluster",
    open: async () => {
      const { ports } = await useRedisCluster();
      return { nodes: (count) => inRedis(() => redisClusterClient(ports) as never, count, clusterChannelName) };
    },
  },
  {
    name: "PostgreSQL",
    open: async () => {
      const { url } = await usePostgres();
      const nodes = async (count: number): Promise<Place> => {
        const pool = postgresPool(url);
        const table = ownTable();
        const open = (): LiveStore => postgresStore({ pool: postgresPool(url), table, createTable: true });
        return {
          stores: Array.from({ length: count }, open),
          snapshot: async () => {
            await pool.query(`CREATE TABLE ${table}_before AS TABLE ${table}`);
            return (ago) =>
              pool.query(
                `DELETE FROM ${table}; INSERT INTO ${table}
                SELECT sid, sess, expire - interval '${ago} ms' FROM ${table}_before; DROP TABLE ${table}_before`,
              );
          },
        };
      };
      return { nodes };
    },
  },
];

const id = "user:ada";

describe.each(storages)("on $name", { timeout: 30_000 }, ({ open }) => {
  let storage: Awaited<ReturnType<Storage["open"]>>;
  beforeAll(async () => {
    storage = await open();
  });

  const nodeOn = (store: LiveStore): Promise<App> => startApp({ sessions: { secret, store, genid: () => id } });

  /** Three nodes, of which the first two have sockets of the session. */
  async function start() {
    const place = await storage.nodes(3);
    const [a, b, c] = (await Promise.all(place.stores.map(nodeOn))) as [App, App, App];
    const ada = await a.login("ada");
    await ada.connect();
    const visit = (app: App) => {
      const browser = app.browser();
      for (const [name, value] of ada.cookies) browser.cookies.set(name, value);
      return browser;
    };
    await visit(b).connect();
    return { a, b, c, ada, visit, place };
  }

  test("a login with the same id on another node is a new session for all", async () => {
    const { a, b, c, ada, visit } = await start();
    expect((await ada.post("/logout")).ok).toBe(true);
    // One that has read that it ended, too.
    expect(await visit(c).refused()).toMatchObject({ code: "SESSION_UNKNOWN" });
    await b.login("ada again");
    for (const app of [a, b, c]) {
      expect(await visit(app).get("/session")).toEqual({ user: "ada again" });
      await visit(app).connect();
    }
    expect((await visit(a).post("/set", { other: "x" })).ok).toBe(true);
    expect(await visit(c).get("/session")).toEqual({ user: "ada again", other: "x" });
    // And once more, the other way round.
    expect((await visit(c).post("/logout")).ok).toBe(true);
    for (const app of [a, b, c]) {
      // Who comes in the moment in which the node finds out is told why it ended.
      const { code } = await visit(app).refused();
      expect(["SESSION_UNKNOWN", "SESSION_DESTROYED"]).toContain(code);
    }
    await a.login("a third time");
    for (const app of [c, b]) expect(await visit(app).get("/session")).toEqual({ user: "a third time" });
  });

  test("an older snapshot does not bring it back, and a login after that counts", async () => {
    const { a, b, c, ada, visit, place } = await start();
    const goBack = await place.snapshot(id);
    expect((await ada.post("/logout")).ok).toBe(true);
    await goBack(0);
    expect(await visit(a).get("/session")).toEqual({});
    expect(await visit(c).get("/session")).toEqual({});
    await b.login("ada again");
    expect(await visit(a).get("/session")).toEqual({ user: "ada again" });
  });

  test("nor does one of a session that was itself the second with its id", async () => {
    const { a, b, c, ada, visit, place } = await start();
    expect((await ada.post("/logout")).ok).toBe(true);
    await b.login("ada again");
    const goBack = await place.snapshot(id);
    const end = closed(await visit(a).connect());
    expect((await visit(b).post("/logout")).ok).toBe(true);
    // From then on the node knows of the end.
    await end;
    await goBack(20_000);
    expect(await visit(a).get("/session")).toEqual({});
    expect(await visit(c).get("/session")).toEqual({});
  });
});
