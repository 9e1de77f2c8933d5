// The storages of the measured processes: private servers on this machine, because what is measured empties them.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import pg from "pg";
import { createClient } from "redis";
import { findRedis } from "../scripts/find-redis.js";
import { freePort } from "../scripts/free-port.js";
import { preparePostgres } from "../scripts/find-postgres.js";

/** Housekeeping of clients and of this benchmark, which no session causes. */
const others = new Set(["info", "client", "hello", "ping", "config", "command", "flushdb", "select"]);
const patience = 20_000;
/** What is still under way when the clients are done (ms). */
const rest = 200;

/** Opens a storage by its name, or rejects where there is none. */
export const openStorage = (name) => storages[name]();

const inProcess = (name) => async () => ({ name, version: undefined, close: async () => {} });

const storages = {
  memory: inProcess("memory"),
  counting: inProcess("counting"),
  redis: openRedis,
  postgres: openPostgres,
};

async function openRedis() {
  const { url, stop } = await privateRedis();
  const client = createClient({ url });
  client.on("error", () => {});
  await client.connect();
  return {
    name: "redis",
    url,
    version: `Redis ${/redis_version:(\S+)/.exec(await client.info("server"))[1]}`,
    /** How often it was asked, by command; what a script does counts besides the script. */
    async counts() {
      const stats = await client.info("commandstats");
      const calls = [...stats.matchAll(/cmdstat_(\w+):calls=(\d+)/g)].map(([, name, count]) => [name, Number(count)]);
      return Object.fromEntries(calls.filter(([name]) => !others.has(name)));
    },
    /** The commands that come over the network while `work` runs, by name. */
    async commandsDuring(work) {
      const counts = {};
      const monitor = client.duplicate();
      monitor.on("error", () => {});
      await monitor.connect();
      await monitor.monitor((line) => {
        const [, from, command] = /^\S+ \[\d+ (\S+)\] "(\w+)"/.exec(line) ?? [];
        const name = command?.toLowerCase();
        if (name && from !== "lua" && !others.has(name)) counts[name] = (counts[name] ?? 0) + 1;
      });
      await work();
      // What is answered after this was told before.
      await client.ping();
      await setTimeout(rest);
      monitor.destroy();
      return counts;
    },
    async bytes() {
      return Number(/used_memory:(\d+)/.exec(await client.info("memory"))[1]);
    },
    clear: () => client.flushDb(),
    async close() {
      client.destroy();
      await stop();
    },
  };
}

async function openPostgres() {
  const { url, stop } = await privatePostgres();
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  const value = async (text) => Object.values((await client.query(text)).rows[0])[0];
  return {
    name: "postgres",
    url,
    version: `PostgreSQL ${(await value("SHOW server_version")).split(" ")[0]}`,
    /** The nodes count for it. */
    counts: undefined,
    bytes: async () => Number(await value("SELECT pg_total_relation_size('session')")),
    clear: () => client.query("TRUNCATE session"),
    async close() {
      await client.end();
      await stop();
    },
  };
}

async function privateRedis() {
  const { command, env } = findRedis();
  const folder = mkdtempSync(join(tmpdir(), "socket-session-bench-"));
  const port = await freePort();
  const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"];
  const url = `redis://127.0.0.1:${port}`;
  return started(url, folder, command, args, { env: { ...process.env, ...env } }, async () => {
    const client = createClient({ url, socket: { reconnectStrategy: false } });
    client.on("error", () => {});
    await client.connect();
    client.destroy();
  });
}

async function privatePostgres() {
  const folder = mkdtempSync(join(tmpdir(), "socket-session-bench-"));
  const { command, argsFor, options } = preparePostgres(folder);
  const port = await freePort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  return started(url, folder, command, argsFor(port), options, async () => {
    const client = new pg.Client({ connectionString: url });
    client.on("error", () => {});
    await client.connect();
    await client.end();
  });
}

async function started(url, folder, command, args, options, isReady) {
  const server = spawn(command, args, { stdio: "ignore", ...options });
  const kill = () => server.kill("SIGKILL");
  process.once("exit", kill);
  const stop = async () => {
    process.off("exit", kill);
    if (server.exitCode === null && server.signalCode === null) {
      // To PostgreSQL: at once, without waiting for clients.
      server.kill("SIGINT");
      await once(server, "exit");
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const end = Date.now() + patience;
  for (;;) {
    try {
      await isReady();
      return { url, stop };
    } catch (cause) {
      if (server.exitCode !== null || Date.now() > end) throw new Error(`${command} does not answer`, { cause });
      await setTimeout(50);
    }
  }
}
