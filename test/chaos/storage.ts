// The storage of a run: private servers that keep all that they acknowledged, and what can be done to them.
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { createClient, createCluster } from "redis";
import { noticeName } from "../../src/store/cluster/notice-codec.js";
import { channelName, clusterChannelName, slotOf } from "../../src/store/drivers/redis/channels.js";
import type { StoreSettings } from "../support/fleet.js";
import { startPostgres } from "../support/postgres.js";
import type { PrivateServer } from "../support/private-server.js";
import { byChannels, startRedis, startRedisCluster } from "../support/redis.js";
import { startSentinels } from "../support/sentinel.js";

/** Redis is heard by keys, unless they are "channels". */
export const kinds = [
  "redis",
  "channels",
  "ioredis",
  "postgres",
  "cluster",
  "ioredis-cluster",
  "sentinels",
  "ioredis-sentinels",
] as const;
export type Kind = (typeof kinds)[number];

export interface Storage {
  /** One, the masters of a cluster, or a primary and its replica. */
  readonly servers: readonly PrivateServer[];
  readonly ports: readonly number[];
  /** For nodes that reach its servers by these ports: their own, or those of wires. */
  settings(ports: readonly number[]): StoreSettings;
  /** Which of the servers has this session. */
  serverOf(id: string): number;
  /** Resolves when all servers that were started again serve again. */
  serves(): Promise<void>;
  /** Ends connections, as a network or an operator would: those that listen for notices, or all. */
  cut(which: "notices" | "all"): Promise<void>;
  /** What is stored of these sessions. */
  copy(ids: readonly string[]): Promise<Map<string, string>>;
  /** Has a session again as it was, and knows nothing of its end, as after a restored snapshot. */
  bringBack(id: string, text: string): Promise<void>;
  /** Kills the primary of these servers; resolves when a replica has taken its place. Absent where none would. */
  failOver?(): Promise<void>;
  /** Which of the servers is the primary. */
  primary?(): Promise<number>;
  /** Ends what there is beside the servers. */
  close?(): Promise<void>;
  /** Locks a session for this long: it can be read, and who writes waits. Absent where there is nothing like it. */
  lock?(id: string, ms: number): Promise<void>;
}

/** Longer than a run. */
const lifetime = 3_600_000;

export async function openStorage(kind: Kind): Promise<Storage> {
  const open = {
    redis: () => openRedis({}),
    channels: () => openRedis(byChannels),
    ioredis: () => openRedis(byIoRedis),
    postgres: openPostgres,
    cluster: () => openCluster({}),
    "ioredis-cluster": () => openCluster(byIoRedis),
    sentinels: () => openSentinels({}),
    "ioredis-sentinels": () => openSentinels(byIoRedis),
  };
  return open[kind]();
}

type Redis = ReturnType<typeof createClient>;
/** What is used of a client, or of one of a cluster. */
interface Keys {
  get(key: string): Promise<string | null>;
  set(
    key: string,
    text: string,
    options: { condition: "NX"; expiration: { type: "PX"; value: number } },
  ): Promise<unknown>;
  del(key: string): Promise<unknown>;
}

const byIoRedis = { client: "ioredis" } as const;
const kept = ["--appendfsync", "always"];
const keyOf = (id: string): string => `sess:${id}`;

async function openRedis(options: Pick<StoreSettings, "RESP" | "client">): Promise<Storage> {
  const { server, port, url } = await startRedis(kept);
  return {
    servers: [server],
    ports: [port],
    settings: ([through]) => ({ kind: "redis", url: `redis://127.0.0.1:${through}`, ...options }),
    serverOf: () => 0,
    serves: () => Promise.resolve(),
    cut: (which) => asking(url, (client) => kill(client, which)),
    copy: (ids) => asking(url, (client) => copyOf(client, ids)),
    bringBack: (id, text) => asking(url, (client) => bringBack(client, id, text, channelName(keyOf(id), 0))),
  };
}

/** For nodes that reach these ports by others. */
const mapped = (ports: readonly number[], through: readonly number[]): NonNullable<StoreSettings["nodeAddressMap"]> =>
  Object.fromEntries(
    ports.map((port, index) => [`127.0.0.1:${port}`, { host: "127.0.0.1", port: through[index] as number }]),
  );

async function openSentinels(options: Pick<StoreSettings, "client">): Promise<Storage> {
  const redis = await startSentinels(1000, kept);
  const ports = [...redis.servers.keys()];
  const onPrimary = async <T>(use: (client: Redis) => Promise<T>): Promise<T> =>
    asking(`redis://127.0.0.1:${await redis.primary()}`, use);
  return {
    servers: [...redis.servers.values()],
    ports,
    settings: (through) => ({
      kind: "redis",
      sentinels: redis.ports,
      nodeAddressMap: mapped(ports, through),
      ...options,
    }),
    serverOf: () => 0,
    serves: () => redis.settle(),
    failOver: () => redis.failOver(),
    primary: async () => ports.indexOf(await redis.primary()),
    close: () => redis.close(),
    cut: (which) => onPrimary((client) => kill(client, which)),
    copy: (ids) => onPrimary((client) => copyOf(client, ids)),
    bringBack: (id, text) => onPrimary((client) => bringBack(client, id, text, channelName(keyOf(id), 0))),
  };
}

