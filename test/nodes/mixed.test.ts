// Promise 11: an old service with connect-redis or connect-pg-simple, and a new node beside it, on the same sessions.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import connectPgSimple from "connect-pg-simple";
import { RedisStore } from "connect-redis";
import express from "express";
import session, { type Store } from "express-session";
import { createSentinel } from "redis";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { secret } from "../support/app.js";
import { Browser, closed } from "../support/browser.js";
import { closeNodes, idOf, type Node, openNodes, startNodes, type StoreSettings } from "../support/fleet.js";
import { inTime } from "../support/pace.js";
import { postgresPool } from "../support/postgres.js";
import { redisClient } from "../support/redis.js";
import { type Storage, storages } from "../support/storages.js";

const lease = 500;
const PgStore = connectPgSimple(session);

/** How an old service opens the store of these settings. */
async function openOld({ kind, url = "", prefix = "", table, sentinels }: StoreSettings): Promise<Store> {
  if (sentinels) return new RedisStore({ client: await sentinelClient(sentinels), prefix });
  if (kind === "redis") return new RedisStore({ client: await redisClient(url), prefix });
  const store = new PgStore({ pool: postgresPool(url), tableName: table, pruneSessionInterval: false });
  return store as unknown as Store;
}

async function sentinelClient(ports: readonly number[]): Promise<never> {
  const sentinelRootNodes = ports.map((port) => ({ host: "127.0.0.1", port }));
  const client = createSentinel({ name: "main", sentinelRootNodes });
  client.on("error", () => undefined);
  await client.connect();
  onTestFinished(() => client.destroy());
  return client as never;
}

/** The old service: express-session as it was used before, with the same secret. */
async function startOld(settings: StoreSettings): Promise<string> {
  const app = express();
  app.use(session({ secret, resave: false, saveUninitialized: false, store: await openOld(settings) }));
  app.use(express.json());
  app.post("/login", (req, res) => {
    const { maxAge, ...fields } = req.body as { maxAge?: number };
    if (maxAge !== undefined) req.session.cookie.maxAge = maxAge;
    res.json(Object.assign(req.session, fields) && {});
  });
  app.post("/set", (req, res) => res.json(Object.assign(req.session, req.body) && {}));
  app.post("/logout", (req, res, next) => req.session.destroy((error) => (error ? next(error) : res.json({}))));
  app.get("/session", (req, res) => {
    const { cookie: _, ...data } = req.session;
    res.json(data);
  });
  const server = createServer(app).listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The same browser, at another address. */
function at(url: string, browser = new Browser(url)): Browser {
  const visitor = new Browser(url);
  for (const [name, value] of browser.cookies) visitor.cookies.set(name, value);
  onTestFinished(() => visitor.close());
  return visitor;
}

// connect-redis is not for clusters.
describe.each(storages.filter(({ name }) => !name.startsWith("a Redis cluster")))(
  "on $name",
  { timeout: 60_000 },
  ({ open }) => {
    let storage: Storage;
    let settings: StoreSettings;
    let node: Node;
    beforeAll(async () => {
      storage = await open();
      settings = storage.own();
      [node] = await openNodes(1, { store: settings, sessions: { lease } });
      // Creates the table.
      await new Browser(node.url).post("/login", { user: "first" });
    });
    afterAll(() => closeNodes([node]));

    test("a login of either service is one of the other, and what one writes the other reads", async () => {
      const old = await startOld(settings);
      const ada = at(old);
      await ada.post("/login", { user: "ada", nested: { a: 1 } });
      const socket = await node.visit(ada).connect();
      expect(await socket.emitWithAck("get")).toMatchObject({ user: "ada", nested: { a: 1 } });
      await socket.emitWithAck("set", { count: 1 });
      expect(await socket.emitWithAck("save")).toBe("saved");
      expect(await ada.get("/session")).toEqual({ user: "ada", nested: { a: 1 }, count: 1 });
      await ada.post("/set", { other: "from the old service" });
      // It tells nobody. On Redis's channels nobody else does: there the lease finds it.
      await expect.poll(() => socket.emitWithAck("get")).toMatchObject({ count: 1, other: "from the old service" });

      const bob = await node.login({ user: "bob" });
      expect(await at(old, bob).get("/session")).toEqual({ user: "bob" });
    });

    test("a logout of either service is one of the other", async () => {
      const old = await startOld(settings);
      const [ada, bob] = [await node.login(), await node.login({ user: "bob" })];
      const silent = await node.visit(ada).connect();
      const end = closed(silent);
      await at(old, ada).post("/logout");
      expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
      expect(await node.visit(ada).refused()).toMatchObject({ code: "SESSION_UNKNOWN" });

      await bob.post("/logout");
      expect(await at(old, bob).get("/session")).toEqual({});
    });

    test("what the old service keeps alive beside the data stays alive: no socket is closed, and no write shortens its life", async () => {
      const old = await startOld(settings);
      const maxAge = 2000;
      const { end } = await inTime(maxAge / 2, async (step) => {
        const ada = at(old);
        await ada.post("/login", { user: "ada", maxAge });
        const silent = await node.visit(ada).connect();
        let isClosed = false;
        const toCome = closed(silent).finally(() => (isClosed = true));
        const until = Date.now() + maxAge + 1500;
        while (Date.now() < until) {
          // Changes nothing: a touch, which leaves the text as it was.
          expect(await ada.get("/session")).toEqual({ user: "ada" });
          step();
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        expect(isClosed).toBe(false);
        // By its text the session is over, by its life it is not: a writer who does not move the expiry leaves it alone.
        await node.ask("work", { id: idOf(ada), field: "k1", times: 1 });
        expect(await ada.get("/session")).toEqual({ user: "ada", count: 1, k1: 1 });
        expect(isClosed).toBe(false);
        return { end: toCome };
      });
      expect((await end).told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
    });
  },
);

test(
  "a fleet of two nodes hears an old service on their Redis, whatever the lease: its changes and its logouts",
  { timeout: 60_000 },
  async () => {
    const { open } = storages.find(({ name }) => name === "Redis") as (typeof storages)[number];
    const storage = await open();
    const settings = storage.own();
    const nodes = await startNodes(2, { store: settings, sessions: { lease: 3_600_000 } });
    const old = await startOld(settings);
    const took: { changes: number[]; logouts: number[] } = { changes: [], logouts: [] };
    for (let round = 0; round < 25; round++) {
      const ada = at(old);
      await ada.post("/login", { user: "ada" });
      const sockets = await Promise.all(nodes.map((node) => node.visit(ada).connect()));
      for (let change = 0; change < 4; change++) {
        const since = performance.now();
        await ada.post("/set", { change });
        for (const socket of sockets) {
          await expect.poll(() => socket.emitWithAck("get"), { interval: 1 }).toMatchObject({ user: "ada", change });
        }
        took.changes.push(performance.now() - since);
      }
      const ends = Promise.all(sockets.map(closed));
      const since = performance.now();
      await ada.post("/logout");
      for (const { told } of await ends) expect(told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
      took.logouts.push(performance.now() - since);
    }
    for (const node of nodes) expect(await node.state()).toMatchObject({ hears: "keys", isHearing: true });
    for (const [what, times] of Object.entries(took)) {
      const [half, most] = [0.5, 0.99].map((part) => times.toSorted((a, b) => a - b)[Math.floor(part * times.length)]);
      process.stdout.write(`${what} of an old service, its request included: p50 ${half} ms, p99 ${most} ms\n`);
    }
  },
);
