// The connections of a live session: one without a set, more with one.
import { expect, test } from "vitest";
import { type Connections, countOf, listOf, withoutOne, withOne } from "../../src/session/connections.js";

const [one, two, three] = [{ end() {} }, { end() {} }, { end() {} }];
const all = (...list: (typeof one)[]): Connections =>
  list.reduce<Connections>((some, next) => withOne(some, next), undefined);

test.each([[[]], [[one]], [[one, two]], [[one, two, three]]])("are listed in their order, and counted: %#", (list) => {
  expect(listOf(all(...list))).toEqual(list);
  expect(countOf(all(...list))).toBe(list.length);
});

test("one that is added twice counts once", () => {
  expect(countOf(all(one, one))).toBe(1);
  expect(countOf(all(one, two, one))).toBe(2);
});

test("are none when the last one goes, whichever that is", () => {
  for (const [first, last] of [
    [one, two],
    [two, one],
  ] as const) {
    const left = withoutOne(all(one, two), first);
    expect(listOf(left)).toEqual([last]);
    expect(withoutOne(left, last)).toBeUndefined();
  }
  expect(withoutOne(all(one), one)).toBeUndefined();
});

test("stay as they are where another one goes", () => {
  expect(listOf(withoutOne(all(one), two))).toEqual([one]);
  expect(listOf(withoutOne(all(one, two), three))).toEqual([one, two]);
  expect(withoutOne(undefined, one)).toBeUndefined();
});

test("a list is not changed by one that goes", () => {
  const connections = all(one, two);
  const list = listOf(connections);
  withoutOne(connections, one);
  expect(list).toEqual([one, two]);
});
