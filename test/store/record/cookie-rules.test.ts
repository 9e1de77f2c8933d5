import session from "express-session";
import { describe, expect, test } from "vitest";
import { clearInvalidAttributes, cookieRules, wrongInCookie } from "../../../src/store/record/cookie-rules.js";

const day = 86_400_000;
const noDate = new Date(Number.NaN);
/** The last moment that a Date can hold (ms since 1970). */
const endOfTime = 8.64e15;

const durations = { good: [0, 1, day, new Date()], bad: [-1, Number.NaN, Infinity, endOfTime, "1000", noDate, true] };
const booleans = { good: [true, false], bad: ["true", "auto", 0, 1, {}] };

/** By the field: what express-session can write into a header, and what it cannot. */
const rules: [field: string, what: string, values: { good: unknown[]; bad: unknown[] }][] = [
  ["path", 'a path such as "/"', { good: ["/", "/app"], bad: ["/a;b", "/\n", 5, true, {}] }],
  ["domain", "a domain", { good: ["example.com", ".example.com"], bad: ["exa mple.com", "a;b", 5, {}] }],
  ["maxAge", "a number of ms (0 or more)", durations],
  ["originalMaxAge", "a number of ms (0 or more)", durations],
  ["expires", "a Date", { good: [new Date(), new Date(0)], bad: [noDate, 0, "2030-01-01", {}, false] }],
  ["httpOnly", "true or false", booleans],
  ["secure", 'true, false or "auto"', { good: [true, false, "auto"], bad: ["AUTO", "true", 1] }],
  ["partitioned", "true or false", booleans],
  [
    "sameSite",
    'true, false, "lax", "strict", "none" or "auto"',
    { good: [true, false, "lax", "strict", "none", "auto", "Lax"], bad: ["", "loose", 1, ["lax"], {}] },
  ],
  [
    "priority",
    '"low", "medium" or "high"',
    { good: ["low", "medium", "high", "HIGH"], bad: ["", "urgent", true, 1, ["low"]] },
  ],
];

test("there is a rule for each field of a cookie", () => {
  expect(Object.keys(cookieRules)).toEqual(rules.map(([field]) => field));
});

test.each(rules)("a cookie's %s is %s", (field, what, { good, bad }) => {
  const rule = cookieRules[field];
  expect(rule?.what).toBe(what);
  for (const value of good) expect(rule?.isGood(value), String(value)).toBe(true);
  for (const value of bad) expect(rule?.isGood(value), String(value)).toBe(false);
});

describe("a session's cookie object", () => {
  const wrong = (field: string, value: unknown) => wrongInCookie(field, value, session.Cookie.prototype);

  test.each(["maxAge", "originalMaxAge"])("takes a past time as its %s, which ends the session", (field) => {
    for (const value of [-1, 0, day, -endOfTime, new Date(0)]) expect(wrong(field, value)).toBeUndefined();
    for (const value of [endOfTime, Number.NaN, "1000"]) expect(wrong(field, value)).toBe("it must be a number of ms");
  });

  test.each(["expires", "_expires"])("takes a Date, or false for no limit, as its %s", (field) => {
    for (const value of [new Date(), false]) expect(wrong(field, value)).toBeUndefined();
    for (const value of [noDate, true, 0, "2030-01-01"]) expect(wrong(field, value)).toBe("it must be a Date");
  });

  test("may lack any field", () => {
    for (const [field] of rules) {
      expect(wrong(field, undefined)).toBeUndefined();
      expect(wrong(field, null)).toBeUndefined();
    }
  });

  test("says what a field would have to be", () => {
    expect(wrong("secure", "yes")).toBe('it must be true, false or "auto"');
    expect(wrong("secure", true)).toBeUndefined();
  });

  test("keeps its methods, and takes fields of the application's own", () => {
    for (const method of ["serialize", "toJSON", "data", "toString"]) {
      expect(wrong(method, "x")).toBe("all cookies have a method or property of that name");
    }
    expect(wrong("theme", () => "dark")).toBeUndefined();
  });
});

describe("a stored cookie", () => {
  test("loses the attributes that no header can have, and keeps all others", () => {
    const cookie = { path: "/a;b", domain: 5, secure: "yes", httpOnly: true, sameSite: "lax", theme: "\n" };
    clearInvalidAttributes(cookie);
    expect(cookie).toEqual({ path: null, domain: null, secure: null, httpOnly: true, sameSite: "lax", theme: "\n" });
  });

  test("keeps its times, which have another form in a text than in a Cookie", () => {
    const cookie = { originalMaxAge: -1, expires: "2030-01-01T00:00:00.000Z", maxAge: "x" };
    clearInvalidAttributes(cookie);
    expect(cookie).toEqual({ originalMaxAge: -1, expires: "2030-01-01T00:00:00.000Z", maxAge: null });
  });
});
