import { expect, onTestFinished, test, vi } from "vitest";
import { LiveStore } from "../../../src/store/live-store.js";
import { MemoryDriver, memoryStore } from "../../../src/store/drivers/memory.js";
import { storeContract } from "../../contract/store.js";
import { late } from "../../support/stores.js";

storeContract("memory", () => ({ store: memoryStore() }));
storeContract("memory, 5 ms late", () => ({ store: new LiveStore(late(new MemoryDriver(), 5)) }));

test("expired sessions are removed without being asked for, and an empty store has no timer", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const driver = new MemoryDriver();
  for (let index = 0; index < 100; index++) await driver.create(`id ${index}`, "{}", Date.now() + 1000 * index + 1);
  await driver.create("forever", "{}", Number.POSITIVE_INFINITY);
  expect(vi.getTimerCount()).toBe(1);
  await vi.advanceTimersByTimeAsync(180_000);
  vi.setSystemTime(0);
  // At the beginning of time nothing is expired: what is not there was removed before.
  expect(await driver.count()).toBe(1);
  await driver.remove("forever");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(vi.getTimerCount()).toBe(0);
});
