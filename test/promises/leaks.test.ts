// Promise 12's other half: nothing is left behind. Raw clients, so that their own memory does not blur the picture.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, onTestFinished, test } from "vitest";
import { EventEmitter } from "node:events";
import { Agent, request } from "node:http";
import WebSocket from "ws";
import { memoryStore } from "../../src/index.js";
import { postgresStore } from "../../src/postgres.js";
import { redisStore } from "../../src/redis.js";
import type { LiveStore } from "../../src/store/live-store.js";
import { startApp } from "../support/app.js";
import { postgresPool, startPostgres } from "../support/postgres.js";
import { byChannels, redisClient, startRedis } from "../support/redis.js";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

async function heap(): Promise<number> {
  for (let index = 0; index < 4; index++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    gc();
  }
  return process.memoryUsage().heapUsed;
}

function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === "Timeout" || name === "Immediate").length;
}

/** What nodes keep of a session beside its data differs: watchers, subscriptions, tracked keys. */
const storages: Record<string, () => LiveStore | Promise<LiveStore>> = {
  memory: () => memoryStore(),
  "Redis by keys": () => openRedis({}),
  "Redis by channels": () => openRedis(byChannels),
  PostgreSQL: async () => {
    const { url, server } = await startPostgres();
    onTestFinished(() => server.close());
    return postgresStore({ pool: postgresPool(url), createTable: true });
  },
};

async function openRedis(options: object): Promise<LiveStore> {
  const { url, server } = await startRedis();
  onTestFinished(() => server.close());
  return redisStore({ client: await redisClient(url, options) });
}

describe.each(Object.entries(storages))("on %s", (_, openStore) => {
  test(
    "ten thousand connects and disconnects leave no live session, watcher, timer or listener, and the heap where it was",
    { timeout: 300_000 },
    async () => {
      const { io, login, sessions, url } = await startApp({
        sessions: { store: await openStore(), cookie: { maxAge: 3_600_000 } },
        // One user is refused, one is closed when its data changes, one waits for the answer.
        attach: {
          allow({ user }, request) {
            if (request === undefined) return user !== "user 8";
            return user === "user 9" ? Promise.resolve(true) : user !== "user 7";
          },
        },
        setup({ io, sessions }) {
          io.on("connection", (socket) => {
            void sessions.get(socket)?.signal;
            socket.on("write", (done) => {
              socket.session.cart = [socket.id];
              done();
            });
          });
        },
      });
      const cookies: string[] = [];
      for (let index = 0; index < 50; index++) cookies.push((await login(`user ${index}`)).cookie);

      const connect = (cookie: string): Promise<void> =>
        new Promise((resolve, reject) => {
          const client = new WebSocket(`${url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`, {
            headers: { cookie },
          });
          client.on("error", reject);
          client.on("close", () => resolve());
          client.on("message", (data: Buffer) => {
            const packet = data.toString();
            if (packet.startsWith("0")) client.send("40");
            else if (packet.startsWith("40")) client.send('420["write"]');
            else client.close();
          });
        });
      const run = async (count: number): Promise<void> => {
        let started = 0;
        const one = async (): Promise<void> => {
          while (started < count) await connect(cookies[started++ % cookies.length] as string);
        };
        await Promise.all(Array.from({ length: 50 }, one));
        await expect.poll(() => io.engine.clientsCount).toBe(0);
        await expect.poll(() => sessions.size).toBe(0);
      };

      await run(3000);
      const listeners = (): number[] => [
        io.engine.listenerCount("connection"),
        io.of("/").listenerCount("connection"),
        sessions.store.listenerCount("connect"),
        process.listenerCount("warning"),
      ];
      const before = { heap: await heap(), timers: timers(), listeners: listeners() };
      await run(10_000);
      const after = await heap();
      expect(listeners()).toEqual(before.listeners);
      expect(timers()).toBeLessThanOrEqual(before.timers + 1);
      expect(io.of("/").adapter.rooms.size).toBe(0);
      // Less than 100 bytes for each connection that was.
      expect(after - before.heap).toBeLessThan(1_000_000);
    },
  );

  test(
    "ten thousand streams leave no live session, watcher, timer or listener, and the heap where it was",
    { timeout: 300_000 },
    async () => {
      const bus = new EventEmitter().setMaxListeners(0);
      const { login, sessions, url } = await startApp({
        sessions: { store: await openStore(), cookie: { maxAge: 3_600_000 }, view: ({ user }) => user },
        setup({ app, sessions }) {
          app.get("/events", (req, res) => {
            const stream = sessions.stream(req, res, { missing: "anonymous" });
            bus.on("news", stream.listener("news"));
            bus.on("never", stream.listener("never"));
            stream.listen(bus, "rare");
            void stream.signal;
            stream.session.cart = ["written"];
          });
        },
      });
      const cookies: string[] = [];
      for (let index = 0; index < 50; index++) cookies.push((await login(`user ${index}`)).cookie);
      const agent = new Agent({ keepAlive: false });
      // Leaves when the first event has come.
      const visit = (cookie: string): Promise<void> =>
        new Promise((resolve, reject) => {
          const asked = request(`${url}/events`, { agent, headers: { cookie, accept: "text/event-stream" } });
          asked.on("error", reject).on("response", (response) => {
            response.once("data", () => asked.destroy());
            response.on("error", () => undefined).on("close", resolve);
          });
          asked.end();
        });
      const run = async (count: number): Promise<void> => {
        let started = 0;
        const one = async (): Promise<void> => {
          while (started < count) await visit(cookies[started++ % cookies.length] as string);
        };
        await Promise.all(Array.from({ length: 50 }, one));
        await expect.poll(() => sessions.size).toBe(0);
        // Whatever was never called goes with the next call.
        expect(bus.listenerCount("rare")).toBe(0);
        bus.emit("never");
        bus.emit("news");
      };

      await run(3000);
      const before = { heap: await heap(), timers: timers(), listeners: sessions.store.listenerCount("connect") };
      await run(10_000);
      const after = await heap();
      expect(bus.eventNames()).toEqual([]);
      expect(sessions.store.listenerCount("connect")).toBe(before.listeners);
      expect(timers()).toBeLessThanOrEqual(before.timers + 1);
      // Less than 100 bytes for each stream that was.
      expect(after - before.heap).toBeLessThan(1_000_000);
    },
  );
});
