import session from "express-session";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addTicket,
  consumeTicket,
  type CookieRecord,
  expiryOf,
  inflate,
  isMarked,
  isSameMaxAge,
  marksOf,
  mayEndSooner,
  mergeCookie,
  mergeInto,
  parse,
  prolong,
  rebaseText,
  type SessionRecord,
  stamp,
  stringify,
  strip,
  tryParse,
  timesOf,
} from "../../../src/store/record/session-record.js";

// Its options are not in the types.
const Cookie = session.Cookie as unknown as new (options: object) => session.Cookie;

const now = Date.UTC(2030, 0, 1);
const minute = 60_000;
const at = (ms: number): string => new Date(now + ms).toISOString();
const cookie = (maxAge: number | null, ms?: number): CookieRecord => ({
  originalMaxAge: maxAge,
  expires: ms === undefined ? null : at(ms),
});
const record = (fields: object, its = cookie(minute, minute)): SessionRecord => ({ cookie: its, ...fields });
const infinite = Number.POSITIVE_INFINITY;

test("a session's times are read from its first characters as they are from the whole", () => {
  const options = fc.record({
    maxAge: fc.option(fc.integer({ min: 1, max: 10 ** 10 })),
    path: fc.constantFrom("/", '/"quoted"'),
  });
  fc.assert(
    fc.property(
      options,
      fc.string(),
      fc.option(fc.nat(), { nil: undefined }),
      fc.boolean(),
      ({ maxAge, path }, user, at, isFirst) => {
        const made = new Cookie({ path, ...(maxAge !== null && { maxAge }) });
        const record = parse(stringify(isFirst ? { cookie: made, user } : { user, cookie: made }));
        if (at !== undefined) stamp(record, at);
        expect(timesOf(stringify(record))).toEqual({
          // express-session computes it from two readings of the clock.
          maxAge: made.originalMaxAge ?? undefined,
          expires: maxAge === null ? Number.POSITIVE_INFINITY : (made.expires as Date).getTime(),
          createdAt: at,
        });
      },
    ),
  );
});

test("odd cookies are read, too: none, of another form, with a date that is none", () => {
  const none = { maxAge: undefined, expires: Number.POSITIVE_INFINITY, createdAt: undefined };
  for (const text of [
    "{}",
    '{"cookie":null}',
    '{"cookie":{"expires":"never","originalMaxAge":"x"}}',
    '{"cookie":{}}',
  ]) {
    expect(timesOf(text)).toEqual(none);
  }
  for (const text of ["[]", "", `{"cookie":`]) {
    expect(timesOf(text)).toEqual(none);
    expect(tryParse(text)).toBeUndefined();
  }
});

test("a record goes through express-session's cookie and back", () => {
  const text =
    '{"cookie":{"originalMaxAge":60000,"expires":"2030-01-01T00:00:00.000Z","httpOnly":true,"path":"/"},"user":"ada"}';
  const data = inflate(strip(parse(text)));
  expect(data.cookie).toBeInstanceOf(session.Cookie);
  expect(JSON.parse(stringify(data))).toEqual(JSON.parse(text));
});

describe("parse", () => {
  test.each(["[]", "null", "1", '"text"'])("refuses what is no object: %s", (text) => {
    expect(() => parse(text)).toThrow("a stored session is not a JSON object");
  });

  test.each(["{}", '{"cookie":null}', '{"cookie":[1]}', '{"cookie":"x"}'])("gives a cookie to %s", (text) => {
    expect(parse(text)).toEqual({ cookie: { originalMaxAge: null, expires: null } });
  });

  const parsed = (its: object): object => parse(JSON.stringify({ cookie: its, a: 1 }));

  test.each([0, 1, -1, minute, 1e15 - 1, 1 - 1e15])("keeps %d as the originalMaxAge", (originalMaxAge) => {
    const its = { originalMaxAge, expires: at(0) };
    expect(parsed(its)).toEqual({ cookie: its, a: 1 });
  });

  test.each([1e15, -1e15, "60000", {}, undefined])("clears %j as the originalMaxAge", (originalMaxAge) => {
    expect(parsed({ originalMaxAge, expires: null })).toEqual({ cookie: cookie(null), a: 1 });
  });

  test.each<[stored: unknown, expires: string | null]>([
    [at(5), at(5)],
    ["Tue, 01 Jan 2030 00:00:00 GMT", "Tue, 01 Jan 2030 00:00:00 GMT"],
    [now, at(0)],
    [1 - 1e15, new Date(1 - 1e15).toISOString()],
    [1e15 - 1, new Date(1e15 - 1).toISOString()],
    [1e15, null],
    [-1e15, null],
    [8.64e15 + 1, null],
    ["never", null],
    [["2030"], null],
    [false, null],
    [undefined, null],
    [null, null],
  ])("reads %j as the moment %j when the cookie ends", (stored, expires) => {
    expect(parsed({ originalMaxAge: 1, expires: stored })).toEqual({ cookie: { originalMaxAge: 1, expires }, a: 1 });
  });

  test("clears what no header can have", () => {
    const its = { ...cookie(minute, 0), httpOnly: true };
    expect(parsed({ ...its, path: "/a;b" })).toEqual({ cookie: { ...its, path: null }, a: 1 });
  });
});

