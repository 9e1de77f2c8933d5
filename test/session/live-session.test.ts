// One live session by itself, with a fake clock, over a store whose answers the test has in its hands.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type EndCode, SessionError } from "../../src/errors.js";
import { monotonicNow } from "../../src/internal/monotonic.js";
import { ActiveSession } from "../../src/session/live-session.js";
import type { SessionHost } from "../../src/session/session-host.js";
import { type ViewFunction, Views } from "../../src/session/view.js";

const lease = 1000;
const maxStale = 10_000;
const never = Number.POSITIVE_INFINITY;
const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);
const down = (): SessionError => new SessionError("STORE_UNAVAILABLE");

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A record, with a life of `maxAge` ms from now, where it has one. */
function stored(fields: object, maxAge: number | null = null, expiresIn = maxAge): string {
  const expires = expiresIn === null ? null : new Date(Date.now() + expiresIn).toISOString();
  return JSON.stringify({ cookie: { originalMaxAge: maxAge, expires, httpOnly: true, path: "/" }, ...fields });
}

class Store {
  isHearing = true;
  isDown = false;
  downSince: number | undefined;
  outageUntil = 0;
  absoluteTimeout: number | undefined;
  /** How often it was read, and what it has. */
  reads = 0;
  failure: SessionError | undefined;
  /** A read waits for it. */
  answer: Promise<unknown> = Promise.resolve();
  readonly commit = vi.fn(async () => undefined);
  readonly end = vi.fn(async (_id: string, _code: EndCode) => undefined);
  readonly prolong = vi.fn(async (_id: string, _at: number) => undefined);
  readonly hasLost = vi.fn(async (_id: string, _writes: readonly unknown[]) => true);
  endCode: EndCode | undefined;

  constructor(
    readonly isShared: boolean,
    public text: string | undefined,
  ) {}

  async read(_id: string, use: (text: string | undefined) => unknown): Promise<unknown> {
    this.reads++;
    await this.answer;
    if (this.failure) throw this.failure;
    return use(this.text);
  }

  endOf(): { code: EndCode } | undefined {
    return this.endCode ? { code: this.endCode } : undefined;
  }
}

function start({ isShared = true, text = stored({ user: "ada" }), view = undefined as ViewFunction | undefined } = {}) {
  const store = new Store(isShared, text);
  const host = {
    store,
    lease,
    maxStale,
    views: new Views(view, () => undefined),
    wakeAt: vi.fn(),
    onDirty: vi.fn(),
    onSaveError: vi.fn(),
    onUnmerged: vi.fn(),
    onSaved: vi.fn(),
    onChange: vi.fn(),
    onEnd: vi.fn(),
    onLost: vi.fn(),
    releaseIfIdle: vi.fn(),
  };
  const live = new ActiveSession("id", host as unknown as SessionHost<ActiveSession>);
  live.applyStored(text);
  if (isShared) live.freshness.markVerified(0, monotonicNow());
  const connection = { end: vi.fn(), showView: vi.fn() };
  live.add(connection);
  return { store, host, live, connection, tick: () => live.tick(monotonicNow()) };
}

const destroyed = { code: "SESSION_DESTROYED", retry: false };
const unavailable = { code: "STORE_UNAVAILABLE", retry: true };

describe("connections", () => {
  test("are counted, and the session is let go of with the last one", () => {
    const { live, connection, host } = start();
    const other = { end: vi.fn() };
    live.add(other);
    expect([live.connections, live.isIdle]).toEqual([2, false]);
    live.remove(connection);
    expect([live.connections, host.releaseIfIdle.mock.calls.length]).toEqual([1, 0]);
    live.remove(other);
    expect(host.releaseIfIdle.mock.calls).toEqual([[live]]);
    expect(live.isIdle).toBe(true);
    live.pending = 1;
    expect(live.isIdle).toBe(false);
    live.pending = 0;
    Object.assign(live.data, { user: "bob" });
    expect(live.isIdle).toBe(false);
  });
});

