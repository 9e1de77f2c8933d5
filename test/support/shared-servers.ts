// Global setup: the servers that tests share which leave them alone. Each is started when the first test asks for it,
// and ends with the run. A worker asks over HTTP, by `sharedServer()`.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestProject } from "vitest/node";
import { startPostgres } from "./postgres.js";
import { startRedis, startRedisCluster } from "./redis.js";
import { startSentinels } from "./sentinel.js";

interface Started {
  /** What its users want to know. */
  readonly told: object;
  close(): Promise<void>;
}

const kinds: Readonly<Record<string, () => Promise<Started>>> = {
  async redis() {
    const { url, server } = await startRedis();
    return { told: { url }, close: () => server.close() };
  },
  async postgres() {
    const { url, server } = await startPostgres();
    return { told: { url }, close: () => server.close() };
  },
  async "redis-cluster"() {
    const { ports, close } = await startRedisCluster();
    return { told: { ports }, close };
  },
  async "redis-sentinel"() {
    const { ports, close } = await startSentinels(60_000);
    return { told: { ports }, close };
  },
};

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started = new Map<string, Promise<Started>>();
  const desk = createServer((request, response) => {
    const name = (request.url ?? "").slice(1);
    const starting = started.get(name) ?? (kinds[name] as () => Promise<Started>)();
    started.set(name, starting);
    starting.then(
      ({ told }) => response.end(JSON.stringify(told)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  desk.listen(0, "127.0.0.1");
  await once(desk, "listening");
  project.provide("sharedServers", `http://127.0.0.1:${(desk.address() as AddressInfo).port}`);
  return async () => {
    desk.close();
    const servers = await Promise.allSettled(started.values());
    await Promise.all(servers.map((server) => server.status === "fulfilled" && server.value.close()));
  };
}
