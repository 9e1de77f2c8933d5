// The clock of socket-session/testing moves the time of sessions, and nothing else.
import session from "express-session";
import { describe, expect, it, test } from "vitest";
import { liveStore, memoryStore } from "../../src/index.js";
import { postgresStore } from "../../src/postgres.js";
import { redisStore } from "../../src/redis.js";
import { clock } from "../../src/testing/index.js";
import { startApp } from "../support/app.js";
import { closed, transports } from "../support/browser.js";
import { ownTable, postgresPool, usePostgres } from "../support/postgres.js";
import { redisClient, ownPrefix, useRedis } from "../support/redis.js";
import { LineStore } from "../support/stores.js";

const minute = 60_000;
const stores = {
  "memoryStore()": async () => memoryStore(),
  "a wrapped MemoryStore": async () => liveStore(new session.MemoryStore()),
  Redis: async () => {
    const client = await redisClient((await useRedis()).url);
    return redisStore({ client, prefix: ownPrefix() });
  },
  PostgreSQL: async () => {
    const pool = postgresPool((await usePostgres()).url);
    return postgresStore({ pool, table: ownTable(), createTable: true });
  },
};

describe.each(Object.entries(stores))("with %s", (_, open) => {
  it.each(transports)("a session ends at its expiry, and its sockets are told: %s", async (via) => {
    const { sessions, login } = await startApp({ sessions: { store: await open(), cookie: { maxAge: 30 * minute } } });
    const browser = await login();
    const socket = await browser.connect("/", { via });
    const end = closed(socket);
    await clock.advance("29m");
    expect(sessions.size).toBe(1);
    await clock.advance("2m");
    expect(sessions.size).toBe(0);
    expect((await end).told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
    expect(await browser.get("/session")).toEqual({});
  });

  it("HTTP alone sees the expiry, too, and a session that begins then lives as long as any", async () => {
    const { browser } = await startApp({ sessions: { store: await open(), cookie: { maxAge: 30 * minute } } });
    const ada = browser();
    await ada.post("/login", { user: "ada" });
    await clock.advance("31m");
    expect(await ada.get("/session")).toEqual({});
    await ada.post("/login", { user: "ada" });
    await clock.advance("29m");
    expect(await ada.get("/session")).toEqual({ user: "ada" });
    // That was activity.
    await clock.advance("29m");
    expect(await ada.get("/session")).toEqual({ user: "ada" });
    await clock.advance("31m");
    expect(await ada.get("/session")).toEqual({});
  });
});

test("Date and Node's timers stay as they are", async () => {
  const [before, ahead] = [Date.now(), clock.now() - Date.now()];
  let isFired = false;
  const timer = setTimeout(() => (isFired = true), 60_000);
  await clock.advance("2h");
  expect(Date.now() - before).toBeLessThan(minute);
  expect(isFired).toBe(false);
  clearTimeout(timer);
  expect(clock.now() - Date.now()).toBe(ahead + 120 * minute);
});

test("what is due on the way is done in its order: activity is written before the session would expire", async () => {
  const { login, io } = await startApp({ sessions: { cookie: { maxAge: 30 * minute } } });
  io.on("connection", (socket) => socket.on("ping", (done: () => void) => done()));
  const browser = await login();
  const socket = await browser.connect();
  await clock.advance("20s");
  // Too soon after the login to be written at once.
  await socket.emitWithAck("ping");
  await clock.advance(29 * minute + 50_000);
  expect(await browser.get("/session")).toEqual({ user: "ada" });
  await clock.advance("31m");
  expect(await browser.get("/session")).toEqual({});
});

test("the absolute lifetime is over in its time, whatever the client does", async () => {
  const { login } = await startApp({ sessions: { cookie: { maxAge: 30 * minute }, absoluteTimeout: 60 * minute } });
  const browser = await login();
  for (const _ of [1, 2]) {
    await clock.advance("25m");
    expect(await browser.get("/session")).toEqual({ user: "ada" });
  }
  await clock.advance("11m");
  expect(await browser.get("/session")).toEqual({});
});

test("a store that does not answer is not waited for", async () => {
  const store = new LineStore();
  const { sessions, login } = await startApp({ sessions: { store, cookie: { maxAge: 30 * minute } } });
  const browser = await login();
  await browser.connect();
  store.state = "hangs";
  await clock.advance("2m");
  expect(sessions.size).toBe(1);
});

test.each([
  [0, 0],
  [1500, 1500],
  ["500ms", 500],
  ["30s", 30_000],
  ["1.5h", 90 * minute],
  ["2d", 2 * 24 * 60 * minute],
] as const)("%s is a time span", async (duration, ms) => {
  const before = clock.now() - Date.now();
  await clock.advance(duration);
  expect(clock.now() - Date.now()).toBe(before + ms);
});

test.each(["", "soon", "5", "-5m", "5 m", -1, Number.NaN, Number.POSITIVE_INFINITY, undefined, "5y"])(
  "%s is none",
  async (duration) => {
    const before = clock.now() - Date.now();
    await expect(clock.advance(duration as never)).rejects.toThrow(/is no time span/);
    expect(clock.now() - Date.now()).toBe(before);
  },
);
