// Which sessions are read again, when, and with how many commands: by a store whose answers the test has in its hands.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { monotonicNow } from "../../src/internal/monotonic.js";
import { DueTimes } from "../../src/session/due-times.js";
import { Freshness } from "../../src/session/freshness.js";
import type { ActiveSession } from "../../src/session/live-session.js";
import type { SessionHost } from "../../src/session/session-host.js";
import { Sweeper } from "../../src/session/sweeper.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const lease = 1000;
const never = Number.POSITIVE_INFINITY;
const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

/** What a sweeper sees of a live session. */
class Live {
  dueIndex = -1;
  readonly freshness = new Freshness();
  ended: string | undefined;
  loading: Promise<void> | undefined;
  /** What is known of it here. */
  text = "known";
  /** What reading it comes to. */
  outcome: "answered" | "unanswered" | "unreadable" | "ended" = "answered";
  readonly onUnanswered = vi.fn(() => {
    this.freshness.onUnanswered(monotonicNow(), false);
    return true;
  });

  constructor(
    readonly id: string,
    readonly storage: Storage,
  ) {}

  isKnown(text: string | undefined): boolean {
    return text === this.text;
  }

  async revalidate(): Promise<boolean> {
    this.storage.read.push(this.id);
    await this.storage.answer;
    const now = monotonicNow();
    if (this.outcome === "ended") this.ended = "SESSION_DESTROYED";
    else if (this.outcome === "answered") this.freshness.markVerified(this.freshness.invalidations, now);
    else this.freshness.onUnanswered(now, this.outcome === "unreadable");
    return true;
  }
}

class Storage {
  isShared = true;
  canReadMany = true;
  /** Commands under way wait for it. */
  answer: Promise<unknown> = Promise.resolve();
  readonly awayParts = new Set<string>();
  /** The ids that were read one by one, and those of each command for many. */
  readonly read: string[] = [];
  readonly readTogether: string[][] = [];
  texts = new Map<string, string | undefined>();

  /** An id is "part:number". */
  partOf(id: string): string {
    return id.split(":")[0] as string;
  }

  async readMany(ids: readonly string[]): Promise<(string | undefined)[]> {
    this.readTogether.push([...ids]);
    const isAway = this.awayParts.has(this.partOf(ids[0] as string));
    await this.answer;
    if (isAway) throw new Error("down");
    return ids.map((id) => (this.texts.has(id) ? this.texts.get(id) : "known"));
  }
}

/** Sessions of one part, which were verified now and are due in a lease. */
function start(count: number, part = "a") {
  const storage = new Storage();
  const sessions = new Map<string, Live>();
  const wakeAt = vi.fn();
  const dueTimes = new DueTimes<Live>();
  const host = { store: storage, lease, wakeAt: (live: Live, at: number) => dueTimes.bring(live, at) };
  const sweeper = new Sweeper(host as unknown as SessionHost<ActiveSession>, dueTimes as never, wakeAt);
  const add = (id: string): Live => {
    const live = new Live(id, storage);
    live.freshness.markVerified(0, monotonicNow());
    sessions.set(id, live);
    return live;
  };
  const added = Array.from({ length: count }, (_, index) => add(`${part}:${index}`));
  /** As at a tick of the clock; answers when something is due next. */
  const tick = (): number => {
    const now = monotonicNow();
    for (const live of sessions.values()) dueTimes.bring(live, live.freshness.dueAt(lease));
    for (const live of dueTimes.take(now)) dueTimes.bring(live, sweeper.check(live as never, now));
    sweeper.tick(now);
    return dueTimes.earliest;
  };
  return { storage, sessions, added, add, wakeAt, sweeper, tick };
}

const idsOf = (lives: readonly Live[]): string[] => lives.map(({ id }) => id);

