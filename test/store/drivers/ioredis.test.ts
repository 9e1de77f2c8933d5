// Clients of ioredis and iovalkey, on real servers: each does what one of node-redis does, whatever its options are.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import type { SessionData } from "express-session";
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { findClient } from "../../../src/store/drivers/redis/find-client.js";
import { redisStore, type RedisStoreOptions } from "../../../src/store/drivers/redis/redis-store.js";
import { backendOf, type LiveStore } from "../../../src/store/live-store.js";
import { storeContract } from "../../contract/store.js";
import { ioRedisClient, ioRedisClusterClient, ioRedisPackages } from "../../support/ioredis.js";
import {
  addReplica,
  ownPrefix,
  redisClient,
  startRedis,
  startRedisCluster,
  useRedis,
  useRedisCluster,
} from "../../support/redis.js";
import { subscribe } from "../../support/subscriber.js";

const data = (fields: object): SessionData => ({ cookie: { originalMaxAge: null, expires: null }, ...fields }) as never;

/** Stores a new session; resolves with the error, if there is one. */
function set(store: LiveStore, id: string, fields: object): Promise<unknown> {
  return new Promise((resolve) => store.set(id, data(fields), resolve));
}

describe.each(ioRedisPackages)("%s", (name) => {
  storeContract(name, async () => {
    const { url } = await useRedis();
    return { store: redisStore({ client: ioRedisClient(name, url), prefix: ownPrefix() }) };
  });

  storeContract(`${name}, a cluster`, async () => {
    const { ports } = await useRedisCluster();
    return { store: redisStore({ client: ioRedisClusterClient(name, ports), prefix: ownPrefix() }) };
  });

  test.each([
    { lazyConnect: true },
    { lazyConnect: true, enableOfflineQueue: false },
    { enableReadyCheck: false },
    { stringNumbers: true },
    { commandTimeout: 2000 },
    { maxRetriesPerRequest: null },
    { maxRetriesPerRequest: 0 },
    { autoResubscribe: false, autoResendUnfulfilledCommands: false },
    { enableAutoPipelining: true },
    { db: 3 },
  ])("serves with %o", async (options) => {
    const { url } = await useRedis();
    await expectToServe((prefix) => redisStore({ client: ioRedisClient(name, url, options), prefix }));
  });

  test.each([{ lazyConnect: true }, { enableOfflineQueue: false }, { redisOptions: { stringNumbers: true } }])(
    "serves a cluster with %o",
    async (options) => {
      const { ports } = await useRedisCluster();
      await expectToServe((prefix) => redisStore({ client: ioRedisClusterClient(name, ports, options), prefix }));
    },
  );

  test("an error holds no command, and so no id", async () => {
    const { url } = await useRedis();
    const client = findClient(ioRedisClient(name, url), 300);
    const words = ["EVALSHA", "unknown", "1", "the-secret-id"];
    const error = await client.send(words, "").catch((failure: unknown) => failure);
    expect(inspect(error)).toContain("NOSCRIPT");
    expect(inspect(error, { depth: 10 })).not.toContain("the-secret-id");
  });

  test("a client that was closed is STORE_UNAVAILABLE, and the cause says what to do", async () => {
    const { url } = await useRedis();
    const client = ioRedisClient(name, url);
    const store = redisStore({ client, prefix: ownPrefix() });
    client.disconnect();
    await expect.poll(() => client.status).toBe("end");
    const error = (await set(store, "id", {})) as Error;
    expect(error).toMatchObject({ code: "STORE_UNAVAILABLE", cause: { code: "STORE_NOT_READY" } });
    expect(error.message).toContain("await client.connect()");
  });

  test("what could not be sent in time is not sent later", async () => {
    const { url, server } = await startRedis();
    onTestFinished(() => server.close());
    const raw = ioRedisClient(name, url, { maxRetriesPerRequest: null });
    const client = findClient(raw, 300);
    await client.send(["SET", "before", "1"], "");
    await server.stop();
    await expect.poll(() => raw.status).not.toBe("ready");
    await expect(client.send(["SET", "meanwhile", "1"], "")).rejects.toThrow("no connection for 300 ms");
    await server.start();
    await expect.poll(() => client.send(["SET", "after", "1"], "")).toBe("OK");
    expect(await client.send(["EXISTS", "before", "meanwhile", "after"], "")).toBe(2);
  });
});

test("reads are from the masters of a cluster, although the clients prefer replicas", { timeout: 60_000 }, async () => {
  const cluster = await startRedisCluster();
  onTestFinished(() => cluster.close());
  const replica = await addReplica(cluster, 0);
  onTestFinished(() => replica.close());
  const clients = ioRedisPackages.map((name) => ioRedisClusterClient(name, cluster.ports, { scaleReads: "slave" }));
  const ids = Array.from({ length: 12 }, (_, index) => `id ${index}`);
  for (const client of clients) {
    await expect.poll(() => client.slots.some((nodes) => nodes.length > 1)).toBe(true);
    const store = redisStore({ client, prefix: ownPrefix(), timeout: 2000 });
    for (const id of ids) expect(await set(store, id, { user: "ada" })).toBeFalsy();
    replica.pause();
    for (const id of ids) expect(await backendOf(store).read(id, (text) => text)).toContain("ada");
    replica.resume();
  }
});

