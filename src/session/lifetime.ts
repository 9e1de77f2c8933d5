// How long a session lives, and how often its activity reaches the store. Pure functions: they read no clock. Activity is
// measured by monotonicNow(); what is stored are moments of the system's clock, which may be set.
import { never } from "../internal/monotonic.js";
import type { Times } from "../store/record/session-record.js";

const longestTouchInterval = 60_000;

/** When a session reaches its absolute limit (ms since 1970); Infinity where it has none. */
export function absoluteEndOf({ createdAt }: Times, absoluteTimeout = never): number {
  return createdAt === undefined ? never : createdAt + absoluteTimeout;
}

/**
 * When a session ends that was last used at `usedAt`; Infinity where nothing ends it. `ahead` is how far (ms) the system's
 * clock is ahead of the clock by which `usedAt` and the answer are meant.
 */
export function deadlineOf(times: Times, usedAt: number, absoluteTimeout?: number, ahead = 0): number {
  const { maxAge, expires } = times;
  const cookieEnd = expires - ahead;
  const idleEnd = maxAge === undefined ? cookieEnd : Math.max(cookieEnd, usedAt + maxAge);
  return Math.min(idleEnd, absoluteEndOf(times, absoluteTimeout) - ahead);
}

/** What is known of a client's activity. */
export interface Activity {
  /** When the client last sent something. */
  readonly activeAt: number;
  /** Of which activity the store knows, by whomever. */
  readonly reportedAt: number;
}

/**
 * What is known of activity when the times of a session are found to be other ones. A later expiry is activity that
 * somebody else has reported; not in the future, as clocks of nodes differ. An earlier one was set by hand: what the client
 * did before counts no longer, and what it does next is reported at once.
 */
export function activityAfter(
  { activeAt, reportedAt }: Activity,
  before: Times,
  { maxAge, expires }: Times,
  now: number,
  systemNow: number,
): Activity {
  if (maxAge === undefined || (expires === before.expires && maxAge === before.maxAge)) return { activeAt, reportedAt };
  const usedAt = now - Math.max(systemNow - (expires - maxAge), 0);
  const isCutShort = maxAge === before.maxAge && expires < before.expires;
  if (isCutShort) return { activeAt: Math.min(activeAt, usedAt), reportedAt: usedAt };
  return { activeAt, reportedAt: Math.max(reportedAt, usedAt) };
}

/** How long (ms) activity of a client may be unknown to the store. */
export function touchIntervalOf({ maxAge = never }: Times): number {
  return Math.min(maxAge / 10, longestTouchInterval);
}

/**
 * Whether a session that the store has no longer may have expired there. `reportedAt` is the last activity that the store
 * knows of. An expiry in the future proves nothing: storages go by clocks of their own. So the session may be over, too,
 * where that activity is a life ago, or where more than a life would be left.
 */
export function mayHaveExpired(
  times: Times,
  reportedAt: number,
  absoluteTimeout: number | undefined,
  now: number,
  systemNow: number,
): boolean {
  const { maxAge = never, expires } = times;
  if (systemNow >= Math.min(expires, absoluteEndOf(times, absoluteTimeout))) return true;
  return now >= reportedAt + maxAge || expires - systemNow > maxAge;
}
