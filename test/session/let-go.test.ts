// What the application hears of a session whose connections are gone, while a handler still works with it.
import { expect, test } from "vitest";
import { Registry, type RegistryEvents } from "../../src/session/registry.js";
import { MemoryDriver } from "../../src/store/drivers/memory.js";
import { backendOf, LiveStore } from "../../src/store/live-store.js";

const empty = `{"cookie":{"originalMaxAge":null,"expires":null}}`;

async function setUp() {
  const driver = new MemoryDriver();
  await driver.create("1", empty, Number.POSITIVE_INFINITY);
  const backend = backendOf(new LiveStore(driver));
  const changed: unknown[] = [];
  const events: RegistryEvents = {
    change: (live) => changed.push(live),
    end() {},
    error() {},
    lost() {},
    wantsChanges: () => true,
  };
  const registry = new Registry(backend, { lease: 1e9, maxStale: 1e9, maxUnsaved: 100 }, events);
  const connection = { end() {} };
  const live = await registry.acquire("1", connection);
  live.remove(connection);
  const changeElsewhere = () => backend.update("1", (data) => void Object.assign(data, { user: "ann" }));
  return { registry, live, changed, changeElsewhere };
}

test("a handler that reads a newer session after its connection is gone causes a change event", async () => {
  const { registry, live, changed, changeElsewhere } = await setUp();
  await changeElsewhere();
  await live.reload();
  expect(live.data).toMatchObject({ user: "ann" });
  expect(changed).toEqual([live]);
  await registry.close();
});

test("a session that has a successor causes none: the successor has told of the same change", async () => {
  const { registry, live, changed, changeElsewhere } = await setUp();
  const successor = await registry.acquire("1", { end() {} });
  await changeElsewhere();
  await live.reload();
  expect(successor).not.toBe(live);
  expect(changed).toEqual([successor]);
  await registry.close();
});
