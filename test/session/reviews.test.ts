// Which sessions are due for the question who may stay, and when it is asked.
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Reviews } from "../../src/session/reviews.js";

function start(): { reviews: Reviews; one: Session; other: Session } {
  const reviews = new Reviews();
  reviews.isUsed = true;
  return { reviews, one: { data: {}, review: vi.fn() }, other: { data: {}, review: vi.fn() } };
}

interface Session {
  readonly data: object;
  readonly review: ReturnType<typeof vi.fn<() => void>>;
}

describe("a review", () => {
  test("comes after the turn, once for all its changes, for those that have changed", async () => {
    const { reviews, one, other } = start();
    reviews.add(one);
    reviews.onMerged(one, true);
    await Promise.resolve();
    expect([one.review.mock.calls.length, reviews.isDue(one), reviews.isDue(other)]).toEqual([0, true, false]);
    await reviews.untilReviewed();
    expect([one.review.mock.calls.length, reviews.isDue(one)]).toEqual([1, false]);
    expect(other.review).not.toHaveBeenCalled();
    await nextTurn();
    expect(one.review).toHaveBeenCalledTimes(1);
  });

  test("costs one timer for all changes of a turn", async () => {
    const { reviews, one, other } = start();
    const timers = vi.spyOn(globalThis, "setImmediate");
    onTestFinished(() => timers.mockRestore());
    for (const session of [one, other, one]) reviews.add(session);
    expect(timers).toHaveBeenCalledTimes(1);
    await reviews.untilReviewed();
  });

  test("that changes a session asks for another one", async () => {
    const { reviews, one, other } = start();
    one.review.mockImplementationOnce(() => reviews.add(other));
    reviews.add(one);
    await reviews.untilReviewed();
    expect(other.review).not.toHaveBeenCalled();
    await reviews.untilReviewed();
    expect(other.review).toHaveBeenCalledTimes(1);
  });

  test("is not made where nobody asks", async () => {
    const [reviews, { one }] = [new Reviews(), start()];
    reviews.add(one);
    reviews.onMerged(one, true);
    reviews.onUnmerged(one, "{}");
    await nextTurn();
    expect([one.review.mock.calls.length, reviews.isDue(one), reviews.unmergedOf(one.data)]).toEqual([
      0,
      false,
      undefined,
    ]);
  });
});

test("what others have changed is news when it comes into the data; what only this node has changed is none", () => {
  const { reviews, one, other } = start();
  reviews.onMerged(one, false);
  reviews.onMerged(other, true);
  expect([reviews.isDue(one), reviews.isDue(other)]).toEqual([false, true]);
});

test("a watch tells whether its session has changed, and is over then", () => {
  const { reviews, one, other } = start();
  const [first, second, third] = [reviews.watch(one), reviews.watch(one), reviews.watch(other)];
  reviews.add(one);
  expect([first(), third()]).toEqual([true, false]);
  expect(second()).toBe(true);
});

test("what is stored beside the data is known until it comes into it", () => {
  const { reviews, one, other } = start();
  reviews.onUnmerged(one, "stored");
  expect([reviews.unmergedOf(one.data), reviews.unmergedOf(other.data)]).toEqual(["stored", undefined]);
  expect(reviews.isDue(one)).toBe(true);
  reviews.add(one);
  expect(reviews.unmergedOf(one.data)).toBe("stored");
  reviews.onMerged(one, true);
  expect(reviews.unmergedOf(one.data)).toBeUndefined();
});
