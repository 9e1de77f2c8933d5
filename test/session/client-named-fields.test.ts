// The names of fields may be a client's: `session[key] = value`, `session[key][field] = value`.
import { inspect, promisify } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { startApp } from "../support/app.js";
import { backendOf } from "../../src/store/live-store.js";
import { twoSessions } from "../support/server-session.js";

async function anonymousSession() {
  const app = await startApp({ attach: { missing: "anonymous" } });
  await app.browser().connect();
  const [server] = [...app.io.of("/").sockets.values()];
  return server?.session as any;
}

const methods = ["save", "reload", "touch", "destroy", "regenerate", "resetMaxAge"];
const inherited = Object.getOwnPropertyNames(Object.prototype);

/** What is shared by all code of the process, and by the sessions given. */
function sharedBy(...sessions: any[]): unknown[] {
  const roots = [Object, Array, Date, Function].flatMap((one) => [one, one.prototype]);
  const names = [...methods, ...inherited, "push", "expires", "getTime", "serialize"];
  return [...roots, ...sessions, ...names.flatMap((name) => [...roots, ...sessions].map((root) => root[name]))];
}

/** Takes every way of up to four names, and plants a value at its end; answers with whom it reached. */
function plantEverywhere(session: any, shared: () => unknown[]): unknown[] {
  const names = ["constructor", "prototype", "__proto__", "save", "call", "toString", "push", "getTime", "cookie"];
  const starts = [...names, ...methods, ...inherited, "list", "nested", "when"];
  const visited = new Set<unknown>();
  const visit = (value: any, depth: number): void => {
    if ((typeof value !== "object" && typeof value !== "function") || value === null || visited.has(value)) return;
    visited.add(value);
    for (const change of [
      () => (value.planted = true),
      () => Object.defineProperty(value, "planted", { value: true, configurable: true }),
    ]) {
      try {
        change();
      } catch {
        // Dropped or refused: both do no harm.
      }
    }
    if (depth === 0) return;
    for (const name of [...names, "expires", "length", "0"]) visit(value[name], depth - 1);
  };
  for (const name of starts) visit(session[name], 4);
  return shared().filter((one: any) => one !== undefined && one !== null && Object.hasOwn(Object(one), "planted"));
}

describe("session[key][field] = value", () => {
  test("reaches nothing that others share, from any inherited name at any depth", async () => {
    const { one, two } = await twoSessions();
    Object.assign(one, { list: [{ n: 1 }], nested: { deep: {} }, when: new Date(0) });
    expect(plantEverywhere(one, () => sharedBy(two, two.cookie))).toEqual([]);
  });

  test("reaches nothing through the session of an anonymous socket", async () => {
    const session = await anonymousSession();
    expect(plantEverywhere(session, () => sharedBy(session, session.cookie))).toEqual([]);
  });

  test("reaches nothing through what update() hands out", async () => {
    const { app, one, two } = await twoSessions();
    const reached = await app.sessions.update(one.id, (data: any) => {
      Object.assign(data, { list: [{ n: 1 }], nested: {}, when: new Date(0) });
      return plantEverywhere(data, () => sharedBy(two));
    });
    expect(reached).toEqual([]);
  });
});

