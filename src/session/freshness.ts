// Whether what is known of a session still counts. Knows when the store was asked and when it answered, not what it holds.
import { jittered } from "../internal/backoff.js";
import { monotonicNow, never } from "../internal/monotonic.js";

/** How long after a read without an answer (ms) the store is asked again, at most. */
const longestPause = 1500;

/** A read that is under way. */
interface Revalidation {
  readonly done: Promise<boolean>;
  /** How many invalidations there had been when it began. */
  readonly invalidations: number;
  readonly since: number;
  /** The read after it, for all who came with newer invalidations. */
  next: Promise<boolean> | undefined;
}

/** Whose data is read again. */
export interface Revalidated {
  readonly ended: unknown;
  /** Reads the store. */
  read(): Promise<void>;
  /** The store did not answer. Answers whether handlers may go on. */
  onUnanswered(error?: unknown): boolean;
}

/** How fresh a session is whose store other processes write, too. All moments are of `monotonicNow()`. */
export class Freshness {
  /** How often there was reason to read again. */
  invalidations = 0;
  /** When the store was last seen to have what is known here. */
  verifiedAt = 0;
  /** Since when the store does not answer for this session, whatever it does for others; 0 while it does. */
  unansweredSince = 0;
  /** Not to be asked again before this moment. */
  retryAt = 0;
  /** True where the last answer was a record that is none. */
  isUnreadable = false;
  #verifiedInvalidations = 0;
  #revalidation: Revalidation | undefined;

  /** True where what is known here counts without a read. */
  isFresh(now: number, lease: number): boolean {
    return this.#isVerified && now - this.verifiedAt < lease;
  }

  get #isVerified(): boolean {
    return this.#verifiedInvalidations === this.invalidations;
  }

  /** False where the store did not answer when it was last asked for this session. */
  get isAnswered(): boolean {
    return this.unansweredSince === 0;
  }

  /** When the session is to be read again, whether somebody uses it or not. */
  dueAt(lease: number): number {
    if (this.#revalidation) return never;
    return Math.max(this.#isVerified ? this.verifiedAt + lease : 0, this.retryAt);
  }

  /** Another node has changed the session, or may have: what is known here no longer counts. */
  invalidate(): void {
    this.invalidations++;
    this.retryAt = 0;
  }

  /** A read that began at `since`, with that many invalidations, found what is known here. */
  markVerified(invalidations: number, since: number): void {
    this.#verifiedInvalidations = invalidations;
    this.onAnswer(Math.max(this.verifiedAt, since));
  }

  /** The store has answered: at `at` it had what is known here. */
  onAnswer(at: number): void {
    this.verifiedAt = at;
    this.unansweredSince = 0;
    this.retryAt = 0;
  }

  /** The store did not answer, or with a record that is none. */
  onUnanswered(now: number, isUnreadable: boolean): void {
    this.isUnreadable = isUnreadable;
    this.unansweredSince ||= now;
    this.retryAt = now + jittered(longestPause);
  }

  /**
   * Reads the store, once for all who ask meanwhile. Who comes after a newer invalidation, or a lease after the read
   * began, waits for the one after it. Resolves with whether handlers may go on.
   */
  revalidate(session: Revalidated, lease: number): Promise<boolean> {
    const running = this.#revalidation;
    const since = monotonicNow();
    const { invalidations } = this;
    if (running) {
      if (running.invalidations === invalidations && since - running.since < lease) return running.done;
      running.next ??= running.done.then(() => this.revalidate(session, lease));
      return running.next;
    }
    const done = session.read().then(
      () => {
        this.#revalidation = undefined;
        if (!session.ended) this.markVerified(invalidations, since);
        return !session.ended;
      },
      (error: unknown) => {
        this.#revalidation = undefined;
        return session.onUnanswered(error);
      },
    );
    this.#revalidation = { done, invalidations, since, next: undefined };
    return done;
  }
}
