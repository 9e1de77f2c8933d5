// What could not be saved, told once for each outage. Knows no session.
import type { SessionError } from "../errors.js";
import { monotonicNow } from "../internal/monotonic.js";

/** How long no save has failed when an outage is over (ms): more than they wait before they try again. */
const outageMemory = 60_000;

/** Reports the errors of saves, but not the same outage by each save that is tried again. */
export class SaveErrors {
  readonly #report: (error: unknown) => void;
  /** Until when saves that fail are of the outage that was reported last, unless one goes well. */
  #reportedUntil = 0;

  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  report(error: unknown): void {
    const { code } = error as SessionError;
    // The store has reported it, once.
    if (code === "RECORD_INVALID") return;
    // It may be an outage of writes alone: a store that is full, or a standby, answers reads.
    if (code === "STORE_UNAVAILABLE") {
      const isKnown = monotonicNow() < this.#reportedUntil;
      this.#reportedUntil = monotonicNow() + outageMemory;
      if (isKnown) return;
    }
    this.#report(error);
  }

  /** The store has taken what was changed. */
  onSaved(): void {
    this.#reportedUntil = 0;
  }
}
