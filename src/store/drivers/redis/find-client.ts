// Recognises by its shape of which package the application's client is, and says which one can work.
import { SessionError } from "../../../errors.js";
import { kindOf } from "../../../internal/check-options.js";
import type { Client } from "./client.js";
import { type IoRedisClient, IoRedisCluster, type IoRedisClusterClient, IoRedisSingle } from "./ioredis.js";
import {
  nodeRedis,
  nodeRedisCluster,
  nodeRedisSentinel,
  type RedisClient,
  type RedisClusterClient,
  type RedisSentinelClient,
} from "./node-redis.js";

/** A client that an application may give. */
export type AnyRedisClient =
  | RedisClient
  | RedisClusterClient
  | RedisSentinelClient
  | IoRedisClient
  | IoRedisClusterClient;

/**
 * The client as the driver sees it; `timeout` (ms) is for commands that cannot be sent at once. Throws
 * `STORE_CLIENT_INVALID` for one that cannot work.
 */
export function findClient(value: unknown, timeout: number): Client {
  if (value === undefined || value === null) {
    refuse("There is no client: npm install redis, then createClient(); or npm install ioredis, then new Redis().");
  }
  const client = value as Record<string, unknown>;
  if (has(client, "executeIsolated") || has(client, "internal_send_command")) {
    refuse("It is of an old version of the package redis: npm install redis@6. Versions from 5 on work.");
  }
  if (has(client, "evalsha") && !has(client, "evalSha")) {
    checkIoRedis(client);
    if (client["isCluster"] === true) return new IoRedisCluster(value as IoRedisClusterClient, timeout);
    return new IoRedisSingle(value as IoRedisClient, timeout);
  }
  checkNodeRedis(client);
  if ("masters" in client) return nodeRedisCluster(value as RedisClusterClient, timeout);
  if (has(client, "getMasterNode")) return nodeRedisSentinel(value as RedisSentinelClient, timeout);
  return nodeRedis(value as RedisClient, timeout);
}

/** Throws `STORE_CLIENT_INVALID` for a client in place of the options that hold one. */
export function checkNotClient(options: unknown): void {
  const given = (options ?? {}) as Record<string, unknown>;
  if (has(given, "duplicate")) refuse("redisStore() takes options, not the client itself: redisStore({ client }).");
}

function checkNodeRedis(client: Record<string, unknown>): void {
  for (const method of ["evalSha", "duplicate", "withCommandOptions", "listenerCount"]) {
    if (!has(client, method)) refuse(`It is ${kindOf(client)}, without ${method}(): pass what createClient() gave.`);
  }
  const isSingle = has(client, "subscribe") && has(client, "mGet") && "isReady" in client;
  if (!("masters" in client) && !isSingle) {
    refuse("It is neither a single client nor one of a cluster or of Sentinels: pass what createClient() gave.");
  }
  if (client["isPubSubActive"] === true) {
    refuse("It is a subscriber: pass a client that sends commands. The store makes a subscriber of its own.");
  }
  if (client["_keyPrefix"] !== undefined) {
    // The store sends its commands as they are, without it.
    refuse("It has a keyPrefix: use redisStore({ prefix }) instead.");
  }
  if ((client as unknown as RedisClient).listenerCount("error") === 0) {
    refuse('It has no "error" listener, so that a lost connection ends the process: client.on("error", …).');
  }
}

/** The options of a client of ioredis, as far as some of them make it impossible to serve. */
interface IoRedisOptions {
  readonly keyPrefix?: string;
  readonly role?: string;
  readonly sentinels?: unknown;
  readonly enableAutoPipelining?: boolean;
}

function checkIoRedis(client: Record<string, unknown>): void {
  if (!has(client, "ssubscribe") || !has(client, "duplicate")) {
    refuse("It is of an old version of ioredis: npm install ioredis@6. Versions from 5 on work.");
  }
  const { keyPrefix, role, sentinels, enableAutoPipelining } = (client["options"] ?? {}) as IoRedisOptions;
  const isCluster = client["isCluster"] === true;
  const duplicate = (options: string): string => `client.duplicate(${isCluster ? "[], " : ""}${options})`;
  if (keyPrefix) {
    // It is put before keys and some channels, but not before those of a script.
    const plain = duplicate('{ keyPrefix: "" }');
    refuse(`It has a keyPrefix: redisStore({ client: ${plain}, prefix: "${keyPrefix}sess:" }) has the same keys.`);
  }
  if (client["mode"] === "subscriber" || client["mode"] === "monitor") {
    refuse("It only listens: pass a client that sends commands. The store makes a subscriber of its own.");
  }
  if (sentinels && role === "slave") refuse('It is connected to a replica: new Redis({ sentinels, role: "master" }).');
  if (isCluster && enableAutoPipelining) {
    // ioredis 5 sends a script to the master of the slot that the script's hash would be in.
    refuse(`It gathers commands by themselves: pass ${duplicate("{ enableAutoPipelining: false }")}.`);
  }
}

function has(client: Record<string, unknown>, method: string): boolean {
  return typeof client[method] === "function";
}

function refuse(detail: string): never {
  throw new SessionError("STORE_CLIENT_INVALID", { detail });
}
