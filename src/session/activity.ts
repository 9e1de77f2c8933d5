// What the client of a session does, and what the store is told of it. Knows no store and no connection.
import { monotonicNow, never } from "../internal/monotonic.js";
import { noop } from "../internal/noop.js";
import type { Times } from "../store/record/session-record.js";
import { activityAfter, deadlineOf, touchIntervalOf } from "./lifetime.js";

/** How long after a touch that is under way or failed (ms) the next is made. */
const touchPause = 1000;

/** The session whose client is active. */
export interface Prolonged {
  readonly ended: unknown;
  /** Tells the store of activity at this moment of the system's clock. */
  prolong(at: number): Promise<void>;
}

/** The times of a session as its stored text has them, and the activity of its client by `monotonicNow()`. */
export class Activity implements Times {
  maxAge: number | undefined;
  expires = never;
  createdAt: number | undefined;
  /** Of which activity the store knows, by whomever. */
  reportedAt = 0;
  #activeAt = 0;
  #isReporting = false;

  /** When the session is over, if nothing happens until then and the system's clock is not set. */
  deadline(now: number, absoluteTimeout: number | undefined): number {
    return deadlineOf(this, this.#activeAt, absoluteTimeout, Date.now() - now);
  }

  /** The stored text has these times now. Where `isCounted`, activity counts from then on if nobody can see it in them. */
  noteTimes(times: Times, isCounted: boolean): void {
    const now = monotonicNow();
    const known = { activeAt: this.#activeAt, reportedAt: this.reportedAt };
    const { activeAt, reportedAt } = activityAfter(known, this, times, now, Date.now());
    this.#activeAt = activeAt;
    this.reportedAt = reportedAt || (isCounted && times.maxAge === undefined ? now : 0);
    Object.assign(this, times);
  }

  /** The client has sent something: reports it, or answers when that is due. */
  note(now: number, session: Prolonged): number {
    this.#activeAt = now;
    const due = this.reportedAt + touchIntervalOf(this);
    if (now < due) return due;
    // One at a time: in an outage an event would wait behind all of them.
    if (this.#isReporting) return now + touchPause;
    this.report(session).catch(noop);
    return never;
  }

  /** Tells the store of the last activity, or of one that is now. */
  async report(session: Prolonged, now = this.#activeAt): Promise<void> {
    const before = this.reportedAt;
    this.#activeAt = this.reportedAt = now;
    this.#isReporting = true;
    try {
      // When that was by the system's clock as it is now.
      await session.prolong(Math.round(Date.now() - (monotonicNow() - now)));
    } catch (error) {
      if (!session.ended) this.reportedAt = before;
      throw error;
    } finally {
      this.#isReporting = false;
    }
  }

  /** Reports what is due; answers when something will be. */
  tick(now: number, session: Prolonged): number {
    if (this.#activeAt <= this.reportedAt) return never;
    const interval = touchIntervalOf(this);
    const due = this.reportedAt + interval;
    if (now < due) return due;
    if (!this.#isReporting) this.report(session).catch(noop);
    return now + Math.max(interval, touchPause);
  }
}
