import { describe, expect, test } from "vitest";
import { checkSize, isTooDeep, quotedField, unstorable } from "../../../src/store/record/size-limits.js";

/** The text of `levels` arrays in one another. */
const nested = (levels: number, inside = ""): string => "[".repeat(levels) + inside + "]".repeat(levels);
const nestedObjects = (levels: number): string => '{"a":'.repeat(levels) + "1" + "}".repeat(levels);

/** The session's text takes a level, and so does its field. */
const most = 1001;

describe("isTooDeep", () => {
  test("a thousand levels in a field are allowed, one more is not", () => {
    for (const text of [nested(most), nestedObjects(most)]) expect(isTooDeep(text)).toBe(false);
    for (const text of [nested(most + 1), nestedObjects(most + 1)]) expect(isTooDeep(text)).toBe(true);
    expect(isTooDeep(`{"a":{"b":${nested(most - 2)}}}`)).toBe(false);
    expect(isTooDeep(`{"a":{"b":${nested(most - 1)}}}`)).toBe(true);
  });

  test("levels that were closed do not count", () => {
    const half = nested(600);
    expect(isTooDeep(`{"a":[${half},${half},${half}]}`)).toBe(false);
    expect(isTooDeep(`{"a":[${nestedObjects(600)},${nestedObjects(600)}]}`)).toBe(false);
  });

  test.each([
    ["opening ones", "[{".repeat(most)],
    ["closing ones", "]}".repeat(most)],
  ])("brackets in a string are no levels: %s", (_, brackets) => {
    expect(isTooDeep(JSON.stringify({ [brackets]: brackets, more: [brackets] }))).toBe(false);
    expect(isTooDeep(nested(most, JSON.stringify(brackets)))).toBe(false);
    expect(isTooDeep(nested(most + 1, JSON.stringify(brackets)))).toBe(true);
    // What stands behind the string counts again.
    expect(isTooDeep(`[${JSON.stringify(brackets)},${nested(most)}]`)).toBe(true);
  });

  test.each(['"', "\\", '\\"', '\\\\"', '"[', 'a"b"c'])("a string ends where JSON says so: %s", (piece) => {
    const brackets = "[".repeat(most + 1);
    expect(isTooDeep(JSON.stringify([piece + brackets]))).toBe(false);
    expect(isTooDeep(JSON.stringify([piece + brackets + piece]))).toBe(false);
    expect(isTooDeep(`[${JSON.stringify(piece)},${nested(most)}]`)).toBe(true);
  });

  test("a string without an end has no levels behind it", () => {
    expect(isTooDeep(`["${"[".repeat(2 * most)}`)).toBe(false);
  });
});

describe("unstorable", () => {
  const deep = (levels: number): unknown => JSON.parse(nested(levels));

  test("names the field that is nested too deep, and how deep it may be", () => {
    const error = unstorable({ user: "ada", fine: deep(1000), draft: deep(1001) });
    expect(error.code).toBe("DATA_INVALID");
    expect(error.message).toContain('The field "draft" is nested deeper than 1000 levels.');
  });

  test("names the field that overflows the stack in JSON.stringify()", () => {
    let value: unknown = [];
    for (let level = 0; level < 30_000; level++) value = [value];
    expect(unstorable({ user: "ada", draft: value }).message).toContain('The field "draft" is nested deeper');
  });

  test("names the field that JSON refuses, with JSON's own reason", () => {
    const error = unstorable({ user: "ada", skipped: () => {}, total: 10n });
    expect(error).toMatchObject({ code: "DATA_INVALID", cause: expect.any(TypeError) });
    expect(error.message).toContain('It is in the field "total".');
  });

  test("names none where the whole is what JSON refuses, and keeps the reason", () => {
    const cause = new Error("not today");
    const error = unstorable({ user: "ada" }, cause);
    expect(error).toMatchObject({ code: "DATA_INVALID", cause });
    expect(error.message).not.toContain("the field");
  });
});

describe("checkSize", () => {
  test("as many bytes as allowed are not too many, one more is", () => {
    for (const text of ['{"a":"xxxx"}', '{"a":"éé"}', '{"a":"\u20AC "}']) {
      const bytes = Buffer.byteLength(text);
      expect(() => checkSize(text, bytes)).not.toThrow();
      expect(() => checkSize(text, bytes - 1)).toThrow(expect.objectContaining({ code: "DATA_INVALID" }));
    }
  });

  test("tells the size, the limit and the largest field: by its bytes, the first of equal ones", () => {
    const told = (data: object): string => {
      const text = JSON.stringify(data);
      try {
        checkSize(text, 10);
      } catch (error) {
        return (error as Error).message;
      }
      return "";
    };
    expect(told({ a: "xxx", b: "éé€", c: "xxxx" })).toContain(
      'It would take 36 bytes, and maxSessionSize is 10. The largest field is "b" with 9 bytes.',
    );
    expect(told({ a: 1, b: 22, c: 33 })).toContain('The largest field is "b" with 2 bytes.');
  });
});

test("a field's name is quoted, and cut after 80 characters", () => {
  expect(quotedField('a"b\n')).toBe(String.raw`"a\"b\n"`);
  expect(quotedField("x".repeat(80))).toBe(`"${"x".repeat(80)}"`);
  expect(quotedField(`${"x".repeat(80)}y`)).toBe(`"${"x".repeat(80)}…"`);
});
