// A Redis that Sentinels watch: a primary, a replica, and three Sentinels that fail over when the primary is gone.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSentinel } from "redis";
import { onTestFinished } from "vitest";
import type { RedisSentinelClient } from "../../src/store/drivers/redis/redis-store.js";
import { findRedis } from "../../scripts/find-redis.js";
import { freePort, PrivateServer, temporaryFolder } from "./private-server.js";
import { ask, startRedis, until } from "./redis.js";
import { sharedServer } from "./shared-server.js";

/** What Sentinels call the primary. */
export const sentinelName = "main";

export interface SentinelledRedis {
  /** Of the Sentinels. */
  readonly ports: readonly number[];
  /** The servers, by their ports; the first one is the primary when this begins. */
  readonly servers: ReadonlyMap<number, PrivateServer>;
  /** The port of the primary that the Sentinels name now. */
  primary(): Promise<number>;
  /** Kills the primary; resolves when the Sentinels name another one, which takes changes. */
  failOver(): Promise<void>;
  /** Resolves when the Sentinels see nothing wrong, and the primary that they name has all others as its replicas. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** Those of this run: for tests that keep to their own keys and leave them alone. */
export async function useSentinels(): Promise<{ ports: readonly number[] }> {
  return sharedServer("redis-sentinel");
}

/**
 * Starts two servers, with `extra` settings, and three Sentinels, which fail over when the primary has not answered for
 * `patience` ms.
 */
export async function startSentinels(patience = 1000, extra: readonly string[] = []): Promise<SentinelledRedis> {
  const settings = ["--repl-diskless-sync-delay", "0", ...extra];
  const [primary, replica] = await Promise.all([startRedis(settings), startRedis(settings)]);
  await ask(replica.url, async (client) => {
    await client.sendCommand(["REPLICAOF", "127.0.0.1", `${primary.port}`]);
    await until(async () => (await client.sendCommand<string>(["INFO", "replication"])).includes("link_status:up"));
  });
  const sentinels = await Promise.all([1, 2, 3].map(() => startSentinel(primary.port, patience)));
  const ports = sentinels.map(({ port }) => port);
  const urls = ports.map((port) => `redis://127.0.0.1:${port}`);
  for (const url of urls) {
    await ask(url, (client) =>
      until(async () => {
        const known = await Promise.all(
          ["SENTINELS", "REPLICAS"].map((what) => client.sendCommand<unknown[]>(["SENTINEL", what, sentinelName])),
        );
        return known[0]?.length === 2 && known[1]?.length === 1;
      }),
    );
  }
  const servers = new Map([primary, replica].map(({ port, server }) => [port, server]));
  const named = async (): Promise<number> => {
    let port = 0;
    await ask(urls[0] as string, async (client) => {
      const words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinelName];
      port = Number((await client.sendCommand<string[]>(words))[1]);
    });
    return port;
  };
  return {
    ports,
    servers,
    primary: named,
    failOver: async () => {
      const old = await named();
      await servers.get(old)?.kill();
      await until(async () => (await named()) !== old);
      const port = await named();
      await ask(`redis://127.0.0.1:${port}`, (client) =>
        until(async () => (await client.sendCommand<string>(["INFO", "replication"])).includes("role:master")),
      );
    },
    settle: () =>
      until(async () => isSettled(urls[0] as string, await named(), [...servers.keys()]).catch(() => false)),
    close: async () => {
      await Promise.all([...sentinels.map(({ server }) => server), ...servers.values()].map((one) => one.close()));
    },
  };
}

async function isSettled(sentinel: string, primary: number, ports: readonly number[]): Promise<boolean> {
  let isWell = true;
  await ask(sentinel, async (client) => {
    const { flags } = await client.sendCommand<{ flags?: string }>(["SENTINEL", "MASTER", sentinelName]);
    isWell = flags === "master";
  });
  for (const port of ports) {
    await ask(`redis://127.0.0.1:${port}`, async (client) => {
      const text = await client.sendCommand<string>(["INFO"]);
      const isPrimary = text.includes("role:master");
      const follows = text.includes(`master_port:${primary}`) && text.includes("master_link_status:up");
      if (port === primary ? isPrimary : follows) return;
      // A server that was started again has forgotten whom it follows: an operator's keeps it in its file.
      const isNew = Number(/uptime_in_seconds:(\d+)/.exec(text)?.[1]) < 5;
      if (isWell && isPrimary && isNew) await client.sendCommand(["REPLICAOF", "127.0.0.1", `${primary}`]);
      isWell = false;
    });
  }
  return isWell;
}

async function startSentinel(primary: number, patience: number): Promise<{ port: number; server: PrivateServer }> {
  const { command, env } = findRedis();
  const port = await freePort();
  const folder = temporaryFolder("sentinel");
  const file = join(folder, "sentinel.conf");
  writeFileSync(
    file,
    `port ${port}
bind 127.0.0.1
dir ${folder}
sentinel monitor ${sentinelName} 127.0.0.1 ${primary} 2
sentinel down-after-milliseconds ${sentinelName} ${patience}
sentinel failover-timeout ${sentinelName} 5000
`,
  );
  const server = new PrivateServer(folder, {
    command,
    args: [file, "--sentinel"],
    options: { env: { ...process.env, ...env } },
    isReady: () => ask(`redis://127.0.0.1:${port}`, (client) => client.sendCommand(["PING"])),
  });
  await server.start();
  return { port, server };
}

/** A connected client of node-redis that asks these Sentinels, closed at the end of the test. */
export async function redisSentinelClient(ports: readonly number[]): Promise<RedisSentinelClient> {
  const sentinelRootNodes = ports.map((port) => ({ host: "127.0.0.1", port }));
  const client = createSentinel({ name: sentinelName, sentinelRootNodes });
  client.on("error", () => undefined);
  await client.connect();
  onTestFinished(() => client.destroy());
  return client;
}