describe("what objects inherit", () => {
  test("still works on session data", async () => {
    const { one } = await twoSessions();
    Object.assign(one, { list: [3, 1, 2], nested: { a: 1 }, when: new Date(0) });
    expect(one.hasOwnProperty("user")).toBe(true);
    expect(one.nested.propertyIsEnumerable("a")).toBe(true);
    expect(`${one.nested} ${one.list} ${String(one)}`).toBe("[object Object] 3,1,2 [object Object]");
    expect(one.list.toSorted().map((n: number) => n * 2)).toEqual([2, 4, 6]);
    expect([].concat(one.list)).toEqual([3, 1, 2]);
    expect(one.when.getTime()).toBe(0);
    expect(one.when).toBeInstanceOf(Date);
    expect(JSON.stringify(one.when)).toBe('"1970-01-01T00:00:00.000Z"');
    expect(inspect(one.when)).toContain("1970-01-01T00:00:00.000Z");
    expect(one.nested.valueOf()).toBe(one.nested);
  });

  // Printers, matchers and loggers read `value.constructor.name`.
  test("has constructors with the right names, which make nothing and lead nowhere", async () => {
    const { one, two } = await twoSessions();
    Object.assign(one, { list: [1], nested: { deep: {} }, when: new Date(0) });
    // express-session's Cookie names none of its own.
    const named = {
      Object: [one, one.cookie, one.nested, one.nested.deep],
      Array: [one.list],
      Date: [one.when],
    };
    for (const [name, values] of Object.entries(named)) {
      for (const { constructor } of values) {
        expect(constructor.name).toBe(name);
        expect(Object.isFrozen(constructor)).toBe(true);
        expect([constructor.constructor, constructor.keys, constructor.now, constructor()]).toEqual(
          Array(4).fill(undefined),
        );
        expect(() => new constructor()).toThrow(TypeError);
        expect(Object.isFrozen(constructor.prototype) && constructor.prototype.constructor).toBe(undefined);
        expect(one instanceof constructor).toBe(false);
      }
    }
    expect(one.constructor).toBe(two.constructor);
  });

  test("is printed and compared by test tools as plain data is", async () => {
    const { one } = await twoSessions();
    Object.assign(one, { list: [{ n: 1 }], nested: { deep: {} }, when: new Date(0) });
    const { cookie: _, ...fields } = one;
    expect(fields).toEqual({ user: "ada", list: [{ n: 1 }], nested: { deep: {} }, when: new Date(0) });
    expect(one.nested).toMatchInlineSnapshot(`
      {
        "deep": {},
      }
    `);
    expect([one.list, one.when]).toMatchInlineSnapshot(`
      [
        [
          {
            "n": 1,
          },
        ],
        1970-01-01T00:00:00.000Z,
      ]
    `);
  });

  test("a method may be called, bound, applied and made a promise of", async () => {
    const { one } = await twoSessions();
    one.list = [];
    one.list.push.apply(one.list, [1, 2]);
    one.list.push.call(one.list, 3);
    expect([...one.list]).toEqual([1, 2, 3]);
    await one.save.bind(one)();
    await promisify(one.save.bind(one))();
    await promisify(one.save).call(one);
  });
});

