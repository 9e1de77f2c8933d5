// Whether what is known of a session still counts, with a fake clock.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { monotonicNow } from "../../src/internal/monotonic.js";
import { Freshness } from "../../src/session/freshness.js";

const lease = 30_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A session whose reads end when the test says so. */
function reading() {
  const reads: { done: () => void; fail: (error: unknown) => void }[] = [];
  const session = {
    ended: undefined as string | undefined,
    read: () => new Promise<void>((resolve, reject) => reads.push({ done: resolve, fail: reject })),
    onUnanswered: vi.fn(() => true),
  };
  return { session, reads };
}

function verified(): Freshness {
  const freshness = new Freshness();
  freshness.markVerified(0, monotonicNow());
  return freshness;
}

test("a session is fresh for a lease after it was verified, and due then", () => {
  const freshness = verified();
  const { verifiedAt } = freshness;
  expect(freshness.isFresh(verifiedAt + lease - 1, lease)).toBe(true);
  expect(freshness.isFresh(verifiedAt + lease, lease)).toBe(false);
  expect(freshness.dueAt(lease)).toBe(verifiedAt + lease);
});

test("one that was never read has neither an answer that is bad nor one that is missing, and is not fresh", () => {
  const freshness = new Freshness();
  expect([freshness.isUnreadable, freshness.isAnswered, freshness.invalidations]).toEqual([false, true, 0]);
  expect(freshness.isFresh(monotonicNow(), lease)).toBe(false);
});

test("each reason to read again counts", () => {
  const freshness = verified();
  freshness.invalidate();
  freshness.invalidate();
  expect(freshness.invalidations).toBe(2);
});

test("one that was invalidated is not fresh and due at once, until a read that began after that", () => {
  const freshness = verified();
  const before = freshness.invalidations;
  freshness.invalidate();
  expect([freshness.isFresh(freshness.verifiedAt, lease), freshness.dueAt(lease)]).toEqual([false, 0]);
  freshness.markVerified(before, monotonicNow());
  expect(freshness.isFresh(freshness.verifiedAt, lease)).toBe(false);
  freshness.markVerified(freshness.invalidations, monotonicNow());
  expect(freshness.isFresh(freshness.verifiedAt, lease)).toBe(true);
});

test("an older read does not make the knowledge of a newer one older", () => {
  const freshness = verified();
  const { verifiedAt } = freshness;
  freshness.markVerified(0, verifiedAt - 1000);
  expect(freshness.verifiedAt).toBe(verifiedAt);
});

test("a store that does not answer is asked again after a pause, from the first time on; an invalidation ends the pause", () => {
  const freshness = verified();
  freshness.onUnanswered(5000, false);
  freshness.onUnanswered(6000, true);
  expect([freshness.unansweredSince, freshness.isAnswered, freshness.isUnreadable]).toEqual([5000, false, true]);
  expect(freshness.retryAt).toBeGreaterThanOrEqual(6750);
  expect(freshness.retryAt).toBeLessThanOrEqual(7500);
  freshness.invalidate();
  expect(freshness.dueAt(lease)).toBe(0);
  freshness.onAnswer(8000);
  expect([freshness.isAnswered, freshness.retryAt]).toEqual([true, 0]);
});

describe("a read", () => {
  test("is shared by all who ask while it is under way, and is not due meanwhile", async () => {
    const { session, reads } = reading();
    const freshness = new Freshness();
    const asked = [freshness.revalidate(session, lease), freshness.revalidate(session, lease)];
    expect([reads.length, freshness.dueAt(lease)]).toEqual([1, Number.POSITIVE_INFINITY]);
    reads[0]?.done();
    expect(await Promise.all(asked)).toEqual([true, true]);
    expect(freshness.isFresh(monotonicNow(), lease)).toBe(true);
  });

  test.each<[string, (freshness: Freshness) => void]>([
    ["an invalidation", (freshness) => freshness.invalidate()],
    ["a lease", () => vi.advanceTimersByTime(lease)],
  ])("does not count for those who come after %s: one more does, for all of them", async (_, pass) => {
    const { session, reads } = reading();
    const freshness = new Freshness();
    const first = freshness.revalidate(session, lease);
    pass(freshness);
    const later = [freshness.revalidate(session, lease), freshness.revalidate(session, lease)];
    expect(reads.length).toBe(1);
    reads[0]?.done();
    expect(await first).toBe(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(reads.length).toBe(2);
    reads[1]?.done();
    expect(await Promise.all(later)).toEqual([true, true]);
  });

  test("of a session that has ended lets no handler go on, and verifies nothing", async () => {
    const { session, reads } = reading();
    const freshness = new Freshness();
    const asked = freshness.revalidate(session, lease);
    session.ended = "SESSION_DESTROYED";
    reads[0]?.done();
    expect([await asked, freshness.verifiedAt]).toEqual([false, 0]);
  });

  test("that fails leaves it to the session whether handlers go on, and can be made again", async () => {
    const { session, reads } = reading();
    const freshness = new Freshness();
    const asked = freshness.revalidate(session, lease);
    reads[0]?.fail(new Error("down"));
    expect(await asked).toBe(true);
    expect(session.onUnanswered).toHaveBeenCalledWith(new Error("down"));
    void freshness.revalidate(session, lease);
    expect(reads.length).toBe(2);
  });
});
