import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  apply,
  diff,
  isEqual,
  isPlainObject,
  type JsonObject,
  type Patch,
  reconcile,
} from "../../../src/store/record/merge.js";

const json = fc.letrec<{ value: never; object: never }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(null, true, 0, 1, "a"),
    fc.array(tie("value"), { maxLength: 3 }),
    tie("object"),
  ) as never,
  object: fc.dictionary(fc.constantFrom("a", "b", "c", "toString", "constructor"), tie("value"), {
    noNullPrototype: true,
  }) as never,
}));
const object = json.object as fc.Arbitrary<JsonObject>;
const copy = <T>(value: T): T => structuredClone(value);

class Money {
  constructor(readonly cents: number) {}
}

/** An object that JSON cannot hold. */
const cyclic = (): object => {
  const one = Object.assign(new Money(1), { self: {} });
  one.self = one;
  return one;
};

test("objects that merge by key are literals and what JSON.parse makes, and nothing else", () => {
  for (const value of [{}, { a: 1 }, JSON.parse("{}"), Object.create(null)]) expect(isPlainObject(value)).toBe(true);
  for (const value of [null, undefined, [], [{}], new Date(), new Map(), new Money(1), () => {}, "{}", 1, true]) {
    expect(isPlainObject(value)).toBe(false);
  }
});

describe("diff", () => {
  test.each<[rule: string, base: JsonObject, next: JsonObject, patch: Patch | undefined]>([
    ["another value is set", { a: 1, b: 1 }, { a: 2, b: 1 }, { set: { a: 2 } }],
    ["keys that are gone are unset", { a: 1, b: 1, c: 1 }, { b: 1 }, { unset: ["a", "c"] }],
    [
      "plain objects are gone into, where something changed",
      { a: { b: { c: 1, d: 1 }, e: { f: 1 } }, g: { h: 1 } },
      { a: { b: { c: 2 }, e: { f: 1 } }, g: { h: 1 } },
      { into: { a: { into: { b: { set: { c: 2 }, unset: ["d"] } } } } },
    ],
    ["an object that is new is gone into as well", {}, { a: { b: 1 } }, { into: { a: { set: { b: 1 } } } }],
    ["a new object without keys is a change", { a: {} }, { a: { b: {} } }, { into: { a: { into: { b: {} } } } }],
    [
      "an object in the place of another value is set whole",
      { a: 1, b: [] },
      { a: { b: 1 }, b: {} },
      { set: { a: { b: 1 }, b: {} } },
    ],
    ["null is a value", { a: null, b: {} }, { a: {}, b: null }, { set: { a: {}, b: null } }],
    ["an array in the place of an object is set", { a: { b: 1 } }, { a: [] }, { set: { a: [] } }],
    [
      "an array is one value",
      { a: [1, { b: 1 }], c: [1] },
      { a: [1, { b: 2 }], c: [1] },
      { set: { a: [1, { b: 2 }] } },
    ],
    ["the order of keys does not count", { a: 1, b: [{ c: 1, d: 1 }] }, { b: [{ d: 1, c: 1 }], a: 1 }, undefined],
    [
      "a name that all objects inherit is like any other",
      {},
      { toString: { a: 1 } },
      { into: { toString: { set: { a: 1 } } } },
    ],
    ["and so when it is gone", { toString: 1 }, {}, { unset: ["toString"] }],
    ["a field that is called __proto__ is no change", JSON.parse('{"__proto__":{}}'), {}, undefined],
    ["in both directions", {}, JSON.parse('{"__proto__":{"isAdmin":true}}'), undefined],
  ])("%s", (_, base, next, patch) => expect(diff(base, next)).toEqual(patch));
});

