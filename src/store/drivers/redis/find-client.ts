// Recognises by its shape of which package the application's client is, and says which one can work.
import { SessionError } from "../../../errors.js";
import type { Client } from "./client.js";
import {
  nodeRedis,
  nodeRedisCluster,
  nodeRedisSentinel,
  type RedisClient,
  type RedisClusterClient,
  type RedisSentinelClient,
} from "./node-redis.js";

/** A client that an application may give. */
export type AnyRedisClient = RedisClient | RedisClusterClient | RedisSentinelClient;

/**
 * The client as the driver sees it; `timeout` (ms) is for commands that cannot be sent at once. Throws
 * `STORE_CLIENT_INVALID` for one that cannot work.
 */
export function findClient(value: unknown, timeout: number): Client {
  if (value === undefined || value === null) refuse("There is no client: npm install redis, then createClient().");
  const client = value as Record<string, unknown>;
  checkNodeRedis(client);
  if ("masters" in client) return nodeRedisCluster(value as RedisClusterClient, timeout);
  if (has(client, "getMasterNode")) return nodeRedisSentinel(value as RedisSentinelClient, timeout);
  return nodeRedis(value as RedisClient, timeout);
}

function checkNodeRedis(client: Record<string, unknown>): void {
  if (has(client, "evalsha") && !has(client, "evalSha")) {
    refuse("It is a client of ioredis: redisStore() needs one of the package redis.");
  }
  if (has(client, "executeIsolated") || has(client, "internal_send_command")) {
    refuse("It is of an old version of the package redis: npm install redis@6. Versions from 5 on work.");
  }
  for (const method of ["evalSha", "duplicate", "withCommandOptions", "listenerCount"]) {
    if (!has(client, method)) refuse(`It has no ${method}(): pass what createClient() gave.`);
  }
  const isSingle = has(client, "subscribe") && has(client, "mGet") && "isReady" in client;
  if (!("masters" in client) && !isSingle) {
    refuse("It is neither a single client nor one of a cluster or of Sentinels: pass what createClient() gave.");
  }
  if (client["isPubSubActive"] === true) {
    refuse("It is a subscriber: pass a client that sends commands. The store makes a subscriber of its own.");
  }
  if (client["_keyPrefix"] !== undefined) {
    // It would be put before keys, but not before channels: notices would go where nobody listens.
    refuse("It has a keyPrefix: use redisStore({ prefix }) instead.");
  }
  if ((client as unknown as RedisClient).listenerCount("error") === 0) {
    refuse('It has no "error" listener, so that a lost connection ends the process: client.on("error", …).');
  }
}

function has(client: Record<string, unknown>, method: string): boolean {
  return typeof client[method] === "function";
}

function refuse(detail: string): never {
  throw new SessionError("STORE_CLIENT_INVALID", { detail });
}
