// The store of socket-session/testing that breaks when it is told to: what an outage does can be seen with it.
import { describe, expect, it, onTestFinished, test } from "vitest";
import { memoryStore, type Sessions } from "../../src/index.js";
import { redisStore } from "../../src/redis.js";
import { clock, type FaultyStore, faultyStore } from "../../src/testing/index.js";
import { storeContract } from "../contract/store.js";
import { startApp } from "../support/app.js";
import type { Browser } from "../support/browser.js";
import { ownPrefix, redisClient, useRedis } from "../support/redis.js";

storeContract("a faulty store that is well", () => ({ store: faultyStore() }));

const kinds: Record<string, (options?: object) => Promise<FaultyStore>> = {
  "of its own": async (options) => faultyStore(undefined, options),
  "around memoryStore()": async (options) => faultyStore(memoryStore(), options),
  "around redisStore()": async (options) =>
    faultyStore(redisStore({ client: await redisClient((await useRedis()).url), prefix: ownPrefix() }), options),
};

async function start(store: FaultyStore): Promise<{ ada: Browser; sessions: Sessions }> {
  const app = await startApp({
    sessions: { store, cookie: { maxAge: 1_800_000 } },
    setup: ({ io, sessions }) => {
      sessions.on("error", () => undefined);
      io.on("connection", (socket) => {
        socket.on("count", (done: (count: number) => void) => {
          socket.session.count = (socket.session.count ?? 0) + 1;
          done(socket.session.count);
        });
      });
    },
  });
  onTestFinished(() => store.recover());
  return { ada: await app.login(), sessions: app.sessions };
}

describe.each(Object.entries(kinds))("%s", (_, make) => {
  it("that fails logs nobody out, and gets what was changed when it is back", async () => {
    const store = await make();
    const { ada, sessions } = await start(store);
    const socket = await ada.connect();
    store.fail();
    expect(await socket.emitWithAck("count")).toBe(1);
    expect((await ada.fetch("/session")).status).toBe(500);
    await expect.poll(() => sessions.pending).toBe(1);
    expect(store.isDown).toBe(true);
    store.recover();
    await clock.advance("10s");
    await expect.poll(() => sessions.pending).toBe(0);
    expect(await ada.get("/session")).toEqual({ user: "ada", count: 1 });
    expect(socket.connected).toBe(true);
  });

  it("that hangs is given up after its timeout, and answers when it is back", async () => {
    const store = await make({ timeout: 50 });
    const { ada } = await start(store);
    store.hang();
    await expect(store.get("id")).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    store.recover();
    expect(await ada.get("/session")).toEqual({ user: "ada" });
  });

  it("that hangs carries out, late, what it was asked", async () => {
    const store = await make({ timeout: 50 });
    await store.set("id", { cookie: { originalMaxAge: null } } as never);
    store.hang();
    await expect(store.destroy("id")).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    store.recover();
    await expect.poll(() => store.get("id")).toBeUndefined();
  });

  it("that answers late does what it is asked", async () => {
    const store = await make();
    const { ada } = await start(store);
    store.answerLate(20);
    const since = performance.now();
    expect(await ada.get("/session")).toEqual({ user: "ada" });
    expect(performance.now() - since).toBeGreaterThan(15);
  });

  it("that loses writes says that it has them", async () => {
    const store = await make();
    const { ada } = await start(store);
    store.loseWrites();
    expect((await ada.post("/set", { count: 1 })).status).toBe(200);
    store.recover();
    expect(await ada.get("/session")).toEqual({ user: "ada" });
  });
});

test("who was connected for longer than maxStale of an outage is told to come back", async () => {
  const store = faultyStore();
  const { ada, sessions } = await start(store);
  const socket = await ada.connect();
  store.fail();
  await clock.advance("6m");
  expect(sessions.size).toBe(0);
  await expect.poll(() => socket.connected).toBe(false);
});