describe("what is due", () => {
  test("is nothing where only this process writes the store", () => {
    const { storage, tick } = start(1);
    storage.isShared = false;
    vi.advanceTimersByTime(lease);
    expect(tick()).toBe(never);
    expect(storage.readTogether).toEqual([]);
  });

  test("is told before its time: the earliest of all", () => {
    const { add, storage, tick } = start(1);
    const due = monotonicNow() + lease;
    vi.advanceTimersByTime(200);
    add("a:later");
    expect(tick()).toBe(due);
    expect(storage.readTogether).toEqual([]);
    expect(start(0).tick()).toBe(never);
  });

  test("is read with all that are due within a tenth of the lease, once", async () => {
    const { add, added, storage, tick, wakeAt } = start(1);
    vi.advanceTimersByTime(lease * 0.1);
    const soon = add("a:soon");
    vi.advanceTimersByTime(1);
    add("a:later");
    vi.advanceTimersByTime(lease * 0.9 - 1);
    tick();
    expect(storage.readTogether).toEqual([idsOf([...added, soon])]);
    tick();
    expect(storage.readTogether).toHaveLength(1);
    await settled();
    // After that the next may begin, in a moment.
    expect(wakeAt.mock.calls).toEqual([[monotonicNow() + 100]]);
    vi.advanceTimersByTime(lease * 0.1);
    expect(tick()).toBe(monotonicNow() + 1);
    expect(storage.readTogether).toHaveLength(1);
  });

  test("is neither a session that has ended nor one that is being read for the first time", () => {
    const { added, storage, tick } = start(3);
    const [ended, loading] = added as [Live, Live, Live];
    ended.ended = "SESSION_EXPIRED";
    ended.freshness.invalidate();
    loading.loading = Promise.resolve();
    loading.freshness.invalidate();
    expect(tick()).toBe(monotonicNow() + lease);
    vi.advanceTimersByTime(lease);
    tick();
    expect(storage.readTogether).toEqual([["a:2"]]);
  });

  test("are those for which the store does not answer by themselves, though the others are under way", async () => {
    const { added, storage, tick } = start(2);
    const [away] = added as [Live, Live];
    away.freshness.onUnanswered(monotonicNow(), false);
    away.freshness.retryAt = monotonicNow() + 2 * lease;
    storage.answer = new Promise(() => undefined);
    vi.advanceTimersByTime(lease);
    expect(tick()).toBe(away.freshness.retryAt);
    expect(storage.readTogether).toEqual([["a:1"]]);
    vi.advanceTimersByTime(lease);
    expect(tick()).toBe(never);
    expect(storage.readTogether).toEqual([["a:1"], ["a:0"]]);
  });
});

describe("many sessions with one command", () => {
  test("are two hundred, those of each part of the storage by themselves", async () => {
    const { add, storage, tick } = start(450);
    for (const index of [0, 1]) add(`b:${index}`);
    vi.advanceTimersByTime(lease);
    tick();
    await settled();
    const parts = storage.readTogether.map((ids) => [ids[0]?.[0], ids.length]);
    expect(parts.toSorted()).toEqual([
      ["a", 200],
      ["a", 200],
      ["a", 50],
      ["b", 2],
    ]);
    expect(new Set(storage.readTogether.flat()).size).toBe(452);
    expect(storage.read).toEqual([]);
  });

  test("are verified where they are as they are known here, from when the command was sent", async () => {
    const { added, storage, tick } = start(2);
    const [known, invalidated] = added as [Live, Live];
    let answer = (): void => undefined;
    storage.answer = new Promise<void>((resolve) => (answer = resolve));
    vi.advanceTimersByTime(lease);
    const since = monotonicNow();
    tick();
    vi.advanceTimersByTime(50);
    invalidated.freshness.invalidate();
    answer();
    await settled();
    expect(known.freshness.verifiedAt).toBe(since);
    expect(known.freshness.isFresh(since, lease)).toBe(true);
    // What came after the command is not known by its answer.
    expect(invalidated.freshness.isFresh(since, lease)).toBe(false);
    expect(storage.read).toEqual([]);
  });

  test("are read again one by one where they are not as they are known here", async () => {
    const { storage, tick } = start(3);
    storage.texts.set("a:1", "other");
    storage.texts.set("a:2", undefined);
    vi.advanceTimersByTime(lease);
    tick();
    await settled();
    expect(storage.read.toSorted()).toEqual(["a:1", "a:2"]);
  });

  test("are without those that were read meanwhile", async () => {
    const { added, storage, tick } = start(402);
    let answer = (): void => undefined;
    storage.answer = new Promise<void>((resolve) => (answer = resolve));
    vi.advanceTimersByTime(lease);
    tick();
    const waiting = added.filter(({ id }) => !storage.readTogether[0]?.includes(id));
    for (const live of waiting.slice(1)) live.freshness.markVerified(0, monotonicNow());
    answer();
    await settled();
    expect(storage.readTogether.map((ids) => ids.length)).toEqual([200, 1]);
  });

  test("that the store does not answer are the only question to its part; other parts are asked", async () => {
    const { add, added, storage, tick, wakeAt } = start(401);
    const other = add("b:0");
    storage.awayParts.add("a");
    vi.advanceTimersByTime(lease);
    const fresh = add("a:fresh");
    tick();
    await settled();
    expect(storage.readTogether.map((ids) => ids.length).toSorted()).toEqual([1, 200]);
    for (const live of added) expect(live.onUnanswered).toHaveBeenCalledTimes(1);
    for (const live of [other, fresh]) expect(live.onUnanswered).not.toHaveBeenCalled();
    expect(wakeAt).toHaveBeenCalledTimes(1);
  });

  test("are not asked for after the sweeper was stopped, but for the command under way", async () => {
    const { added, storage, tick, sweeper } = start(401);
    vi.advanceTimersByTime(lease);
    tick();
    sweeper.stop();
    await settled();
    expect(storage.readTogether).toHaveLength(1);
    for (const live of added) expect(live.onUnanswered).not.toHaveBeenCalled();
  });
});

