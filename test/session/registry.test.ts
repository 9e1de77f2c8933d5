// The live sessions of a node by themselves, with a fake clock, over a store whose answers the test has in its hands.
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { type EndCode, SessionError } from "../../src/errors.js";
import { monotonicNow } from "../../src/internal/monotonic.js";
import { Registry } from "../../src/session/registry.js";
import { Views } from "../../src/session/view.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);
const down = (): SessionError => new SessionError("STORE_UNAVAILABLE");
const cookie = { originalMaxAge: null, expires: null, httpOnly: true, path: "/" };
const stored = (fields: object): string => JSON.stringify({ cookie, ...fields });

class Store {
  isShared = false;
  isHearing = true;
  isDown = false;
  downSince: number | undefined;
  outageUntil = 0;
  absoluteTimeout: number | undefined;
  canReadMany = true;
  readonly texts = new Map<string, string>([["a", stored({ user: "ada" })]]);
  readonly ends = new Map<string, { code: EndCode; at: number }>();
  failure: SessionError | undefined;
  saveFailure: SessionError | undefined;
  /** A read or a search waits for it. */
  answer: Promise<unknown> = Promise.resolve();
  /** A commit waits for it. */
  taken: Promise<unknown> = Promise.resolve();
  /** What it was asked, in order. */
  readonly asked: string[] = [];
  readonly unsubscribe = vi.fn();
  readonly recordEnd = vi.fn();
  readonly end = vi.fn(async (_id: string) => undefined);
  readonly subscribe = vi.fn(() => this.unsubscribe);

  async watch(id: string): Promise<void> {
    this.asked.push(`watch ${id}`);
  }

  unwatch(id: string): void {
    this.asked.push(`unwatch ${id}`);
  }

  async has(id: string): Promise<boolean> {
    this.asked.push(`has ${id}`);
    await this.answer;
    return this.texts.has(id);
  }

  async read(id: string, use: (text: string | undefined) => unknown): Promise<unknown> {
    this.asked.push(`read ${id}`);
    const text = this.texts.get(id);
    await this.answer;
    if (this.failure) throw this.failure;
    return use(text);
  }

  async readMany(ids: readonly string[]): Promise<(string | undefined)[]> {
    this.asked.push(`read many ${ids.join()}`);
    return ids.map((id) => this.texts.get(id));
  }

  async commit(id: string, _base: () => string, text: string): Promise<void> {
    this.asked.push(`commit ${id}`);
    await this.taken;
    if (this.saveFailure) throw this.saveFailure;
    this.texts.set(id, text);
  }

  endOf(id: string): { code: EndCode; at: number } | undefined {
    return this.ends.get(id);
  }

  partOf(): string {
    return "";
  }

  async prolong(): Promise<void> {}

  hasLost = async (): Promise<boolean> => true;
}

function start(maxUnsaved = 2) {
  const store = new Store();
  const events = {
    change: vi.fn(),
    end: vi.fn(),
    lost: vi.fn(),
    error: vi.fn(),
    wantsChanges: vi.fn(() => true),
  };
  const registry = new Registry(store as never, { lease: 30_000, maxStale: 300_000, maxUnsaved }, events);
  onTestFinished(() => registry.close().catch(() => undefined));
  /** A connection that has the session, and what ends it. */
  const connect = async (id = "a") => {
    const connection = { end: vi.fn() };
    const live = await registry.acquire(id, connection);
    return { live, connection, data: live.data as any, leave: () => live.remove(connection) };
  };
  /** What the store was asked since this was called last. */
  const asked = (): string[] => store.asked.splice(0);
  return { store, events, registry, connect, asked };
}

/** Lets reads and searches wait until it is called. */
function hold(store: Store): () => void {
  let answer = (): void => undefined;
  store.answer = new Promise<void>((resolve) => (answer = resolve));
  return answer;
}

const codes = (calls: unknown[][]): unknown[] => calls.map(([error]) => (error as SessionError).code);

