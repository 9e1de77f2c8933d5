import { inspect } from "node:util";
import session from "express-session";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { ChangeTracker, rawOf, trackerOf } from "../../src/session/change-tracker.js";
import { harmless, harmlessConstructor } from "../../src/session/harmless.js";

const owner = {
  fill: vi.fn(),
  allowsChange: vi.fn(() => true),
  refusal: vi.fn((): unknown => undefined),
  report: vi.fn((_error: unknown) => undefined),
  onChange: vi.fn(),
  onUntrackedReference: vi.fn(),
};

class Data extends ChangeTracker {
  readonly data = this.track(this.root);
  protected override fill = owner.fill;
  protected allowsChange = owner.allowsChange;
  protected override refusal = owner.refusal;
  protected override report = owner.report;
  protected override onChange = owner.onChange;
  protected override onUntrackedReference = owner.onUntrackedReference;
}

let data: any;
let root: any;

beforeEach(() => {
  vi.clearAllMocks();
  root = { list: [3, 1, 2], nested: { deep: { n: 1 } }, when: new Date(0), map: new Map() };
  data = new Data(root).data;
});

describe("track", () => {
  test.each<[string, () => unknown]>([
    ["a field", () => (data.n = 1)],
    ["a deep field", () => data.nested.deep.n++],
    ["push", () => data.list.push(4)],
    ["sort", () => data.list.sort()],
    ["splice", () => data.list.splice(0, 1)],
    ["length", () => (data.list.length = 0)],
    ["delete", () => delete data.nested.deep],
    ["defineProperty", () => Object.defineProperty(data, "n", { value: 1, enumerable: true })],
    ["Object.assign", () => Object.assign(data.nested, { more: 1 })],
  ])("notices %s", (_, change) => {
    change();
    expect(owner.onChange).toHaveBeenCalled();
  });

  test.each<[string, () => unknown]>([
    ["reading", () => JSON.stringify(data)],
    ["the same value", () => (data.nested.deep.n = 1)],
    ["the same object", () => Object.assign(data, { nested: data.nested })],
    ["deleting what is not there", () => delete data.nothing],
    ["iterating", () => [...data.list, ...Object.entries(data)]],
  ])("does not take %s for a change", (_, look) => {
    look();
    expect(owner.onChange).not.toHaveBeenCalled();
  });

  test("keeps plain objects behind the proxies, whatever is put where", () => {
    data.again = data.nested;
    data.list.push(data.nested.deep);
    expect(root.again).toBe(root.nested);
    expect(root.list[3]).toBe(root.nested.deep);
    expect(data.again).toBe(data.nested);
    expect(owner.onUntrackedReference).not.toHaveBeenCalled();
  });

  test("tells of an object that the application still holds", () => {
    const mine = (data.cart ??= []);
    expect(mine).not.toBe(data.cart);
    expect(owner.onUntrackedReference).toHaveBeenCalledOnce();
  });

  test("gives dates and maps as they are, arrays as arrays", () => {
    expect(data.when.getTime()).toBe(0);
    expect(data.map.size).toBe(0);
    expect(Array.isArray(data.list)).toBe(true);
    expect(data.list.toSorted()).toEqual([1, 2, 3]);
  });

  test("asks before a change, and drops what is not allowed without throwing", () => {
    owner.allowsChange.mockReturnValueOnce(false).mockReturnValueOnce(false);
    data.n = 1;
    delete data.nested;
    expect(root.n).toBeUndefined();
    expect(data.nested.deep.n).toBe(1);
  });

  test("cannot be frozen: changes from elsewhere come into these objects", () => {
    expect(() => Object.freeze(data.nested)).toThrow(TypeError);
  });

  test("can be looked at in logs", () => {
    // Node 26 says of each proxy that it is one.
    expect(["{ deep: { n: 1 } }", "Proxy({ deep: { n: 1 } })"]).toContain(inspect(data.nested));
  });
});

test("the object behind a tracked one is found, and who tracks it; anything else is as it is", () => {
  expect(rawOf(data.nested)).toBe(root.nested);
  expect(trackerOf(data.nested)).toBe(trackerOf(data));
  expect(trackerOf(root.nested)).toBeUndefined();
  const plain = {};
  for (const value of [plain, null, undefined, 5, "text"]) expect(rawOf(value)).toBe(value);
});