describe("session[key] = value", () => {
  test.each([...methods, "id", "toString", "hasOwnProperty", "constructor", "__proto__"])(
    "with the name of what all sessions have (%s) is left out, told, and breaks nothing",
    async (name) => {
      const { ada, one, errors } = await twoSessions();
      const before = one[name];
      for (const value of [1, null, { planted: true }, () => "planted"]) {
        one[name] = value;
        expect(one[name]).toBe(before);
      }
      expect(errors[0]).toMatchObject({ code: "DATA_INVALID", message: expect.stringContaining(`"${name}"`) });
      one.other = "x";
      await one.save();
      expect(await ada.get("/session")).toEqual({ user: "ada", other: "x" });
    },
  );

  test("of a nested object takes such names as any other", async () => {
    const { ada, one, errors } = await twoSessions();
    one.bag = {};
    for (const name of [...methods, "toString", "constructor"]) one.bag[name] = { name };
    await one.save();
    expect(await ada.get("/session")).toMatchObject({ bag: { constructor: { name: "constructor" } } });
    expect(one.bag.constructor.name).toBe("constructor");
    expect(errors).toEqual([]);
  });

  test("cannot take the cookie away, without which the session would never expire", async () => {
    const { app, one, errors } = await twoSessions();
    const before = JSON.stringify(one.cookie);
    for (const value of [1, "x", {}, { originalMaxAge: 9e15, expires: null }]) one.cookie = value;
    one.other = "x";
    await one.save();
    expect(errors[0]).toMatchObject({ code: "DATA_INVALID", message: expect.stringContaining('"cookie"') });
    const text = await backendOf(app.sessions.store).read(one.id, (found) => found);
    expect(JSON.stringify(JSON.parse(text as string).cookie)).toBe(before);
  });

  test.each<[string, unknown]>([
    ["originalMaxAge", "x"],
    ["originalMaxAge", { a: 1 }],
    ["maxAge", "60000"],
    ["maxAge", Number.NaN],
    ["maxAge", Number.POSITIVE_INFINITY],
    ["expires", "tomorrow"],
    ["expires", 1],
    ["_expires", "x"],
    ["domain", "a b"],
    ["domain", { a: 1 }],
    ["path", ["/"]],
    ["sameSite", "laxx"],
    ["priority", {}],
    ["secure", "yes"],
    ["httpOnly", 1],
    ["toJSON", "x"],
    ["serialize", 1],
    ["data", {}],
  ])("of its cookie takes what express-session can work with, and not %s: %o", async (field, value) => {
    const { app, ada, one, errors } = await twoSessions();
    const before = JSON.stringify(one.cookie);
    one.cookie[field] = value;
    Object.assign(one, { kept: 1 });
    await one.save();
    await app.sessions.update(one, ({ cookie }) => void ((cookie as any)[field] = value));
    expect(JSON.stringify(one.cookie)).toBe(before);
    expect(errors.map(({ code }) => code)).toEqual(["DATA_INVALID", "DATA_INVALID"]);
    expect(errors[0].message).toContain(`cookie["${field}"]`);
    // Else no request of this session would be answered any more.
    expect((await ada.fetch("/session")).status).toBe(200);
  });

  test("of its cookie takes new times, and those that end it", async () => {
    const { app, one, two, errors } = await twoSessions();
    one.cookie.maxAge = 60_000;
    one.cookie.expires = new Date(Date.now() + 30_000);
    one.cookie.sameSite = "Strict";
    one.cookie.expires = null;
    two.cookie.maxAge = -1;
    await one.save();
    await two.save().catch(() => undefined);
    await vi.waitFor(() => expect(app.sessions.get(two)?.ended).toBe("SESSION_EXPIRED"));
    expect(errors.filter(({ code }) => code === "DATA_INVALID")).toEqual([]);
  });

  test("in update() is left out and told, too", async () => {
    const { app, ada, one, errors } = await twoSessions();
    await app.sessions.update(one.id, (data: any) => void Object.assign(data, { save: 1, other: "x" }));
    expect(errors).toMatchObject([{ code: "DATA_INVALID" }]);
    expect(await ada.get("/session")).toEqual({ user: "ada", other: "x" });
  });
});

test("a field that is called id (a database row put into the session) does not break the session", async () => {
  const { app, ada, one } = await twoSessions();
  const [server] = [...app.io.of("/").sockets.values()] as any[];
  const { id } = one;
  await app.sessions.update(server, (data: any) => void Object.assign(data, { id: 7, other: "row" }));
  expect(one).toMatchObject({ id, user: "ada", other: "row" });
  expect((await ada.post("/set", { other: "http" })).status).toBe(200);
  expect(one).toMatchObject({ id, user: "ada", other: "http" });
});

test("a stored field named destroy does not hide the method", async () => {
  const { ada, one } = await twoSessions();
  await ada.post("/set", { destroy: 1, other: "x" });
  expect(one.other).toBe("x");
  expect(one.destroy).toBeTypeOf("function");
});

test("session[key][field] = value with key __proto__ reaches no other session", async () => {
  const { one, two } = await twoSessions();
  expect(() => {
    one["__proto__"]["isAdmin"] = true;
  }).toThrow(TypeError);
  expect(two.isAdmin).toBeUndefined();
});

test("session.__proto__ = … does not take its methods away", async () => {
  const { one } = await twoSessions();
  one["__proto__"] = { x: 1 };
  expect(one.save).toBeTypeOf("function");
  expect(one.x).toBeUndefined();
});