describe("a session that somebody connects to", () => {
  test("is watched, then read, once for all who come; its notices are not needed after the last has gone", async () => {
    const { registry, store, connect, asked } = start();
    const answer = hold(store);
    const connecting = [connect(), connect()];
    await settled();
    expect([registry.size, registry.get("a"), registry.connectionsOf("a"), registry.watches("a")]).toEqual([
      1,
      undefined,
      0,
      true,
    ]);
    answer();
    const [one, other] = await Promise.all(connecting);
    expect(asked()).toEqual(["watch a", "read a"]);
    expect(other?.live).toBe(one?.live);
    expect(registry.get("a")).toBe(one?.live);
    expect([registry.connectionsOf("a"), registry.connectionsOf("b")]).toEqual([2, 0]);
    const third = await connect();
    one?.leave();
    other?.leave();
    expect([registry.size, asked()]).toEqual([1, []]);
    third.leave();
    expect([registry.size, registry.watches("a"), asked()]).toEqual([0, false, ["unwatch a"]]);
  });

  test("and is not there is unknown, and only searched for where it comes again", async () => {
    const { registry, store, connect, asked } = start();
    await expect(connect("b")).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
    expect([registry.size, asked()]).toEqual([0, ["watch b", "read b", "unwatch b"]]);
    await expect(connect("b")).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
    expect(asked()).toEqual(["has b"]);
    store.texts.set("b", stored({}));
    expect((await connect("b")).live.id).toBe("b");
    expect(asked()).toEqual(["has b", "watch b", "read b"]);
  });

  test("was rotated a moment ago is told so for ten seconds; another end is unknown", async () => {
    const { store, connect } = start();
    store.ends.set("b", { code: "SESSION_ROTATED", at: monotonicNow() });
    store.ends.set("c", { code: "SESSION_DESTROYED", at: monotonicNow() });
    vi.advanceTimersByTime(9999);
    await expect(connect("b")).rejects.toMatchObject({ code: "SESSION_ROTATED" });
    await expect(connect("c")).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
    vi.advanceTimersByTime(1);
    await expect(connect("b")).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
  });

  test("and cannot be read is refused with the reason, and read again by the next", async () => {
    const { registry, store, connect } = start();
    store.failure = down();
    await expect(connect()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(registry.size).toBe(0);
    store.failure = undefined;
    expect((await connect()).data.user).toBe("ada");
  });

  test("while its record is unreadable lets nobody else in, and nobody out", async () => {
    const { store, connect } = start();
    store.isShared = true;
    const { live, connection } = await connect();
    store.failure = new SessionError("RECORD_INVALID");
    live.freshness.invalidate();
    await expect(connect()).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
    expect([live.connections, connection.end.mock.calls.length]).toEqual([1, 0]);
  });

  test("and ends while it is read is refused with the end's code", async () => {
    const { registry, store, connect } = start();
    const answer = hold(store);
    const connecting = connect();
    await settled();
    registry.onNotice({ kind: "ended", id: "a", code: "SESSION_EXPIRED" });
    answer();
    await expect(connecting).rejects.toMatchObject({ code: "SESSION_EXPIRED" });
    expect(registry.size).toBe(0);
  });

  test("and changes elsewhere while it is read is read once more, at once", async () => {
    const { registry, store, connect, asked } = start();
    store.isShared = true;
    const answer = hold(store);
    const connecting = connect();
    await settled();
    store.texts.set("a", stored({ user: "bob" }));
    registry.onNotice({ kind: "changed", id: "a" });
    answer();
    const { data } = await connecting;
    await settled();
    expect(data.user).toBe("bob");
    expect(asked()).toEqual(["watch a", "read a", "read a"]);
    // One that is as it was is fresh.
    const calm = start();
    calm.store.isShared = true;
    const { live } = await calm.connect();
    expect([live.beforeEvent(), calm.asked()]).toEqual([true, ["watch a", "read a"]]);
  });

  test("and is stored here while it is read has not changed: what is read counts", async () => {
    const { registry, store, events, connect } = start();
    const answer = hold(store);
    const connecting = connect();
    await settled();
    registry.onNotice({ kind: "stored", id: "a", text: stored({ user: "bob" }), writer: undefined });
    answer();
    expect((await connecting).data.user).toBe("ada");
    expect(events.change).not.toHaveBeenCalled();
  });

  test("is refused after close(), also where that came during the search", async () => {
    const { registry, store, connect } = start();
    await expect(connect("b")).rejects.toThrow();
    store.texts.set("b", stored({}));
    const answer = hold(store);
    const searching = connect("b");
    await settled();
    await registry.close();
    answer();
    await expect(searching).rejects.toMatchObject({ code: "SESSIONS_CLOSED" });
    await expect(connect()).rejects.toMatchObject({ code: "SESSIONS_CLOSED" });
  });
});

describe("a notice", () => {
  test("of an end ends the session, and the application hears of it", async () => {
    const { registry, events, connect } = start();
    const { live, connection } = await connect();
    registry.onNotice({ kind: "ended", id: "other", code: "SESSION_ROTATED" });
    registry.onNotice({ kind: "ended", id: "a", code: "SESSION_ROTATED" });
    expect(events.end.mock.calls).toEqual([[live, "SESSION_ROTATED"]]);
    expect(connection.end.mock.calls).toMatchObject([[{ code: "SESSION_ROTATED" }]]);
    expect(registry.size).toBe(0);
  });

  test("that all sessions are gone ends all, and notes why", async () => {
    const { registry, store, events, connect } = start();
    store.texts.set("b", stored({}));
    await connect("a");
    await connect("b");
    registry.onNotice({ kind: "cleared" });
    expect(store.recordEnd.mock.calls).toEqual([
      ["a", "SESSION_DESTROYED"],
      ["b", "SESSION_DESTROYED"],
    ]);
    expect([events.end.mock.calls.length, registry.size]).toEqual([2, 0]);
  });

  test("of an unreadable record is an error", () => {
    const { registry, events } = start();
    registry.onNotice({ kind: "unreadable", id: "a" });
    expect(codes(events.error.mock.calls)).toEqual(["RECORD_INVALID"]);
  });

  test("of a change here is taken, but by who wrote it", async () => {
    const { registry, events, connect } = start();
    const { live, data } = await connect();
    registry.onNotice({ kind: "stored", id: "a", text: stored({ user: "bob" }), writer: undefined });
    expect(data.user).toBe("bob");
    registry.onNotice({ kind: "stored", id: "a", text: stored({ user: "eve" }), writer: live });
    expect(data.user).toBe("bob");
    expect(events.change.mock.calls).toEqual([[live]]);
  });

  test("of a change that concerns the cookie alone, or that nobody asked for, is no event", async () => {
    const { registry, events, connect } = start();
    await connect();
    const text = JSON.stringify({ cookie: { ...cookie, path: "/x" }, user: "ada" });
    registry.onNotice({ kind: "stored", id: "a", text, writer: undefined });
    events.wantsChanges.mockReturnValue(false);
    registry.onNotice({ kind: "stored", id: "a", text: stored({ user: "eve" }), writer: undefined });
    expect(events.change).not.toHaveBeenCalled();
  });

  test("of a change elsewhere lets the session be read; without an id all are, together", async () => {
    const { registry, store, connect, asked } = start();
    store.isShared = true;
    store.texts.set("b", stored({}));
    const { live } = await connect("a");
    await connect("b");
    asked();
    store.texts.set("a", stored({ user: "bob" }));
    registry.onNotice({ kind: "changed", id: "a" });
    await settled();
    expect([asked(), live.data]).toMatchObject([["read a"], { user: "bob" }]);
    registry.onNotice({ kind: "changed", id: undefined });
    await vi.advanceTimersByTimeAsync(10);
    expect(asked()).toEqual(["read many a,b"]);
  });

  test("with a write notes it, for the case that the storage loses it", async () => {
    const { registry, store, connect } = start();
    store.isShared = true;
    const { live } = await connect();
    const noted = vi.spyOn(live, "noteWrite");
    const write = { node: "n", number: 1 };
    registry.onNotice({ kind: "changed", id: "a", write });
    registry.onNotice({ kind: "changed", id: "a" });
    registry.onNotice({ kind: "stored", id: "a", text: stored({}), writer: live, write });
    registry.onNotice({ kind: "stored", id: "a", text: stored({}), writer: live });
    expect(noted.mock.calls).toEqual([[write], [write]]);
    await settled();
  });
});

describe("what waits to be saved", () => {
  test("is counted, and saved before others read", async () => {
    const { registry, store, connect } = start();
    const { data } = await connect();
    expect([registry.pending, registry.flush("a"), registry.flush("b")]).toEqual([0, undefined, undefined]);
    data.user = "bob";
    expect(registry.pending).toBe(1);
    await registry.flush("a");
    expect([registry.pending, store.texts.get("a")]).toEqual([0, stored({ user: "bob" })]);
  });

  test("keeps a session without connections until it is saved", async () => {
    const { registry, connect, asked } = start();
    const { data, leave } = await connect();
    data.user = "bob";
    leave();
    expect(registry.size).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect([registry.size, asked().at(-1)]).toEqual([0, "unwatch a"]);
  });

  test("in sessions without connections is given up where there are more than allowed, the oldest first", async () => {
    const { registry, store, events, connect } = start(2);
    store.saveFailure = down();
    for (const id of ["b", "c", "d"]) store.texts.set(id, stored({}));
    const [b, c, d] = [await connect("b"), await connect("c"), await connect("d")];
    for (const { data } of [b, c, d]) data.n = 1;
    b.leave();
    c.leave();
    expect(registry.size).toBe(3);
    // Who comes back waits no longer.
    const again = await connect("b");
    d.leave();
    expect(registry.size).toBe(3);
    again.leave();
    expect([registry.get("c"), registry.size]).toEqual([undefined, 2]);
    const told = events.error.mock.calls.map(([error]) => (error as Error).message);
    expect(told).toEqual([expect.stringContaining("more than maxUnsaved (2) waited")]);
  });

  test("by a handler that outlived its connection puts the session back, and is saved", async () => {
    const { registry, store, connect, asked } = start();
    const { live, data, leave } = await connect();
    leave();
    asked();
    data.user = "late";
    data.more = 1;
    expect([registry.get("a"), registry.pending, asked()]).toEqual([live, 1, ["watch a"]]);
    await vi.advanceTimersByTimeAsync(1);
    expect([store.texts.get("a"), registry.size]).toEqual([stored({ user: "late", more: 1 }), 0]);
    await registry.close();
    data.user = "too late";
    expect(registry.size).toBe(0);
  });

  test("beside another live session is no event of its own, and harms no close() when the session has ended", async () => {
    const { registry, store, events, connect } = start();
    const { live, data, leave } = await connect();
    leave();
    await connect();
    live.applyStored(stored({ user: "bob" }));
    expect(events.change).not.toHaveBeenCalled();
    store.saveFailure = down();
    data.user = "late";
    await vi.advanceTimersByTimeAsync(1);
    live.end("SESSION_DESTROYED");
    await registry.close();
  });

  test("by such a handler is saved beside another live session that has its place", async () => {
    const { registry, store, connect } = start();
    const { data, leave } = await connect();
    leave();
    const next = await connect();
    store.saveFailure = down();
    data.user = "late";
    expect([registry.get("a"), registry.pending]).toEqual([next.live, 1]);
    await vi.advanceTimersByTimeAsync(50);
    store.saveFailure = undefined;
    // The clock tries it again.
    await vi.advanceTimersByTimeAsync(1000);
    expect([store.texts.get("a"), registry.pending]).toEqual([stored({ user: "late" }), 0]);
  });

  test("that somebody comes back to is heard of again before it is read", async () => {
    const { store, connect, asked, registry } = start();
    store.isShared = true;
    const { data, leave } = await connect();
    leave();
    store.saveFailure = down();
    data.user = "late";
    await vi.advanceTimersByTimeAsync(1);
    asked();
    const next = await connect();
    expect([asked().slice(0, 2), next.live.isDetached]).toEqual([["watch a", "read a"], false]);
    expect(registry.size).toBe(1);
  });
});

describe("errors of saves", () => {
  test("in an outage are reported once; after a success or a quiet minute it is another one", () => {
    const { registry, events } = start();
    registry.onSaveError(down());
    registry.onSaveError(down());
    expect(events.error).toHaveBeenCalledTimes(1);
    registry.onSaved();
    registry.onSaveError(down());
    expect(events.error).toHaveBeenCalledTimes(2);
    vi.advanceTimersByTime(59_999);
    registry.onSaveError(down());
    expect(events.error).toHaveBeenCalledTimes(2);
    vi.advanceTimersByTime(60_000);
    registry.onSaveError(down());
    expect(events.error).toHaveBeenCalledTimes(3);
  });

  test("of other kinds are reported each time, but those that the store has reported", () => {
    const { registry, events } = start();
    for (const code of ["DATA_INVALID", "DATA_INVALID", "RECORD_INVALID"] as const) {
      registry.onSaveError(new SessionError(code));
    }
    expect(codes(events.error.mock.calls)).toEqual(["DATA_INVALID", "DATA_INVALID"]);
  });
});

describe("closing", () => {
  test("saves what is pending, lets go of all sessions and stops all timers", async () => {
    const { registry, store, connect, asked } = start();
    store.isShared = true;
    const { live, data } = await connect();
    asked();
    data.user = "bob";
    await registry.close();
    expect([asked(), registry.size]).toEqual([["commit a", "unwatch a"], 0]);
    expect(store.unsubscribe).toHaveBeenCalledTimes(1);
    registry.wakeAt(live, monotonicNow());
    data.user = "late";
    await settled();
    expect([registry.size, asked()]).toEqual([0, ["commit a"]]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("rejects where something could not be saved, after it has let go of all", async () => {
    const { registry, store, connect } = start();
    const { data } = await connect();
    store.saveFailure = down();
    data.user = "bob";
    await expect(registry.close()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect([registry.size, store.unsubscribe.mock.calls.length]).toEqual([0, 1]);
  });
});

test("each session ends at its own time", async () => {
  const { store, connect } = start();
  for (const [id, seconds] of [
    ["a", 5],
    ["b", 8],
    ["c", 50],
  ] as const) {
    const expires = new Date(Date.now() + seconds * 1000).toISOString();
    store.texts.set(id, JSON.stringify({ cookie: { originalMaxAge: seconds * 1000, expires } }));
    await connect(id);
  }
  await vi.advanceTimersByTimeAsync(8200);
  expect(new Set(store.end.mock.calls.map(([id]) => id))).toEqual(new Set(["a", "b"]));
});

test("a loss is told", async () => {
  const { registry, events, connect } = start();
  const { live } = await connect();
  registry.onLost(live, "changes");
  expect(events.lost.mock.calls).toEqual([[live, "changes"]]);
});

test("pages see null without a view function; one that fails is an error", () => {
  const { registry, store, events } = start();
  expect(registry.views.isSet).toBe(false);
  const views = new Views(
    () => 1,
    () => undefined,
  );
  const options = { lease: 1, maxStale: 1, maxUnsaved: 1, views };
  expect(new Registry(store as never, options, events).views).toBe(views);
});

test("where the machine has slept all sessions are read again, soon; where its clock was set back they are not", async () => {
  const { store, connect, asked } = start();
  store.isShared = true;
  await connect();
  asked();
  vi.setSystemTime(Date.now() - 60_000);
  await vi.advanceTimersByTimeAsync(10_200);
  expect(asked()).toEqual([]);
  vi.setSystemTime(Date.now() + 60_000);
  await vi.advanceTimersByTimeAsync(10_200);
  expect(asked()).toEqual(["read many a"]);
});