describe("where each session is a command", () => {
  function startEach(count: number) {
    const started = start(count);
    started.storage.canReadMany = false;
    vi.advanceTimersByTime(lease);
    return started;
  }

  /** Lets the first commands wait for it. */
  function hold(storage: Storage): () => void {
    let answer = (): void => undefined;
    storage.answer = new Promise<void>((resolve) => (answer = resolve));
    return () => {
      storage.answer = Promise.resolve();
      answer();
    };
  }

  test("ten are under way side by side, until all are read, once", async () => {
    const { add, added, storage, tick, wakeAt } = startEach(34);
    // The last that is due within a tenth of the lease.
    const last = add("a:last");
    last.freshness.markVerified(0, monotonicNow() - lease * 0.9);
    last.freshness.verifiedAt = monotonicNow() - lease * 0.9;
    added.push(last);
    const answer = hold(storage);
    tick();
    await settled();
    expect(storage.read).toHaveLength(10);
    expect(wakeAt).not.toHaveBeenCalled();
    answer();
    await settled();
    expect(storage.read.toSorted()).toEqual(idsOf(added).toSorted());
    expect(storage.readTogether).toEqual([]);
    expect(wakeAt).toHaveBeenCalledTimes(1);
  });

  test("their order is another one each time", async () => {
    const [first, second] = [startEach(5), startEach(5)];
    let last = 1;
    const random = vi.spyOn(Math, "random").mockImplementation(() => (last /= 2));
    first.tick();
    await settled();
    random.mockImplementation(() => (last *= 2));
    second.tick();
    await settled();
    expect(first.storage.read).toEqual(second.storage.read.toReversed());
    expect(new Set(first.storage.read)).toEqual(new Set(idsOf(first.added)));
  });

  test("those that were read meanwhile are left out", async () => {
    const { added, storage, tick } = startEach(20);
    const answer = hold(storage);
    tick();
    await settled();
    for (const live of added) live.freshness.markVerified(0, monotonicNow());
    answer();
    await settled();
    expect(storage.read).toHaveLength(10);
  });

  test("ten questions without an answer are enough: the others are given up unasked", async () => {
    const { added, storage, tick } = startEach(35);
    for (const live of added) live.outcome = "unanswered";
    tick();
    await settled();
    // When the tenth comes to nothing, nine more are under way.
    expect(storage.read).toHaveLength(19);
    const unasked = added.filter(({ id }) => !storage.read.includes(id));
    for (const live of unasked) expect(live.onUnanswered).toHaveBeenCalledTimes(1);
    expect(added.filter(({ onUnanswered }) => onUnanswered.mock.calls.length > 0)).toHaveLength(35 - 19);
  });

  test.each(["answered", "ended", "unreadable"] as const)(
    "one that is %s shows that the store answers: all are asked",
    async (outcome) => {
      const { added, storage, tick } = startEach(60);
      vi.spyOn(Math, "random").mockImplementation(() => ++last / 1000);
      let last = 0;
      for (const [index, live] of added.entries()) live.outcome = index % 8 === 7 ? outcome : "unanswered";
      tick();
      await settled();
      expect(storage.read).toHaveLength(60);
    },
  );

  test("none is asked after the sweeper was stopped, but for those under way", async () => {
    const { storage, tick, sweeper } = startEach(35);
    const answer = hold(storage);
    tick();
    await settled();
    sweeper.stop();
    answer();
    await settled();
    expect(storage.read).toHaveLength(10);
  });
});
