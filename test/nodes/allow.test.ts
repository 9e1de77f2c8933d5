// Promise 13 between processes: who is not allowed any more is closed on every node, whichever changed the data.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { closed } from "../support/browser.js";
import { closeNodes, type Node, openNodes } from "../support/fleet.js";
import { type Storage, storages } from "../support/storages.js";

const forbidden = { code: "SESSION_FORBIDDEN", retry: false };

describe.each(storages)("on $name", { timeout: 60_000 }, ({ open }) => {
  let storage: Storage;
  let a: Node;
  let b: Node;
  beforeAll(async () => {
    storage = await open();
    [a, b] = await openNodes(2, { store: storage.own(), onlyUsers: true });
  });
  afterAll(() => closeNodes([a, b]));

  test("an HTTP request on one node that takes the user away closes the sockets of all, at once", async () => {
    const times: number[] = [];
    for (let round = 0; round < 10; round++) {
      const ada = await a.login();
      const sockets = await Promise.all([a.visit(ada).connect(), b.visit(ada).connect(), b.visit(ada).connect()]);
      const ends = Promise.all(sockets.map(closed));
      const since = performance.now();
      await ada.post("/set", { user: null, other: "kept" });
      for (const { told, reason } of await ends) {
        expect(told).toEqual([forbidden]);
        expect(reason).toBe("io server disconnect");
      }
      times.push(performance.now() - since);
      // The session lives on, without its user.
      expect(await b.visit(ada).get("/session")).toMatchObject({ user: null, other: "kept" });
      expect(await b.visit(ada).refused()).toEqual(forbidden);
    }
    // Long before any lease, which is half a minute.
    expect(times.toSorted((x, y) => x - y)[5]).toBeLessThan(10_000);
    expect(await b.state()).toMatchObject({ size: 0, isHearing: true, errors: [] });
  });

  test("a handler that takes the user away closes the sockets of the other node, and its answer arrives", async () => {
    const ada = await a.login();
    const [here, there] = await Promise.all([a.visit(ada).connect(), b.visit(ada).connect()]);
    const ends = Promise.all([closed(here), closed(there)]);
    expect(await here.emitWithAck("set", { user: null })).toBe(null);
    for (const { told } of await ends) expect(told).toEqual([forbidden]);
  });

  test("no handler of the other node sees the session without its user, whenever an event comes", async () => {
    const seen: unknown[] = [];
    for (let round = 0; round < 5; round++) {
      const ada = await a.login();
      const socket = await b.visit(ada).connect();
      const end = closed(socket);
      const asking = setInterval(() => {
        socket.emit("get", ({ user }: { user: unknown }) => seen.push(user));
      }, 0);
      await ada.post("/set", { user: null });
      expect((await end.finally(() => clearInterval(asking))).told).toEqual([forbidden]);
    }
    expect(new Set(seen)).toEqual(new Set(["ada"]));
  });
});
