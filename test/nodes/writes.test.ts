// Promise 4 between processes: nothing is lost among writers on several nodes.
import { beforeAll, describe, expect, test } from "vitest";
import { idOf, startNodes } from "../support/fleet.js";
import { type Storage, storages } from "../support/storages.js";

const processes = 4;
const times = 250;

describe.each(storages)("on $name", ({ name, open }) => {
  let storage: Storage;
  beforeAll(async () => {
    storage = await open();
  });

  test(
    `a counter raised ${processes * times} times from ${processes} processes ends there, and every field is kept`,
    { timeout: 60_000 },
    async () => {
      const nodes = await startNodes(processes, { store: storage.own() });
      const ada = await nodes[0].login();
      const socket = await nodes[1].visit(ada).connect();
      const since = performance.now();
      const retries = await Promise.all(
        nodes.map((node, index) => node.ask<number>("work", { id: idOf(ada), field: `f${index}`, times })),
      );
      const took = performance.now() - since;
      const fields = Object.fromEntries(nodes.map((_, index) => [`f${index}`, times]));
      expect(await nodes[2].visit(ada).get("/session")).toEqual({ user: "ada", count: processes * times, ...fields });
      await expect.poll(() => socket.emitWithAck("get"), { interval: 5 }).toMatchObject({ count: processes * times });
      const all = retries.reduce((sum, one) => sum + one);
      process.stdout.write(
        `${name}: ${processes * times} updates in ${took.toFixed(0)} ms, ${(all / processes / times).toFixed(2)} retries per update\n`,
      );
      // Writers take turns within a process: an update loses to the other processes only.
      expect(all).toBeGreaterThan(0);
    },
  );
});
