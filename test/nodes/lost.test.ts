// A storage that comes back without what it had stored: what is there counts, and the nodes say what they miss.
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { closed } from "../support/browser.js";
import { closeNodes, type Node, openNodes, startNodes } from "../support/fleet.js";
import { ownPrefix, startRedis } from "../support/redis.js";
import { type PrivateStorage, privateStorages } from "../support/storages.js";

const lease = 1000;

describe.each(privateStorages)("on $name", { timeout: 60_000 }, ({ open }) => {
  let storage: PrivateStorage;
  let a: Node;
  let b: Node;
  beforeAll(async () => {
    storage = await open();
    [a, b] = await openNodes(2, { store: { ...storage.own(), timeout: 3000 }, sessions: { lease } });
  });
  afterAll(async () => {
    await closeNodes([a, b]);
    await storage.close();
  });

  /** Resolves when both nodes are as if nothing had happened. */
  async function settled(): Promise<void> {
    for (const node of [a, b]) {
      await expect
        .poll(async () => (await node.state()).isHearing && !(await node.state()).isDown, { timeout: 15_000 })
        .toBe(true);
    }
  }

  test("older data: nobody is logged out, handlers go on with what is there, and each node says so once", async () => {
    const user = "loses changes";
    const ada = await a.login({ user, step: 1, toggle: false });
    const other = await a.login({ user: "loses nothing", step: 1 });
    const sockets = await Promise.all([a.visit(ada).connect(), b.visit(ada).connect(), b.visit(other).connect()]);
    const [one, two] = sockets;
    const goBack = await storage.server.remember();
    await settled();
    for (const socket of sockets) await socket.emitWithAck("get");

    await one.emitWithAck("set", { step: 2, toggle: true });
    expect(await one.emitWithAck("save")).toBe("saved");
    await expect.poll(() => two.emitWithAck("get")).toMatchObject({ step: 2 });
    await goBack();
    await settled();
    await expect.poll(() => two.emitWithAck("get")).toMatchObject({ step: 1 });
    await expect.poll(() => one.emitWithAck("get")).toMatchObject({ step: 1, toggle: false });
    for (const node of [a, b]) {
      await expect.poll(async () => (await node.state()).lost).toEqual([`${user} changes`]);
    }
    expect(sockets.map(({ connected }) => connected)).toEqual([true, true, true]);
    await two.emitWithAck("set", { step: 3 });
    expect(await two.emitWithAck("save")).toBe("saved");
    await expect.poll(() => one.emitWithAck("get")).toMatchObject({ step: 3, toggle: false });
    expect((await b.state()).lost).toHaveLength(1);
  });

  test("what another node puts back while this one hears nothing is no loss", async () => {
    const user = "changes their mind";
    const ada = await a.login({ user, toggle: false });
    const [one, two] = await Promise.all([a.visit(ada).connect(), b.visit(ada).connect()]);
    await settled();
    const set = async (toggle: boolean): Promise<unknown> => {
      await one.emitWithAck("set", { toggle });
      return one.emitWithAck("save");
    };
    expect(await set(true)).toBe("saved");
    await expect.poll(() => two.emitWithAck("get")).toMatchObject({ toggle: true });
    b.process.kill("SIGSTOP");
    await storage.server.restart();
    await expect.poll(() => set(false), { timeout: 15_000 }).toBe("saved");
    b.process.kill("SIGCONT");
    await expect.poll(() => two.emitWithAck("get"), { timeout: 15_000 }).toMatchObject({ toggle: false });
    await settled();
    // The storage is asked whether it has what was written.
    await expect.poll(() => two.emitWithAck("save")).toBe("saved");
    expect((await b.state()).lost).not.toContain(`${user} changes`);
  });

  test("an older snapshot does not bring back what ended a moment ago", async () => {
    const ada = await a.login({ user: "logs out before the snapshot is there", step: 1 });
    const socket = await b.visit(ada).connect();
    // A node without sockets neither listens nor asks whether the storage is back.
    const other = await a.login({ user: "stays" });
    await Promise.all([a, b].map((node) => node.visit(other).connect()));
    const goBack = await storage.server.remember();
    await settled();
    await socket.emitWithAck("get");
    const end = closed(socket);
    expect((await ada.post("/logout")).ok).toBe(true);
    expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
    await goBack();
    await settled();
    for (const node of [b, a]) {
      expect(await node.visit(ada).refused()).toEqual({ code: "SESSION_UNKNOWN", retry: false });
      expect(await node.visit(ada).get("/session")).toEqual({});
    }
    // A node that was not there has nothing to remember: the storage has not, either.
    const [late] = await openNodes(1, { store: { ...storage.own(), timeout: 3000 }, sessions: { lease } });
    onTestFinished(() => closeNodes([late]));
    expect(await late.visit(ada).get("/session")).toEqual({});
  });

  test("without the session: it is over, its sockets are told so, and each node says why", async () => {
    // A table, if there are any, is there before.
    await a.login({ user: "before" });
    const goBack = await storage.server.remember();
    await settled();
    const user = "loses the login";
    const ada = await a.login({ user });
    const sockets = await Promise.all([a.visit(ada).connect(), b.visit(ada).connect()]);
    const ends = Promise.all(sockets.map(closed));
    await goBack();
    for (const { told } of await ends) expect(told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
    for (const node of [a, b]) expect((await node.state()).lost).toContain(`${user} session`);
    expect(await b.visit(ada).refused()).toEqual({ code: "SESSION_UNKNOWN", retry: false });
    // Nobody brought it back.
    expect(await ada.get("/session")).toEqual({});
  });

  test("an end that is known is no loss, also when it was made while nobody heard", async () => {
    const before = (await b.state()).lost;
    const ada = await a.login({ user: "logs out" });
    const end = closed(await b.visit(ada).connect());
    await storage.server.restart();
    await expect.poll(() => ada.post("/logout").then(({ ok }) => ok), { timeout: 15_000 }).toBe(true);
    expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
    expect((await b.state()).lost).toEqual(before);
  });
});

test("a Redis that stores nothing on disk: a restart ends all sessions, and is told for each", async () => {
  const { url, server } = await startRedis(["--appendonly", "no"]);
  onTestFinished(() => server.close());
  const store = { kind: "redis", url, prefix: ownPrefix() } as const;
  const [a, b] = await startNodes(2, { store, sessions: { lease } });
  const browsers = await Promise.all(["one", "two"].map((user) => a.login({ user })));
  const sockets = await Promise.all(browsers.map((browser) => b.visit(browser).connect()));
  const ends = Promise.all(sockets.map(closed));
  await server.restart();
  for (const { told } of await ends) expect(told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
  expect((await b.state()).lost.toSorted()).toEqual(["one session", "two session"]);
  // Life goes on.
  const again = await a.login({ user: "again" });
  expect(await (await b.visit(again).connect()).emitWithAck("get")).toMatchObject({ user: "again" });
});