describe("the end", () => {
  test("aborts the signal, tells the registry and all connections, once", () => {
    const { live, connection, host } = start();
    const { signal } = live;
    expect([signal.aborted, live.signal === signal]).toEqual([false, true]);
    live.end("SESSION_DESTROYED");
    live.end("SESSION_EXPIRED");
    expect(live.ended).toBe("SESSION_DESTROYED");
    expect([signal.aborted, signal.reason]).toMatchObject([true, { code: "SESSION_DESTROYED" }]);
    expect(host.onEnd.mock.calls).toEqual([[live, "SESSION_DESTROYED"]]);
    expect(connection.end.mock.calls).toMatchObject([[destroyed]]);
    expect([live.connections, host.releaseIfIdle.mock.calls.length]).toEqual([0, 1]);
  });

  test("is known by a signal that is asked for later, and leaves the data readable", () => {
    const { live } = start();
    live.end("SESSION_EXPIRED");
    expect(live.signal.reason).toMatchObject({ code: "SESSION_EXPIRED" });
    expect(live.signal).toBe(live.signal);
    expect(live.data).toMatchObject({ user: "ada" });
  });

  test("of a session that nobody uses is told to the registry alone", () => {
    const { live, connection, host } = start();
    live.remove(connection);
    host.releaseIfIdle.mockClear();
    live.end("SESSION_DESTROYED");
    expect([connection.end.mock.calls.length, host.releaseIfIdle.mock.calls.length]).toEqual([0, 0]);
  });

  test("refuses what would use the session", async () => {
    const { live, store } = start();
    live.end("SESSION_ROTATED");
    for (const call of ["touch", "destroy", "reload", "save"] as const) {
      await expect(live[call]()).rejects.toMatchObject({ code: "SESSION_ROTATED" });
    }
    expect([live.beforeEvent(), store.reads, live.tick(never)]).toEqual([false, 0, never]);
    expect([store.prolong.mock.calls.length, store.end.mock.calls.length]).toEqual([0, 0]);
  });
});

describe("the view", () => {
  const view: ViewFunction = (data) => (data as { user?: string }).user;

  test("is what the view function makes, with how long the session lasts", () => {
    const { live } = start({ view, text: stored({ user: "ada" }, 5000) });
    expect(live.sessionView).toEqual({ view: "ada", expiresIn: 5000 });
    expect(start({ view }).live.sessionView).toEqual({ view: "ada", expiresIn: null });
  });

  test("is sent where it has changed, from the first client on that wants it", () => {
    const { live, connection } = start({ view });
    // Not each kind of server can send one.
    live.add({ end: vi.fn() });
    live.applyStored(stored({ user: "bob" }));
    expect(connection.showView).not.toHaveBeenCalled();
    expect(live.sessionView).toMatchObject({ view: "bob" });
    live.applyStored(stored({ user: "bob", other: 1 }));
    expect(connection.showView).not.toHaveBeenCalled();
    live.applyStored(stored({ user: "eve" }));
    expect(connection.showView.mock.calls).toEqual([[{ view: "eve", expiresIn: null }]]);
  });

  test("that cannot be made is neither sent nor given, until it can be", () => {
    const { live, connection } = start({
      view: (data) => {
        if ((data as { user?: string }).user === "ada") throw new Error("mine");
        return 1;
      },
    });
    expect(live.sessionView).toBeUndefined();
    live.applyStored(stored({ user: "bob" }));
    expect(connection.showView.mock.calls).toEqual([[{ view: 1, expiresIn: null }]]);
    live.applyStored(stored({ user: "ada" }));
    expect([live.sessionView, connection.showView.mock.calls.length]).toEqual([undefined, 1]);
  });

  test("without a view function changes nothing", () => {
    const { live, connection } = start();
    expect(live.sessionView).toEqual({ view: null, expiresIn: null, hasView: false });
    live.applyStored(stored({ user: "bob" }));
    expect(connection.showView).not.toHaveBeenCalled();
  });
});

