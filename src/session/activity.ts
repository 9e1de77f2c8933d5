// What the client of a session does, and what the store is told of it. Functions over a session's own fields: an object
// more would cost each connection memory. Knows no store and no connection.
import { monotonicNow, never } from "../internal/monotonic.js";
import { noop } from "../internal/noop.js";
import { systemNow } from "../internal/system-time.js";
import type { Times } from "../store/record/session-record.js";
import { activityAfter, touchIntervalOf } from "./lifetime.js";

/** How long after a touch that is under way or failed (ms) the next is made. */
export const touchPause = 1000;

/** A session with the times of its stored text, and with its client's activity by `monotonicNow()`. */
export interface Active extends Times {
  /** When the client last sent something. */
  activeAt: number;
  /** Of which activity the store knows, by whomever. */
  reportedAt: number;
  /** Whether the store is being told of activity. */
  isReporting: boolean;
  readonly ended: unknown;
  /** Tells the store of activity at this moment of the system's clock. */
  prolong(at: number): Promise<void>;
}

/** The stored text has these times now. Where `isCounted`, activity counts from then on if nobody can see it in them. */
export function noteTimes(session: Active, times: Times, isCounted: boolean): void {
  const now = monotonicNow();
  const { activeAt, reportedAt } = activityAfter(session, session, times, now, systemNow());
  session.activeAt = activeAt;
  session.reportedAt = reportedAt || (isCounted ? now : 0);
  Object.assign(session, times);
}

/** The client has sent something: reports it, or answers when that is due. */
export function noteActivity(session: Active, now: number): number {
  session.activeAt = now;
  const due = session.reportedAt + touchIntervalOf(session);
  if (now < due) return due;
  // One at a time: in an outage an event would wait behind all of them.
  if (session.isReporting) return now + touchPause;
  reportActivity(session, now).catch(noop);
  return never;
}

/** Tells the store of activity at `at`. */
export async function reportActivity(session: Active, at: number): Promise<void> {
  const before = session.reportedAt;
  session.activeAt = at;
  session.isReporting = true;
  try {
    // When that was by the system's clock as it is now.
    await session.prolong(Math.round(systemNow() - (monotonicNow() - at)));
    // Not earlier: a session that is found missing meanwhile may have expired without it. Its times may tell by now.
    if (session.reportedAt === before) session.reportedAt = at;
  } finally {
    session.isReporting = false;
  }
}

/** Reports what is due; answers when something will be. */
export function tickActivity(session: Active, now: number): number {
  const { activeAt, reportedAt } = session;
  if (activeAt <= reportedAt) return never;
  const interval = touchIntervalOf(session);
  if (now < reportedAt + interval) return reportedAt + interval;
  if (!session.isReporting) reportActivity(session, activeAt).catch(noop);
  return now + Math.max(interval, touchPause);
}