async function openCluster(options: Pick<StoreSettings, "client">): Promise<Storage> {
  const { ports, servers } = await startRedisCluster(kept);
  const urls = ports.map((port) => `redis://127.0.0.1:${port}`);
  const together = async <T>(use: (client: Keys) => Promise<T>): Promise<T> => {
    const client = createCluster({ rootNodes: urls.map((url) => ({ url })) }).on("error", () => undefined);
    await client.connect();
    try {
      return await use(client);
    } finally {
      client.destroy();
    }
  };
  return {
    servers,
    ports,
    settings: (through) => ({
      kind: "redis",
      ports: through,
      nodeAddressMap: mapped(ports, through),
      ...options,
    }),
    // As startRedisCluster() shares them out.
    serverOf: (id) => Math.floor((slotOf(keyOf(id)) * servers.length) / 16_384),
    serves: async () => {
      for (const url of urls) {
        // A master that was started again takes no writes for two seconds.
        while (!(await asking(url, (client) => client.sendCommand<string>(["CLUSTER", "INFO"]))).includes("state:ok"))
          await delay(20);
      }
    },
    cut: async (which) => {
      for (const url of urls) await asking(url, (client) => kill(client, which));
    },
    copy: (ids) => together((client) => copyOf(client, ids)),
    bringBack: (id, text) => together((client) => bringBack(client, id, text, clusterChannelName(keyOf(id)))),
  };
}

async function asking<T>(url: string, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = createClient({ url, socket: { reconnectStrategy: false } }).on("error", () => undefined);
  await client.connect();
  try {
    return await use(client as Redis);
  } finally {
    client.destroy();
  }
}

async function kill(client: Redis, which: "notices" | "all"): Promise<void> {
  await client.sendCommand(["CLIENT", "KILL", "TYPE", "pubsub"]);
  if (which === "all") await client.sendCommand(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
}

async function copyOf(client: Keys, ids: readonly string[]): Promise<Map<string, string>> {
  const texts = await Promise.all(ids.map(async (id) => [id, await client.get(keyOf(id))] as const));
  return new Map(texts.filter((one): one is [string, string] => one[1] !== null));
}

async function bringBack(client: Keys, id: string, text: string, endKey: string): Promise<void> {
  await client.set(keyOf(id), text, { condition: "NX", expiration: { type: "PX", value: lifetime } });
  await client.del(endKey);
}

/** What a connection that listens asked last: LISTEN, or whether it is alive. */
const listens = `query LIKE 'LISTEN%' OR query = 'SELECT 1'`;

async function openPostgres(): Promise<Storage> {
  const { server, url } = await startPostgres();
  const { port } = new URL(url);
  const query = async <T extends object>(...queries: [text: string, values?: unknown[]][]): Promise<T[]> => {
    const client = new Client({ connectionString: url }).on("error", () => undefined);
    await client.connect();
    try {
      let rows: T[] = [];
      for (const [text, values] of queries) ({ rows } = await client.query<T>(text, values));
      return rows;
    } finally {
      await client.end();
    }
  };
  // What is done to it may come before the first session.
  await query([
    `CREATE TABLE "session" (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL);
    CREATE INDEX "IDX_session_expire" ON "session" (expire)`,
  ]);
  return {
    servers: [server],
    ports: [Number(port)],
    settings: ([through]) => ({ kind: "postgres", url: url.replace(port, `${through}`) }),
    serverOf: () => 0,
    serves: () => Promise.resolve(),
    cut: async (which) => {
      const others = "backend_type = 'client backend' AND pid <> pg_backend_pid()";
      const those = which === "all" ? others : `${others} AND (${listens})`;
      await query([`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${those}`]);
    },
    copy: async (ids) => {
      const text = "SELECT sid, sess::text AS text FROM session WHERE sid = ANY($1)";
      const rows = await query<{ sid: string; text: string }>([text, [ids]]);
      return new Map(rows.map((row) => [row.sid, row.text]));
    },
    bringBack: async (id, text) => {
      const insert = "INSERT INTO session VALUES ($1, $2, to_timestamp($3)) ON CONFLICT DO NOTHING";
      await query(
        ["DELETE FROM session WHERE sid = $1", [`socket-session:ended:${noticeName(id)}`]],
        [insert, [id, text, (Date.now() + lifetime) / 1000]],
      );
    },
    lock: async (id, ms) => {
      const hold = "SELECT pg_sleep($1) FROM (SELECT 1 FROM session WHERE sid = $2 FOR UPDATE) AS locked";
      await query([hold, [ms / 1000, id]]);
    },
  };
}