describe("newer text", () => {
  test("is a change, of the data or not", () => {
    const { live, host } = start();
    expect(host.onChange).not.toHaveBeenCalled();
    live.applyStored(stored({ user: "ada" }, 5000));
    live.applyStored(stored({ user: "bob" }, 5000));
    const answers = host.onChange.mock.calls.map(([one, isDataChanged]) => [one, isDataChanged()]);
    expect(answers).toEqual([
      [live, false],
      [live, true],
    ]);
    live.applyStored(stored({ user: "bob" }, 5000));
    expect(host.onChange).toHaveBeenCalledTimes(2);
  });

  test("asks for the moments that it brings: the end of its life, and of the lease where others write, too", () => {
    const now = monotonicNow();
    const text = stored({ user: "ada" }, 5000);
    const wakes = (isShared: boolean): number[] =>
      start({ isShared, text }).host.wakeAt.mock.calls.map(([, at]) => Math.round((at as number) - now));
    expect(wakes(true)).toEqual([lease, 5000]);
    expect(wakes(false)).toEqual([5000]);
  });
});

describe("an event", () => {
  test("of a fresh session runs at once, and is activity", () => {
    const { live, store } = start({ text: stored({ user: "ada" }, 5000) });
    vi.advanceTimersByTime(lease - 1);
    expect([live.beforeEvent(), store.reads, live.activeAt]).toEqual([true, 0, monotonicNow()]);
    expect(store.prolong).toHaveBeenCalledTimes(1);
  });

  test("after the lease waits for a read; where only this process writes it does not", async () => {
    const { live, store } = start();
    vi.advanceTimersByTime(lease);
    expect(await live.beforeEvent()).toBe(true);
    expect(store.reads).toBe(1);
    const alone = start({ isShared: false });
    vi.advanceTimersByTime(lease * 10);
    expect([alone.live.beforeEvent(), alone.store.reads]).toEqual([true, 0]);
    expect(alone.store.prolong).not.toHaveBeenCalled();
  });

  test("while other nodes are not heard waits for a read that begins then", async () => {
    const { live, store } = start();
    store.isHearing = false;
    const before = live.freshness.invalidations;
    expect(await live.beforeEvent()).toBe(true);
    expect(await live.beforeEvent()).toBe(true);
    expect([store.reads, live.freshness.invalidations]).toEqual([2, before + 2]);
  });

  test("of a session that is gone does not run", async () => {
    const { live, store, connection } = start();
    store.text = undefined;
    vi.advanceTimersByTime(lease);
    expect(await live.beforeEvent()).toBe(false);
    expect(connection.end.mock.calls).toMatchObject([[destroyed]]);
  });

  test("after the session's time asks the store, whether it lives: then it was activity", async () => {
    const { live, store } = start({ text: stored({ user: "ada" }, 500) });
    vi.advanceTimersByTime(500);
    store.text = stored({ user: "ada" }, 500);
    const at = monotonicNow();
    const event = live.beforeEvent();
    expect([store.reads, live.activeAt]).toEqual([1, 0]);
    expect(await event).toBe(true);
    expect(live.activeAt).toBe(at);
    vi.advanceTimersByTime(500);
    store.text = undefined;
    expect(await live.beforeEvent()).toBe(false);
    expect([live.ended, live.activeAt]).toEqual(["SESSION_EXPIRED", at]);
  });

  test("does not wait for a store that is known not to answer: it is asked in the background", async () => {
    const { live, store } = start();
    store.failure = down();
    vi.advanceTimersByTime(lease);
    expect(await live.beforeEvent()).toBe(true);
    expect(store.reads).toBe(1);
    expect([live.beforeEvent(), store.reads]).toEqual([true, 1]);
    live.freshness.retryAt = monotonicNow();
    expect([live.beforeEvent(), store.reads]).toEqual([true, 2]);
    await settled();
  });

  test.each<[string, boolean, number | null]>([
    ["with a limit of its own, though nobody else writes it", false, 5000],
    ["of a store that may have a limit of its own", true, null],
  ])("is activity of a session %s", (_, isShared, maxAge) => {
    const { live } = start({ isShared, text: stored({}, maxAge) });
    expect([live.beforeEvent(), live.activeAt]).toEqual([true, monotonicNow()]);
  });

  test("does not wait for a store that has answered nobody for more than a second", async () => {
    const { live, store } = start();
    vi.advanceTimersByTime(5000);
    store.downSince = monotonicNow() - 1000;
    expect(live.beforeEvent()).toBeInstanceOf(Promise);
    await settled();
    vi.advanceTimersByTime(lease);
    store.downSince = monotonicNow() - 1001;
    expect([live.beforeEvent(), store.reads]).toEqual([true, 2]);
    await settled();
  });

  test("while the store does not answer runs for maxStale, then the connections are closed", async () => {
    const { live, store, connection } = start();
    store.failure = down();
    live.freshness.invalidate();
    expect(await live.beforeEvent()).toBe(true);
    vi.advanceTimersByTime(maxStale - 1);
    expect(live.beforeEvent()).toBe(true);
    await settled();
    vi.advanceTimersByTime(1);
    expect(live.beforeEvent()).toBe(false);
    expect(connection.end.mock.calls).toMatchObject([[unavailable]]);
    expect([live.ended, live.connections]).toEqual([undefined, 0]);
    await settled();
  });

  test("while the store does not answer runs no longer than the session's time", async () => {
    const { live, store, connection } = start({ text: stored({ user: "ada" }, null, 5000) });
    store.failure = down();
    vi.advanceTimersByTime(5000);
    expect(await live.beforeEvent()).toBe(false);
    expect(connection.end.mock.calls).toMatchObject([[unavailable]]);
  });
});

