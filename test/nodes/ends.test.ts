// Promise 6 between processes: a session that ends on one node has its sockets told and closed on the others.
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { closed } from "../support/browser.js";
import { closeNodes, idOf, type Node, openNodes, startNodes } from "../support/fleet.js";
import { inTime } from "../support/pace.js";
import { openStream } from "../support/stream.js";
import { type Storage, storages } from "../support/storages.js";

describe.each(storages)("on $name", { timeout: 60_000 }, ({ name, open }) => {
  let storage: Storage;
  let a: Node;
  let b: Node;
  let c: Node;
  beforeAll(async () => {
    storage = await open();
    [a, b, c] = await openNodes(3, { store: storage.own() });
  });
  afterAll(() => closeNodes([a, b, c]));

  test("a logout on one node closes sockets on the others with SESSION_DESTROYED, at once", async () => {
    const times: number[] = [];
    for (let round = 0; round < 10; round++) {
      const ada = await a.login();
      const sockets = await Promise.all([a.visit(ada).connect(), b.visit(ada).connect(), b.visit(ada).connect()]);
      const ends = Promise.all(sockets.map(closed));
      const since = performance.now();
      await ada.post("/logout");
      for (const { told, reason } of await ends) {
        expect(told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
        expect(reason).toBe("io server disconnect");
      }
      times.push(performance.now() - since);
      expect(await b.visit(ada).refused()).toEqual({ code: "SESSION_UNKNOWN", retry: false });
    }
    // Long before any lease, which is half a minute.
    expect(times.toSorted((x, y) => x - y)[5]).toBeLessThan(10_000);
    expect(await b.state()).toMatchObject({ size: 0, isHearing: true, errors: [] });
  });

  test("a rotation on one node is SESSION_ROTATED on the others, and the old id is turned down kindly everywhere", async () => {
    const ada = await a.login({ user: "before" });
    const old = c.visit(ada);
    const other = b.visit(ada);
    const end = closed(await other.connect());
    await ada.post("/login", { user: "after" });
    const { told, reason } = await end;
    expect(told).toEqual([{ code: "SESSION_ROTATED", retry: true }]);
    expect(reason).toMatch(/^transport/);
    // A node that never had the session knows, too: the transport closes, so that the client comes back by itself.
    for (const early of [old, other]) {
      const socket = early.socket("/", { via: "websocket" });
      const errors: Error[] = [];
      socket.on("connect_error", (error) => errors.push(error));
      const closedTransport = new Promise((resolve) => socket.io.once("close", resolve));
      socket.connect();
      await closedTransport;
      expect(errors).toEqual([]);
    }
    const socket = await c.visit(ada).connect();
    expect(await socket.emitWithAck("get")).toMatchObject({ user: "after" });
  });

  test("a logout, a rotation or a change that is not allowed closes streams on the others with its code, at once", async () => {
    const times: number[] = [];
    const ways = [
      ["/logout", {}, { code: "SESSION_DESTROYED", retry: false }],
      ["/login", { user: "after" }, { code: "SESSION_ROTATED", retry: true }],
      ["/set", { user: "nobody" }, { code: "SESSION_FORBIDDEN", retry: false }],
    ] as const;
    for (const [path, body, reason] of [...ways, ...ways, ...ways]) {
      const ada = await a.login();
      const streams = await Promise.all([openStream(a.visit(ada)), openStream(b.visit(ada)), openStream(b.visit(ada))]);
      await Promise.all(streams.map((stream) => stream.next("session:view")));
      await ada.post("/set", { user: "bob" });
      for (const stream of streams) expect(await stream.next("user")).toEqual({ user: "bob" });
      const since = performance.now();
      await ada.post(path, body);
      for (const stream of streams) {
        expect(await stream.next("session:end")).toEqual(reason);
        expect(await stream.over).toBe("complete");
        expect(stream.events.at(-1)?.event).toBe("session:end");
      }
      times.push(performance.now() - since);
    }
    // Long before any lease, which is half a minute.
    expect(times.toSorted((x, y) => x - y)[4]).toBeLessThan(10_000);
  });

  test("what one node changed, the next event on another sees, and the change is told there", async () => {
    const ada = await a.login();
    const socket = await b.visit(ada).connect();
    await ada.post("/set", { user: "bob" });
    await expect.poll(() => socket.emitWithAck("get"), { interval: 1 }).toMatchObject({ user: "bob" });
    // And back: a change on the socket is in the next response of the other node.
    await socket.emitWithAck("set", { other: "changed" });
    expect(await socket.emitWithAck("save")).toBe("saved");
    expect(await ada.get("/session")).toMatchObject({ user: "bob", other: "changed" });
  });

  test("a user's sessions are known on every node, and end everywhere else with destroyUser", async () => {
    const user = `user of ${name}`;
    const here = await a.login({ user });
    const [there, elsewhere, other] = [
      await b.login({ user }),
      await c.login({ user }),
      await b.login({ user: "bob" }),
    ];
    const ends = [closed(await b.visit(there).connect()), closed(await a.visit(elsewhere).connect())];
    const kept = await Promise.all([a.visit(here).connect(), c.visit(here).connect(), c.visit(other).connect()]);
    const again = await a.visit(here).connect();
    type Device = { handle: string; connections: number; connectionsPerNode: number[] };
    let devices: Device[] = [];
    const counts = async (): Promise<number[]> => {
      devices = await c.visit(here).get<Device[]>("/devices");
      return devices.map(({ connections }) => connections);
    };
    // A node that is busy may answer too late to be counted.
    await expect.poll(counts).toEqual([3, 1, 1]);
    // The node that is asked comes first.
    expect(devices.map(({ connectionsPerNode }) => connectionsPerNode)).toEqual([[1, 2], [1], [1]]);
    again.disconnect();
    await expect
      .poll(async () => (await b.visit(here).get<{ connections: number }[]>("/devices"))[0]?.connections)
      .toBe(2);
    expect(await b.visit(there).get("/devices")).toMatchObject(devices.map(({ handle }) => ({ handle })));
    expect(JSON.stringify(devices)).not.toContain(idOf(here));
    const response = await c.visit(here).post("/logout-elsewhere");
    expect(await response.json()).toEqual({ ended: 2 });
    for (const { told } of await Promise.all(ends)) expect(told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
    expect(kept.map(({ connected }) => connected)).toEqual([true, true, true]);
    expect(await b.visit(here).get("/devices")).toHaveLength(1);
  });

  test("connections are counted on nodes that answer: not on one that hangs, nor on one that died", async () => {
    const [here, there] = await startNodes(2, { store: storage.own() });
    const ada = await here.login();
    await Promise.all([here.visit(ada).connect(), there.visit(ada).connect()]);
    const counts = async (): Promise<unknown> => {
      const [entry] = await ada.get<{ connectionsPerNode: number[] }[]>("/devices");
      return entry?.connectionsPerNode;
    };
    await expect.poll(counts).toEqual([1, 1]);
    there.process.kill("SIGSTOP");
    await expect.poll(counts).toEqual([1]);
    there.process.kill("SIGCONT");
    await expect.poll(counts).toEqual([1, 1]);
    await there.kill();
    expect(await counts()).toEqual([1]);
  });

  // Time is the same on a cluster.
  if (name === "a Redis cluster") return;

  test("an expiry closes the sockets on every node; activity on one keeps the session alive for all", async () => {
    const maxAge = 1500;
    const { ends } = await inTime(maxAge / 2, async (step) => {
      const ada = await a.login({ maxAge });
      const active = await a.visit(ada).connect();
      const silent = await b.visit(ada).connect();
      let isClosed = false;
      const toCome = Promise.all([closed(silent).finally(() => (isClosed = true)), closed(active)]);
      const until = Date.now() + 2.5 * maxAge;
      while (Date.now() < until) {
        await active.timeout(maxAge).emitWithAck("get");
        step();
        expect(isClosed).toBe(false);
        await delay(20);
      }
      return { ends: toCome };
    });
    for (const { told } of await ends) expect(told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
  });

  test("the absolute lifetime holds on every node", async () => {
    const absoluteTimeout = 1500;
    const limited = await startNodes(2, { store: storage.own(), sessions: { absoluteTimeout } });
    const { ends } = await inTime(absoluteTimeout - 500, async () => {
      const ada = await limited[0].login();
      const sockets = await Promise.all(limited.map((node) => node.visit(ada).connect()));
      return { ends: Promise.all(sockets.map(closed)) };
    });
    for (const { told } of await ends) expect(told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
  });
});
