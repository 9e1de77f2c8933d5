// The kinds of storage that nodes share, each as a real server.
import type { StoreSettings } from "./fleet.js";
import { ownTable, startPostgres, usePostgres } from "./postgres.js";
import type { PrivateServer } from "./private-server.js";
import { byChannels, ownPrefix, startRedis, useRedis, useRedisCluster } from "./redis.js";
import { useSentinels } from "./sentinel.js";

const byIoRedis = { client: "ioredis" } as const;

export interface Storage {
  /** Settings for nodes that share sessions of their own. */
  own(): StoreSettings;
}

export interface PrivateStorage extends Storage {
  readonly server: PrivateServer;
  readonly port: number;
  /** The same server by another port: that of a wire. */
  through(port: number): StoreSettings;
  close(): Promise<void>;
}

/** For tests that leave the server alone. */
export const storages: readonly { name: string; open(): Promise<Storage> }[] = [
  {
    name: "Redis",
    open: async () => {
      const { url } = await useRedis();
      return { own: () => ({ kind: "redis", url, prefix: ownPrefix() }) };
    },
  },
  {
    name: "Redis, by channels",
    open: async () => {
      const { url } = await useRedis();
      return { own: () => ({ kind: "redis", url, prefix: ownPrefix(), ...byChannels }) };
    },
  },
  {
    name: "Redis, by ioredis",
    open: async () => {
      const { url } = await useRedis();
      return { own: () => ({ kind: "redis", url, prefix: ownPrefix(), ...byIoRedis }) };
    },
  },
  {
    name: "a Redis cluster",
    open: async () => {
      const { ports } = await useRedisCluster();
      return { own: () => ({ kind: "redis", ports, prefix: ownPrefix() }) };
    },
  },
  {
    name: "a Redis cluster, by ioredis",
    open: async () => {
      const { ports } = await useRedisCluster();
      return { own: () => ({ kind: "redis", ports, prefix: ownPrefix(), ...byIoRedis }) };
    },
  },
  {
    name: "a Redis that Sentinels watch",
    open: async () => {
      const { ports: sentinels } = await useSentinels();
      return { own: () => ({ kind: "redis", sentinels, prefix: ownPrefix() }) };
    },
  },
  {
    name: "a Redis that Sentinels watch, by ioredis",
    open: async () => {
      const { ports: sentinels } = await useSentinels();
      return { own: () => ({ kind: "redis", sentinels, prefix: ownPrefix(), ...byIoRedis }) };
    },
  },
  {
    name: "PostgreSQL",
    open: async () => {
      const { url } = await usePostgres();
      return { own: () => ({ kind: "postgres", url, table: ownTable() }) };
    },
  },
];

/** For tests that stop, pause or kill the server, or put a wire before it. */
export const privateStorages: readonly { name: string; open(): Promise<PrivateStorage> }[] = [
  { name: "Redis", open: () => openRedis({}) },
  { name: "Redis, by channels", open: () => openRedis(byChannels) },
  { name: "Redis, by ioredis", open: () => openRedis(byIoRedis) },
  {
    name: "PostgreSQL",
    open: async () => {
      const { url, server } = await startPostgres();
      const port = Number(new URL(url).port);
      const through = (other: number): StoreSettings => ({
        kind: "postgres",
        url: url.replace(`${port}`, `${other}`),
        table: ownTable(),
      });
      return { server, port, through, own: () => through(port), close: () => server.close() };
    },
  },
];

async function openRedis(options: Pick<StoreSettings, "RESP" | "client">): Promise<PrivateStorage> {
  const { port, server } = await startRedis();
  const through = (other: number): StoreSettings => ({
    kind: "redis",
    url: `redis://127.0.0.1:${other}`,
    prefix: ownPrefix(),
    ...options,
  });
  return { server, port, through, own: () => through(port), close: () => server.close() };
}
