// Stores of several nodes in one process: each keeps the contract of a store, and hears of the others.
import { describe, expect, it, test } from "vitest";
import { backendOf } from "../../src/store/live-store.js";
import { sharedMemory } from "../../src/testing/index.js";
import { storeContract } from "../contract/store.js";
import { type App, startApp } from "../support/app.js";
import { type Browser, closed } from "../support/browser.js";

storeContract("shared memory", () => ({ store: sharedMemory().store() }));

async function startNodes(): Promise<{ nodes: [App, App]; browsers: [Browser, Browser] }> {
  const storage = sharedMemory();
  const start = (): Promise<App> => startApp({ sessions: { store: storage.store(), cookie: { maxAge: 60_000 } } });
  const nodes: [App, App] = [await start(), await start()];
  const here = await nodes[0].login();
  const there = nodes[1].browser();
  for (const [name, value] of here.cookies) there.cookies.set(name, value);
  return { nodes, browsers: [here, there] };
}

describe("a node", () => {
  it("knows the sessions of another, and what it changes", async () => {
    const { nodes, browsers } = await startNodes();
    const seen: unknown[] = [];
    nodes[1].io.on("connection", (socket) =>
      socket.on("ask", (done: (user?: string) => void) => done(socket.session.user)),
    );
    const socket = await browsers[1].connect();
    nodes[1].sessions.on("change", (live) => seen.push(live.data.count));
    await browsers[0].post("/set", { count: 5 });
    await expect.poll(() => seen).toEqual([5]);
    expect(await socket.emitWithAck("ask")).toBe("ada");
  });

  it("closes its sockets at a logout on another", async () => {
    const { nodes, browsers } = await startNodes();
    const end = closed(await browsers[1].connect());
    await nodes[0].sessions.destroy(browsers[0].sessionId);
    expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
  });

  it("counts the connections of all", async () => {
    const { nodes, browsers } = await startNodes();
    await browsers[0].connect();
    await browsers[1].connect();
    expect(await backendOf(nodes[0].sessions.store).connectionsOf(browsers[0].sessionId)).toEqual([1, 1]);
  });
});

test("two storages have nothing in common", async () => {
  const [one, other] = [sharedMemory().store(), sharedMemory().store()];
  await one.set("id", { cookie: { originalMaxAge: null } } as never);
  expect([await one.ids(), await other.ids()]).toEqual([["id"], []]);
});
