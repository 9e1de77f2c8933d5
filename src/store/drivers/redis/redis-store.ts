// The live store in Redis or Valkey: its options, and what they have to be.
import { checkFinite, checkNames, invalid, kindOf, type NamesOf } from "../../../internal/check-options.js";
import { checkStoreLimits, LiveStore } from "../../live-store.js";
import { noticePrefix } from "./channels.js";
import { type AnyRedisClient, checkNotClient, findClient } from "./find-client.js";
import { RedisDriver } from "./redis-driver.js";

export type { IoRedisClient, IoRedisClusterClient } from "./ioredis.js";
export type { RedisClient, RedisClusterClient, RedisSentinelClient } from "./node-redis.js";

/** Options of {@link redisStore}. */
export interface RedisStoreOptions {
  /**
   * What `createClient()`, `createCluster()` or `createSentinel()` of the package `redis` gave; or a `Redis` or `Cluster` of
   * ioredis or iovalkey. Give it an `"error"` listener. It stays yours to connect and to close.
   */
  client: AnyRedisClient;
  /** What the keys start with. Default `"sess:"`, as in connect-redis. */
  prefix?: string | undefined;
  /** How long a session without `cookie.maxAge` lives untouched, in **seconds**. Default 86,400, as in connect-redis. */
  ttl?: number | undefined;
  /** How long Redis may take to answer one command, in ms, before it counts as unavailable. Default 5000. */
  timeout?: number | undefined;
  /** How many bytes (UTF-8) a session may take as it is stored; a save above it is `DATA_INVALID`. Default 1 MiB. */
  maxSessionSize?: number | undefined;
}

/**
 * A live store in Redis (7 or newer) or Valkey, for any number of nodes: what one node changes or ends, the others
 * hear at once. Keys, JSON and expiry are those of connect-redis 9, so that services can move one after the other.
 *
 * The client is one of the package `redis` (5 or 6), connected by you, or of ioredis (5 or 6) or iovalkey. The driver makes
 * duplicates of its own for notices, for each node, or for each master of a cluster.
 *
 * @throws SessionError `STORE_CLIENT_INVALID`, `OPTION_INVALID`; while the client is not connected, what needs the
 * store fails with `STORE_UNAVAILABLE`, whose cause is `STORE_NOT_READY`.
 * @example
 * ```ts
 * import { createClient } from "redis";
 *
 * const client = createClient({ url: process.env.REDIS_URL ?? "redis://localhost:6379" });
 * client.on("error", (error) => console.error(error));
 * await client.connect();
 * const sessions = createSessions({ secret, store: redisStore({ client }) });
 * ```
 */
export function redisStore(options: RedisStoreOptions): LiveStore {
  checkNotClient(options);
  checkNames(options, optionNames, "redisStore()", (name) =>
    name === "url" ? "redisStore({ client: createClient({ url }) })" : undefined,
  );
  // Who writes JavaScript may leave them out.
  const given = (options as RedisStoreOptions | undefined) ?? ({} as RedisStoreOptions);
  const { client, prefix = "sess:", ttl = 86_400, timeout = 5000, maxSessionSize } = given;
  const found = findClient(client, timeout);
  if (typeof prefix !== "string") throw invalid(`prefix must be a string, not ${kindOf(prefix)}.`);
  checkFinite({ ttl });
  // Before a driver listens to the client.
  checkStoreLimits(timeout, maxSessionSize);
  // Outside of the prefix: who lists the sessions does not find them.
  const notes = new RedisDriver(found, `${noticePrefix}user:${prefix}`, ttl * 1000, timeout);
  return new LiveStore(new RedisDriver(found, prefix, ttl * 1000, timeout, notes), { timeout, maxSessionSize });
}

const optionNames: NamesOf<RedisStoreOptions> = {
  client: true,
  prefix: true,
  ttl: true,
  timeout: true,
  maxSessionSize: true,
};