/** Two nodes: what one writes and ends, the other reads and hears, by keys. */
async function expectToServe(open: (prefix: string) => LiveStore, prefix = ownPrefix()): Promise<void> {
  const [store, other] = [open(prefix), open(prefix)];
  onTestFinished(() => {
    store.close();
    other.close();
  });
  const heard: unknown[] = [];
  subscribe(store, (notice) => void heard.push(notice.kind));
  await expect.poll(() => set(other, "id", { count: 0 })).toBeFalsy();
  await backendOf(store).watch("id");
  await expect.poll(() => store.hears).toBe("keys");
  expect(await backendOf(store).read("id", (text) => text)).toContain('"count":0');
  const increase = (session: SessionData): void => void Object.assign(session, { count: countOf(session) + 1 });
  for (let n = 0; n < 5; n++) await Promise.all([store, other].map((one) => backendOf(one).update("id", increase)));
  expect(await backendOf(other).read("id", (text) => text)).toContain('"count":10');
  expect(await backendOf(store).connectionsOf("id")).toEqual([]);
  await backendOf(other).end("id", "SESSION_ROTATED");
  await expect.poll(() => backendOf(store).read("id", (text) => text)).toBeUndefined();
  await expect.poll(() => heard).toContain("changed");
}

const countOf = (session: SessionData): number => (session as unknown as { count: number }).count;

test.each(["node-redis", ...ioRedisPackages] as const)("the documented rights are enough for %s", async (name) => {
  const { url } = await useRedis();
  const prefix = ownPrefix();
  const documented = readFileSync(new URL("../../../docs/operate/deploy.md", import.meta.url), "utf8");
  const [, rights = ""] = /ACL SETUSER app on >password (.*)/.exec(documented) ?? [];
  const [, more = ""] = /With ioredis add `(.*?)`/.exec(documented) ?? [];
  const user = { username: `app-${randomUUID()}`, password: "password" };
  const words = `${rights.replace("~sess:", `~${prefix}`)}${name === "node-redis" ? "" : ` ${more}`}`.split(" ");
  await (await redisClient(url)).aclSetUser(user.username, ["on", ">password", ...words]);
  const clients = await Promise.all(
    [1, 2].map(async () => (name === "node-redis" ? redisClient(url, user) : ioRedisClient(name, url, user))),
  );
  await expectToServe(() => redisStore({ client: clients.pop() as RedisStoreOptions["client"], prefix }));
});

describe("what cannot work is refused, with the line to write", () => {
  const url = "redis://127.0.0.1:1";
  const lazy = { lazyConnect: true };
  const sentinels = [{ host: "127.0.0.1", port: 1 }];
  test.each<[string, () => unknown, string]>([
    [
      "a keyPrefix",
      () => ioRedisClient("ioredis 6", url, { ...lazy, keyPrefix: "app:" }),
      'redisStore({ client: client.duplicate({ keyPrefix: "" }), prefix: "app:sess:" })',
    ],
    [
      "a keyPrefix of a cluster",
      () => ioRedisClusterClient("ioredis 5", [1], { ...lazy, redisOptions: { keyPrefix: "app:" } }),
      'client.duplicate([], { keyPrefix: "" })',
    ],
    ["a replica of Sentinels", () => new Redis({ ...lazy, sentinels, name: "main", role: "slave" }), 'role: "master"'],
    [
      "commands of a cluster that are gathered",
      () => ioRedisClusterClient("iovalkey", [1], { ...lazy, enableAutoPipelining: true }),
      "client.duplicate([], { enableAutoPipelining: false })",
    ],
    ["ioredis 4", () => ({ evalsha() {}, call() {}, duplicate() {}, status: "ready" }), "npm install ioredis@6"],
  ])("%s", (_, client, fix) => {
    expect(() => redisStore({ client: client() as RedisStoreOptions["client"] })).toThrow(
      expect.objectContaining({ code: "STORE_CLIENT_INVALID", message: expect.stringContaining(fix) as string }),
    );
  });

  test("a client that only listens", async () => {
    const { url } = await useRedis();
    const client = ioRedisClient("ioredis 5", url) as Redis;
    await client.subscribe("anything");
    expect(() => redisStore({ client })).toThrow(expect.objectContaining({ code: "STORE_CLIENT_INVALID" }));
  });

  test("the line for a keyPrefix finds the keys that there are", async () => {
    const { url } = await useRedis();
    const keyPrefix = ownPrefix();
    const client = ioRedisClient("ioredis 6", url, { keyPrefix }) as Redis;
    await client.set("sess:id", JSON.stringify(data({ user: "ada" })));
    const duplicate = client.duplicate({ keyPrefix: "" });
    onTestFinished(() => duplicate.disconnect());
    const store = redisStore({ client: duplicate, prefix: `${keyPrefix}sess:` });
    expect(await backendOf(store).read("id", (text) => text)).toContain("ada");
  });
});
