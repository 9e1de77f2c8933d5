// Re-reads sessions whose lease ends, those that nobody uses, too. Knows neither connections nor what is read.
import { monotonicNow, never } from "../internal/monotonic.js";
import type { DueTimes } from "./due-times.js";
import type { ActiveSession } from "./live-session.js";
import type { SessionHost } from "./session-host.js";

/** How many sessions are re-read with one command; and how many side by side where each is a command. */
const batchSize = 200;
const lanes = 10;
/** Sessions whose lease ends within this part of it are re-read with those whose lease has ended. */
const leaseSlack = 0.1;
/** How long after a sweep (ms) the next may begin. */
const sweepPause = 100;

/** Revalidates all sessions of a registry, where its store is shared. */
export class Sweeper {
  readonly #host: SessionHost<ActiveSession>;
  readonly #dueTimes: DueTimes<ActiveSession>;
  readonly #wakeAt: (at: number) => void;
  /** Sessions whose lease has ended. */
  readonly #due = new Set<ActiveSession>();
  /** Which sessions are being re-read: those for which the store answers, those for which it does not. */
  readonly #running = new Set<boolean>();
  #isStopped = false;

  /** `dueTimes` are those of all sessions; `wakeAt` asks for a tick. */
  constructor(host: SessionHost<ActiveSession>, dueTimes: DueTimes<ActiveSession>, wakeAt: (at: number) => void) {
    this.#host = host;
    this.#dueTimes = dueTimes;
    this.#wakeAt = wakeAt;
  }

  /** Ends what is under way after the command that is under way. */
  stop(): void {
    this.#isStopped = true;
  }

  /** True while sessions are being re-read. */
  get isBusy(): boolean {
    return this.#running.size > 0;
  }

  /** Takes a session whose lease has ended for the next sweep; answers when that of another one ends. */
  check(live: ActiveSession, now: number): number {
    if (!this.#host.store.isShared) return never;
    const dueAt = this.#dueAt(live);
    if (dueAt > now) return dueAt;
    this.#due.add(live);
    return never;
  }

  /** A session was let go of. */
  drop(live: ActiveSession): void {
    this.#due.delete(live);
  }

  /** Begins to re-read what is due. */
  tick(now: number): void {
    for (const isAnswered of [true, false]) if (!this.#running.has(isAnswered)) this.#begin(isAnswered, now);
  }

  /** When a session is to be read again, whether somebody uses it or not. */
  #dueAt(live: ActiveSession): number {
    return live.ended || live.loading ? never : live.freshness.dueAt(this.#host.lease);
  }

  #begin(isAnswered: boolean, now: number): void {
    const all = new Set<ActiveSession>();
    for (const live of this.#due) {
      if (live.freshness.isAnswered !== isAnswered) continue;
      this.#due.delete(live);
      const dueAt = this.#dueAt(live);
      // It may have been read meanwhile.
      if (dueAt <= now) all.add(live);
      else this.#host.wakeAt(live, dueAt);
    }
    if (all.size === 0) return;
    const until = now + this.#host.lease * leaseSlack;
    for (const live of this.#dueTimes.until(until)) {
      if (live.freshness.isAnswered === isAnswered && this.#dueAt(live) <= until) all.add(live);
    }
    void this.#sweep(isAnswered, [...all], until);
  }

  /**
   * Re-reads sessions whose lease ends before `until`. Those for which the store does not answer are asked for by
   * themselves: they may take their time, and nobody else's.
   */
  async #sweep(isAnswered: boolean, all: readonly ActiveSession[], until: number): Promise<void> {
    this.#running.add(isAnswered);
    const { store } = this.#host;
    const parts = new Map<string, ActiveSession[]>();
    for (const live of all) {
      const part = store.partOf(live.id);
      const due = parts.get(part);
      if (due) due.push(live);
      else parts.set(part, [live]);
    }
    const reRead = store.canReadMany ? this.#readTogether : this.#readEach;
    await Promise.all([...parts.values()].map((due) => reRead.call(this, due, until)));
    this.#running.delete(isAnswered);
    const now = monotonicNow();
    for (const live of all) this.#host.wakeAt(live, Math.max(this.#dueAt(live), now + sweepPause));
    this.#wakeAt(now + sweepPause);
  }

  /** The sessions of one part of the storage, a few at a time. */
  async #readEach(due: readonly ActiveSession[], until: number): Promise<void> {
    // In another order each time: those that are not answered for must not keep others from being asked.
    const waiting = shuffled(due).values();
    let failures = 0;
    const lane = async (): Promise<void> => {
      for (const live of waiting) {
        if (this.#isStopped) return;
        if (this.#dueAt(live) > until) continue;
        // So many questions without an answer are enough.
        if (failures >= lanes) {
          live.onUnanswered();
          continue;
        }
        await live.revalidate();
        // A record that is none says nothing of the others.
        if (live.ended || live.freshness.isAnswered || live.freshness.isUnreadable) failures = 0;
        else failures++;
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
  }

  /** The sessions of one part of the storage, a batch after the other. */
  async #readTogether(due: readonly ActiveSession[], until: number): Promise<void> {
    for (let index = 0; index < due.length && !this.#isStopped; index += batchSize) {
      const batch = due.slice(index, index + batchSize).filter((live) => this.#dueAt(live) <= until);
      if (await this.#readBatch(batch)) continue;
      // One question is enough for a part that does not answer.
      for (const live of due.slice(index + batchSize)) live.onUnanswered();
      return;
    }
  }

  /** Answers whether the storage did. */
  async #readBatch(batch: readonly ActiveSession[]): Promise<boolean> {
    if (batch.length === 0) return true;
    const since = monotonicNow();
    const invalidations = batch.map((live) => live.freshness.invalidations);
    let texts: (string | undefined)[];
    try {
      texts = await this.#host.store.readMany(batch.map(({ id }) => id));
    } catch {
      for (const live of batch) live.onUnanswered();
      return false;
    }
    const others: ActiveSession[] = [];
    for (const [index, live] of batch.entries()) {
      if (live.isKnown(texts[index])) live.freshness.markVerified(invalidations[index] as number, since);
      else others.push(live);
    }
    // What is not as known here is read again in its turn, between the session's own writes.
    await Promise.all(others.map((live) => live.revalidate()));
    return true;
  }
}

function shuffled<T>(list: readonly T[]): T[] {
  const numbered = list.map((value) => [Math.random(), value] as const);
  return numbered.toSorted(([one], [other]) => one - other).map(([, value]) => value);
}
