import session from "express-session";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  inflate,
  parse,
  stamp,
  stringify,
  strip,
  tryParse,
  timesOf,
} from "../../../src/store/record/session-record.js";

// Its options are not in the types.
const Cookie = session.Cookie as unknown as new (options: object) => session.Cookie;

test("a session's times are read from its first characters as they are from the whole", () => {
  const cookie = fc.record({
    maxAge: fc.option(fc.integer({ min: 1, max: 10 ** 10 })),
    path: fc.constantFrom("/", '/"quoted"'),
  });
  fc.assert(
    fc.property(
      cookie,
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
