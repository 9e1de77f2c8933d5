// The bounds of the promises: how long something may take, also while the storage is away.
import type { Fault } from "./history.js";

/** The times (ms) on which the bounds of the promises stand. */
export interface Limits {
  readonly lease: number;
  readonly maxStale: number;
  /** Of one command. */
  readonly timeout: number;
  /** What a busy machine may need beyond that. */
  readonly slack: number;
}

/** How often the registry's clock ticks at most. */
export const tick = 100;
/** How long a node waits at most before it asks a storage again that did not answer (ms). */
export const longestRecheck = 1500;
/** What clients of a storage, and nodes, wait at most before they ask one that is back. */
const longestPause = 2200 + longestRecheck;

/** Until when what a node was not told has to have reached it: a lease after `at`, or after the storage is back. */
export function deadline(faults: readonly Fault[], { lease, timeout, slack }: Limits, at: number): number {
  const bound = lease + tick + slack;
  let end = at + bound;
  for (const { isOutage, from, to } of faults) {
    if (!isOutage || from > end || recovered(from, to, timeout) < at) continue;
    end = Math.max(end, recovered(from, to, timeout) + bound);
  }
  return end;
}

/** When a storage that was away is surely used again: who waited longer asks less often. */
export function recovered(from: number, to: number, timeout: number): number {
  return to + Math.min(to - from, longestPause) + timeout + longestRecheck;
}
