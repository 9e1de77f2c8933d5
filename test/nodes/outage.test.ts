// Promise 9 between processes: a storage that stops, pauses or restarts logs nobody out and loses no change.
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { closed } from "../support/browser.js";
import { closeNodes, type Node, openNodes, startNodes } from "../support/fleet.js";
import { inTime } from "../support/pace.js";
import { ownPrefix, startRedis } from "../support/redis.js";
import { type PrivateStorage, privateStorages } from "../support/storages.js";

const outage = 1500;

describe.each(privateStorages)("on $name", ({ open }) => {
  let storage: PrivateStorage;
  let a: Node;
  let b: Node;
  beforeAll(async () => {
    storage = await open();
    const store = { ...storage.own(), timeout: 600 };
    [a, b] = await openNodes(2, { store, sessions: { lease: 500 } });
  });
  afterAll(async () => {
    await closeNodes([a, b]);
    await storage.close();
  });

  test.each(["stopped", "killed", "paused"] as const)(
    "%s and back: changes of both nodes are kept, sockets stay, notices are heard again",
    { timeout: 60_000 },
    async (what) => {
      // A storage that has just come back may still be slow.
      const logIn = async (): Promise<Awaited<ReturnType<typeof a.login>>> => {
        const visitor = await a.login().catch(() => undefined);
        return visitor && "user" in (await a.visit(visitor).get("/session")) ? visitor : logIn();
      };
      const ada = await logIn();
      const [one, two] = [await a.visit(ada).connect(), await b.visit(ada).connect()];
      const told: unknown[] = [];
      for (const socket of [one, two]) void closed(socket).then((end) => told.push(end));

      if (what === "paused") storage.server.pause();
      else await (what === "stopped" ? storage.server.stop() : storage.server.kill());
      await one.emitWithAck("set", { one: 1 });
      await two.emitWithAck("set", { two: 2 });
      // Each node knows of the outage when a command of its own was not answered.
      for (const socket of [one, two]) expect(await socket.emitWithAck("save")).toBe("STORE_UNAVAILABLE");
      expect(await b.visit(ada).refused()).toEqual({ code: "STORE_UNAVAILABLE", retry: true });
      await delay(outage);
      expect(await two.emitWithAck("get")).toMatchObject({ two: 2 });
      expect(told).toEqual([]);

      if (what === "paused") storage.server.resume();
      else await storage.server.start();
      const kept = { user: "ada", one: 1, two: 2 };
      await expect
        .poll(
          () =>
            a
              .visit(ada)
              .get("/session")
              .catch(() => undefined),
          { timeout: 15_000 },
        )
        .toMatchObject(kept);
      await expect.poll(() => two.emitWithAck("get")).toMatchObject(kept);
      await expect.poll(async () => (await b.state()).isHearing, { timeout: 15_000 }).toBe(true);
      expect(told).toEqual([]);
      await ada.post("/logout");
      await expect.poll(() => told).toHaveLength(2);
    },
  );
});

test(
  "a session that expired in an outage, while its socket was active, is told as expired, not as destroyed",
  { timeout: 60_000 },
  async () => {
    const { url, server } = await startRedis();
    onTestFinished(() => server.close());
    const store = { kind: "redis", url, prefix: ownPrefix(), timeout: 200 } as const;
    const [node] = await startNodes(1, { store, sessions: { lease: 500 } });
    // Its half is longer than an event may wait for a storage that is not known to be away yet: two timeouts.
    const maxAge = 1600;
    const { end } = await inTime(maxAge / 2, async (step) => {
      const ada = await node.login({ user: "ada", maxAge });
      const socket = await node.visit(ada).connect();
      const toCome = closed(socket);
      server.pause();
      try {
        // Each of them would give the session another second, but the storage does not hear of it.
        for (let passed = 0; passed < 2 * maxAge; passed += 100) {
          await socket.timeout(maxAge).emitWithAck("get");
          step();
          await delay(100);
        }
      } finally {
        server.resume();
      }
      return { end: toCome };
    });
    expect((await end).told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
  },
);
