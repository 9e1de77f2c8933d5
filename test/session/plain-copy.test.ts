// Copies of session data for who clones.
import { expect, test } from "vitest";
import { untracked } from "../../src/session/plain-copy.js";
import { liveSession } from "../support/live-session.js";

async function sessionOf(fields: object): Promise<any> {
  const { data } = await liveSession();
  return Object.assign(data, fields);
}

test("holds what the session holds, wherever it stands, and can be cloned", async () => {
  const session = await sessionOf({ cart: ["apple", { ripe: true }], address: { city: "Ulm" } });
  const buffer = Buffer.from("as it is");
  const sent = { list: [session.cart, 1n], nested: { deep: { address: session.address } }, buffer, missing: undefined };
  const copy = untracked(sent);
  expect(copy).toEqual({
    list: [["apple", { ripe: true }], 1n],
    nested: { deep: { address: { city: "Ulm" } } },
    buffer,
    missing: undefined,
  });
  expect(copy?.buffer).toBe(buffer);
  expect(() => structuredClone(copy)).not.toThrow();
  expect(structuredClone(untracked({ session }))).toMatchObject({ session: { address: { city: "Ulm" } } });
  expect(JSON.stringify(untracked({ session }))).toBe(JSON.stringify({ session }));
});

test("is not made where there is no data of a session", () => {
  expect(untracked({ plain: [{ text: "text" }], none: null })).toBeUndefined();
});

test("keeps an object of a class readable, ends at a cycle, and is not made by recursion", async () => {
  const { cart } = await sessionOf({ cart: ["apple"] });
  class Message {
    readonly cart = cart as unknown;
  }
  const around: { self?: unknown; message: Message; deep: unknown } = { message: new Message(), deep: [] };
  around.self = around;
  for (let depth = 0; depth < 50_000; depth++) around.deep = [around.deep];
  const copy = untracked(around);
  expect(copy?.message).toEqual({ cart: ["apple"] });
  expect(copy?.self).toBe(copy);
});

test("is one object where the same stands in two places, and has the cookie as it is stored", async () => {
  const session = await sessionOf({ cart: ["apple"] });
  const copy: any = untracked({ one: session.cart, other: session.cart, session });
  expect(copy.other).toBe(copy.one);
  expect(copy.session.cart).toBe(copy.one);
  expect(copy.session.cookie).toEqual({ originalMaxAge: null, expires: null, httpOnly: true, path: "/" });
  expect(Object.getPrototypeOf(copy.session.cookie)).toBe(Object.prototype);
});

test("of data of a session alone is one, and leaves what it is of as it was", async () => {
  const session = await sessionOf({ nested: { list: [1] } });
  const copy = untracked(session.nested);
  copy.list.push(2);
  expect(session.nested.list).toEqual([1]);
  session.nested.list = [];
  expect(untracked(session.nested)).toEqual({ list: [] });
  expect(Object.getPrototypeOf(untracked({ nested: session.nested }))).toBe(Object.prototype);
});

test("takes dates and maps as they are, and leaves it to the printer to call a toJSON of the application's", async () => {
  const session = await sessionOf({ nested: {} });
  class Price {
    toJSON = (): string => "1 €";
  }
  const [price, when] = [new Price(), new Date(0)];
  const copy = untracked({ session: session.nested, price, when, map: new Map([[1, 2]]), text: "text", none: null });
  expect(copy).toEqual({
    session: {},
    price: { toJSON: price.toJSON },
    when,
    map: new Map([[1, 2]]),
    text: "text",
    none: null,
  });
  expect(copy?.when).toBe(when);
});

test("has no field that would set its prototype", async () => {
  const session = await sessionOf({ nested: {} });
  const hostile = { session: session.nested, ...JSON.parse(`{"bag":{"__proto__":{"isAdmin":true},"a":1}}`) };
  const copy = untracked(hostile);
  expect(copy.bag.isAdmin).toBeUndefined();
  expect(copy.bag).toEqual({ a: 1 });
});

test("of a value that is no object is not made", () => {
  for (const value of [null, undefined, 1, "text"]) expect(untracked(value)).toBeUndefined();
});
