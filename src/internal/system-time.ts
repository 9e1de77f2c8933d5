// The system's time as this library reads it: that of the system, and in tests so much later. Only `socket-session/testing`
// moves it, for this library alone. Knows nothing of who waits.

/** By how much (ms) a test has moved the time. */
export let movedBy = 0;

/** Now, in ms since 1970: for moments that are stored or told to others, as expiries are. */
export function systemNow(): number {
  return Date.now() + movedBy;
}

/** Something that is to be done at a moment. */
export interface Waiting {
  /** When, a moment of `monotonicNow()`; it does more than one thing then, and may be asked to too early. */
  readonly wakesAt: number;
  /** True while what was begun at earlier moments is under way. */
  readonly isBusy: boolean;
  wake(): void;
}

/** Who waits for a moment now: a test that moves the time wakes them. */
export const waiting = new Set<Waiting>();

/** Lets the time be later for this library, by so many ms. */
export function moveTime(ms: number): void {
  movedBy += ms;
}
