// The Redis driver against real servers.
import { afterAll, beforeAll, describe } from "vitest";
import { redisStore } from "../../src/store/redis.js";
import { storeContract } from "../contract/store.js";
import {
  ownPrefix,
  redisClient,
  redisClusterClient,
  type RedisCluster,
  startRedisCluster,
  useRedis,
} from "../support/redis.js";

describe("one server", () => {
  let redis: Awaited<ReturnType<typeof useRedis>>;
  beforeAll(async () => {
    redis = await useRedis();
  });
  afterAll(() => redis.close());

  storeContract("redis", async () => ({
    store: redisStore({ client: await redisClient(redis.url), prefix: ownPrefix() }),
  }));
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
});
