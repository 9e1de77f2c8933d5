// One timer for all live sessions. Knows only moments: what happens at them is the registry's.

const shortest = 100;
const longest = 2 ** 31 - 1;

/** Calls `tick` at the earliest moment asked for; `tick` answers with the next one (ms since 1970, or Infinity). */
export class Clock {
  readonly #tick: (now: number) => number;
  #timer: NodeJS.Timeout | undefined;
  #wakesAt = Number.POSITIVE_INFINITY;

  constructor(tick: (now: number) => number) {
    this.#tick = tick;
  }

  /** Makes sure that the clock ticks at `at`, or shortly after. */
  wakeAt(at: number): void {
    if (at >= this.#wakesAt) return;
    this.#wakesAt = at;
    clearTimeout(this.#timer);
    const delay = Math.min(Math.max(at - Date.now(), 1), longest);
    this.#timer = setTimeout(() => this.#wake(), delay).unref();
  }

  /** Stops the timer. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#wakesAt = Number.POSITIVE_INFINITY;
  }

  #wake(): void {
    this.#timer = undefined;
    this.#wakesAt = Number.POSITIVE_INFINITY;
    const now = Date.now();
    // Not before `shortest` from now, so that many sessions with close moments share one tick.
    const next = this.#tick(now);
    if (next !== Number.POSITIVE_INFINITY) this.wakeAt(Math.max(next, now + shortest));
  }
}
