// Time for durations: it only goes forward, whatever happens to the system's clock. systemNow() is for moments that are
// stored or told to others, as expiries are.
import { movedBy } from "./system-time.js";

const origin = Math.round(Date.now() - performance.now());

/**
 * Now, in ms. As the system's was when the process began, and from then on by the monotonic clock: the clock of the
 * system may be set meanwhile. Compare it with nothing but its own answers in the same process.
 */
export function monotonicNow(): number {
  return origin + performance.now() + movedBy;
}

/** No moment at all. */
export const never = Number.POSITIVE_INFINITY;