describe("a new connection", () => {
  test("comes in without a read while the session is fresh", async () => {
    const { live, store } = start();
    await live.ready();
    expect(store.reads).toBe(0);
  });

  test.each<[string, (started: ReturnType<typeof start>) => void]>([
    ["the lease is over", () => vi.advanceTimersByTime(lease)],
    ["it was let go of", ({ live }) => (live.isDetached = true)],
    ["the store is down", ({ store }) => (store.isDown = true)],
    ["other nodes are not heard", ({ store }) => (store.isHearing = false)],
    ["it was invalidated", ({ live }) => live.freshness.invalidate()],
  ])("waits for a read where %s, which makes it fresh", async (_, change) => {
    const started = start();
    const { live, store } = started;
    change(started);
    await live.ready();
    expect(store.reads).toBe(1);
    expect(live.freshness.isFresh(monotonicNow(), lease)).toBe(true);
    store.failure = down();
    live.isDetached = true;
    await expect(live.ready()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  });

  test("waits for a read where the session's time is over", async () => {
    const { live, store } = start({ isShared: false, text: stored({}, 500) });
    vi.advanceTimersByTime(499);
    await live.ready();
    expect(store.reads).toBe(0);
    vi.advanceTimersByTime(1);
    store.text = undefined;
    await live.ready();
    expect([store.reads, live.ended]).toEqual([1, "SESSION_EXPIRED"]);
  });
});

describe("operations", () => {
  test("reload saves what is pending, then reads", async () => {
    const { live, store } = start();
    Object.assign(live.data, { other: 1 });
    await live.reload();
    expect([store.commit.mock.calls.length, store.reads]).toEqual([1, 1]);
    store.text = undefined;
    await expect(live.reload()).rejects.toMatchObject({ code: "SESSION_DESTROYED" });
  });

  test("touch is activity from now, and ends the session where the store says so", async () => {
    const { live, store } = start({ text: stored({}, 5000) });
    vi.advanceTimersByTime(100);
    await live.touch();
    expect(store.prolong.mock.calls.map(([id, at]) => [id, at])).toEqual([["id", Date.now()]]);
    store.prolong.mockRejectedValueOnce(new SessionError("SESSION_ROTATED"));
    await expect(live.touch()).rejects.toMatchObject({ code: "SESSION_ROTATED" });
    expect(live.ended).toBe("SESSION_ROTATED");
  });

  test("destroy ends the session in the store", async () => {
    const { live, store } = start();
    await live.destroy();
    expect(store.end.mock.calls).toEqual([["id", "SESSION_DESTROYED"]]);
  });
});

describe("a session that the store has no longer", () => {
  test("was destroyed, or has expired where its time may be over", async () => {
    const { live, store, host } = start({ text: stored({}, 5000) });
    store.text = undefined;
    await live.read();
    expect([live.ended, host.onLost.mock.calls.length]).toEqual(["SESSION_DESTROYED", 0]);
    const alone = start({ isShared: false });
    alone.store.text = undefined;
    await alone.live.read();
    expect([alone.live.ended, alone.host.onLost.mock.calls.length]).toEqual(["SESSION_DESTROYED", 0]);
    const old = start({ text: stored({}, 5000) });
    old.store.text = undefined;
    vi.advanceTimersByTime(5000);
    await old.live.read();
    expect(old.live.ended).toBe("SESSION_EXPIRED");
  });

  test("is lost where the storage had an outage since it was verified, unless its time is over", async () => {
    const { live, store, host } = start({ text: stored({}, 5000) });
    store.text = undefined;
    store.outageUntil = monotonicNow();
    await live.read();
    expect(host.onLost.mock.calls).toEqual([[live, "session"]]);
    const old = start({ text: stored({}, 5000) });
    vi.advanceTimersByTime(5000);
    Object.assign(old.store, { text: undefined, outageUntil: monotonicNow() });
    await old.live.read();
    expect(old.host.onLost).not.toHaveBeenCalled();
    const calm = start();
    Object.assign(calm.store, { text: undefined, outageUntil: monotonicNow() - 1 });
    await calm.live.read();
    expect([calm.live.ended, calm.host.onLost.mock.calls.length]).toEqual(["SESSION_DESTROYED", 0]);
  });
});

describe("data that is older than what was known", () => {
  function startWithPast() {
    const started = start({ text: stored({ n: 1 }) });
    started.live.noteWrite({ node: "a", number: 1 });
    started.live.applyStored(stored({ n: 2 }));
    return started;
  }

  test("after an outage is lost where the storage misses a write, told once", async () => {
    const { live, store, host, tick } = startWithPast();
    tick();
    store.outageUntil = monotonicNow();
    live.applyStored(stored({ n: 1 }));
    await settled();
    expect(store.hasLost.mock.calls).toMatchObject([["id", [{ node: "a", number: 1 }]]]);
    expect(host.onLost.mock.calls).toEqual([[live, "changes"]]);
  });

  test("is not, without an outage, where the storage has all writes, or where the session ended", async () => {
    const calm = startWithPast();
    calm.live.applyStored(stored({ n: 1 }));
    const had = startWithPast();
    had.store.outageUntil = monotonicNow();
    had.store.hasLost.mockResolvedValue(false);
    had.live.applyStored(stored({ n: 1 }));
    const ended = startWithPast();
    ended.store.outageUntil = monotonicNow();
    ended.live.applyStored(stored({ n: 1 }));
    ended.live.end("SESSION_DESTROYED");
    const newer = startWithPast();
    newer.store.outageUntil = monotonicNow();
    newer.live.applyStored(stored({ n: 3 }));
    await settled();
    expect([calm.store.hasLost, newer.store.hasLost].map(({ mock }) => mock.calls.length)).toEqual([0, 0]);
    for (const { host } of [calm, had, ended, newer]) expect(host.onLost).not.toHaveBeenCalled();
  });

  test("is forgotten after a minute without changes", async () => {
    const { live, store, host, tick } = startWithPast();
    vi.advanceTimersByTime(60_000);
    tick();
    store.outageUntil = monotonicNow();
    live.applyStored(stored({ n: 1 }));
    await settled();
    expect([store.hasLost.mock.calls.length, host.onLost.mock.calls.length]).toEqual([0, 0]);
  });

  test("is nothing where only this process writes", async () => {
    const { live, store } = start({ isShared: false, text: stored({ n: 1 }) });
    live.noteWrite({ node: "a", number: 1 });
    live.applyStored(stored({ n: 2 }));
    store.outageUntil = monotonicNow();
    live.applyStored(stored({ n: 1 }));
    await settled();
    expect(store.hasLost).not.toHaveBeenCalled();
  });
});

describe("the clock", () => {
  test("ends a session of this process alone at its time, in the store", () => {
    const { store, tick } = start({ isShared: false, text: stored({}, 500) });
    const deadline = monotonicNow() + 500;
    expect(tick()).toBe(deadline);
    vi.advanceTimersByTime(500);
    tick();
    expect(store.end.mock.calls).toEqual([["id", "SESSION_EXPIRED"]]);
    // While that is under way it is not ended again.
    tick();
    expect(store.end).toHaveBeenCalledTimes(1);
  });

  test("asks a shared store at that time, at most once a second: somebody may keep the session alive", async () => {
    const { live, store, tick } = start({ text: stored({}, 500) });
    vi.advanceTimersByTime(500);
    const now = monotonicNow();
    expect(tick()).toBe(now + 1000);
    await settled();
    expect([store.reads, store.end.mock.calls.length, live.ended]).toEqual([1, 0, undefined]);
    expect(tick()).toBe(now + 1000);
    expect(store.reads).toBe(1);
    vi.advanceTimersByTime(1000);
    store.text = undefined;
    tick();
    await settled();
    expect(live.ended).toBe("SESSION_EXPIRED");
  });

  test("asks again after the lease, where activity is reported less often", () => {
    const { tick } = start({ text: stored({}, 60_000) });
    vi.advanceTimersByTime(60_000);
    expect(tick()).toBe(monotonicNow() + lease);
  });

  test("ends a session of a shared store at its absolute limit, whatever others do", () => {
    const { live, store, tick } = start({ text: stored({ __created: Date.now() }) });
    store.absoluteTimeout = 700;
    live.applyStored(stored({ __created: Date.now(), user: "bob" }));
    vi.advanceTimersByTime(699);
    tick();
    expect(store.end).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    tick();
    expect(store.end.mock.calls).toEqual([["id", "SESSION_EXPIRED"]]);
  });

  test("closes the connections where the store does not tell whether the session is over", async () => {
    const { live, store, tick, connection } = start({ text: stored({}, 500) });
    vi.advanceTimersByTime(500);
    store.failure = down();
    tick();
    await settled();
    expect(connection.end.mock.calls).toMatchObject([[unavailable]]);
    expect(live.ended).toBeUndefined();
  });

  test("closes the connections of a silent client after maxStale without an answer", async () => {
    const { live, store, tick, connection } = start();
    store.failure = down();
    await live.revalidate();
    const closeAt = monotonicNow() + maxStale;
    vi.advanceTimersByTime(maxStale - 1);
    expect(tick()).toBe(closeAt);
    expect(connection.end).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    tick();
    expect(connection.end.mock.calls).toMatchObject([[unavailable]]);
    expect(tick()).toBe(never);
  });

  test("reports activity that is due, and tries failed saves again", async () => {
    const { live, store, tick } = start({ text: stored({}, 5000) });
    await live.touch();
    vi.advanceTimersByTime(10);
    expect(live.beforeEvent()).toBe(true);
    const due = monotonicNow() - 10 + 500;
    expect(tick()).toBe(due);
    vi.advanceTimersByTime(490);
    tick();
    expect(store.prolong).toHaveBeenCalledTimes(2);
    store.commit.mockRejectedValueOnce(down());
    Object.assign(live.data, { n: 1 });
    await expect(live.save()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    vi.advanceTimersByTime(300);
    tick();
    expect(store.commit).toHaveBeenCalledTimes(2);
  });

  test("does nothing with a session that is being read for the first time", () => {
    const { live, store, tick } = start({ isShared: false, text: stored({}, 500) });
    live.loading = Promise.resolve();
    vi.advanceTimersByTime(500);
    expect([tick(), store.end.mock.calls.length]).toEqual([never, 0]);
  });
});

describe("a read without an answer", () => {
  test("is made again after a pause; an unreadable record is noted as one", () => {
    const { live, host } = start();
    expect(live.onUnanswered()).toBe(true);
    expect([live.freshness.isAnswered, live.freshness.isUnreadable]).toEqual([false, false]);
    expect(host.wakeAt).toHaveBeenLastCalledWith(live, live.freshness.retryAt);
    live.onUnanswered(new SessionError("RECORD_INVALID"));
    expect(live.freshness.isUnreadable).toBe(true);
    live.end("SESSION_EXPIRED");
    expect(live.onUnanswered()).toBe(false);
  });
});
