// Promise 2 between processes: notices that are lost cost one lease, a notice connection that is cut costs a read per event.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { closed } from "../support/browser.js";
import { closeNodes, type Node, openNodes } from "../support/fleet.js";
import { type PrivateStorage, privateStorages } from "../support/storages.js";
import { Wire } from "../support/wire.js";

const lease = 1000;
/** See "The lease" in docs/inside/architecture.md: the lease, a tick of the clock, and what the machine needs. */
const bound = lease + 100 + 4900;

describe.each(privateStorages)("on $name", ({ open }) => {
  let storage: PrivateStorage;
  let wire: Wire;
  let a: Node;
  let b: Node;

  beforeAll(async () => {
    storage = await open();
    wire = await Wire.to(storage.port);
    const store = storage.through(wire.port);
    [a, b] = await openNodes(2, { store, sessions: { lease } });
  });
  afterAll(async () => {
    await closeNodes([a, b]);
    wire.close();
    await storage.close();
  });
  beforeEach(() => {
    wire.state = "works";
  });
  afterEach(async () => {
    wire.state = "works";
    await expect
      .poll(async () => (await b.state()).isHearing || (await b.state()).size === 0, { timeout: 10_000 })
      .toBe(true);
  });

  test("dropped notices: silent sockets see an end within the lease, and an event a change", async () => {
    const [ada, bob] = await Promise.all([a.login(), a.login({ user: "bob" })]);
    const silent = await b.visit(ada).connect();
    const active = await b.visit(bob).connect();
    wire.state = "drops";
    wire.dropped = 0;
    const end = closed(silent);
    const since = Date.now();
    await ada.post("/logout");
    await bob.post("/set", { user: "bobby" });
    const { told } = await end;
    const took = Date.now() - since;
    expect(told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
    expect(took).toBeLessThan(bound);
    // The notices were indeed dropped.
    expect(wire.dropped).toBeGreaterThanOrEqual(2);
    await expect
      .poll(() => active.emitWithAck("get"), { interval: 20, timeout: bound })
      .toMatchObject({ user: "bobby" });
    expect((await b.state()).isHearing).toBe(true);
  });

  test("the notice connection cut: each event reads first; nobody is logged out; when it is back all is heard again", async () => {
    const ada = await a.login();
    const socket = await b.visit(ada).connect();
    let isClosed = false;
    void closed(socket).then(() => (isClosed = true));
    wire.state = "cuts";
    await expect.poll(async () => (await b.state()).isHearing, { interval: 5 }).toBe(false);
    for (let round = 1; round <= 20; round++) {
      await ada.post("/set", { count: round });
      expect(await socket.emitWithAck("get")).toMatchObject({ count: round });
    }
    expect(await b.state()).toMatchObject({ isHearing: false, isDown: false });
    // A handshake needs the store, not the notices.
    await b.visit(ada).connect();
    expect(isClosed).toBe(false);
    await ada.post("/set", { count: 99 });
    wire.state = "works";
    await expect.poll(async () => (await b.state()).isHearing, { timeout: 10_000 }).toBe(true);
    expect(await socket.emitWithAck("get")).toMatchObject({ count: 99 });
    // The best of a few: the machine may be busy with something else.
    const took: number[] = [];
    for (let round = 0; round < 10 && !took.some((ms) => ms < lease / 2); round++) {
      const bob = await a.login({ user: "bob" });
      const end = closed(await b.visit(bob).connect());
      const since = Date.now();
      await bob.post("/logout");
      expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
      took.push(Date.now() - since);
    }
    expect(Math.min(...took)).toBeLessThan(lease / 2);
    expect(isClosed).toBe(false);
  });

  test("an end while the notice connection is cut closes silent sockets when it is back, at once", async () => {
    const ada = await a.login();
    const socket = await b.visit(ada).connect();
    wire.state = "cuts";
    await expect.poll(async () => (await b.state()).isHearing, { interval: 5 }).toBe(false);
    const end = closed(socket);
    const since = Date.now();
    await ada.post("/logout");
    wire.state = "works";
    expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
    expect(Date.now() - since).toBeLessThan(bound);
  });
});
