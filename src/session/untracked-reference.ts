// An object of the data that the application holds untracked, and when to look for changes made behind the proxy. Knows
// neither the object nor its session.

/** How long after it was put in (ms) it is looked at first; for how long it is looked at. */
const firstSearch = 100;
const lastSearch = 60_000;

/** When such an object was put in, and when it is looked at next (moments of `monotonicNow()`). */
export class UntrackedReference {
  lookAt: number;
  /** True where it is looked at after this turn of the event loop anyway. */
  isDue: boolean;
  readonly #at: number;

  constructor(at: number, isDue: boolean) {
    this.#at = at;
    this.isDue = isDue;
    this.lookAt = at + firstSearch;
  }

  /** It was looked at: the next time is as far away as the first one is ago. */
  onLooked(now: number): void {
    this.lookAt = now + (now - this.#at);
  }

  /** True where it need not be looked at any more. */
  isOver(now: number): boolean {
    return now - this.#at > lastSearch;
  }
}
