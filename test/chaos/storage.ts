// The storage of a run: a private server that keeps all that it acknowledged, and what can be done to it.
import { Client } from "pg";
import { createClient } from "redis";
import type { StoreSettings } from "../support/fleet.js";
import { startPostgres } from "../support/postgres.js";
import type { PrivateServer } from "../support/private-server.js";
import { startRedis } from "../support/redis.js";

export type Kind = "redis" | "postgres";

export interface Storage {
  readonly server: PrivateServer;
  readonly port: number;
  /** For nodes that reach it by this port: its own, or that of a wire. */
  settings(port: number): StoreSettings;
  /** Ends connections, as a network or an operator would: those that listen for notices, or all. */
  cut(which: "notices" | "all"): Promise<void>;
}

export async function openStorage(kind: Kind): Promise<Storage> {
  return kind === "redis" ? openRedis() : openPostgres();
}

async function openRedis(): Promise<Storage> {
  const { server, port, url } = await startRedis(["--appendfsync", "always"]);
  return {
    server,
    port,
    settings: (through) => ({ kind: "redis", url: `redis://127.0.0.1:${through}` }),
    cut: async (which) => {
      const client = createClient({ url, socket: { reconnectStrategy: false } }).on("error", () => undefined);
      await client.connect();
      await client.sendCommand(["CLIENT", "KILL", "TYPE", "pubsub"]);
      if (which === "all") await client.sendCommand(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
      client.destroy();
    },
  };
}

/** What a connection that listens asked last: LISTEN, or whether it is alive. */
const listens = `query LIKE 'LISTEN%' OR query = 'SELECT 1'`;

async function openPostgres(): Promise<Storage> {
  const { server, url } = await startPostgres();
  const { port } = new URL(url);
  return {
    server,
    port: Number(port),
    settings: (through) => ({ kind: "postgres", url: url.replace(port, `${through}`) }),
    cut: async (which) => {
      const client = new Client({ connectionString: url });
      await client.connect();
      const others = "backend_type = 'client backend' AND pid <> pg_backend_pid()";
      const those = which === "all" ? others : `${others} AND (${listens})`;
      await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${those}`);
      await client.end();
    },
  };
}
