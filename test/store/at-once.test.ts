import { expect, onTestFinished, test } from "vitest";
import { memoryStore } from "../../src/index.js";
import type { LiveSession } from "../../src/session/live-session.js";
import { Registry } from "../../src/session/registry.js";
import { backendOf } from "../../src/store/live-store.js";

/** A live session of a store in memory, which answers without promises; `onChange` is told what changed. */
async function liveInMemory(onChange: (live: LiveSession) => void = () => undefined) {
  const store = memoryStore();
  await store.set("id", { cookie: { originalMaxAge: 600_000 }, count: 0 } as never);
  const events = {
    change: onChange,
    end: () => undefined,
    lost: () => undefined,
    error: () => undefined,
    wantsChanges: () => true,
  };
  const backend = backendOf(store);
  const registry = new Registry(backend, { lease: 1e9, maxStale: 1e9, maxUnsaved: 10 }, events);
  onTestFinished(() => registry.close());
  const live = await registry.acquire("id", { end: () => undefined });
  const stored = (): unknown => backend.read("id", (text) => JSON.parse(text as string).count);
  return { store, backend, live, data: live.data as unknown as { count: number }, stored };
}

test("a session in memory is read and saved without a promise", async () => {
  const { live, data, stored } = await liveInMemory();
  expect(stored()).toBe(0);
  data.count = 1;
  expect(stored()).toBe(0);
  // After this turn of the event loop, before anything else that waits for it.
  await new Promise(setImmediate);
  expect(stored()).toBe(1);
  data.count = 2;
  const saving = live.save();
  expect(stored()).toBe(2);
  await saving;
});

test("what a listener changes while its session is being stored is stored after it", async () => {
  const { live, data, stored } = await liveInMemory(() => {
    if (data.count < 3) data.count++;
  });
  data.count = 1;
  await live.save();
  expect(stored()).toBe(1);
  await live.save();
  await live.save();
  expect(stored()).toBe(3);
});

test("who saves in a listener waits for what was changed there", async () => {
  const saved: Promise<unknown>[] = [];
  const { live, data, stored } = await liveInMemory(() => {
    if (data.count === 1) data.count = 2;
    saved.push(live.save().then(stored));
  });
  data.count = 1;
  await live.save();
  expect(await saved[0]).toBe(2);
});

test("an update that a listener makes comes after the write that it heard of", async () => {
  const updates: Promise<void>[] = [];
  const { store, live, data } = await liveInMemory(() => {
    if (data.count < 3) updates.push(backend.update("id", (stored: any) => void stored.count++));
  });
  const backend = backendOf(store);
  data.count = 1;
  await live.save();
  while (updates.length > 0) await updates.shift();
  expect(await store.get("id")).toMatchObject({ count: 3 });
  expect(data.count).toBe(3);
});

test("a save that the store refuses at once rejects, and what was changed is kept", async () => {
  const { backend, live, data, stored } = await liveInMemory();
  backend.claim({ maxSessionSize: 200 });
  (data as { text?: string }).text = "x".repeat(200);
  data.count = 1;
  await expect(live.save()).rejects.toMatchObject({ code: "DATA_INVALID" });
  expect(stored()).toBe(0);
  delete (data as { text?: string }).text;
  await live.save();
  expect(stored()).toBe(1);
});

test("express-session's callbacks come later all the same", async () => {
  const { store } = await liveInMemory();
  const order: string[] = [];
  const done = new Promise<void>((resolve) => {
    store.get("id", (_, data) => {
      order.push("read");
      store.set("id", data as never, () => {
        order.push("written");
        resolve();
      });
      order.push("after set()");
    });
  });
  order.push("after get()");
  await done;
  expect(order).toEqual(["after get()", "read", "after set()", "written"]);
});
