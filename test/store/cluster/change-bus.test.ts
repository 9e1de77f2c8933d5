import { expect, test } from "vitest";
import { monotonicNow } from "../../../src/internal/monotonic.js";
import { ChangeBus } from "../../../src/store/cluster/change-bus.js";

function start() {
  const watched = new Set<string>();
  const bus = new ChangeBus({
    listen: () => undefined,
    watch: async (id) => void watched.add(id),
    unwatch: (id) => void watched.delete(id),
    close: () => watched.clear(),
  });
  return { bus, watched };
}

const quiet = { onNotice: () => undefined, flush: () => undefined, connectionsOf: () => 0 };

test("a session is watched for as long as anybody needs it", async () => {
  const { bus, watched } = start();
  const finish: ((value: string | Promise<never>) => void)[] = [];
  const use = (): Promise<string> => bus.whileWatching("id", () => new Promise((resolve) => finish.push(resolve)));
  const [one, two] = [use(), use()];
  await expect.poll(() => finish.length).toBe(2);
  finish[0]?.("done");
  expect(await one).toBe("done");
  expect([...watched]).toEqual(["id"]);
  // Somebody else let go of it meanwhile.
  bus.unwatch("id");
  expect([...watched]).toEqual(["id"]);
  finish[1]?.(Promise.reject(new Error("failed")));
  await expect(two).rejects.toThrow("failed");
  expect([...watched]).toEqual([]);

  let isNeeded = true;
  bus.subscribe({ ...quiet, watches: () => isNeeded });
  await bus.whileWatching("id", async () => undefined);
  expect([...watched]).toEqual(["id"]);
  isNeeded = false;
  bus.unwatch("id");
  expect([...watched]).toEqual([]);
});

test("the first connection is no outage; losing it is one, until it is open again", () => {
  const { bus } = start();
  expect([bus.isHearing, bus.outageUntil]).toEqual([false, 0]);
  bus.onHearing(true);
  expect([bus.isHearing, bus.outageUntil]).toEqual([true, 0]);
  bus.onHearing(false);
  expect(bus.isHearing).toBe(false);
  expect(Math.abs(bus.outageUntil - monotonicNow())).toBeLessThan(5000);
  const before = monotonicNow();
  bus.onHearing(true);
  const until = bus.outageUntil;
  expect(until).toBeGreaterThanOrEqual(before);
  bus.onHearing(true);
  expect(bus.outageUntil).toBe(until);
});
