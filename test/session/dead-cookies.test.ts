// Cookies whose session is not there: what they cost, and that a session that comes is let in at once.
import { expect, onTestFinished, test } from "vitest";
import { Registry } from "../../src/session/registry.js";
import { MemoryDriver } from "../../src/store/drivers/memory.js";
import { redisStore } from "../../src/store/drivers/redis/redis-store.js";
import { LiveStore } from "../../src/store/live-store.js";
import { startApp } from "../support/app.js";
import { ownPrefix, redisClient, startRedis } from "../support/redis.js";
import { backendOf } from "../../src/store/live-store.js";

async function start() {
  const { port, server } = await startRedis();
  onTestFinished(() => server.close());
  const client = await redisClient(`redis://127.0.0.1:${port}`);
  const prefix = ownPrefix();
  const app = await startApp({ sessions: { store: redisStore({ client, prefix }) } });
  /** How often each command was sent since it was last asked. */
  const commands = async (): Promise<Record<string, number>> => {
    const stats = await client.info("commandstats");
    await client.configResetStat();
    const lines = stats.matchAll(/^cmdstat_([a-z|]+):calls=(\d+)/gm);
    return Object.fromEntries([...lines].map(([, name, calls]) => [name, Number(calls)]));
  };
  return { client, prefix, app, commands, other: redisStore({ client, prefix }) };
}

test("a dead cookie that comes again and again costs a look, and no subscription", async () => {
  const { app, commands, other } = await start();
  const ada = await app.login();
  await backendOf(other).end(ada.sessionId, "SESSION_DESTROYED");
  expect(await ada.refused()).toEqual({ code: "SESSION_UNKNOWN", retry: false });
  await commands();
  for (let times = 0; times < 10; times++) {
    expect(await ada.refused()).toEqual({ code: "SESSION_UNKNOWN", retry: false });
  }
  const { get, subscribe, unsubscribe } = await commands();
  expect({ get, subscribe, unsubscribe }).toEqual({ get: 10, subscribe: undefined, unsubscribe: undefined });
});

test("a session that is made while its id is known as absent is let in at once, and heard of", async () => {
  const { app, client, prefix, other } = await start();
  const ada = await app.login();
  const id = ada.sessionId;
  const text = (await client.get(prefix + id)) as string;
  await client.del(prefix + id);
  expect(await ada.refused()).toEqual({ code: "SESSION_UNKNOWN", retry: false });
  expect(await ada.refused()).toEqual({ code: "SESSION_UNKNOWN", retry: false });
  await client.set(prefix + id, text);
  const socket = await ada.connect();
  const end = new Promise((resolve) => socket.once("session:end", resolve));
  await backendOf(other).end(id, "SESSION_DESTROYED");
  expect(await end).toMatchObject({ code: "SESSION_DESTROYED" });
});

test("a session of a cookie that is alive costs one read, which is its subscription", async () => {
  const { app, commands } = await start();
  // The first socket of all opens the connection that hears.
  await (await app.login("bob")).connect();
  const ada = await app.login();
  await commands();
  await ada.connect();
  const { get = 0, mget = 0, subscribe } = await commands();
  expect({ reads: get + mget, subscribe }).toEqual({ reads: 1, subscribe: undefined });
});

test("of two handshakes with one unknown id neither gets in, however they interleave", async () => {
  for (let later = 0; later < 40; later++) {
    const registry = new Registry(
      backendOf(new LiveStore(new MemoryDriver())),
      { lease: 1000, maxStale: 1000, maxUnsaved: 10 },
      { change() {}, end() {}, lost() {}, error() {}, wantsChanges: () => false },
    );
    const acquire = async (): Promise<string> => {
      try {
        await registry.acquire("unknown", { end() {} });
        return "in";
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const first = acquire();
    for (let turn = 0; turn < later; turn++) await Promise.resolve();
    const second = acquire();
    expect(await Promise.all([first, second]), `${later} turns later`).toEqual(["SESSION_UNKNOWN", "SESSION_UNKNOWN"]);
  }
});
