// When an object that the application holds untracked is looked at.
import { expect, test } from "vitest";
import { UntrackedReference } from "../../src/session/untracked-reference.js";

test("it is looked at after a tenth of a second, then at growing distances, for a minute", () => {
  const reference = new UntrackedReference(1000, false);
  const looked: number[] = [];
  while (!reference.isOver(reference.lookAt)) {
    looked.push(reference.lookAt);
    reference.onLooked(reference.lookAt);
  }
  expect(looked.slice(0, 4)).toEqual([1100, 1200, 1400, 1800]);
  expect(looked).toHaveLength(10);
  expect([reference.isOver(61_000), reference.isOver(61_001)]).toEqual([false, true]);
});

test("it says whether it is looked at anyway", () => {
  expect([true, false].map((isDue) => new UntrackedReference(0, isDue).isDue)).toEqual([true, false]);
});