test("what is nested too deep is no session: it is neither read nor written", () => {
  const levels = (count: number): string => "[".repeat(count) + "]".repeat(count);
  const text = `{"a":${levels(1001)}}`;
  expect(tryParse(text)).toBeUndefined();
  expect(tryParse(`{"a":${levels(1000)}}`)).toBeDefined();
  const deep = expect.objectContaining({ code: "DATA_INVALID", message: expect.stringContaining('"a"') });
  expect(() => stringify(JSON.parse(text) as object)).toThrow(deep);
  expect(() => stringify({ a: 10n })).toThrow(deep);
});

describe("the times of a session", () => {
  test.each<[rule: string, text: string, maxAge: number | undefined, expires: number]>([
    ["both are set", '{"cookie":{"originalMaxAge":60000,"expires":"2030-01-01T00:00:00.000Z"}}', minute, now],
    ["neither is set", '{"cookie":{"originalMaxAge":null,"expires":null},"a":1}', undefined, infinite],
    ["the cookie has an end alone", '{"cookie":{"originalMaxAge":null,"expires":"2030-01-01"}}', undefined, now],
    ["a maxAge of 0 is a limit", '{"cookie":{"originalMaxAge":0,"expires":null}}', 0, infinite],
    ["a date that is none", '{"cookie":{"originalMaxAge":1,"expires":"never"},"a":1}', 1, infinite],
    ["in another order", '{"a":1,"cookie":{"expires":1893456000000,"originalMaxAge":5}}', 5, now],
    [
      "another cookie in a field does not count",
      '{"a":{"cookie":{"originalMaxAge":1,"expires":null}},"cookie":{"originalMaxAge":5,"expires":null}}',
      5,
      infinite,
    ],
  ])("%s", (_, text, maxAge, expires) => expect(timesOf(text)).toEqual({ maxAge, expires, createdAt: undefined }));

  test("say when it was created, where that was noted", () => {
    expect(timesOf(stringify(record({ __created: now }))).createdAt).toBe(now);
    expect(timesOf(stringify(record({ __created: "today" }))).createdAt).toBeUndefined();
  });

  test("its end is its cookie's", () => {
    expect(expiryOf(record({}, cookie(minute, 5)))).toBe(now + 5);
    expect(expiryOf(record({}, cookie(null)))).toBe(infinite);
  });
});

describe("our marks", () => {
  test("are noticed in a text, each alone", () => {
    expect(isMarked(stringify(record({ __created: 1 })))).toBe(true);
    expect(isMarked(stringify(record({ __tickets: {} })))).toBe(true);
    expect(isMarked(stringify(record({ created: 1, tickets: {}, a: "__created __tickets" })))).toBe(false);
  });

  test("can be taken out of a record, and away from it", () => {
    const marks = { __created: 1, __tickets: { nonce: 2 } };
    expect(marksOf(record({ a: 1, ...marks }))).toStrictEqual(marks);
    expect(marksOf(record({ a: 1, __created: 1 }))).toStrictEqual({ __created: 1 });
    expect(marksOf(record({ a: 1 }))).toStrictEqual({});
    expect(strip(record({ a: 1, ...marks }))).toStrictEqual(record({ a: 1 }));
  });

  test("the time of creation is noted once", () => {
    const one = record({});
    stamp(one, 5);
    stamp(one, 6);
    expect(one).toEqual(record({ __created: 5 }));
  });
});

