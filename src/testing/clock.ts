// The time of sessions, moved by a test. Node's timers and Date stay as they are: Socket.IO's clients, which run in the
// process of the test, would lose their connections with them.
import { setImmediate as nextTurn } from "node:timers/promises";
import session from "express-session";
import { monotonicNow } from "../internal/monotonic.js";
import { moveTime, movedBy, systemNow, waiting } from "../internal/system-time.js";
import { type Duration, msOf } from "./duration.js";

/** How long (ms, of real time) is waited for a store that does not answer, once. */
const patience = 1000;

/** The time of all sessions in this process. It only goes forward, and no test needs to set it back. */
export interface TestClock {
  /**
   * Lets so much time pass for sessions at once, in steps: all that is due is done in its order, as activity that is
   * written, leases that end and sessions that expire. Resolves when that is done, and the connections of ended
   * sessions are told and closed. What does not answer is waited for a second.
   *
   * @throws TypeError for what is no duration
   * @example
   * ```ts
   * await clock.advance("31m");
   * assert.equal(await client.ended(), "SESSION_EXPIRED");
   * ```
   */
  advance(duration: Duration): Promise<void>;
  /** Now, in ms since 1970, as sessions see it: `Date.now()`, and what {@link TestClock.advance} has added. */
  now(): number;
}

/**
 * Moves the time of sessions without faking timers: their expiries, leases, touches and tickets, and the cookies of
 * express-session. `Date`, timers, and what a page or a storage counts by itself go by real time.
 *
 * @example
 * ```ts
 * await clock.advance("31m"); // or "12h", "30s", or a number of ms
 * ```
 */
export const clock: TestClock = {
  async advance(duration) {
    let left = msOf(duration);
    moveCookies();
    let isPatient = true;
    // In steps: what would have been written before a session's end has been written then.
    for (;;) {
      const step = Math.min(Math.max(Math.ceil(earliest() - monotonicNow()), 0), left);
      moveTime(step);
      left -= step;
      for (const one of waiting) if (one.wakesAt <= monotonicNow()) one.wake();
      const since = performance.now();
      do await nextTurn();
      while (isAnyBusy() && (isPatient &&= performance.now() - since < patience));
      if (left <= 0 && earliest() > monotonicNow()) return;
    }
  },
  now: systemNow,
};

function earliest(): number {
  return Math.min(...[...waiting].map(({ wakesAt }) => wakesAt));
}

function isAnyBusy(): boolean {
  for (const one of waiting) if (one.isBusy) return true;
  return false;
}

let areCookiesMoved = false;

/** Lets express-session's cookies count from the moved time: a session that begins later would be over at once. */
function moveCookies(): void {
  if (areCookiesMoved) return;
  areCookiesMoved = true;
  const { prototype } = session.Cookie;
  const { get, set } = Object.getOwnPropertyDescriptor(prototype, "maxAge") as Required<
    TypedPropertyDescriptor<unknown>
  >;
  Object.defineProperty(prototype, "maxAge", {
    configurable: true,
    enumerable: true,
    get(this: session.Cookie) {
      const left: unknown = get.call(this);
      return this.expires instanceof Date ? (left as number) - movedBy : left;
    },
    set(this: session.Cookie, ms: unknown) {
      set.call(this, typeof ms === "number" ? ms + movedBy : ms);
    },
  });
}
