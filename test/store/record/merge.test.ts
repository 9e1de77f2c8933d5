import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { apply, diff, isPlainObject, type JsonObject, reconcile } from "../../../src/store/record/merge.js";

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
});

test("a field that is called __proto__ is no change that could be saved", () => {
  expect(diff({}, JSON.parse('{"__proto__":{"isAdmin":true}}'))).toBeUndefined();
});
