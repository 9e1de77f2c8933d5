// How long a session lives, as pure functions: any times, any clocks.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  absoluteEndOf,
  activityAfter,
  deadlineOf,
  mayHaveExpired,
  touchIntervalOf,
} from "../../src/session/lifetime.js";
import type { Times } from "../../src/store/record/session-record.js";

const never = Number.POSITIVE_INFINITY;
const moment = fc.integer({ min: 1, max: 2_000_000 });
const length = fc.integer({ min: 1, max: 1_000_000 });
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
const anyTimes: fc.Arbitrary<Times> = fc.record({
  maxAge: maybe(length),
  expires: fc.oneof(moment, fc.constant(never)),
  createdAt: maybe(moment),
});
const times = (known: Partial<Times>): Times => ({ maxAge: undefined, expires: never, createdAt: undefined, ...known });

describe("the deadline", () => {
  test.each<[string, Partial<Times>, number, number | undefined, number]>([
    ["never, where nothing limits it", {}, 5, undefined, never],
    ["the cookie's expiry", { expires: 70 }, 5, undefined, 70],
    ["a maxAge after the last activity, where that is later", { expires: 70, maxAge: 100 }, 5, undefined, 105],
    ["the expiry, where somebody else's activity was later", { expires: 170, maxAge: 100 }, 5, undefined, 170],
    ["the absolute limit, whatever the activity", { maxAge: 100, createdAt: 10 }, 300, 50, 60],
    ["never, for an absolute limit without a known creation", { expires: never }, 300, 50, never],
  ])("is %s", (_, known, usedAt, absoluteTimeout, expected) => {
    expect(deadlineOf(times(known), usedAt, absoluteTimeout)).toBe(expected);
  });

  test("is never brought forward by activity, nor put behind the absolute limit", () => {
    fc.assert(
      fc.property(anyTimes, moment, length, maybe(length), (known, usedAt, later, absoluteTimeout) => {
        const before = deadlineOf(known, usedAt, absoluteTimeout);
        const after = deadlineOf(known, usedAt + later, absoluteTimeout);
        expect(after).toBeGreaterThanOrEqual(before);
        expect(after).toBeLessThanOrEqual(absoluteEndOf(known, absoluteTimeout));
      }),
    );
  });

  test("is the same moment by whichever clock it is asked for", () => {
    fc.assert(
      fc.property(
        anyTimes,
        moment,
        maybe(length),
        fc.integer({ min: -1e6, max: 1e6 }),
        (known, usedAt, limit, ahead) => {
          expect(deadlineOf(known, usedAt - ahead, limit, ahead)).toBe(deadlineOf(known, usedAt, limit) - ahead);
        },
      ),
    );
  });

  test("of silent clients moves with the system's clock, the idle limit of active ones does not", () => {
    const known = times({ expires: 1000, maxAge: 100 });
    expect(deadlineOf(known, 0, undefined, 600)).toBe(400);
    expect(deadlineOf(known, 800, undefined, 600)).toBe(900);
  });
});

describe("activity", () => {
  const idle = times({ maxAge: 100, expires: 1100 });

  test("is what it was where the times are the same, or have no idle limit", () => {
    const activity = { activeAt: 7, reportedAt: 5 };
    expect(activityAfter(activity, idle, idle, 50, 1050)).toEqual(activity);
    expect(activityAfter(activity, idle, times({ expires: 2000 }), 50, 1050)).toEqual(activity);
    // Though the expiry tells of activity at 20: whoever set it has been heard before.
    expect(activityAfter(activity, idle, idle, 50, 1030)).toEqual(activity);
  });

  test("is told by another maxAge with the same expiry, too", () => {
    const shorter = times({ maxAge: 60, expires: 1100 });
    expect(activityAfter({ activeAt: 7, reportedAt: 5 }, idle, shorter, 50, 1050)).toEqual({
      activeAt: 7,
      reportedAt: 40,
    });
  });

  test("that somebody else reported counts as reported from when it was", () => {
    // The expiry says 1020; the system's clock is 1000 ahead.
    const later = times({ maxAge: 100, expires: 1120 });
    for (const activeAt of [7, 45]) {
      const next = activityAfter({ activeAt, reportedAt: 5 }, idle, later, 50, 1050);
      expect(next).toEqual({ activeAt, reportedAt: 20 });
    }
  });

  test("before a session was cut short by hand counts no longer", () => {
    const shorter = times({ maxAge: 100, expires: 1010 });
    expect(activityAfter({ activeAt: 45, reportedAt: 40 }, idle, shorter, 50, 1050)).toEqual({
      activeAt: -90,
      reportedAt: -90,
    });
    // Another maxAge has an expiry of its own.
    const other = times({ maxAge: 10, expires: 1010 });
    expect(activityAfter({ activeAt: 45, reportedAt: 40 }, idle, other, 50, 1050).activeAt).toBe(45);
  });

  test("is never reported for the future, and taken back only where a session was cut short", () => {
    fc.assert(
      fc.property(
        anyTimes,
        anyTimes,
        moment,
        moment,
        moment,
        moment,
        (before, after, activeAt, reportedAt, now, system) => {
          const activity = { activeAt: Math.min(activeAt, now), reportedAt: Math.min(reportedAt, now) };
          const next = activityAfter(activity, before, after, now, system);
          expect(next.reportedAt).toBeLessThanOrEqual(now);
          expect(next.activeAt).toBeLessThanOrEqual(activity.activeAt);
          const isCutShort = after.maxAge === before.maxAge && after.expires < before.expires;
          if (!isCutShort) {
            expect(next.activeAt).toBe(activity.activeAt);
            expect(next.reportedAt).toBeGreaterThanOrEqual(activity.reportedAt);
          }
        },
      ),
    );
  });

  test("is reported ten times in a life, once a minute at least", () => {
    expect(touchIntervalOf(times({ maxAge: 5000 }))).toBe(500);
    expect(touchIntervalOf(times({ maxAge: 86_400_000 }))).toBe(60_000);
    expect(touchIntervalOf(times({}))).toBe(60_000);
  });
});

describe("a session that the store has no longer", () => {
  test.each<[string, boolean, Partial<Times>, number, number | undefined, number, number]>([
    ["has expired at its expiry", true, { expires: 1050 }, 0, undefined, 50, 1050],
    ["has not before it", false, { expires: 1051 }, 0, undefined, 50, 1050],
    ["has expired at its absolute limit", true, { createdAt: 1000 }, 0, 50, 50, 1050],
    [
      "may have a life after the activity that was reported",
      true,
      { maxAge: 40, expires: 1090 },
      10,
      undefined,
      50,
      1050,
    ],
    ["has not within that life", false, { maxAge: 41, expires: 1091 }, 10, undefined, 50, 1050],
    ["may have where more than a life is left", true, { maxAge: 100, expires: 1151 }, 40, undefined, 50, 1050],
    ["has not where nothing ends it", false, {}, 0, 50, 50, 1050],
  ])("%s: %s", (_, isOver, known, reportedAt, absoluteTimeout, now, systemNow) => {
    expect(mayHaveExpired(times(known), reportedAt, absoluteTimeout, now, systemNow)).toBe(isOver);
  });
});
