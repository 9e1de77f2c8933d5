import { expect, test } from "vitest";
import { LossDetector } from "../../src/session/loss-detector.js";

const text = (fields: object, expires: string | null = null): string =>
  JSON.stringify({ cookie: { originalMaxAge: null, expires }, ...fields });

/** Remembers states that the store had, one after the other, up to the last. */
function remembering(...states: object[]): LossDetector {
  const earlier = new LossDetector();
  for (const [index, fields] of states.slice(1).entries()) earlier.add(text(states[index] as object), text(fields), 0);
  return earlier;
}

test.each([
  ["a field is as it was", { a: 1 }, { a: 2 }, { a: 1 }],
  ["a field is gone that had been set", {}, { a: 1 }, {}],
  ["a field is there that had been removed", { a: 1 }, {}, { a: 1 }],
  ["at depth", { a: { b: { c: 1, d: 1 } } }, { a: { b: { c: 2, d: 1 } } }, { a: { b: { c: 1, d: 1 } } }],
  ["a list", { a: [1] }, { a: [1, 2] }, { a: [1] }],
  ["an object was a scalar", { a: 1 }, { a: { b: 1 } }, { a: 1 }],
  ["beside a newer change", { a: 1, b: 1 }, { a: 2, b: 1 }, { a: 1, b: 5 }],
  ["a strange name", { constructor: 1 }, { constructor: 2 }, { constructor: 1 }],
])("older: %s", (_, before, expected, found) => {
  expect(remembering(before, expected).isBackIn(text(found), text(expected))).toBe(true);
});

test.each([
  ["nothing else", { a: 1 }, { a: 2 }, { a: 2 }],
  ["another value", { a: 1 }, { a: 2 }, { a: 3 }],
  ["a new field", { a: 1 }, { a: 2 }, { a: 2, b: 1 }],
  ["a new field at depth", { a: {} }, { a: { b: 1 } }, { a: { b: 1, c: 1 } }],
  ["a field removed that was always there", { a: 1, b: 1 }, { a: 2, b: 1 }, { a: 2 }],
  ["what was expected is what was before", { a: 1 }, { a: 1 }, { a: 1 }],
])("newer: %s", (_, before, expected, found) => {
  expect(remembering(before, expected).isBackIn(text(found), text(expected))).toBe(false);
});

test("an expiry that went back is no loss", () => {
  const [early, late] = ["2030-01-01T00:00:00.000Z", "2031-01-01T00:00:00.000Z"];
  const earlier = new LossDetector();
  earlier.add(text({ a: 1 }, early), text({ a: 1 }, late), 0);
  expect(earlier.isBackIn(text({ a: 1 }, early), text({ a: 1 }, late))).toBe(false);
});

test("older: a field is as it was two changes ago", () => {
  expect(remembering({ a: 1 }, { a: 2 }, { a: 3 }).isBackIn(text({ a: 1 }), text({ a: 3 }))).toBe(true);
});

test("an earlier value that came with a later expiry was written since", () => {
  const [early, late] = ["2030-01-01T00:00:00.000Z", "2031-01-01T00:00:00.000Z"];
  const earlier = new LossDetector();
  earlier.add(text({ a: 1 }, early), text({ a: 2 }, early), 0);
  expect(earlier.isBackIn(text({ a: 1 }, late), text({ a: 2 }, early))).toBe(false);
  expect(earlier.isBackIn(text({ a: 1 }, early), text({ a: 2 }, early))).toBe(true);
});

test("a field that goes back and forth by itself says nothing, another one beside it does", () => {
  const earlier = remembering({ n: 1 }, { flash: "hello", n: 1 }, { n: 1 }, { flash: "hello", n: 2 });
  expect(earlier.isBackIn(text({ n: 2 }), text({ flash: "hello", n: 2 }))).toBe(false);
  expect(earlier.isBackIn(text({ n: 1 }), text({ flash: "hello", n: 2 }))).toBe(true);
});

test("the order of keys says nothing", () => {
  const earlier = remembering({ a: [{ x: 1, y: 2 }] }, { a: [{ x: 2, y: 2 }] });
  expect(earlier.isBackIn(text({ a: [{ y: 2, x: 1 }] }), text({ a: [{ x: 2, y: 2 }] }))).toBe(true);
});

test("a bounded number of values is remembered, for a minute after the last", () => {
  const earlier = remembering(...Array.from({ length: 301 }, (_, a) => ({ a })));
  expect(earlier.isBackIn(text({ a: 299 }), text({ a: 300 }))).toBe(true);
  expect(earlier.isBackIn(text({ a: 0 }), text({ a: 300 }))).toBe(false);
  earlier.add(text({ a: 300 }), text({ a: 301 }), 1000);
  expect(earlier.until).toBe(61_000);
});

test("what is nested too deeply to be compared does no harm, and hides nothing beside it", () => {
  const deep = `${"[".repeat(5000)}${"]".repeat(5000)}`;
  const [before, after] = [`{"cookie":{},"deep":1,"a":1}`, `{"cookie":{},"deep":${deep},"a":2}`];
  const earlier = new LossDetector();
  earlier.add(before, after, 0);
  expect(earlier.isBackIn(`{"cookie":{},"deep":2,"a":2}`, after)).toBe(false);
  expect(earlier.isBackIn(`{"cookie":{},"deep":2,"a":1}`, after)).toBe(true);
});
