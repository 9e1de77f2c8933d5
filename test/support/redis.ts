// Real Redis servers for tests: one that is given by REDIS_URL, else private ones from the program on the PATH, else
// from Debian's package, unpacked into .cache without touching the system.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { randomUUID } from "node:crypto";
import { createClient, createCluster } from "redis";
import { onTestFinished } from "vitest";
import { type RedisClusterClient } from "../../src/store/redis.js";
import { freePort, PrivateServer, temporaryFolder } from "./private-server.js";

const root = join(import.meta.dirname, "../..");
const unpacked = join(root, ".cache", "redis");

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly server: PrivateServer;
}

/** A private server that keeps every write, even when it is killed. Close its `server` at the end. */
export async function startRedis(extra: readonly string[] = []): Promise<RedisServer> {
  const { command, env } = program();
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

/** The server of REDIS_URL, or a private one: for tests that keep to their own keys and leave the server alone. */
export async function useRedis(): Promise<{ url: string; close(): Promise<void> }> {
  const given = process.env["REDIS_URL"];
  if (given) return { url: given, close: async () => {} };
  const { url, server } = await startRedis();
  return { url, close: () => server.close() };
}

export interface RedisCluster {
  readonly ports: readonly number[];
  readonly servers: readonly PrivateServer[];
  close(): Promise<void>;
}

/** Three masters that share the slots. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const buses = await Promise.all([freePort(), freePort(), freePort()]);
  const nodes = await Promise.all(
    buses.map((bus) => startRedis(["--cluster-enabled", "yes", "--cluster-port", `${bus}`])),
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

/** A connected client, closed at the end of the test. */
export async function redisClient(url: string): Promise<ReturnType<typeof createClient>> {
  const client = createClient({ url }).on("error", () => undefined);
  await client.connect();
  onTestFinished(() => client.destroy());
  return client as ReturnType<typeof createClient>;
}

/** A connected cluster client, closed at the end of the test. */
export async function redisClusterClient(ports: readonly number[]): Promise<RedisClusterClient> {
  const client = createCluster({ rootNodes: ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })) });
  client.on("error", () => undefined);
  await client.connect();
  onTestFinished(() => client.destroy());
  return client;
}

/** Keys of a test's own, on a server that others may use, too. */
export function ownPrefix(): string {
  return `test:${randomUUID()}:`;
}

async function ask(url: string, use: (client: ReturnType<typeof createClient>) => Promise<unknown>): Promise<void> {
  const client = createClient({ url, socket: { reconnectStrategy: false } }).on("error", () => undefined);
  await client.connect();
  try {
    await use(client as ReturnType<typeof createClient>);
  } finally {
    client.destroy();
  }
}

interface Redis {
  readonly command: string;
  readonly env: NodeJS.ProcessEnv;
}

let known: Redis | undefined;

function program(): Redis {
  known ??= fromPath() ?? fromCache() ?? fromDebian();
  if (known) return known;
  throw new Error(
    "No Redis server was found: apt-get install redis-server (or brew install redis, or valkey), so that redis-server or valkey-server is on the PATH.",
  );
}

function fromPath(): Redis | undefined {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    for (const name of ["redis-server", "valkey-server"]) {
      const command = join(folder, name);
      if (existsSync(command)) return { command, env: {} };
    }
  }
  return undefined;
}

function fromCache(): Redis | undefined {
  const command = join(unpacked, "usr/bin/redis-check-rdb");
  if (!existsSync(command)) return undefined;
  const libraries = join(unpacked, "usr/lib");
  const folders = [libraries, ...readdirSync(libraries).map((name) => join(libraries, name))];
  // The server is the program that also checks dumps, by another name: the link to it is in another package.
  return { command: join(unpacked, "redis-server"), env: { LD_LIBRARY_PATH: folders.join(delimiter) } };
}

/** Debian's package and the libraries that a system may lack. Root is not needed, and the system stays as it is. */
function fromDebian(): Redis | undefined {
  mkdirSync(join(root, ".cache"), { recursive: true });
  const temp = mkdtempSync(join(root, ".cache", "redis-"));
  try {
    const packages = ["redis-tools", "libjemalloc2", "liblzf1", "libatomic1"];
    const run = (command: string, ...args: string[]): unknown =>
      execFileSync(command, args, { cwd: temp, stdio: ["ignore", "ignore", "pipe"], timeout: 60_000 });
    const lists = join(temp, "lists");
    mkdirSync(join(lists, "partial"), { recursive: true });
    try {
      run("apt-get", "download", ...packages);
    } catch {
      // The system's lists are old or empty: with lists of its own.
      const own = ["-o", `Dir::State::Lists=${lists}`, "-o", "Debug::NoLocking=1"];
      run("apt-get", ...own, "update");
      run("apt-get", ...own, "download", ...packages);
    }
    const made = join(temp, "made");
    for (const file of readdirSync(temp)) if (file.endsWith(".deb")) run("dpkg", "-x", file, made);
    execFileSync("ln", ["-s", "usr/bin/redis-check-rdb", join(made, "redis-server")]);
    // Another test file may have done the same meanwhile.
    if (!existsSync(unpacked)) renameSync(made, unpacked);
  } catch {
    return undefined;
  } finally {
    rmSync(temp, { recursive: true, force: true });
  }
  return fromCache();
}
