// Session data as text and as the object that handlers see: how one comes into the other.
import session from "express-session";
import { describe, expect, test } from "vitest";
import { fillRoot, isOther, keepCookie, rebaseRoot } from "../../src/session/rebase.js";

const stored = (fields: object, maxAge: number | null = null): string =>
  JSON.stringify({ cookie: { originalMaxAge: maxAge, expires: null, httpOnly: true, path: "/" }, ...fields });

/** A root as `fillRoot` makes it. */
function rootOf(text: string): any {
  const root: any = { cookie: undefined };
  fillRoot(root, text);
  return root;
}

describe("filling a root", () => {
  test("gives it the fields and a cookie of express-session's, without marks and names of methods", () => {
    const root = rootOf(stored({ user: "ada", save: 1, __created: 5, cart: [1] }, 60_000));
    expect(Object.keys(root).toSorted()).toEqual(["cart", "cookie", "user"]);
    expect(root.cookie).toBeInstanceOf(session.Cookie);
    expect(root.cookie.originalMaxAge).toBe(60_000);
  });
});

describe("bringing newer text into a root", () => {
  test("without a base makes it the text, with the same objects", () => {
    const root = rootOf(stored({ a: { n: 1 }, list: [{ n: 1 }], gone: 1 }, 1000));
    const { a, list, cookie } = root;
    const element = list[0];
    root.unsaved = true;
    rebaseRoot(root, stored({ a: { n: 2 }, list: [{ n: 3 }], save: 1, __created: 5 }, 2000), undefined);
    expect(JSON.parse(JSON.stringify(root))).toEqual({
      a: { n: 2 },
      list: [{ n: 3 }],
      cookie: expect.objectContaining({ originalMaxAge: 2000 }),
    });
    expect([root.a === a, root.list === list, root.list[0] === element, root.cookie === cookie]).toEqual(
      Array(4).fill(true),
    );
    expect(root.cookie).toBeInstanceOf(session.Cookie);
  });

  test("keeps on top what the root has over its base, and nothing else", () => {
    const base = stored({ a: 1, b: 1, c: 1 });
    const root = rootOf(base);
    Object.assign(root, { a: 2, d: 1 });
    delete root.c;
    rebaseRoot(root, stored({ a: 5, b: 5, c: 5, e: 5 }), base);
    expect({ ...root, cookie: 0 }).toEqual({ a: 2, b: 5, d: 1, e: 5, cookie: 0 });
  });

  test.each([undefined, null, 7])("gives one without a cookie (%s) the stored one", (cookie) => {
    const root: any = { cookie, a: 1 };
    rebaseRoot(root, stored({ a: 2 }, 2000), undefined);
    expect(root.cookie).toBeInstanceOf(session.Cookie);
    expect([root.a, root.cookie.originalMaxAge]).toEqual([2, 2000]);
  });

  test("with a change that cannot be written fails, and leaves the root as it was", () => {
    const base = stored({ a: 1 });
    const root = rootOf(base);
    root.big = 1n;
    expect(() => rebaseRoot(root, stored({ a: 2 }), base)).toThrow(expect.objectContaining({ code: "DATA_INVALID" }));
    expect({ ...root, cookie: 0 }).toEqual({ a: 1, big: 1n, cookie: 0 });
  });
});

describe("a root is other than its text", () => {
  const text = stored({ a: { n: 1 }, __created: 5 });

  test.each<[string, boolean, (root: any) => unknown]>([
    ["as it was read", false, () => 0],
    ["with the same value put in again", false, (root) => (root.a = { n: 1 })],
    ["with a changed field", true, (root) => (root.a.n = 2)],
    ["with a field more", true, (root) => (root.b = 1)],
    ["with a field less", true, (root) => delete root.a],
    ["with a changed cookie", true, (root) => (root.cookie.originalMaxAge = 5)],
  ])("%s: %s", (_, expected, change) => {
    const root = rootOf(text);
    change(root);
    expect(isOther(root, text)).toBe(expected);
  });

  test("with what cannot be written: nobody can tell", () => {
    const root = rootOf(text);
    root.big = 1n;
    expect(() => isOther(root, text)).toThrow(expect.objectContaining({ code: "DATA_INVALID" }));
  });
});

test("a root without a cookie gets the stored one, others keep theirs", () => {
  for (const cookie of [undefined, null]) {
    const root: any = { cookie };
    keepCookie(root, stored({}, 5000));
    expect(root.cookie).toBeInstanceOf(session.Cookie);
    expect(root.cookie.originalMaxAge).toBe(5000);
  }
  const own = new session.Cookie();
  const root = { cookie: own };
  keepCookie(root, stored({}, 5000));
  expect(root.cookie).toBe(own);
});