describe("reading", () => {
  test("gives one tracked object for each, null and scalars as they are", () => {
    root.none = null;
    expect(data.nested).toBe(data.nested);
    expect(data.nested).not.toBe(root.nested);
    expect([data.none, data.nothing, data.nested.deep.n]).toEqual([null, undefined, 1]);
  });

  test("finds in a list what was put there", () => {
    const list = (data.objects = [{ n: 1 }, { n: 2 }, { n: 1 }]);
    const [first, , last] = data.objects;
    data.objects.push(data.objects[0]);
    expect([data.objects.includes(first), data.objects.includes(list[1]), data.objects.includes({})]).toEqual([
      true,
      true,
      false,
    ]);
    expect([data.objects.indexOf(last), data.objects.indexOf(first, 1), data.objects.lastIndexOf(first)]).toEqual([
      2, 3, 3,
    ]);
  });

  test("leads to nothing that others share: functions are harmless, and there is no prototype", () => {
    expect(data.nested.toString).toBe(harmless(Object.prototype.toString as never));
    expect(data.list.push).toBe(harmless(Array.prototype.push as never));
    expect(data.list.includes).toBe(harmless(data.list.includes));
    expect([data.list.constructor(1), data.nested.constructor(1)]).toEqual([undefined, undefined]);
    expect(data.list.constructor).toBe(harmlessConstructor(Array as never));
    for (const one of [data, data.nested, data.list]) expect(one.__proto__).toBeUndefined();
  });

  test("gives a function of the data itself as it is, and what symbols name", () => {
    root.own = () => 1;
    root.constructor = () => 2;
    expect(data.own).toBe(root.own);
    expect(data.constructor).toBe(root.constructor);
    expect(data.list[Symbol.iterator]).toBe(Array.prototype[Symbol.iterator]);
  });

  test("gives a date that is the same, and harmless", () => {
    expect(data.when).toBe(root.when);
    expect(data.when.getTime).toBe(harmless(Date.prototype.getTime as never));
    expect(data.map).toBe(root.map);
  });
});

describe("the root", () => {
  test.each<[string, (target: any) => unknown]>([
    ["read", (target) => target.list],
    ["written", (target) => (target.n = 1)],
    ["asked for a name", (target) => "list" in target],
    ["listed", (target) => Object.keys(target)],
    ["asked for a property", (target) => Object.getOwnPropertyDescriptor(target, "list")],
    ["given a property", (target) => Object.defineProperty(target, "n", { value: 1 })],
    ["relieved of a field", (target) => delete target.list],
  ])("is filled before it is %s, other objects need not be", (_, look) => {
    const { nested } = data;
    owner.fill.mockClear();
    look(nested);
    expect(owner.fill).not.toHaveBeenCalled();
    owner.fill.mockImplementationOnce(() => void (root.filled = true));
    look(data);
    expect(owner.fill).toHaveBeenCalled();
  });

  test("has what it has", () => {
    expect(["list" in data, "nothing" in data, "toString" in data]).toEqual([true, false, true]);
    expect(Object.getOwnPropertyDescriptor(data.nested, "deep")).toMatchObject({ enumerable: true });
  });

  test("cannot be closed", () => {
    expect(Reflect.preventExtensions(data)).toBe(false);
    expect(Object.isExtensible(root)).toBe(true);
  });
});

describe("a name or a value that is none for data", () => {
  beforeEach(() => {
    root.cookie = Object.assign(new session.Cookie(), { maxAge: 5000 });
    root.nested.originalMaxAge = 1;
    root.list.originalMaxAge = 1;
  });

  test.each<[string, (target: any) => unknown, unknown[]]>([
    ["a field of the root", (target) => (target.n = 1), ["n", 1, false]],
    ["a property of the root", (target) => Object.defineProperty(target, "n", { value: 1 }), ["n", 1, false]],
    ["a field of the cookie", (target) => (target.cookie.maxAge = 1), ["maxAge", 1, true]],
    ["a prototype, anywhere", (target) => (target.nested["__proto__"] = 1), ["__proto__", 1, false]],
  ])("is asked for: %s", (_, change, asked) => {
    const before = JSON.stringify(root);
    owner.refusal.mockReturnValueOnce(new Error("refused"));
    change(data);
    expect(owner.refusal.mock.calls).toEqual([asked]);
    expect(owner.onChange).not.toHaveBeenCalled();
    expect(JSON.stringify(root)).toBe(before);
    change(data);
    expect(owner.onChange).toHaveBeenCalled();
  });

  test.each<[string, (target: any) => unknown]>([
    ["what a symbol names", (target) => (target[Symbol("own")] = 1)],
    ["fields of other objects, also if they have a cookie's names", (target) => (target.nested.path = 1)],
    ["elements of lists", (target) => (target.list[0] = 1)],
  ])("are not: %s", (_, change) => {
    change(data);
    expect(owner.refusal).not.toHaveBeenCalled();
    expect(owner.onChange).toHaveBeenCalled();
  });
});

describe("what JSON keeps as something else is put in, and reported", () => {
  test.each<[string, (target: any) => unknown, RegExp]>([
    ["a map", (target) => (target.n = new Map([[1, 2]])), /"n" is a Map: it is stored as {}\./],
    ["a set, deep inside", (target) => (target.nested.deep.n = new Set([1])), /"n" is a Set: it is stored as {}\./],
    ["a function", (target) => (target.n = () => 1), /"n" is a function: it is stored as nothing\./],
    ["a symbol", (target) => (target.n = Symbol("s")), /"n" is a symbol: it is stored as nothing\./],
    ["a number that is none", (target) => (target.n = Number.NaN), /"n" is NaN: it is stored as null\./],
    ["an infinite number in a list", (target) => target.list.push(1 / 0), /"3" is Infinity: it is stored as null\./],
  ])("%s", (_, change, message) => {
    change(data);
    expect(owner.report.mock.calls).toEqual([[expect.objectContaining({ code: "DATA_INVALID" })]]);
    expect(owner.report.mock.calls.flat()[0]).toMatchObject({ message: expect.stringMatching(message) });
    expect(owner.onChange).toHaveBeenCalled();
  });

  test("what it keeps, or refuses itself, is not", () => {
    Object.assign(data, { a: 1.5, b: "x", c: null, d: undefined, e: new Date(0), f: [true], g: { h: 1 }, i: 1n });
    data.buffer = Buffer.from("x");
    expect(owner.report).not.toHaveBeenCalled();
  });
});

