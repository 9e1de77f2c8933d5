import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Clock } from "../../src/live/clock.js";
import { memoryStore } from "../../src/index.js";
import { Registry } from "../../src/live/registry.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const quiet = { change() {}, end: vi.fn(), error() {}, lost() {}, wantsChanges: () => false };

test("ticks at the earliest moment asked for, with one timer", () => {
  const ticks: number[] = [];
  const start = Date.now();
  const clock = new Clock((now) => {
    ticks.push(now - start);
    return ticks.length === 1 ? now + 10_000 : Number.POSITIVE_INFINITY;
  });
  for (const wait of [60_000, 5000, 7000, Number.POSITIVE_INFINITY]) clock.wakeAt(start + wait);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(100_000);
  expect(ticks).toEqual([5000, 15_000]);
  expect(vi.getTimerCount()).toBe(0);
});

test("a moment in the past is soon, one beyond the longest timer is no overflow", () => {
  const tick = vi.fn(() => Number.POSITIVE_INFINITY);
  const clock = new Clock(tick);
  clock.wakeAt(Date.now() + 2 ** 40);
  vi.advanceTimersByTime(1000);
  expect(tick).not.toHaveBeenCalled();
  clock.wakeAt(Date.now() - 1000);
  vi.advanceTimersByTime(1);
  expect(tick).toHaveBeenCalledOnce();
  clock.stop();
});

test("five thousand live sessions have one timer between them, and end at their moments", async () => {
  const store = memoryStore();
  const registry = new Registry(store, { lease: 30_000, maxStale: 300_000, maxUnsaved: 10_000 }, quiet);
  const closed: number[] = [];
  const start = Date.now();
  for (let index = 0; index < 5000; index++) {
    const maxAge = 1000 + (index % 60) * 1000;
    const cookie = { originalMaxAge: maxAge, expires: new Date(start + maxAge).toISOString() };
    await new Promise<void>((resolve) => {
      store.set(`id ${index}`, { cookie } as never, () => resolve());
      vi.advanceTimersByTime(0);
    });
    await registry.acquire(`id ${index}`, { end: () => closed.push(Date.now() - start - maxAge) });
  }
  expect(registry.size).toBe(5000);
  // One of the clock, one of the store's sweep.
  expect(vi.getTimerCount()).toBeLessThanOrEqual(2);
  await vi.advanceTimersByTimeAsync(62_000);
  expect(registry.size).toBe(0);
  expect(closed).toHaveLength(5000);
  expect(Math.max(...closed)).toBeLessThan(1000);
  expect(Math.min(...closed)).toBeGreaterThanOrEqual(0);
  await registry.close();
  store.close();
  expect(vi.getTimerCount()).toBe(0);
});
