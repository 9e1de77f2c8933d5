// A session cookie is read as express-session reads it: whatever the Cookie header looks like, both find the same id.
import type { IncomingMessage, ServerResponse } from "node:http";
import { sign } from "cookie-signature";
import session from "express-session";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cookieValue, type Found, fromCookie, fromReader } from "../../src/handshake/session-id.js";
import { requestOf } from "../support/requests.js";

const secrets = ["new", "old"];
const name = "connect.sid";

/** The id that express-session asks its store for. */
function idOverHttp(cookie: string): string | undefined {
  let asked: string | undefined;
  class Asked extends session.MemoryStore {
    override get = (id: string): void => void (asked = id);
  }
  const middleware = session({ secret: secrets, store: new Asked(), resave: false, saveUninitialized: false });
  const request = { headers: { cookie }, url: "/" } as IncomingMessage;
  middleware(request as never, { end: () => undefined } as unknown as ServerResponse as never, () => undefined);
  return asked;
}

function idOnSockets(cookie: string): string | undefined {
  const found = fromCookie(name, secrets)({ headers: { cookie } } as IncomingMessage);
  return "id" in found ? found.id : undefined;
}

const good = `s:${sign("ada", "new")}`;
const older = `s:${sign("bob", "old")}`;

const invalid: Found = { code: "SESSION_INVALID" };
const missing: Found = { code: "SESSION_MISSING" };

describe("the cookie", () => {
  test.each<[string, string | undefined, Found]>([
    ["is missing without the header", undefined, missing],
    ["is missing where the header is empty", "", missing],
    ["is missing where only others are there", "other=1", missing],
    ["is missing where only its name stands in another", `other=${name}`, missing],
    ["is missing where it is empty", `${name}=`, missing],
    ["is missing where only another one's name ends as its", `x${name}=${good}`, missing],
    ["has the id where the first secret signed it", `${name}=${good}`, { id: "ada" }],
    ["has the id where an older secret signed it", `${name}=${older}`, { id: "bob" }],
    ["has the id beside others", `a=1; ${name}=${good}; b=2`, { id: "ada" }],
    ["has the id where it is encoded", `${name}=${encodeURIComponent(good)}`, { id: "ada" }],
    ["counts once, the first", `${name}=${older}; ${name}=${good}`, { id: "bob" }],
    ["is invalid where nobody signed it", `${name}=ada`, invalid],
    ["is invalid where the mark of a signature is missing", `${name}=${good.slice(2)}`, invalid],
    ["is invalid where the signature has another mark", `${name}=x:${sign("ada", "new")}`, invalid],
    ["is invalid where another secret signed it", `${name}=s:${sign("eve", "other")}`, invalid],
    ["is invalid where an empty id is signed", `${name}=s:${sign("", "new")}`, invalid],
    ["is invalid as JSON", `${name}=j:{"$gt":""}`, invalid],
  ])("%s", (_, cookie, found) => {
    expect(fromCookie(name, secrets)(requestOf({ ...(cookie !== undefined && { cookie }) }))).toEqual(found);
  });

  test("counts no secret where there is none", () => {
    expect(fromCookie(name, [])(requestOf({ cookie: `${name}=${good}` }))).toEqual(invalid);
  });

  test("may be signed with bytes", () => {
    expect(fromCookie(name, [Buffer.from("new")])(requestOf({ cookie: `${name}=${good}` }))).toEqual({ id: "ada" });
  });

  test.each([
    ["a", "a"],
    ["a%20b", "a b"],
    ['"a%20b"', "a b"],
    ['"a', '"a'],
    ['a"', 'a"'],
    ["%22a%22", '"a"'],
    ["%", "%"],
    ['"%"', "%"],
    ["", undefined],
    ['""', undefined],
  ])("that is written as %j is %j", (written, value) => {
    expect(cookieValue(requestOf({ cookie: `${name}=${written}` }), name)).toBe(value);
  });

  test("is missing where the header is no text", () => {
    expect(cookieValue({ headers: { cookie: [`${name}=a`] } } as never, name)).toBeUndefined();
  });
});

