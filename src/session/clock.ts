// One timer for all live sessions. Knows only moments: what happens at them is the registry's.
import { monotonicNow } from "../internal/monotonic.js";
import { systemNow, type Waiting, waiting } from "../internal/system-time.js";

/** Between two ticks of many moments (ms). */
export const shortest = 100;
/** The timer looks at least this often (ms) whether the system's clock was set: expiries come sooner or later then. */
const longest = 10_000;
/** Two readings of two clocks, and a time service that corrects slowly, differ by less than this (ms) in between. */
const tolerance = 500;

/**
 * Calls `tick` at the earliest moment asked for, and when the system's clock was set, by `step` ms; `tick` answers with
 * the next moment (of {@link monotonicNow}, or Infinity).
 */
export class Clock implements Waiting {
  readonly #tick: (now: number, step: number) => number;
  readonly #isBusy: () => boolean;
  #timer: NodeJS.Timeout | undefined;
  #wakesAt = Number.POSITIVE_INFINITY;
  /** By how much the system's clock was ahead of the monotonic one. */
  #ahead = 0;

  /** `isBusy` tells whether what was begun at earlier ticks is under way. */
  constructor(tick: (now: number, step: number) => number, isBusy: () => boolean = () => false) {
    this.#tick = tick;
    this.#isBusy = isBusy;
  }

  get wakesAt(): number {
    return this.#wakesAt;
  }

  get isBusy(): boolean {
    return this.#isBusy();
  }

  /** Makes sure that the clock ticks at `at` (of {@link monotonicNow}), or shortly after. */
  wakeAt(at: number): void {
    if (at >= this.#wakesAt) return;
    this.#wakesAt = at;
    const now = monotonicNow();
    if (!this.#timer) this.#ahead = systemNow() - now;
    this.#start(now);
  }

  /** Stops the timer. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#wakesAt = Number.POSITIVE_INFINITY;
    waiting.delete(this);
  }

  /** The moment may have come. */
  wake(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const now = monotonicNow();
    const ahead = systemNow() - now;
    const step = ahead - this.#ahead;
    this.#ahead = ahead;
    const isStep = Math.abs(step) > tolerance;
    if (!isStep && this.#wakesAt > now) return this.#start(now);
    this.#wakesAt = Number.POSITIVE_INFINITY;
    // Not before `shortest` from now, so that many sessions with close moments share one tick.
    const next = this.#tick(now, isStep ? step : 0);
    if (next !== Number.POSITIVE_INFINITY) this.wakeAt(Math.max(next, now + shortest));
    if (!this.#timer) waiting.delete(this);
  }

  #start(now: number): void {
    clearTimeout(this.#timer);
    // Timers count whole ms.
    const delay = Math.min(Math.max(Math.ceil(this.#wakesAt - now), 1), longest);
    this.#timer = setTimeout(() => this.wake(), delay).unref();
    waiting.add(this);
  }
}