describe("isEqual", () => {
  test.each([
    [1, 1],
    [null, null],
    [Number.NaN, Number.NaN],
    [[], []],
    [{}, {}],
    [
      [1, [2, { a: 3 }]],
      [1, [2, { a: 3 }]],
    ],
    [
      { a: 1, b: { c: 2, d: 3 } },
      { b: { d: 3, c: 2 }, a: 1 },
    ],
  ])("%j is %j", (one, other) => {
    expect(isEqual(one, other)).toBe(true);
    expect(isEqual(other, one)).toBe(true);
  });

  test.each<[unknown, unknown]>([
    [1, 2],
    [1, "1"],
    [null, undefined],
    [null, {}],
    [{}, []],
    [[], { length: 0 }],
    [[1], [1, 2]],
    [
      [1, 2],
      [3, 2],
    ],
    [
      [1, 2],
      [1, 3],
    ],
    [
      [[1], 2],
      [[3], 2],
    ],
    [{ a: 1 }, { a: 1, b: 1 }],
    [
      { a: 1, b: 1 },
      { a: 1, c: 1 },
    ],
    [{ a: undefined }, { b: 1 }],
    [{ a: { b: 1 } }, { a: { b: 2 } }],
    [
      { a: 1, b: 2 },
      { a: 2, b: 2 },
    ],
    [new Money(1), new Money(1)],
    [{ cents: 1 }, new Money(1)],
  ])("%j is not %j", (one, other) => {
    expect(isEqual(one, other)).toBe(false);
    expect(isEqual(other, one)).toBe(false);
  });
});

describe("apply", () => {
  test.each<[rule: string, target: JsonObject, patch: Patch, result: JsonObject]>([
    [
      "sets and unsets, and leaves the rest",
      { a: 1, b: 1, c: 1 },
      { set: { a: 2, d: 1 }, unset: ["b"] },
      { a: 2, c: 1, d: 1 },
    ],
    [
      "goes into objects",
      { a: { b: { c: 1 }, d: 1 } },
      { into: { a: { into: { b: { set: { e: 1 } } } } } },
      { a: { b: { c: 1, e: 1 }, d: 1 } },
    ],
    ["makes an object where there is none", {}, { into: { a: { into: { b: {} } } } }, { a: { b: {} } }],
    [
      "makes one in the place of another value",
      { a: 1, b: [1] },
      { into: { a: { set: { c: 1 } }, b: {} } },
      { a: { c: 1 }, b: {} },
    ],
    [
      "makes one under a name that all objects inherit",
      {},
      { into: { toString: { set: { a: 1 } } } },
      { toString: { a: 1 } },
    ],
    ["a patch that says nothing does nothing", { a: 1 }, {}, { a: 1 }],
  ])("%s", (_, target, patch, result) => {
    const inner = target["a"];
    expect(apply(target, patch)).toBe(target);
    expect(target).toEqual(result);
    if (isPlainObject(inner)) expect(target["a"]).toBe(inner);
  });

  test("what all objects inherit cannot be reached", () => {
    apply({}, { into: JSON.parse('{"__proto__":{"set":{"isAdmin":true}}}') });
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined();
  });
});

describe("diff and apply", () => {
  test("what changed, applied to where it came from, gives the new state", () => {
    fc.assert(
      fc.property(object, object, (base, next) => {
        const patch = diff(base, next);
        expect(patch ? apply(copy(base), patch) : base).toEqual(next);
      }),
    );
  });

  test("no change is no patch", () => {
    fc.assert(
      fc.property(object, (one) => {
        expect(diff(one, copy(one))).toBeUndefined();
      }),
    );
  });

  test("changes to different keys commute, at any depth", () => {
    const base = { keep: 1, x: { y: { a: 1, b: 1 } } };
    const one = diff(base, { ...base, one: 1, x: { y: { a: 2, b: 1 } } });
    const two = diff(base, { keep: 1, two: { deep: [] }, x: { y: { a: 1 } } });
    const either = apply(apply(copy(base), one as never), two as never);
    expect(either).toEqual(apply(apply(copy(base), two as never), one as never));
    expect(either).toEqual({ keep: 1, one: 1, two: { deep: [] }, x: { y: { a: 2 } } });
  });
});

