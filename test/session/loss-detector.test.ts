import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { monotonicNow } from "../../src/internal/monotonic.js";
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
  ["at depth, beside a newer change", { a: { c: 1, d: 1 } }, { a: { c: 2, d: 1 } }, { a: { c: 1, d: 5 } }],
  ["null", { a: null }, { a: 1 }, { a: null }],
  ["an object with null", { a: [{ b: null }] }, { a: 1 }, { a: [{ b: null }] }],
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
  ["another value, beside a list that stays", { a: 1, l: [1] }, { a: 2, l: [1] }, { a: 3, l: [1] }],
  ["a scalar in place of an object", { a: 1 }, { a: { b: 1 } }, { a: 2 }],
  ["an object in place of a scalar", { a: { b: 1 } }, { a: 2 }, { a: { b: 2 } }],
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

test.each([
  [8, true],
  [9, false],
])("objects are compared by field to the eighth level, below as one value: level %i", (levels, isBackIn) => {
  const nested = (value: object): object => {
    let whole = value;
    for (let level = 0; level < levels; level++) whole = { inner: whole };
    return whole;
  };
  const [before, expected, found] = [nested({ c: 1, d: 1 }), nested({ c: 2, d: 1 }), nested({ c: 1, d: 5 })];
  expect(remembering(before, expected).isBackIn(text(found), text(expected))).toBe(isBackIn);
});

test("a hundred and twenty-eight values are remembered, one that comes again counts once", () => {
  const states = (count: number): object[] => Array.from({ length: count + 1 }, (_, a) => ({ a }));
  expect(remembering(...states(128)).isBackIn(text({ a: 0 }), text({ a: 128 }))).toBe(true);
  expect(remembering(...states(129)).isBackIn(text({ a: 0 }), text({ a: 129 }))).toBe(false);
  const toggled = Array.from({ length: 300 }, (_, index) => ({ a: 1, b: index % 2 }));
  expect(remembering({ a: 0, b: 0 }, ...toggled).isBackIn(text({ a: 0, b: 1 }), text({ a: 1, b: 1 }))).toBe(true);
});

test("two values that are nested too deeply to be known again are not taken for one", () => {
  const deep = (inner: string): string =>
    `{"cookie":{},"a":${"[".repeat(100_000)}${inner}${"]".repeat(100_000)},"b":1}`;
  const [before, other] = [deep("1"), deep("2")];
  const earlier = new LossDetector();
  earlier.add(before, text({ a: 1, b: 1 }), 0);
  expect(earlier.isBackIn(other, text({ a: 1, b: 1 }))).toBe(false);
  // Nor compared: what stands beside it is.
  expect(earlier.isBackIn(other, before)).toBe(false);
  earlier.add(text({ a: 1, b: 2 }), text({ a: 1, b: 1 }), 0);
  expect(earlier.isBackIn(other.replace('"b":1', '"b":2'), before)).toBe(true);
});

describe("what the nodes have written", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  /** Asks with the writes that are remembered, and answers with them. */
  async function writesOf(earlier: LossDetector, isLost = true): Promise<string[]> {
    const asked: string[] = [];
    const before = text({ a: 1 });
    const result = await earlier.hasLost(before, text({ a: 2 }), async (writes) => {
      asked.push(...writes.map(({ node, number }) => `${node}${number}`));
      return isLost;
    });
    expect(result).toBe(isLost);
    return asked;
  }

  test("is the last write of each node, of the last eight, in the order in which they came", async () => {
    const earlier = new LossDetector();
    for (const node of ["a", "b", "c"]) earlier.noteWrite({ node, number: 1 }, monotonicNow());
    earlier.noteWrite({ node: "a", number: 2 }, monotonicNow());
    earlier.noteWrite({ node: "b", number: 2 }, monotonicNow());
    expect(await writesOf(earlier)).toEqual(["c1", "a2", "b2"]);
    for (const node of "abcdefgh") earlier.noteWrite({ node, number: 1 }, monotonicNow());
    expect(await writesOf(earlier)).toHaveLength(8);
    for (const node of "abcdefghi") earlier.noteWrite({ node, number: 1 }, monotonicNow());
    expect(await writesOf(earlier)).toEqual(["b1", "c1", "d1", "e1", "f1", "g1", "h1", "i1"]);
  });

  test("counts for a minute", async () => {
    const earlier = new LossDetector();
    earlier.noteWrite({ node: "a", number: 1 }, monotonicNow());
    expect(earlier.until).toBe(monotonicNow() + 60_000);
    vi.advanceTimersByTime(1);
    earlier.noteWrite({ node: "b", number: 1 }, monotonicNow());
    vi.advanceTimersByTime(59_999);
    expect(await writesOf(earlier)).toEqual(["b1"]);
  });

  test("and what fields were is forgotten where a write is lost: it has served its purpose", async () => {
    const earlier = remembering({ a: 1 }, { a: 2 });
    earlier.noteWrite({ node: "a", number: 1 }, monotonicNow());
    expect(await writesOf(earlier)).toEqual(["a1"]);
    expect(earlier.isBackIn(text({ a: 1 }), text({ a: 2 }))).toBe(false);
    expect(await writesOf(earlier)).toEqual([]);
  });

  test("and what fields were is kept where none is lost, with the change that was found", async () => {
    const earlier = remembering({ b: 1 }, { b: 2 }, { b: 1 }, { c: 1 }, { c: 2 });
    earlier.noteWrite({ node: "a", number: 1 }, monotonicNow());
    vi.advanceTimersByTime(1000);
    expect(await writesOf(earlier, false)).toEqual(["a1"]);
    expect(earlier.until).toBe(monotonicNow() + 60_000);
    expect(earlier.isBackIn(text({ c: 1 }), text({ c: 2 }))).toBe(true);
    expect(earlier.isBackIn(text({ a: 1 }), text({ a: 2 }))).toBe(true);
    // That it goes back and forth is known as before.
    expect(earlier.isBackIn(text({ b: 2 }), text({}))).toBe(false);
    expect(await writesOf(earlier, false)).toEqual(["a1"]);
  });

  test.each<[string, (earlier: LossDetector) => void, string[]]>([
    ["a change", (earlier) => earlier.add(text({ d: 1 }), text({ d: 2 }), monotonicNow()), []],
    ["a write", (earlier) => earlier.noteWrite({ node: "b", number: 1 }, monotonicNow()), ["b1"]],
  ])("is not brought back over %s that came while the storage was asked", async (_, come, writes) => {
    const earlier = remembering({ c: 1 }, { c: 2 });
    earlier.noteWrite({ node: "a", number: 1 }, monotonicNow());
    const isLost = await earlier.hasLost(text({ a: 1 }), text({ a: 2 }), async () => {
      come(earlier);
      return false;
    });
    expect(isLost).toBe(false);
    expect(earlier.isBackIn(text({ c: 1 }), text({ c: 2 }))).toBe(false);
    expect(await writesOf(earlier)).toEqual(writes);
  });
});

test("what is nested too deeply to be compared does no harm, and hides nothing beside it", () => {
  const deep = `${"[".repeat(5000)}${"]".repeat(5000)}`;
  const [before, after] = [`{"cookie":{},"deep":1,"a":1}`, `{"cookie":{},"deep":${deep},"a":2}`];
  const earlier = new LossDetector();
  earlier.add(before, after, 0);
  expect(earlier.isBackIn(`{"cookie":{},"deep":2,"a":2}`, after)).toBe(false);
  expect(earlier.isBackIn(`{"cookie":{},"deep":2,"a":1}`, after)).toBe(true);
});
