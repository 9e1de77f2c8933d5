import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { Clock } from "../../src/session/clock.js";
import { monotonicNow } from "../../src/internal/monotonic.js";
import { memoryStore } from "../../src/index.js";
import { Registry } from "../../src/session/registry.js";
import { backendOf } from "../../src/store/live-store.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const quiet = { change() {}, end: vi.fn(), error() {}, lost() {}, wantsChanges: () => false };

test("ticks at the earliest moment asked for, with one timer", () => {
  const ticks: number[] = [];
  const start = monotonicNow();
  const clock = new Clock((now) => {
    ticks.push(Math.round(now - start));
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
  clock.wakeAt(monotonicNow() + 2 ** 40);
  vi.advanceTimersByTime(1000);
  expect(tick).not.toHaveBeenCalled();
  clock.wakeAt(monotonicNow() - 1000);
  vi.advanceTimersByTime(1);
  expect(tick).toHaveBeenCalledOnce();
  clock.stop();
});

test("no moment at all needs no timer", () => {
  const clock = new Clock(() => Number.POSITIVE_INFINITY);
  clock.wakeAt(Number.POSITIVE_INFINITY);
  expect(vi.getTimerCount()).toBe(0);
});

test("moments that are close share one tick, a tenth of a second after the last", () => {
  const ticks: number[] = [];
  const start = monotonicNow();
  const clock = new Clock((now) => {
    ticks.push(Math.round(now - start));
    return ticks.length < 4 ? now + 10 : Number.POSITIVE_INFINITY;
  });
  clock.wakeAt(start + 10);
  vi.advanceTimersByTime(1000);
  expect(ticks).toEqual([10, 110, 210, 310]);
});

test("five thousand live sessions have one timer between them, and end at their moments", async () => {
  const store = memoryStore();
  const registry = new Registry(backendOf(store), { lease: 30_000, maxStale: 300_000, maxUnsaved: 10_000 }, quiet);
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

describe("the system's clock is set", () => {
  test("the timer looks in between, and ticks where it was; a time service that corrects slowly is no step", async () => {
    const steps: number[] = [];
    const clock = new Clock((_, step) => {
      steps.push(Math.round(step));
      return Number.POSITIVE_INFINITY;
    });
    clock.wakeAt(monotonicNow() + 3_600_000);
    for (let index = 0; index < 100; index++) {
      vi.setSystemTime(Date.now() + 5);
      vi.advanceTimersByTime(10_000);
    }
    expect(steps).toEqual([]);
    vi.setSystemTime(Date.now() + 7_200_000);
    vi.advanceTimersByTime(10_000);
    expect(steps).toEqual([7_200_000]);
    clock.wakeAt(monotonicNow() + 30_000);
    vi.setSystemTime(Date.now() - 7_200_000);
    vi.advanceTimersByTime(10_000);
    expect(steps).toEqual([7_200_000, -7_200_000]);
  });

  test("half a second is no step, a little more is, also where another moment is asked for meanwhile", () => {
    const steps: number[] = [];
    const clock = new Clock((_, step) => {
      steps.push(Math.round(step));
      return Number.POSITIVE_INFINITY;
    });
    for (const step of [500, 501]) {
      clock.wakeAt(monotonicNow() + 5000);
      vi.setSystemTime(Date.now() + step);
      clock.wakeAt(monotonicNow() + 4000);
      vi.advanceTimersByTime(4000);
    }
    expect(steps).toEqual([0, 501]);
    clock.stop();
  });

  async function idle(): Promise<{ ended: string[]; expires: number }> {
    const store = memoryStore();
    const registry = new Registry(backendOf(store), { lease: 30_000, maxStale: 300_000, maxUnsaved: 10_000 }, quiet);
    onTestFinished(async () => {
      await registry.close();
      store.close();
    });
    const expires = Date.now() + 600_000;
    const cookie = { originalMaxAge: 600_000, expires: new Date(expires).toISOString() };
    void store.set("id", { cookie } as never);
    await vi.advanceTimersByTimeAsync(0);
    const ended: string[] = [];
    await registry.acquire("id", { end: ({ code }) => void ended.push(code) });
    return { ended, expires };
  }

  test("forward: what has expired by it ends soon, though its timer is far away", async () => {
    const { ended } = await idle();
    vi.setSystemTime(Date.now() + 601_000);
    await vi.advanceTimersByTimeAsync(10_200);
    expect(ended).toEqual(["SESSION_EXPIRED"]);
  });

  test("back: an expiry comes when it is there, neither before nor never", async () => {
    const { ended, expires } = await idle();
    vi.setSystemTime(Date.now() - 300_000);
    await vi.advanceTimersByTimeAsync(899_000);
    expect(ended).toEqual([]);
    await vi.advanceTimersByTimeAsync(1200);
    expect(ended).toEqual(["SESSION_EXPIRED"]);
    expect(Date.now() - expires).toBeLessThan(300);
  });
});
