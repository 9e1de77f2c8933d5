// A session cookie is read as express-session reads it: whatever the Cookie header looks like, both find the same id.
import type { IncomingMessage, ServerResponse } from "node:http";
import { sign } from "cookie-signature";
import session from "express-session";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromCookie } from "../../src/handshake/session-id.js";

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

test.each([
  ["quoted", `${name}="${encodeURIComponent(good)}"`, "ada"],
  ["with quotes that are encoded", `${name}=${encodeURIComponent(`"${good}"`)}`, undefined],
  ["with a quote before it alone", `${name}="${encodeURIComponent(good)}`, undefined],
])("a value %s", (_, cookie, id) => {
  expect([idOverHttp(cookie), idOnSockets(cookie)]).toEqual([id, id]);
});
