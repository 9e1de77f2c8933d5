// Changes that could not be saved: whether, and when, that is tried again.
import { backoff } from "../internal/backoff.js";
import { monotonicNow, never } from "../internal/monotonic.js";

const shortestRetry = 100;
const longestRetry = 5_000;

/** How often a save has failed. */
export interface SaveFailure {
  readonly times: number;
  /** When to try again; never where trying again cannot help. */
  readonly retryAt: number;
}

/** Of what can be saved only when something else is changed. */
export const hopeless: SaveFailure = { times: 1, retryAt: never };

/** One more failure, after which it is tried again. */
export function failedAgain(before: SaveFailure | undefined): SaveFailure {
  const times = (before?.times ?? 0) + 1;
  return { times, retryAt: monotonicNow() + backoff(times, shortestRetry, longestRetry) };
}
