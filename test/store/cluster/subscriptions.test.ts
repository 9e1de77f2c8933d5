// Who watches a session again at once hears of it, on real servers; what nobody watches is not subscribed.
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Notice } from "../../../src/store/cluster/change-bus.js";
import { backendOf, type LiveStore } from "../../../src/store/live-store.js";
import { postgresStore } from "../../../src/store/drivers/postgres/postgres-store.js";
import { channelName, clusterChannelName, noticePrefix } from "../../../src/store/drivers/redis/channels.js";
import { redisStore } from "../../../src/store/drivers/redis/redis-store.js";
import { ownTable, postgresPool, usePostgres } from "../../support/postgres.js";
import {
  byChannels,
  ownPrefix,
  redisClient,
  redisClusterClient,
  type RedisCluster,
  startRedisCluster,
  useRedis,
} from "../../support/redis.js";
import { subscribe } from "../../support/subscriber.js";

/** Channels on which a node hears the others, whatever it watches. */
const forMessages = 2;
const ids = Array.from({ length: 100 }, (_, index) => `id ${index}`);

/** Watches each session and lets go of it, again and again, at any moment; then keeps every other one. */
async function toggle(store: LiveStore): Promise<{ kept: string[]; heard: Set<string> }> {
  const heard = new Set<string>();
  subscribe(store, (notice: Notice) => void heard.add(notice.kind === "cleared" ? "" : (notice.id ?? "")), false);
  await backendOf(store).watch("opens the line");
  await Promise.all(
    ids.map(async (id, index) => {
      for (let round = 0; round < 8; round++) {
        void backendOf(store).watch(id);
        await delay(Math.random() * 3);
        backendOf(store).unwatch(id);
        await delay(Math.random() * 3);
      }
      if (index % 2 === 0) await backendOf(store).watch(id);
    }),
  );
  backendOf(store).unwatch("opens the line");
  heard.clear();
  return { kept: ids.filter((_, index) => index % 2 === 0), heard };
}

/** Another node writes all of them. */
async function endAll(store: LiveStore): Promise<void> {
  await Promise.all(ids.map((id) => backendOf(store).end(id, "SESSION_DESTROYED")));
}

describe("one Redis server", () => {
  let redis: Awaited<ReturnType<typeof useRedis>>;
  beforeAll(async () => {
    redis = await useRedis();
  });

  test("has a subscription of each session that is watched when the watch resolves, and no other", async () => {
    const [client, other] = [await redisClient(redis.url, byChannels), await redisClient(redis.url)];
    const prefix = ownPrefix();
    const { kept, heard } = await toggle(redisStore({ client, prefix }));
    const count = async (those: readonly string[]): Promise<number[]> =>
      Object.values(await client.pubSubNumSub(those.map((id) => channelName(prefix + id, 0)))).map(Number);
    expect(new Set(await count(kept))).toEqual(new Set([1]));
    await expect.poll(async () => (await count(ids)).reduce((sum, one) => sum + one)).toBe(kept.length);
    await endAll(redisStore({ client: other, prefix }));
    await expect.poll(() => [...heard].toSorted()).toEqual(kept.toSorted());
  });
});

describe("a Redis cluster", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster.close());

  test("has a subscription of each session that is watched when the watch resolves, and no other", async () => {
    const client = await redisClusterClient(cluster.ports, byChannels);
    const other = await redisClusterClient(cluster.ports);
    const nodes = await Promise.all(cluster.ports.map((port) => redisClient(`redis://127.0.0.1:${port}`)));
    const subscribed = async (): Promise<string[]> =>
      (await Promise.all(nodes.map((node) => node.pubSubShardChannels(`${noticePrefix}*`)))).flat();
    const prefix = ownPrefix();
    const { kept, heard } = await toggle(redisStore({ client, prefix }));
    expect(await subscribed()).toEqual(expect.arrayContaining(kept.map((id) => clusterChannelName(prefix + id))));
    await expect.poll(async () => (await subscribed()).length).toBe(kept.length + forMessages);
    await endAll(redisStore({ client: other, prefix }));
    await expect.poll(() => [...heard].toSorted()).toEqual(kept.toSorted());
  });
});

describe("PostgreSQL", () => {
  let postgres: Awaited<ReturnType<typeof usePostgres>>;
  beforeAll(async () => {
    postgres = await usePostgres();
  });

  test("tells of each session that is watched, and of no other", async () => {
    const [pool, other] = [postgresPool(postgres.url), postgresPool(postgres.url)];
    const table = ownTable();
    const { kept, heard } = await toggle(postgresStore({ pool, table, createTable: true }));
    await endAll(postgresStore({ pool: other, table, createTable: true }));
    await expect.poll(() => [...heard].toSorted()).toEqual(kept.toSorted());
  });
});
