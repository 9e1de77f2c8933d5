// What all objects share, as session data gives it: it works, and leads nowhere.
import { describe, expect, test } from "vitest";
import { harmless, harmlessConstructor, harmlessDate } from "../../src/session/harmless.js";

/** A function that nobody has made harmless yet, and the harmless one. */
function start() {
  const original = function sum(this: { base: number }, ...values: number[]): number {
    return values.reduce((sum, value) => sum + value, this.base);
  };
  return { original, made: harmless(original as never) };
}

describe("a harmless function", () => {
  test("is the same one each time, and its own", () => {
    const { original, made } = start();
    expect(harmless(original as never)).toBe(made);
    expect(harmless(made)).toBe(made);
    expect(made).not.toBe(original);
  });

  test("does what the original does, with its name and length", () => {
    const { made } = start();
    expect(made.call({ base: 1 }, 2, 3)).toBe(6);
    expect(made.apply({ base: 1 }, [2])).toBe(3);
    expect((made.bind({ base: 5 }) as () => unknown)()).toBe(5);
    const { length } = harmless(((_a: unknown, _b: unknown) => 1) as never);
    expect([made.name, made.length, length]).toEqual(["sum", 0, 2]);
    expect(made.toString()).toContain("run");
  });

  test("has nothing else, and can be given nothing", () => {
    const { made } = start();
    expect(Object.isFrozen(made)).toBe(true);
    expect(Reflect.ownKeys(made).toSorted()).toEqual(["length", "name"]);
    const prototype: object = Object.getPrototypeOf(made);
    expect(Object.isFrozen(prototype)).toBe(true);
    expect(Object.getPrototypeOf(prototype)).toBeNull();
    expect(Object.keys(prototype).toSorted()).toEqual(["apply", "bind", "call", "toString"]);
    // What it has is harmless, too.
    expect(harmless(made.call as never)).toBe(made.call);
    for (const name of ["__proto__", "constructor", "prototype"]) expect(name in made).toBe(false);
  });
});

describe("a harmless constructor", () => {
  test("is the same one each time, with the original's name", () => {
    const Basket = function Basket() {};
    const made = harmlessConstructor(Basket as never);
    expect(harmlessConstructor(Basket as never)).toBe(made);
    expect(made.name).toBe("Basket");
  });

  test("makes nothing and leads nowhere", () => {
    const made = harmlessConstructor(function Basket() {} as never) as any;
    expect(made()).toBeUndefined();
    expect(() => new made()).toThrow(TypeError);
    expect(Object.isFrozen(made)).toBe(true);
    expect(made.call()).toBeUndefined();
    expect([made.constructor, made.__proto__]).toEqual([undefined, undefined]);
  });

  test("has a prototype of harmless methods, for who asks whether an object is a plain one", () => {
    const made = harmlessConstructor(function Basket() {} as never) as any;
    const { prototype } = made;
    expect(Object.isFrozen(prototype)).toBe(true);
    expect(Object.getPrototypeOf(prototype)).toBeNull();
    expect([prototype.constructor, prototype.__proto__]).toEqual([undefined, undefined]);
    expect(prototype.hasOwnProperty).toBe(harmless(Object.prototype.hasOwnProperty as never));
    expect(Reflect.ownKeys(prototype)).not.toContain("constructor");
    expect({} instanceof made).toBe(false);
  });
});

describe("a harmless date", () => {
  test("is the same object, works as before, and leads nowhere", () => {
    const date = new Date(0);
    const made = harmlessDate(date) as any;
    expect(made).toBe(date);
    expect(made).toBeInstanceOf(Date);
    expect([made.getTime(), made.toISOString(), +made]).toEqual([0, "1970-01-01T00:00:00.000Z", 0]);
    // Its own toString, not that of objects.
    expect(String(made)).toContain("1970");
    expect(made.toString()).toContain("1970");
    expect(made.getTime).toBe(harmless(Date.prototype.getTime as never));
    expect(made.hasOwnProperty).toBe(harmless(Object.prototype.hasOwnProperty as never));
    expect(made.constructor).toBe(harmlessConstructor(Date as never));
    expect(made.__proto__).toBeUndefined();
    expect(Object.isFrozen(Object.getPrototypeOf(made))).toBe(true);
  });

  test("that cannot be changed, or is of a class of its own, stays as it is", () => {
    const frozen = Object.freeze(new Date(0));
    expect(Object.getPrototypeOf(harmlessDate(frozen))).toBe(Date.prototype);
    class Moment extends Date {}
    expect(Object.getPrototypeOf(harmlessDate(new Moment(0)))).toBe(Moment.prototype);
  });
});
