import fc from "fast-check";
import { expect, onTestFinished, test, vi } from "vitest";
import { memoryStore } from "../../src/index.js";
import { DueTimes, type Timed } from "../../src/session/due-times.js";
import { ActiveSession } from "../../src/session/live-session.js";
import { Registry } from "../../src/session/registry.js";
import { backendOf } from "../../src/store/live-store.js";

interface Item extends Timed {
  readonly name: number;
}

test("what is due comes up at its earliest moment, in order, whatever is brought forward or dropped", () => {
  const item = fc.nat({ max: 30 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant("bring"), item, at: fc.nat({ max: 100 }) }),
    fc.record({ kind: fc.constant("drop"), item }),
    fc.record({ kind: fc.constant("take"), at: fc.nat({ max: 100 }) }),
    fc.record({ kind: fc.constant("bringAll"), at: fc.nat({ max: 100 }) }),
    fc.record({ kind: fc.constant("until"), at: fc.nat({ max: 100 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const items: Item[] = Array.from({ length: 31 }, (_, name) => ({ name, dueIndex: -1 }));
      const times = new DueTimes<Item>();
      const model = new Map<Item, number>();
      const dueIn = (at: number) => [...model].filter(([, time]) => time <= at);
      const names = (list: readonly Item[]) => list.map(({ name }) => name).toSorted((one, other) => one - other);
      for (const one of steps) {
        if (one.kind === "bring" && "item" in one && "at" in one) {
          const brought = items[one.item] as Item;
          times.bring(brought, one.at);
          model.set(brought, Math.min(one.at, model.get(brought) ?? Infinity));
        } else if (one.kind === "drop" && "item" in one) {
          times.drop(items[one.item] as Item);
          model.delete(items[one.item] as Item);
        } else if ("at" in one && one.kind === "bringAll") {
          times.bringAll(one.at);
          for (const [brought, time] of model) model.set(brought, Math.min(time, one.at));
        } else if ("at" in one && one.kind === "until") {
          expect(names(times.until(one.at))).toEqual(names(dueIn(one.at).map(([due]) => due)));
        } else if ("at" in one) {
          const expected = dueIn(one.at);
          const taken = times.take(one.at);
          expect(names(taken)).toEqual(names(expected.map(([due]) => due)));
          const moments = taken.map((due) => model.get(due) as number);
          expect(moments).toEqual(moments.toSorted((a, b) => a - b));
          for (const due of taken) model.delete(due);
        }
        expect(times.earliest).toBe(Math.min(Infinity, ...model.values()));
        for (const known of items) expect(known.dueIndex >= 0).toBe(model.has(known));
      }
    }),
  );
});

test("what is never due has no place", () => {
  const times = new DueTimes<Item>();
  const item = { name: 1, dueIndex: -1 };
  times.bring(item, Infinity);
  expect(item.dueIndex).toBe(-1);
  expect(times.take(1e12)).toEqual([]);
});

test("sessions that nobody uses are not looked at while others are used", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const store = memoryStore();
  const quiet = { change() {}, end() {}, error() {}, lost() {}, wantsChanges: () => false };
  const registry = new Registry(backendOf(store), { lease: 30_000, maxStale: 300_000, maxUnsaved: 100 }, quiet);
  const cookie = { originalMaxAge: 3_600_000, expires: new Date(Date.now() + 3_600_000).toISOString() };
  for (let index = 0; index < 1000; index++) {
    await store.set(`id ${index}`, { cookie } as never);
    await registry.acquire(`id ${index}`, { end() {} });
  }
  const ticks = vi.spyOn(ActiveSession.prototype, "tick");
  onTestFinished(() => ticks.mockRestore());
  const used = registry.get("id 7") as ActiveSession;
  for (let since = 0; since < 600_000; since += 1000) {
    void used.beforeEvent();
    await vi.advanceTimersByTimeAsync(1000);
  }
  expect(ticks.mock.calls.length).toBeGreaterThan(5);
  expect(ticks.mock.calls.length).toBeLessThan(50);
  expect(new Set(ticks.mock.contexts)).toEqual(new Set([used]));
  await registry.close();
  store.close();
  expect(vi.getTimerCount()).toBe(0);
});