describe("tickets", () => {
  test("a ticket can be used once, and leaves nothing", () => {
    const one = record({});
    addTicket(one, "a", now + 2, now);
    addTicket(one, "b", now + 1, now);
    expect(one).toEqual(record({ __tickets: { a: now + 2, b: now + 1 } }));
    expect(consumeTicket(one, "other")).toBe(false);
    expect(consumeTicket(one, "a")).toBe(true);
    expect(consumeTicket(one, "a")).toBe(false);
    expect(one).toEqual(record({ __tickets: { b: now + 1 } }));
    expect(consumeTicket(one, "b")).toBe(true);
    expect(one).toStrictEqual(record({}));
    expect(consumeTicket(one, "b")).toBe(false);
  });

  test("those that ended are forgotten when one is added", () => {
    const one = record({ __tickets: { past: now - 1, ending: now, open: now + 1 } });
    addTicket(one, "new", now + 2, now);
    expect(one["__tickets"]).toEqual({ open: now + 1, new: now + 2 });
  });

  test("sixteen are open at once: a further one takes the place of the one that ends first", () => {
    const one = record({});
    // In no order: a store may keep the fields in an order of its own.
    for (let index = 0; index < 16; index++) addTicket(one, `t${index}`, now + 1 + ((index * 7) % 16), now);
    expect(Object.keys(one["__tickets"] as object)).toHaveLength(16);
    addTicket(one, "new", now + 100, now);
    const left = Object.keys(one["__tickets"] as object);
    expect(left).toHaveLength(16);
    expect(left).toContain("new");
    expect(left).not.toContain("t0");
    addTicket(one, "newer", now + 100, now);
    expect(one["__tickets"]).not.toHaveProperty("t7");
  });

  test("what else stands in their place is no ticket", () => {
    const one = record({ __tickets: ["a"] });
    expect(consumeTicket(one, "0")).toBe(false);
    addTicket(one, "a", now + 1, now);
    expect(one["__tickets"]).toEqual({ a: now + 1 });
  });
});

describe("a merge", () => {
  test("applies what the writer changed to what is there now", () => {
    const current = record({ a: 2, b: 1, c: 1 }, cookie(minute, 500));
    mergeInto(current, record({ a: 1, b: 1 }), record({ a: 1, d: 1 }));
    expect(current).toEqual(record({ a: 2, c: 1, d: 1 }, cookie(minute, 500)));
  });

  test("changes nothing where the writer changed nothing", () => {
    const current = record({ a: 2 });
    mergeInto(current, record({ a: 1 }), record({ a: 1 }));
    expect(current).toEqual(record({ a: 2 }));
  });

  test("goes into a field that is called cookie elsewhere, and takes the cookie's other fields from who changed them", () => {
    const current = record({ a: { cookie: { b: 1 } } }, { ...cookie(minute, 0), path: "/", secure: true });
    mergeInto(
      current,
      record({ a: { cookie: {} } }, { ...cookie(minute, 0), path: "/", secure: false }),
      record({ a: { cookie: { c: 1 } } }, { ...cookie(minute, 0), path: "/app", secure: false }),
    );
    expect(current).toEqual(
      record({ a: { cookie: { b: 1, c: 1 } } }, { ...cookie(minute, 0), path: "/app", secure: true }),
    );
  });

  test("neither takes nor changes our marks", () => {
    const current = record({ a: 1, __created: 1, __tickets: { a: 1 } });
    mergeInto(current, record({ a: 1, __created: 2 }), record({ a: 2, __tickets: { b: 1 } }));
    expect(current).toEqual(record({ a: 2, __created: 1, __tickets: { a: 1 } }));
  });
});

describe("a cookie's merge", () => {
  const merged = (current: CookieRecord, base: CookieRecord, next: CookieRecord) => mergeCookie(current, base, next);

  test("keeps what is there where the writer changed nothing", () => {
    const current = cookie(minute, 5);
    expect(merged(current, cookie(minute, 1), cookie(minute, 1))).toBe(current);
  });

  test("without a new maxAge the later expiry stays, and what is merged is another object", () => {
    const current = cookie(minute, 5);
    expect(merged(current, cookie(minute, 1), cookie(minute, 3))).toEqual(cookie(minute, 5));
    expect(merged(current, cookie(minute, 1), cookie(minute - 49, 7))).toEqual(cookie(minute, 7));
    expect(current).toEqual(cookie(minute, 5));
  });

  test("with a new maxAge the writer's own expiry goes with it", () => {
    expect(merged(cookie(minute, 500), cookie(minute, 400), cookie(100, 100))).toEqual(cookie(100, 100));
    expect(merged(cookie(minute, 500), cookie(minute, 400), cookie(null))).toEqual(cookie(null));
  });

  test("a new maxAge of another writer stays, with its expiry", () => {
    expect(merged(cookie(100, 100), cookie(minute, 400), cookie(minute, 500))).toEqual(cookie(100, 100));
    expect(merged(cookie(null), cookie(minute, 400), cookie(minute, 500))).toEqual(cookie(null));
  });

  test("of equal moments the stored text stays", () => {
    const its = (expires: string | null): CookieRecord => ({ originalMaxAge: minute, expires });
    const [stored, other] = ["2030-01-01T00:00:00.000Z", "2030-01-01T00:00:00Z"];
    expect(merged(its(stored), its(null), its(other)).expires).toBe(stored);
    expect(merged(its(null), its(other), its(stored)).expires).toBe(stored);
    expect(merged(its(stored), its(other), its(null)).expires).toBeNull();
  });
});

