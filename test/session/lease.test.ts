// The lease, with a fake clock: what nobody tells of is found by the clock, in batches.
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import type { Driver, NoticeListener } from "../../src/store/drivers/driver.js";
import { liveStore } from "../../src/store/drivers/express-store/express-store.js";
import { backendOf, LiveStore } from "../../src/store/live-store.js";
import { MemoryDriver } from "../../src/store/drivers/memory.js";
import type { ActiveSession } from "../../src/session/live-session.js";
import { Registry } from "../../src/session/registry.js";
import { LineStore } from "../support/stores.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const lease = 30_000;
const cookie = JSON.stringify({ originalMaxAge: null, expires: null });

interface Shared {
  /** Until it resolves, what is watched is not heard. */
  watching: Promise<void>;
  readonly store: LiveStore;
  readonly registry: Registry;
  /** What another node writes to. */
  readonly others: MemoryDriver;
  readonly listener: NoticeListener;
  /** The commands that were sent, and of how many sessions. */
  readonly asked: { read: number; readMany: number[] };
  isDown: boolean;
  /** Until it resolves, what was read is under way. */
  answer: Promise<void>;
}

/** A storage that another node writes, too, and that tells of it when the test says so. */
function share(term = lease): Shared {
  const others = new MemoryDriver();
  const asked = { read: 0, readMany: [] as number[] };
  let listener: NoticeListener | undefined;
  const own: Partial<Driver> = {
    isShared: true,
    notices: {
      listen: (given) => void (listener = given),
      watch: () => shared.watching,
      unwatch: () => {},
      close: () => {},
    },
    read: async (id) => {
      asked.read++;
      if (shared.isDown) throw new Error("down");
      const text = await others.read(id);
      await shared.answer;
      return text;
    },
    replace: async (...values) => {
      if (shared.isDown) throw new Error("down");
      return others.replace(...values);
    },
    readMany: async (ids) => {
      asked.readMany.push(ids.length);
      if (shared.isDown) throw new Error("down");
      return Promise.all(ids.map((id) => others.read(id)));
    },
  };
  const driver = new Proxy(others, {
    get(target, key) {
      const value: unknown = Reflect.get(key in own ? own : target, key);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  }) as Driver;
  const store = new LiveStore(driver);
  listener?.onHearing(true);
  const quiet = { change() {}, end() {}, error() {}, lost() {}, wantsChanges: () => false };
  const registry = new Registry(backendOf(store), { lease: term, maxStale: 300_000, maxUnsaved: 10_000 }, quiet);
  const shared: Shared = {
    watching: Promise.resolve(),
    store,
    registry,
    others,
    listener: listener as NoticeListener,
    asked,
    isDown: false,
    answer: Promise.resolve(),
  };
  onTestFinished(() => registry.close());
  return shared;
}

async function connect({ registry, others }: Shared, count: number, ended: string[] = []): Promise<void> {
  for (let index = 0; index < count; index++) {
    await others.create(`id ${index}`, `{"cookie":${cookie},"n":0}`, Number.POSITIVE_INFINITY);
  }
  await Promise.all(
    Array.from({ length: count }, (_, index) =>
      registry.acquire(`id ${index}`, { end: ({ code }) => void ended.push(`${index} ${code}`) }),
    ),
  );
}

test("a thousand silent sessions are re-read once per lease, two hundred with one command", async () => {
  const shared = share();
  await connect(shared, 1000);
  expect(shared.asked).toEqual({ read: 1000, readMany: [] });
  await vi.advanceTimersByTimeAsync(lease * 0.8);
  expect(shared.asked.readMany).toEqual([]);
  await vi.advanceTimersByTimeAsync(lease * 0.3);
  expect(shared.asked).toEqual({ read: 1000, readMany: [200, 200, 200, 200, 200] });
  await vi.advanceTimersByTimeAsync(lease * 3);
  expect(shared.asked.readMany).toHaveLength(20);
});

test("an event does not go by a look that began a lease ago: nobody knows what was written since", async () => {
  const shared = share(100);
  await connect(shared, 1);
  const live = shared.registry.get("id 0") as ActiveSession;
  let answer = (): void => undefined;
  shared.answer = new Promise((resolve) => (answer = resolve));
  live.freshness.invalidate();
  const first = live.beforeEvent();
  await vi.advanceTimersByTimeAsync(50);
  const joined = live.beforeEvent();
  await shared.others.replace("id 0", `{"cookie":${cookie},"n":1}`, undefined, `{"cookie":${cookie},"n":0}`);
  await vi.advanceTimersByTimeAsync(51);
  const late = Promise.resolve(live.beforeEvent()).then(() => (live.data as { n?: number }).n);
  answer();
  expect(await Promise.all([first, joined])).toEqual([true, true]);
  expect(await late).toBe(1);
  // One for the connection, one for those who shared it, one more.
  expect(shared.asked.read).toBe(3);
});

test("sessions that come one after the other are still read together", async () => {
  const shared = share();
  for (let index = 0; index < 300; index++) {
    await shared.others.create(`id ${index}`, `{"cookie":${cookie}}`, Number.POSITIVE_INFINITY);
    await shared.registry.acquire(`id ${index}`, { end() {} });
    await vi.advanceTimersByTimeAsync(lease / 300);
  }
  shared.asked.readMany.length = 0;
  await vi.advanceTimersByTimeAsync(lease * 10);
  // Within a tenth of the lease: ten or eleven commands per lease for all.
  expect(shared.asked.readMany.length).toBeLessThanOrEqual(115);
});

test("an end and a change that nobody told of are found within the lease", async () => {
  const shared = share();
  const ended: string[] = [];
  await connect(shared, 3, ended);
  await vi.advanceTimersByTimeAsync(1000);
  await shared.others.remove("id 1");
  await shared.others.replace("id 2", `{"cookie":${cookie},"n":2}`, undefined, `{"cookie":${cookie},"n":0}`);
  await vi.advanceTimersByTimeAsync(lease - 1000 + 100);
  expect(ended).toEqual(["1 SESSION_DESTROYED"]);
  expect(shared.registry.get("id 2")?.data).toMatchObject({ n: 2 });
  expect(shared.registry.size).toBe(2);
});

test("while nothing is heard each event reads; what is heard again is re-read at once, together", async () => {
  const shared = share();
  await connect(shared, 300);
  const live = shared.registry.get("id 7");
  expect(live?.beforeEvent()).toBe(true);
  shared.listener.onHearing(false);
  for (let event = 1; event <= 3; event++) {
    expect(await live?.beforeEvent()).toBe(true);
    expect(shared.asked.read).toBe(300 + event);
  }
  await shared.others.remove("id 8");
  shared.listener.onHearing(true);
  // Not yet fresh: it must be looked at after the moment when it was heard again.
  expect(await live?.beforeEvent()).toBe(true);
  expect(shared.asked.read).toBe(304);
  expect(live?.beforeEvent()).toBe(true);
  await vi.advanceTimersByTimeAsync(200);
  expect(shared.registry.size).toBe(299);
  expect(shared.asked.readMany).toHaveLength(2);
});

test("while nothing is heard a look under way is too old for an event, and a new connection looks, too", async () => {
  const shared = share();
  await connect(shared, 1);
  const live = shared.registry.get("id 0");
  shared.listener.onHearing(false);
  const first = live?.beforeEvent();
  await shared.others.replace("id 0", `{"cookie":${cookie},"n":1}`, undefined, `{"cookie":${cookie},"n":0}`);
  const second = live?.beforeEvent();
  expect(await first).toBe(true);
  expect(await second).toBe(true);
  expect(live?.data).toMatchObject({ n: 1 });
  const before = shared.asked.read;
  await shared.registry.acquire("id 0", { end() {} });
  expect(shared.asked.read).toBe(before + 1);
});

test("an event that comes while a look is under way, after a newer notice, waits for the look after it", async () => {
  const shared = share();
  await connect(shared, 1);
  const live = shared.registry.get("id 0");
  shared.listener.onNotice("id 0", "changed");
  // The look has begun; now another change, and its notice.
  await shared.others.replace("id 0", `{"cookie":${cookie},"n":1}`, undefined, `{"cookie":${cookie},"n":0}`);
  shared.listener.onNotice("id 0", "changed");
  expect(await live?.beforeEvent()).toBe(true);
  expect(live?.data).toMatchObject({ n: 1 });
  // However many notices come meanwhile, it is one more look.
  const before = shared.asked.read;
  for (let notice = 0; notice < 100; notice++) shared.listener.onNotice("id 0", "changed");
  expect(await live?.beforeEvent()).toBe(true);
  expect(shared.asked.read - before).toBe(2);
});

test("a session is read when its notices are heard, not before, also when it comes back with unsaved changes", async () => {
  const shared = share();
  await shared.others.create("id", `{"cookie":${cookie},"n":0}`, Number.POSITIVE_INFINITY);
  let hears: () => void = () => {};
  shared.watching = new Promise((resolve) => (hears = resolve));
  const acquiring = shared.registry.acquire("id", { end() {} });
  await vi.advanceTimersByTimeAsync(10);
  expect(shared.asked.read).toBe(0);
  // What another node writes until then is read, although nobody told.
  await shared.others.replace("id", `{"cookie":${cookie},"n":1}`, undefined, `{"cookie":${cookie},"n":0}`);
  hears();
  expect((await acquiring).data).toMatchObject({ n: 1 });
});

test("an end that is heard while the session is read for its first connection refuses that", async () => {
  const shared = share();
  await shared.others.create("id", `{"cookie":${cookie}}`, Number.POSITIVE_INFINITY);
  const acquiring = shared.registry.acquire("id", { end() {} });
  await Promise.resolve();
  shared.listener.onNotice("id", "SESSION_ROTATED");
  await expect(acquiring).rejects.toMatchObject({ code: "SESSION_ROTATED" });
  expect(shared.registry.size).toBe(0);
});

test("a store that does not answer is asked once in a while, for all, and ends nobody's session", async () => {
  const shared = share();
  const ended: string[] = [];
  await connect(shared, 1000, ended);
  shared.isDown = true;
  await vi.advanceTimersByTimeAsync(lease + 10_000);
  expect(ended).toEqual([]);
  // Once a second and a half at most, a batch each.
  expect(shared.asked.readMany.length).toBeLessThan(40);
  shared.isDown = false;
  await vi.advanceTimersByTimeAsync(3000);
  expect(shared.store.isDown).toBe(false);
  expect(ended).toEqual([]);
  shared.isDown = true;
  // After maxStale silent sockets are closed, too; when at the latest, docs/operate/outage.md says.
  await vi.advanceTimersByTimeAsync(lease + 300_000 + 1500);
  expect(ended).toHaveLength(1000);
  expect(new Set(ended.map((end) => end.split(" ")[1]))).toEqual(new Set(["STORE_UNAVAILABLE"]));
});

describe("over any express-session store", () => {
  test("silent sessions are re-read once per lease, ten at a time", async () => {
    const line = new LineStore();
    line.latency = 10;
    const store = liveStore(line);
    const quiet = { change() {}, end() {}, error() {}, lost() {}, wantsChanges: () => false };
    const registry = new Registry(backendOf(store), { lease, maxStale: 300_000, maxUnsaved: 10_000 }, quiet);
    onTestFinished(() => registry.close());
    const ended: string[] = [];
    for (let index = 0; index < 100; index++) {
      line.inner.set(`id ${index}`, { cookie: JSON.parse(cookie), n: index } as never);
      const acquiring = registry.acquire(`id ${index}`, { end: ({ code }) => void ended.push(`${index} ${code}`) });
      await vi.advanceTimersByTimeAsync(10);
      await acquiring;
    }
    line.inner.destroy("id 50");
    line.asked.get = 0;
    await vi.advanceTimersByTimeAsync(lease - 1000);
    const since = Date.now();
    let most = 0;
    let before = line.asked.get;
    while (Date.now() - since < 2000) {
      await vi.advanceTimersByTimeAsync(10);
      most = Math.max(most, line.asked.get - before);
      before = line.asked.get;
    }
    expect(line.asked.get).toBe(100);
    expect(most).toBe(10);
    expect(ended).toEqual(["50 SESSION_DESTROYED"]);
  });
});

describe.each([-3_600_000, 20_000])("the system's clock is set by %d ms", (step) => {
  test("the lease is as long as ever, for those who speak and for those who are silent", async () => {
    const shared = share();
    const ended: string[] = [];
    await connect(shared, 2, ended);
    const speaking = shared.registry.get("id 0");
    vi.setSystemTime(Date.now() + step);
    await vi.advanceTimersByTimeAsync(1000);
    for (const index of [0, 1]) await shared.others.remove(`id ${index}`);
    for (let since = 0; since < lease + 11_000; since += 1000) {
      void speaking?.beforeEvent();
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(ended.toSorted()).toEqual(["0 SESSION_DESTROYED", "1 SESSION_DESTROYED"]);
  });

  test("a change that waits is saved soon, and handlers go on for maxStale, not longer", async () => {
    const shared = share();
    const ended: string[] = [];
    await connect(shared, 2, ended);
    shared.isDown = true;
    const live = shared.registry.get("id 0");
    (live as NonNullable<typeof live>).data["n" as never] = 1 as never;
    await expect(live?.save()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    vi.setSystemTime(Date.now() + step);
    await vi.advanceTimersByTimeAsync(6000);
    shared.isDown = false;
    await vi.advanceTimersByTimeAsync(6000);
    expect(live?.isSaved).toBe(true);
    shared.isDown = true;
    vi.setSystemTime(Date.now() - step);
    await vi.advanceTimersByTimeAsync(299_000);
    expect(ended).toEqual([]);
    await vi.advanceTimersByTimeAsync(lease + 5000);
    expect(ended.toSorted()).toEqual(["0 STORE_UNAVAILABLE", "1 STORE_UNAVAILABLE"]);
  });

  test("activity reaches the store as often as ever", async () => {
    const shared = share();
    const maxAge = 600_000;
    const expires = (): string => new Date(Date.now() + maxAge).toISOString();
    const text = JSON.stringify({ cookie: { originalMaxAge: maxAge, expires: expires() } });
    await shared.others.create("id", text, Date.now() + maxAge);
    const live = await shared.registry.acquire("id", { end() {} });
    const touched = vi.spyOn(shared.others, "touch");
    vi.setSystemTime(Date.now() + step);
    for (let since = 0; since < 120_000; since += 1000) {
      await live.beforeEvent();
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(touched.mock.calls.length).toBeGreaterThanOrEqual(1);
    expect(touched.mock.calls.length).toBeLessThanOrEqual(3);
  });
});

describe("a part of the storage that is away", () => {
  const maxStale = 20_000;

  /** A wrapped store of 60 sessions, which does not answer for some of them. */
  async function open(isAway: (id: string) => boolean) {
    const line = new LineStore();
    line.latency = 1;
    const get = line.inner.get.bind(line.inner);
    let isBroken = false;
    line.inner.get = (id, callback) =>
      isBroken && isAway(id) ? void setTimeout(callback, 50, new Error("this part is away")) : get(id, callback);
    const quiet = { change() {}, end() {}, error() {}, lost() {}, wantsChanges: () => false };
    const registry = new Registry(backendOf(liveStore(line)), { lease: 1000, maxStale, maxUnsaved: 10_000 }, quiet);
    onTestFinished(() => registry.close());
    const ended = new Map<string, string>();
    for (let index = 0; index < 60; index++) {
      line.inner.set(`id ${index}`, { cookie: JSON.parse(cookie), n: index } as never);
      const acquiring = registry.acquire(`id ${index}`, { end: ({ code }) => void ended.set(`id ${index}`, code) });
      await vi.advanceTimersByTimeAsync(5);
      await acquiring;
    }
    isBroken = true;
    return { line, registry, ended };
  }

  test.each([
    ["one session", (id: string) => id === "id 7", 1],
    ["half of the sessions", (id: string) => Number(id.slice(3)) < 30, 30],
  ])("%s: closed when maxStale is over, and nobody else", async (_, isAway, count) => {
    const { registry, ended } = await open(isAway);
    const away = registry.get("id 7");
    let handled = 0;
    for (let since = 0; since < maxStale + 5000; since += 100) {
      const at = since;
      void Promise.resolve(away?.beforeEvent()).then((isHandled) => isHandled && (handled = at));
      const others = registry.get("id 50")?.beforeEvent();
      await vi.advanceTimersByTimeAsync(100);
      expect(await others).toBe(true);
      if (since < maxStale - 1000) expect(ended.size).toBe(0);
    }
    expect(handled).toBeGreaterThan(maxStale - 1000);
    expect([...ended.keys()].every(isAway)).toBe(true);
    expect(ended.size).toBe(count);
    expect(new Set(ended.values())).toEqual(new Set(["STORE_UNAVAILABLE"]));
    // The others are looked at as ever.
    expect(registry.size).toBe(60 - count);
    await vi.advanceTimersByTimeAsync(10 * maxStale);
    expect(ended.size).toBe(count);
  });

  test("a session that is answered for again begins anew", async () => {
    let isAway = true;
    const { registry, ended } = await open((id) => isAway && id === "id 7");
    for (let round = 0; round < 4; round++) {
      isAway = true;
      await vi.advanceTimersByTimeAsync(maxStale * 0.8);
      isAway = false;
      await vi.advanceTimersByTimeAsync(3000);
    }
    expect([...ended]).toEqual([]);
    const entering = registry.get("id 7")?.beforeEvent();
    await vi.advanceTimersByTimeAsync(100);
    expect(await entering).toBe(true);
  });
});

test("a change that is told while a session is read for its first connection is not left to the lease", async () => {
  const driver: Driver = new MemoryDriver();
  let listener: NoticeListener | undefined;
  const reading = vi.spyOn(driver, "read");
  const store = new LiveStore(
    Object.assign(driver, {
      isShared: true,
      notices: {
        listen: (given: NoticeListener) => void (listener = given),
        watch: async () => undefined,
        unwatch: () => undefined,
        close: () => undefined,
      },
    }),
  );
  listener?.onHearing(true);
  const counts: unknown[] = [];
  const registry = new Registry(
    backendOf(store),
    { lease: 30_000, maxStale: 300_000, maxUnsaved: 100 },
    {
      change: (live) => counts.push(live.data.count),
      end: () => undefined,
      error: () => undefined,
      lost: () => undefined,
      wantsChanges: () => true,
    },
  );
  onTestFinished(() => registry.close());
  const text = (count: number): string => `{"cookie":{"originalMaxAge":null,"expires":null},"count":${count}}`;
  await driver.create("id", text(1), Number.POSITIVE_INFINITY);
  reading.mockImplementationOnce(async () => {
    // It has been read, and is not answered yet: another node writes and tells.
    await driver.replace("id", text(2), undefined, text(1));
    listener?.onNotice("id", "changed");
    return text(1);
  });
  await registry.acquire("id", { end: () => undefined });
  await expect.poll(() => counts).toEqual([2]);
});
