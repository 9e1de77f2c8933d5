// Clients of the packages that are like ioredis, connected to real servers and closed with the test.
import { Cluster as Cluster6, type ClusterOptions, Redis as Redis6, type RedisOptions } from "ioredis";
import { Cluster as Cluster5, Redis as Redis5 } from "ioredis-5";
import { Cluster as ClusterOfValkey, Redis as RedisOfValkey } from "iovalkey";
import { onTestFinished } from "vitest";
import { sentinelName } from "./sentinel.js";
import type { IoRedisClient, IoRedisClusterClient } from "../../src/store/drivers/redis/redis-store.js";

interface Package {
  Redis: new (url: string, options: object) => IoRedisClient & Closable;
  Cluster: new (nodes: { host: string; port: number }[], options: object) => IoRedisClusterClient & Closable;
}

interface Closable {
  disconnect(): void;
}

const packages = {
  "ioredis 6": { Redis: Redis6, Cluster: Cluster6 },
  "ioredis 5": { Redis: Redis5, Cluster: Cluster5 },
  iovalkey: { Redis: RedisOfValkey, Cluster: ClusterOfValkey },
} satisfies Record<string, Package>;

export type IoRedisPackage = keyof typeof packages;
export const ioRedisPackages = Object.keys(packages) as IoRedisPackage[];

/** A client of one server, or of Sentinels. */
export function ioRedisClient(name: IoRedisPackage, url: string, options: RedisOptions = {}): IoRedisClient {
  const { Redis }: Package = packages[name];
  const client = new Redis(url, options);
  client.on("error", () => undefined);
  onTestFinished(() => client.disconnect());
  return client;
}

/** A client of a cluster. */
export function ioRedisClusterClient(
  name: IoRedisPackage,
  ports: readonly number[],
  options: ClusterOptions = {},
): IoRedisClusterClient {
  const nodes = ports.map((port) => ({ host: "127.0.0.1", port }));
  const { Cluster }: Package = packages[name];
  const client = new Cluster(nodes, options);
  client.on("error", () => undefined);
  onTestFinished(() => client.disconnect());
  return client;
}

/** A client that asks these Sentinels. */
export function ioRedisSentinelClient(name: IoRedisPackage, ports: readonly number[]): IoRedisClient {
  const sentinels = ports.map((port) => ({ host: "127.0.0.1", port }));
  return ioRedisClient(name, "redis://127.0.0.1", { sentinels, name: sentinelName });
}
