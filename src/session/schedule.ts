// Whose turn it is: wakes live sessions at their moments, and has those read again whose lease ends. Knows neither ids nor
// connections.
import { monotonicNow } from "../internal/monotonic.js";
import { Clock, shortest } from "./clock.js";
import { DueTimes } from "./due-times.js";
import type { ActiveSession } from "./live-session.js";
import type { SessionHost } from "./session-host.js";
import { Sweeper } from "./sweeper.js";

/** The moments of all live sessions of a registry. */
export class Schedule {
  readonly #clock = new Clock(
    (now, step) => this.#tick(now, step),
    () => this.#host.store.isBusy || this.#sweeper.isBusy,
  );
  readonly #dueTimes = new DueTimes<ActiveSession>();
  readonly #host: SessionHost<ActiveSession>;
  readonly #sweeper: Sweeper;
  readonly #onForwardStep: () => void;
  #isStopped = false;

  /** `onForwardStep` is called when the system's clock was set forward: the machine may have slept. */
  constructor(host: SessionHost<ActiveSession>, onForwardStep: () => void) {
    this.#host = host;
    this.#sweeper = new Sweeper(host, this.#dueTimes, (at) => this.#wakeClock(at));
    this.#onForwardStep = onForwardStep;
  }

  /** True where the session has a moment. */
  has(live: ActiveSession): boolean {
    return live.dueIndex >= 0;
  }

  /** Wakes the session at this moment, or before. */
  wakeAt(live: ActiveSession, at: number): void {
    this.#dueTimes.bring(live, at);
    this.#wakeClock(at);
  }

  /** Wakes all sessions that have a moment. */
  wakeAll(): void {
    const now = monotonicNow();
    this.#dueTimes.bringAll(now);
    this.#wakeClock(now);
  }

  /** The session was let go of. */
  drop(live: ActiveSession): void {
    this.#dueTimes.drop(live);
    this.#sweeper.drop(live);
  }

  /** Stops all timers. */
  stop(): void {
    this.#isStopped = true;
    this.#clock.stop();
    this.#sweeper.stop();
  }

  #wakeClock(at: number): void {
    if (!this.#isStopped) this.#clock.wakeAt(at);
  }

  #tick(now: number, step: number): number {
    if (step > 0) this.#onForwardStep();
    // Expiries are moments of the system's clock.
    if (step !== 0) this.#dueTimes.bringAll(now);
    for (const live of this.#dueTimes.take(now)) {
      const next = Math.min(live.tick(now), this.#sweeper.check(live, now));
      // Not at once: many sessions with close moments share one tick.
      this.#host.wakeAt(live, Math.max(next, now + shortest));
    }
    this.#sweeper.tick(now);
    return this.#dueTimes.earliest;
  }
}
