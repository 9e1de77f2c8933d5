// Real PostgreSQL servers for tests: a shared one, which may be given by DATABASE_URL, and private ones.
import { randomUUID } from "node:crypto";
import { Client, Pool, type PoolConfig } from "pg";
import { onTestFinished } from "vitest";
import { preparePostgres } from "../../scripts/find-postgres.js";
import { freePort, PrivateServer, temporaryFolder } from "./private-server.js";
import { sharedServer } from "./shared-server.js";

export interface PostgresServer {
  readonly url: string;
  readonly server: PrivateServer;
}

/** A private server. Close its `server` at the end. */
export async function startPostgres(): Promise<PostgresServer> {
  const folder = temporaryFolder("postgres");
  const { command, argsFor, options } = preparePostgres(folder);
  const port = await freePort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const server = new PrivateServer(folder, {
    command,
    args: argsFor(port, ["fsync=off"]),
    options,
    isReady: async () => {
      const client = new Client({ connectionString: url, connectionTimeoutMillis: 1000 });
      client.on("error", () => undefined);
      await client.connect();
      await client.end();
    },
  });
  await server.start();
  return { url, server };
}

/** The server of DATABASE_URL, or the one of this run: for tests that keep to their own tables and leave the server alone. */
export async function usePostgres(): Promise<{ url: string }> {
  const url = process.env["DATABASE_URL"];
  return url ? { url } : sharedServer("postgres");
}

/** A pool, ended at the end of the test. */
export function postgresPool(url: string, options: PoolConfig = {}): Pool {
  const pool = new Pool({ connectionString: url, ...options });
  pool.on("error", () => undefined);
  onTestFinished(() => pool.end());
  return pool;
}

/** A table of a test's own, on a server that others may use, too. */
export function ownTable(): string {
  return `session_${randomUUID().slice(0, 8)}`;
}