describe("a change that is not allowed or cannot be", () => {
  test("by defineProperty is dropped", () => {
    owner.allowsChange.mockReturnValueOnce(false);
    Object.defineProperty(data, "n", { value: 1 });
    expect(root.n).toBeUndefined();
    expect(owner.onChange).not.toHaveBeenCalled();
  });

  test("is no change", () => {
    Object.defineProperty(root, "fixed", { value: 1 });
    expect(() => (data.fixed = 2)).toThrow(TypeError);
    expect(() => Object.defineProperty(data, "fixed", { value: 2 })).toThrow(TypeError);
    expect(() => delete data.fixed).toThrow(TypeError);
    expect(owner.onChange).not.toHaveBeenCalled();
  });
});

describe("what is put in", () => {
  test("is no object that the application holds, where it is a scalar", () => {
    for (const value of [1, "text", null, undefined, true]) data.n = value;
    expect(owner.onUntrackedReference).not.toHaveBeenCalled();
    expect(root.n).toBe(true);
  });

  test("by defineProperty is the object behind a proxy, and can be taken out again", () => {
    Object.defineProperty(data, "again", { value: data.nested, enumerable: true });
    expect(root.again).toBe(root.nested);
    Object.defineProperty(data, "again", { enumerable: false });
    expect(root.again).toBe(root.nested);
    Object.defineProperty(data, "read", { get: () => 7 });
    expect(data.read).toBe(7);
    delete data.again;
    expect("again" in root).toBe(false);
  });

  test("has no proxies at any depth, and its own cycles", () => {
    const put: any = { inner: { list: [data.nested, 1, data.list] }, none: null };
    put.self = put;
    put.inner.up = put;
    data.box = put;
    expect(root.box).toBe(put);
    expect(root.box.inner.list).toEqual([root.nested, 1, root.list]);
    expect(root.box.inner.list[0]).toBe(root.nested);
    expect(root.box.inner.list[2]).toBe(root.list);
    expect([root.box.self, root.box.inner.up]).toEqual([root.box, root.box]);
    expect(root.box.none).toBeNull();
  });

  test("and cannot be changed is a copy, one for each, at any depth", () => {
    const frozen = Object.freeze({ list: Object.freeze([Object.freeze({ n: 1 })]) });
    const map = new Map();
    data.box = { one: frozen, other: frozen, holder: Object.freeze({ map }) };
    expect(root.box.holder.map).toBe(map);
    expect(root.box.one).not.toBe(frozen);
    expect(root.box.other).toBe(root.box.one);
    data.box.one.list[0].n = 2;
    data.box.one.list.push(3);
    expect([JSON.stringify(root.box.one), frozen.list[0]?.n]).toEqual([`{"list":[{"n":2},3]}`, 1]);
  });

  test("and is of a class stays the same object", () => {
    const [map, when] = [Object.freeze(new Map()), new Date(5)];
    data.box = { map, when };
    expect([root.box.map, root.box.when]).toEqual([map, when]);
    expect(root.box.map).toBe(map);
    expect(root.box.when).toBe(when);
    class Message {
      readonly about = data.nested as unknown;
    }
    const message = new Message();
    data.box = { message };
    expect(root.box.message).toBe(message);
    // It is the application's: nothing in it is replaced.
    expect(message.about).toBe(data.nested);
  });

  test("and is another session's is a copy: two sessions share nothing", () => {
    const theirs: any = {
      bag: {
        list: [{ n: 1 }],
        when: new Date(0),
        big: new (class Big {
          value = 1n;
        })(),
      },
      cookie: new session.Cookie(),
    };
    const other: any = new Data(theirs).data;
    data.bag = other.bag;
    data.wrapped = { bag: other.bag };
    data.mine = other.cookie;
    for (const bag of [root.bag, root.wrapped.bag]) {
      expect(bag).not.toBe(theirs.bag);
      expect(bag.list).not.toBe(theirs.bag.list);
      expect(bag.list).toEqual([{ n: 1 }]);
      expect(bag.list[0]).not.toBe(theirs.bag.list[0]);
      expect(bag.when).toBe("1970-01-01T00:00:00.000Z");
      // It cannot be written, which is told when it is saved.
      expect(bag.big).toBe(theirs.bag.big);
      expect(trackerOf(bag.list)).toBeUndefined();
    }
    expect(root.mine).toEqual(JSON.parse(JSON.stringify(theirs.cookie)));
    expect(Object.getPrototypeOf(root.mine)).toBe(Object.prototype);
    data.bag.list[0].n = 2;
    expect(theirs.bag.list[0].n).toBe(1);
  });
});
