// Re-reads sessions whose lease ends, those that nobody uses, too. Knows neither connections nor what is read.
import { monotonicNow, never } from "../internal/monotonic.js";
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
  readonly #sessions: ReadonlyMap<string, ActiveSession>;
  readonly #host: SessionHost<ActiveSession>;
  /** Which sessions are being re-read: those for which the store answers, those for which it does not. */
  readonly #running = new Set<boolean>();
  #isStopped = false;

  constructor(sessions: ReadonlyMap<string, ActiveSession>, host: SessionHost<ActiveSession>) {
    this.#sessions = sessions;
    this.#host = host;
  }

  /** Ends what is under way after the command that is under way. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Begins what is due; answers when something will be. */
  tick(now: number): number {
    if (!this.#host.store.isShared) return never;
    let answeredDue = never;
    let unansweredDue = never;
    for (const live of this.#sessions.values()) {
      if (live.freshness.isAnswered) answeredDue = Math.min(answeredDue, this.#dueAt(live));
      else unansweredDue = Math.min(unansweredDue, this.#dueAt(live));
    }
    return Math.min(this.#begin(true, answeredDue, now), this.#begin(false, unansweredDue, now));
  }

  /** When a session is to be read again, whether somebody uses it or not. */
  #dueAt(live: ActiveSession): number {
    return live.ended || live.loading ? never : live.freshness.dueAt(this.#host.lease);
  }

  #begin(isAnswered: boolean, dueAt: number, now: number): number {
    if (this.#running.has(isAnswered)) return never;
    if (dueAt > now) return dueAt;
    void this.#sweep(isAnswered, now + this.#host.lease * leaseSlack);
    return never;
  }

  /**
   * Re-reads all sessions whose lease ends before `until`. Those for which the store does not answer are asked for by
   * themselves: they may take their time, and nobody else's.
   */
  async #sweep(isAnswered: boolean, until: number): Promise<void> {
    this.#running.add(isAnswered);
    const { store } = this.#host;
    const parts = new Map<string, ActiveSession[]>();
    for (const live of this.#sessions.values()) {
      if (live.freshness.isAnswered !== isAnswered || this.#dueAt(live) > until) continue;
      const part = store.partOf(live.id);
      const due = parts.get(part);
      if (due) due.push(live);
      else parts.set(part, [live]);
    }
    const reRead = store.canReadMany ? this.#readTogether : this.#readEach;
    await Promise.all([...parts.values()].map((due) => reRead.call(this, due, until)));
    this.#running.delete(isAnswered);
    this.#host.wakeAt(monotonicNow() + sweepPause);
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
