// What the store is told of a client's activity, and when, with a fake clock.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { monotonicNow } from "../../src/internal/monotonic.js";
import { type Active, noteActivity, noteTimes, reportActivity, tickActivity } from "../../src/session/activity.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const never = Number.POSITIVE_INFINITY;

/** A session of ten seconds, whose activity is reported once a second. */
function start() {
  const answers: { done: () => void; fail: (error: unknown) => void }[] = [];
  const session = {
    maxAge: 10_000 as number | undefined,
    expires: never,
    createdAt: undefined as number | undefined,
    activeAt: 0,
    reportedAt: monotonicNow(),
    isReporting: false,
    ended: undefined as string | undefined,
    prolong: vi.fn(() => new Promise<void>((resolve, reject) => answers.push({ done: resolve, fail: reject }))),
  } satisfies Active;
  return { session, answers };
}

test("activity is noted at once, and reported a tenth of a life after the last report", async () => {
  const { session, answers } = start();
  const due = session.reportedAt + 1000;
  expect(noteActivity(session, due - 1)).toBe(due);
  expect([session.activeAt, session.prolong.mock.calls.length]).toEqual([due - 1, 0]);
  vi.advanceTimersByTime(1000);
  expect(noteActivity(session, due)).toBe(never);
  expect(session.prolong.mock.calls).toEqual([[Date.now()]]);
  // One at a time.
  expect(noteActivity(session, due + 2000)).toBe(due + 3000);
  expect(session.prolong).toHaveBeenCalledTimes(1);
  answers[0]?.done();
  await vi.advanceTimersByTimeAsync(0);
  expect(session.isReporting).toBe(false);
});

test("activity that nobody reported is, by the clock; and none where there was none", () => {
  const { session } = start();
  const since = session.reportedAt;
  expect(tickActivity(session, since + 5000)).toBe(never);
  session.activeAt = since;
  expect(tickActivity(session, since + 5000)).toBe(never);
  session.activeAt = since + 10;
  expect(tickActivity(session, since + 999)).toBe(since + 1000);
  expect(session.prolong).not.toHaveBeenCalled();
  expect(tickActivity(session, since + 1000)).toBe(since + 2000);
  expect(session.prolong).toHaveBeenCalledTimes(1);
  session.activeAt = since + 1500;
  session.reportedAt = since;
  expect(tickActivity(session, since + 3000)).toBe(since + 4000);
  expect(session.prolong).toHaveBeenCalledTimes(1);
});

test.each([
  ["ten seconds, after a pause of one", 10_000, 1000],
  ["one second, after that pause, too", 1000, 1000],
  ["an hour, after a minute", 3_600_000, 60_000],
])("the next report is looked for in a life of %s", (_, maxAge, pause) => {
  const { session } = start();
  const now = session.reportedAt + 1e7;
  Object.assign(session, { maxAge, activeAt: now });
  expect(tickActivity(session, now)).toBe(now + pause);
});

test("a report is one when the store has answered, and not where that fails", async () => {
  const { session, answers } = start();
  const before = session.reportedAt;
  const first = reportActivity(session, before + 500);
  expect([session.activeAt, session.reportedAt, session.isReporting]).toEqual([before + 500, before, true]);
  answers[0]?.fail(new Error("down"));
  await expect(first).rejects.toThrow("down");
  expect([session.reportedAt, session.isReporting]).toEqual([before, false]);
  const second = reportActivity(session, before + 600);
  answers[1]?.done();
  await second;
  expect([session.reportedAt, session.isReporting]).toEqual([before + 600, false]);
  const third = reportActivity(session, before + 700);
  // Somebody else has told of later activity.
  session.reportedAt = before + 800;
  answers[2]?.done();
  await third;
  expect(session.reportedAt).toBe(before + 800);
});

test("a report tells the moment by the system's clock as it is when it is made", () => {
  const { session } = start();
  const at = monotonicNow();
  vi.advanceTimersByTime(300);
  vi.setSystemTime(Date.now() + 3_600_000);
  void reportActivity(session, at);
  expect(session.prolong).toHaveBeenCalledWith(Date.now() - 300);
});

test("without an idle limit activity counts from the first read on, where a store may have a limit of its own", () => {
  const none = { maxAge: undefined, expires: never, createdAt: undefined };
  for (const [isCounted, expected] of [
    [true, monotonicNow()],
    [false, 0],
  ] as const) {
    const { session } = start();
    Object.assign(session, none, { reportedAt: 0 });
    noteTimes(session, none, isCounted);
    expect(session.reportedAt).toBe(expected);
  }
  const { session } = start();
  const limited = { maxAge: 5000, expires: Date.now() + 5000, createdAt: 7 };
  noteTimes(session, limited, true);
  expect(session).toMatchObject(limited);
});
