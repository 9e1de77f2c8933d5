import { expect, test } from "vitest";
import { Earlier } from "../../src/live/earlier.js";

const text = (fields: object, expires: string | null = null): string =>
  JSON.stringify({ cookie: { originalMaxAge: null, expires }, ...fields });

function remembering(...before: object[]): Earlier {
  const earlier = new Earlier();
  for (const fields of before) earlier.add(text(fields), 0);
  return earlier;
}

test.each([
  ["a field is as it was", { a: 1 }, { a: 2 }, { a: 1 }],
  ["as it was two changes ago", { a: 1 }, { a: 3 }, { a: 1 }],
  ["a field is gone that had been set", {}, { a: 1 }, {}],
  ["a field is there that had been removed", { a: 1 }, {}, { a: 1 }],
  ["at depth", { a: { b: { c: 1, d: 1 } } }, { a: { b: { c: 2, d: 1 } } }, { a: { b: { c: 1, d: 1 } } }],
  ["a list", { a: [1] }, { a: [1, 2] }, { a: [1] }],
  ["an object was a scalar", { a: 1 }, { a: { b: 1 } }, { a: 1 }],
  ["beside a newer change", { a: 1, b: 1 }, { a: 2, b: 1 }, { a: 1, b: 5 }],
  ["a strange name", { constructor: 1 }, { constructor: 2 }, { constructor: 1 }],
])("older: %s", (_, before, expected, found) => {
  expect(remembering(before, { a: 2, b: 1 }).isBackIn(text(found), text(expected))).toBe(true);
});

test.each([
  ["nothing else", { a: 1 }, { a: 2 }, { a: 2 }],
  ["another value", { a: 1 }, { a: 2 }, { a: 3 }],
  ["a new field", { a: 1 }, { a: 2 }, { a: 2, b: 1 }],
  ["a new field at depth", { a: {} }, { a: { b: 1 } }, { a: { b: 1, c: 1 } }],
  ["a field removed that was always there", { a: 1, b: 1 }, { a: 2, b: 1 }, { a: 2 }],
  ["what was expected is what was before", { a: 1 }, { a: 1 }, { a: 1 }],
])("newer: %s", (_, before, expected, found) => {
  expect(remembering(before).isBackIn(text(found), text(expected))).toBe(false);
});

test("an expiry that went back is no loss", () => {
  const [early, late] = ["2030-01-01T00:00:00.000Z", "2031-01-01T00:00:00.000Z"];
  const earlier = new Earlier();
  earlier.add(text({ a: 1 }, early), 0);
  expect(earlier.isBackIn(text({ a: 1 }, early), text({ a: 1 }, late))).toBe(false);
});

test("a bounded number of texts is remembered, for a minute after the last", () => {
  const earlier = remembering(...Array.from({ length: 100 }, (_, a) => ({ a })));
  expect(earlier.isBackIn(text({ a: 99 }), text({ a: 100 }))).toBe(true);
  expect(earlier.isBackIn(text({ a: 0 }), text({ a: 100 }))).toBe(false);
  earlier.add(text({ a: 100 }), 1000);
  expect(earlier.until).toBe(61_000);
});