describe("reconcile", () => {
  test("makes the target equal and keeps the identity of what is on both sides", () => {
    fc.assert(
      fc.property(object, object, (target, wanted) => {
        const mine = copy(target);
        const inner = mine["a"];
        reconcile(mine, copy(wanted));
        expect(mine).toEqual(wanted);
        const isOnBoth = isPlainObject(inner)
          ? isPlainObject(wanted["a"])
          : Array.isArray(inner) && Array.isArray(wanted["a"]);
        if (isOnBoth) expect(mine["a"]).toBe(inner);
      }),
    );
  });

  test("a value that is stored as the same text stays what the application put there", () => {
    const when = new Date(0);
    const target = { when } as unknown as JsonObject;
    reconcile(target, { when: when.toISOString(), more: 1 });
    expect(target["when"]).toBe(when);
  });

  test("any other object is replaced by what is stored: of another text, or of none", () => {
    const target: Record<string, unknown> = {
      money: new Money(1),
      cyclic: cyclic(),
      map: new Map(),
      list: [1],
      one: {},
    };
    const wanted = { money: { cents: 2 }, cyclic: { cents: 1 }, map: [], list: { 0: 1 }, one: [] };
    reconcile(target as JsonObject, wanted);
    expect(target).toStrictEqual(wanted);
  });

  test("a number that JSON cannot hold becomes what is stored", () => {
    const target: JsonObject = { a: Number.NaN, b: [Number.NaN], c: null };
    reconcile(target, { a: null, b: [null], c: null });
    expect(target).toEqual({ a: null, b: [null], c: null });
  });

  test("an object in two places becomes two, since they may differ from now on", () => {
    const shared = { a: 1 };
    const target: JsonObject = { one: shared, other: shared };
    reconcile(target, { one: { a: 2 }, other: { a: 3 } });
    expect(target).toEqual({ one: { a: 2 }, other: { a: 3 } });
    expect([target["one"], target["other"]].filter((object) => object === shared)).toHaveLength(1);
  });

  test("an object that holds the target itself is replaced", () => {
    const target: JsonObject = { a: 1 };
    target["self"] = target;
    reconcile(target, { a: 2, self: { a: 3 } });
    expect(target).toEqual({ a: 2, self: { a: 3 } });
  });

  test("a field that is called __proto__ is left out", () => {
    const target: JsonObject = { a: 1 };
    reconcile(target, JSON.parse('{"__proto__":{"isAdmin":true},"a":2}'));
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined();
    expect(Object.getPrototypeOf(target)).toBe(Object.prototype);
    expect(Object.entries(target)).toEqual([["a", 2]]);
  });

  describe("the elements of an array", () => {
    /** The array as it is afterwards, each element by where it stood before, or by its value. */
    const traced = (elements: unknown[], wanted: JsonObject[string]): unknown[] => {
      const before = [...elements];
      reconcile({ list: elements as never }, { list: copy(wanted) });
      expect(JSON.parse(JSON.stringify(elements))).toEqual(wanted);
      return elements.map((element) =>
        typeof element === "object" && before.includes(element) ? `was ${before.indexOf(element)}` : element,
      );
    };

    test("keep their places where none came or went", () => {
      expect(traced([{ a: 1 }, { a: 2 }, [1], 4], [{ a: 2 }, { b: 1 }, [2, 3], 5])).toEqual([
        "was 0",
        "was 1",
        "was 2",
        5,
      ]);
    });

    test("are found by what they say where one came or went", () => {
      const [a, b, c] = [{ a: 1 }, { b: 1 }, [{ c: 1 }]];
      expect(traced([a, b, c], [{ b: 1 }, [{ c: 1 }]])).toEqual(["was 1", "was 2"]);
      expect(traced([{ a: 1 }, { b: 1 }], [{ n: 1 }, { a: 1 }, { b: 1 }])).toEqual([{ n: 1 }, "was 0", "was 1"]);
      expect(traced([{ a: 1 }, { b: 1 }], [{ a: 2 }, { b: 1 }, 3])).toEqual([{ a: 2 }, "was 1", 3]);
    });

    test("are each found once, equal ones in their order", () => {
      expect(traced([{ a: 1 }, { a: 1 }], [{ a: 1 }, { a: 1 }, { a: 1 }])).toEqual(["was 0", "was 1", { a: 1 }]);
      expect(traced([{ a: 1 }, { a: 1 }], [{ a: 1 }])).toEqual(["was 0"]);
    });

    test("a Date is found by its text, and what JSON cannot hold by nothing", () => {
      const when = new Date(0);
      const list = [cyclic(), when, 1, "a"];
      reconcile({ list: list as never }, { list: [1, 2, "a"] });
      expect(list).toEqual([1, 2, "a"]);
      expect(traced([{ when }, 1], [1, { when: when.toISOString() }, 1])).toEqual([1, "was 0", 1]);
    });
  });
});