describe("the application's reader", () => {
  const otherwise = (): Found => ({ id: "from the cookie" });

  test.each<[string, unknown, Found]>([
    ["gives the id", "ada", { id: "ada" }],
    ["gives way to the cookie with undefined", undefined, { id: "from the cookie" }],
    ["gives way to the cookie with null", null, { id: "from the cookie" }],
    ["gives way to the cookie with an empty text", "", { id: "from the cookie" }],
    ["gives an invalid id as a number", 7, invalid],
    ["gives an invalid id as an object", {}, invalid],
    ["gives an invalid id as false", false, invalid],
    ["gives an invalid id with the name of a store's note", "socket-session:ended:ada", invalid],
    ["gives an id that only has such a name in it", "a socket-session:", { id: "a socket-session:" }],
    ["gives an invalid id with NUL", "a\0b", invalid],
  ])("%s", (_, id, found) => {
    expect(fromReader(() => id as string, otherwise)(requestOf({}))).toEqual(found);
  });

  test("gets the request, as the cookie's does", () => {
    const request = requestOf({ "x-id": "ada" });
    expect(fromReader((asked) => asked.headers["x-id"] as string, otherwise)(request)).toEqual({ id: "ada" });
    const hosts = fromReader(
      () => undefined,
      (asked) => ({ id: asked.headers["x-id"] as string }),
    );
    expect(hosts(request)).toEqual({ id: "ada" });
  });
});

test.each([
  ["quoted", `${name}="${encodeURIComponent(good)}"`, "ada"],
  ["with quotes that are encoded", `${name}=${encodeURIComponent(`"${good}"`)}`, undefined],
  ["with a quote before it alone", `${name}="${encodeURIComponent(good)}`, undefined],
])("a value %s", (_, cookie, id) => {
  expect([idOverHttp(cookie), idOnSockets(cookie)]).toEqual([id, id]);
});

const values = [
  ...Array.from({ length: 8 }, () => good),
  older,
  `s:${sign("eve", "other")}`,
  `s:${sign("", "new")}`,
  "ada",
  'j:{"$gt":""}',
  "s:",
  "",
  "%",
  "%E0%A4%A",
];
const written = fc.constantFrom(...values.flatMap((value) => [value, encodeURIComponent(value)]));
const quoted = fc
  .tuple(
    fc.constantFrom("", "", '"', '"', '""', "%22", "'", " ", "\t", ' "'),
    written,
    fc.constantFrom("", "", '"', '"', "%22", "'", " ", '" '),
  )
  .map((parts) => parts.join(""));
const pair = fc
  .tuple(
    fc.constantFrom(
      name,
      name,
      name,
      ` ${name}`,
      `${name} `,
      `\t${name}`,
      `"${name}"`,
      "CONNECT.SID",
      "connect",
      "__proto__",
      "constructor",
      "",
      "a",
    ),
    fc.constantFrom("=", "=", "=", " = ", "==", ""),
    fc.oneof({ arbitrary: quoted, weight: 4 }, { arbitrary: fc.string({ maxLength: 8 }), weight: 1 }),
  )
  .map((parts) => parts.join(""));
const header = fc
  .tuple(fc.array(pair, { minLength: 1, maxLength: 3 }), fc.constantFrom("; ", ";", ", ", ";;", " ;\t"))
  .map(([pairs, between]) => pairs.join(between));

test("for every Cookie header", () => {
  let found = 0;
  fc.assert(
    fc.property(header, (cookie) => {
      const id = idOverHttp(cookie);
      if (id !== undefined) found++;
      expect(idOnSockets(cookie)).toBe(id);
    }),
    { numRuns: 2000 },
  );
  expect(found).toBeGreaterThan(50);
});
