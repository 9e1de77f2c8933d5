// Real Redis servers for tests: shared ones, of which one may be given by REDIS_URL, and private ones.
import { randomUUID } from "node:crypto";
import { createClient, createCluster } from "redis";
import { onTestFinished } from "vitest";
import { findRedis } from "../../scripts/find-redis.js";
import { slotOf } from "../../src/store/drivers/redis/channels.js";
import { type RedisClusterClient } from "../../src/store/drivers/redis/redis-store.js";
import { freePort, PrivateServer, temporaryFolder } from "./private-server.js";
import { sharedServer } from "./shared-server.js";

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly server: PrivateServer;
}

/** A private server that keeps every write, even when it is killed. Close its `server` at the end. */
export async function startRedis(extra: readonly string[] = []): Promise<RedisServer> {
  const { command, env } = findRedis();
  const port = await freePort();
  const folder = temporaryFolder("redis");
  const url = `redis://127.0.0.1:${port}`;
  const settings = ["--save", "", "--appendonly", "yes", "--appendfsync", "no", ...extra];
  const server = new PrivateServer(folder, {
    command,
    args: ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, ...settings],
    options: { env: { ...process.env, ...env } },
    isReady: () => ask(url, (client) => client.sendCommand(["PING"])),
  });
  await server.start();
  return { url, port, server };
}

/** The server of REDIS_URL, or the one of this run: for tests that keep to their own keys and leave the server alone. */
export async function useRedis(): Promise<{ url: string }> {
  const url = process.env["REDIS_URL"];
  return url ? { url } : sharedServer("redis");
}

export interface RedisCluster {
  readonly ports: readonly number[];
  readonly servers: readonly PrivateServer[];
  close(): Promise<void>;
}

/** The cluster of this run: for tests that keep to their own keys and leave it alone. */
export async function useRedisCluster(): Promise<{ ports: readonly number[] }> {
  return sharedServer("redis-cluster");
}

/** Three masters that share the slots. */
export async function startRedisCluster(extra: readonly string[] = []): Promise<RedisCluster> {
  const buses = await Promise.all([freePort(), freePort(), freePort()]);
  const nodes = await Promise.all(
    buses.map((bus) => startRedis(["--cluster-enabled", "yes", "--cluster-port", `${bus}`, ...extra])),
  );
  const ports = nodes.map(({ port }) => port);
  await ask(nodes[0]?.url as string, async (first) => {
    for (const [index, port] of ports.entries()) {
      if (index > 0) await first.sendCommand(["CLUSTER", "MEET", "127.0.0.1", `${port}`, `${buses[index]}`]);
    }
  });
  for (const [index, { url }] of nodes.entries()) {
    const [from, to] = [Math.ceil((16_384 / 3) * index), Math.ceil((16_384 / 3) * (index + 1)) - 1];
    await ask(url, (client) => client.sendCommand(["CLUSTER", "ADDSLOTSRANGE", `${from}`, `${to}`]));
  }
  for (const { url } of nodes) {
    await ask(url, async (client) => {
      while (!(await client.sendCommand<string>(["CLUSTER", "INFO"])).includes("cluster_state:ok"))
        await new Promise((resolve) => setTimeout(resolve, 20));
    });
  }
  return {
    ports,
    servers: nodes.map(({ server }) => server),
    close: async () => void (await Promise.all(nodes.map(({ server }) => server.close()))),
  };
}

/** A further server, which follows one of the masters. */
export async function addReplica(cluster: RedisCluster, of: number): Promise<PrivateServer> {
  const bus = await freePort();
  const settings = ["--cluster-enabled", "yes", "--cluster-port", `${bus}`];
  const { url, port, server } = await startRedis(settings);
  const nodes = cluster.ports.map((each) => `redis://127.0.0.1:${each}`);
  let name = "";
  await ask(nodes[of] as string, async (master) => {
    await master.sendCommand(["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
    await master.sendCommand(["CLUSTER", "MEET", "127.0.0.1", `${port}`, `${bus}`]);
    name = await master.sendCommand<string>(["CLUSTER", "MYID"]);
  });
  await ask(url, async (client) => {
    await until(async () => (await client.sendCommand<string>(["CLUSTER", "NODES"])).includes(name));
    await client.sendCommand(["CLUSTER", "REPLICATE", name]);
  });
  for (const node of nodes) {
    await ask(node, (client) =>
      until(async () => JSON.stringify(await client.sendCommand(["CLUSTER", "SLOTS"])).includes(`${port}`)),
    );
  }
  return server;
}

/** Asks again and again. */
export async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Of a client whose store hears by channels, as with a server or a user that cannot do better. */
export const byChannels = { RESP: 2 } as const;

/** A connected client, closed at the end of the test. */
export async function redisClient(
  url: string,
  options: Parameters<typeof createClient>[0] = {},
): Promise<ReturnType<typeof createClient>> {
  const client = createClient({ ...options, url }).on("error", () => undefined);
  await client.connect();
  onTestFinished(() => client.destroy());
  return client as ReturnType<typeof createClient>;
}

/** A connected cluster client, closed at the end of the test. */
export async function redisClusterClient(
  ports: readonly number[],
  options: { readonly RESP?: 2 } = {},
): Promise<RedisClusterClient> {
  const rootNodes = ports.map((port) => ({ url: `redis://127.0.0.1:${port}` }));
  const client = createCluster({ rootNodes, ...options });
  client.on("error", () => undefined);
  await client.connect();
  onTestFinished(() => client.destroy());
  return client;
}

/** Moves the slot of a key, with all that is in it, to another master of the cluster. */
export async function moveSlot(cluster: RedisCluster, client: RedisClusterClient, key: string): Promise<void> {
  const slot = slotOf(key);
  const nodes = await Promise.all(cluster.ports.map((port) => redisClient(`redis://127.0.0.1:${port}`)));
  const isOwner = (port: number): boolean => client.slots[slot]?.master.address.endsWith(`:${port}`) === true;
  const [from, to] = [cluster.ports.findIndex(isOwner), cluster.ports.findIndex((port) => !isOwner(port))];
  const name = await nodes[to]?.clusterMyId();
  await nodes[to]?.sendCommand([
    "CLUSTER",
    "SETSLOT",
    `${slot}`,
    "IMPORTING",
    String(await nodes[from]?.clusterMyId()),
  ]);
  await nodes[from]?.sendCommand(["CLUSTER", "SETSLOT", `${slot}`, "MIGRATING", String(name)]);
  const keys = (await nodes[from]?.clusterGetKeysInSlot(slot, 1000)) ?? [];
  const there = ["127.0.0.1", `${cluster.ports[to]}`];
  if (keys.length > 0) await nodes[from]?.sendCommand(["MIGRATE", ...there, "", "0", "5000", "KEYS", ...keys]);
  for (const node of nodes) await node.sendCommand(["CLUSTER", "SETSLOT", `${slot}`, "NODE", String(name)]);
}

/** Keys of a test's own, on a server that others may use, too. */
export function ownPrefix(): string {
  return `test:${randomUUID()}:`;
}

/** Uses a client of its own for a moment. */
export async function ask(
  url: string,
  use: (client: ReturnType<typeof createClient>) => Promise<unknown>,
): Promise<void> {
  const client = createClient({ url, socket: { reconnectStrategy: false } }).on("error", () => undefined);
  await client.connect();
  try {
    await use(client as ReturnType<typeof createClient>);
  } finally {
    client.destroy();
  }
}
