// When a save that failed is tried again.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { monotonicNow } from "../../src/internal/monotonic.js";
import { failedAgain, hopeless, type SaveFailure } from "../../src/session/save-failure.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test("a save that failed is tried again after a pause, which doubles up to five seconds", () => {
  vi.spyOn(Math, "random").mockReturnValue(1);
  let failure: SaveFailure | undefined;
  const pauses: number[] = [];
  for (let times = 1; times <= 8; times++) {
    failure = failedAgain(failure);
    expect(failure.times).toBe(times);
    pauses.push(failure.retryAt - monotonicNow());
  }
  expect(pauses.map(Math.round)).toEqual([200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
});

test("where trying again cannot help no moment is set; what comes after it counts as its second failure", () => {
  expect(hopeless.retryAt).toBe(Number.POSITIVE_INFINITY);
  expect(failedAgain(hopeless).times).toBe(2);
});
