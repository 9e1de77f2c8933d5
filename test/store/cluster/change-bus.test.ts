import { expect, test } from "vitest";
import type { NoticeListener } from "../../../src/store/drivers/driver.js";
import { monotonicNow } from "../../../src/internal/monotonic.js";
import { ChangeBus } from "../../../src/store/cluster/change-bus.js";

function start() {
  const watched = new Set<string>();
  let line: NoticeListener | undefined;
  const listeners = new ChangeBus(
    {
      listen: (listener) => void (line = listener),
      watch: async (id) => void watched.add(id),
      unwatch: (id) => void watched.delete(id),
      close: () => watched.clear(),
    },
    { heard: () => undefined, told: () => undefined },
  );
  return { listeners, watched, line: line as unknown as NoticeListener };
}

const quiet = { onNotice: () => undefined, flush: () => undefined, connectionsOf: () => 0 };

test("a session is watched for as long as anybody needs it", async () => {
  const { listeners, watched } = start();
  const finish: ((value: string | Promise<never>) => void)[] = [];
  const use = (): Promise<string> =>
    listeners.whileWatching("id", () => new Promise((resolve) => finish.push(resolve)));
  const [one, two] = [use(), use()];
  await expect.poll(() => finish.length).toBe(2);
  finish[0]?.("done");
  expect(await one).toBe("done");
  expect([...watched]).toEqual(["id"]);
  // Somebody else let go of it meanwhile.
  listeners.unwatch("id");
  expect([...watched]).toEqual(["id"]);
  finish[1]?.(Promise.reject(new Error("failed")));
  await expect(two).rejects.toThrow("failed");
  expect([...watched]).toEqual([]);

  let isNeeded = true;
  listeners.subscribe({ ...quiet, watches: () => isNeeded });
  await listeners.whileWatching("id", async () => undefined);
  expect([...watched]).toEqual(["id"]);
  isNeeded = false;
  listeners.unwatch("id");
  expect([...watched]).toEqual([]);
});

test("opening the line for the first time is no trouble; losing it is, until it is open again", () => {
  const { listeners, line } = start();
  expect([listeners.isHearing, listeners.troubledUntil]).toEqual([false, 0]);
  line.hearing(true);
  expect([listeners.isHearing, listeners.troubledUntil]).toEqual([true, 0]);
  line.hearing(false);
  expect(listeners.isHearing).toBe(false);
  expect(Math.abs(listeners.troubledUntil - monotonicNow())).toBeLessThan(5000);
  const before = monotonicNow();
  line.hearing(true);
  const until = listeners.troubledUntil;
  expect(until).toBeGreaterThanOrEqual(before);
  line.hearing(true);
  expect(listeners.troubledUntil).toBe(until);
});