test("a maxAge is the same within 50 ms, and none is the same as none", () => {
  for (const [a, b] of [
    [minute, minute],
    [minute, minute - 49],
    [minute - 49, minute],
    [null, undefined],
    [null, null],
  ]) {
    expect(isSameMaxAge(a, b)).toBe(true);
  }
  for (const [a, b] of [
    [minute, minute + 50],
    [minute + 50, minute],
    [0, null],
    [undefined, 0],
    [1, -49],
  ]) {
    expect(isSameMaxAge(a, b)).toBe(false);
    expect(isSameMaxAge(b, a)).toBe(false);
  }
});

test("a writer may want an earlier end with another maxAge, or with an earlier expiry", () => {
  const ends = (next: CookieRecord, before: CookieRecord) =>
    mayEndSooner(stringify(record({}, next)), stringify(record({}, before)));
  expect(ends(cookie(minute, 5), cookie(minute, 5))).toBe(false);
  expect(ends(cookie(minute, 6), cookie(minute, 5))).toBe(false);
  expect(ends(cookie(minute, 4), cookie(minute, 5))).toBe(true);
  expect(ends(cookie(2 * minute, 6), cookie(minute, 5))).toBe(true);
  expect(ends(cookie(null), cookie(minute, 5))).toBe(true);
});

describe("prolong", () => {
  test("moves the expiry to a full maxAge from now, never backwards", () => {
    const one = record({}, cookie(minute, 5));
    prolong(one, now);
    expect(one).toEqual(record({}, cookie(minute, minute)));
    prolong(one, now - 1);
    expect(one).toEqual(record({}, cookie(minute, minute)));
  });

  test("leaves a session without a maxAge alone", () => {
    for (const its of [cookie(null), cookie(null, -5)]) {
      const one = record({}, { ...its });
      prolong(one, now);
      expect(one).toEqual(record({}, its));
    }
  });
});

test("a session in express-session's form has what was stored, its cookie's times as well", () => {
  const data = inflate(record({ user: "ada" }, { ...cookie(minute, 5), path: "/app" }));
  expect(data.cookie.expires).toEqual(new Date(now + 5));
  expect(data.cookie.originalMaxAge).toBe(minute);
  expect(data).toMatchObject({ user: "ada", cookie: { path: "/app" } });
});

test("texts that begin alike have the times of their own cookies, in whatever order they are read", () => {
  const at = (expires: string, rest: string): string =>
    `{"cookie":{"originalMaxAge":6000,"expires":"${expires}"${rest}`;
  const [one, other] = ["2030-01-01T00:00:00.000Z", "2030-01-01T00:00:00.001Z"];
  const texts = [
    [at(one, "}}"), Date.parse(one), undefined],
    [at(one, `,"path":"/"},"user":"ada"}`), Date.parse(one), undefined],
    [at(other, "}}"), Date.parse(other), undefined],
    [at(one, `},"__created":7}`), Date.parse(one), 7],
    [at(one, `},"__proto":7}`), Date.parse(one), undefined],
  ] as const;
  for (const [first, firstExpires, firstCreated] of texts) {
    for (const [second, expires, createdAt] of texts) {
      expect(timesOf(first)).toEqual({ maxAge: 6000, expires: firstExpires, createdAt: firstCreated });
      expect(timesOf(second)).toEqual({ maxAge: 6000, expires, createdAt });
    }
  }
});

test("a text is brought onto a newer one with what it has over its base, without marks", () => {
  const stored = (fields: object): string =>
    JSON.stringify({ cookie: { originalMaxAge: null, expires: null, httpOnly: true, path: "/" }, ...fields });
  const [base, changed] = [stored({ a: 1, b: 1 }), stored({ a: 2, b: 1 })];
  expect(JSON.parse(rebaseText(stored({ a: 1, b: 3, __created: 5 }), base, changed))).toEqual(
    JSON.parse(stored({ a: 2, b: 3 })),
  );
});
