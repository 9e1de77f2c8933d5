import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { RecordWriter } from "../../../src/store/record/record-writer.js";

const now = Date.UTC(2030, 0, 1);
const minute = 60_000;
const at = (ms: number): string => new Date(now + ms).toISOString();

/** A session's text: its cookie ends `ms` after now. */
const session = (fields: object, ms = minute): string =>
  JSON.stringify({ cookie: { originalMaxAge: minute, expires: at(ms) }, ...fields });

const tooLarge = expect.objectContaining({ code: "DATA_INVALID" });
const marks = { __created: now - 1000, __tickets: { nonce: now + 1000 } };

let writer: RecordWriter;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now });
  onTestFinished(() => void vi.useRealTimers());
  writer = new RecordWriter();
});

describe("where nobody else wrote", () => {
  const read = session({ a: 1, b: 2 });

  test("the writer's text is stored as it is, and expires with its cookie", () => {
    const next = `{"c":1,"b":3,"cookie":${JSON.stringify({ originalMaxAge: minute, expires: at(5) })}}`;
    expect(writer.merge(read, read, next)).toEqual({ text: next, expires: now + 5 });
  });

  test("its marks stay, which no writer sees", () => {
    const marked = session({ a: 1, ...marks });
    const { text } = writer.merge(marked, marked, session({ a: 2 }));
    expect(JSON.parse(text)).toMatchObject({ a: 2, ...marks });
  });

  test("marks of the writer's own are not taken", () => {
    expect(writer.merge(read, read, session({ a: 2, ...marks })).text).toBe(session({ a: 2 }));
  });

  test("it is stamped where there is an absolute lifetime", () => {
    writer.absoluteTimeout = minute;
    expect(JSON.parse(writer.merge(read, read, session({ a: 2 })).text)).toMatchObject({ a: 2, __created: now });
  });
});

test("what others wrote meanwhile stays, and the later expiry", () => {
  const base = session({ a: 1, b: 1 });
  const merged = writer.merge(session({ a: 2, b: 1 }, 500), base, session({ a: 1, c: 1 }, 400));
  expect(merged).toEqual({ text: session({ a: 2, c: 1 }, 500), expires: now + 500 });
});

describe("an absolute lifetime", () => {
  test("begins when a session is first stored", () => {
    const record = () => JSON.parse(session({ a: 1 })) as never;
    expect(writer.serialize(record()).text).toBe(session({ a: 1 }));
    writer.absoluteTimeout = minute;
    const { text } = writer.serialize(record());
    expect(text).toBe(session({ a: 1, __created: now }));
    vi.setSystemTime(now + 500);
    expect(writer.serialize(JSON.parse(text) as never).text).toBe(text);
  });

  test("is over to the millisecond, and never where it was not noted or is not set", () => {
    const text = session({ __created: now });
    vi.setSystemTime(now + minute);
    expect(writer.isTooOld(text)).toBe(false);
    writer.absoluteTimeout = minute;
    expect(writer.isTooOld(text)).toBe(true);
    expect(writer.isTooOld(session({}))).toBe(false);
    vi.setSystemTime(now + minute - 1);
    expect(writer.isTooOld(text)).toBe(false);
  });
});

describe("maxSize", () => {
  const base = session({ a: "x".repeat(200) });
  const larger = session({ a: "x".repeat(200), b: 1 });
  const later = session({ a: "x".repeat(200) }, 2 * minute);
  beforeEach(() => void (writer.maxSize = 100));

  test("is 1 MiB unless it is set", () => expect(new RecordWriter().maxSize).toBe(1_048_576));

  test("holds for all that adds data", () => {
    expect(() => writer.serialize(JSON.parse(base) as never)).toThrow(tooLarge);
    expect(() => writer.merge(base, base, larger)).toThrow(tooLarge);
    expect(() => writer.merge(later, base, larger)).toThrow(tooLarge);
    expect(() => writer.replace(base, larger)).toThrow(tooLarge);
    expect(() => writer.replace("no session", larger)).toThrow(tooLarge);
  });

  test("does not stop activity", () => {
    expect(writer.touch(base, later, base).text).toBe(later);
    expect(writer.touch(session({ a: "x".repeat(200), c: 1 }), later, base).expires).toBe(now + 2 * minute);
    expect(writer.touch(base, later, undefined).text).toBe(later);
    expect(writer.prolong(base, now + minute).text).toBe(later);
    expect(writer.serializeAnySize(JSON.parse(base) as never).text).toBe(base);
  });
});

describe("replace", () => {
  test("takes all fields of the new text, and keeps the marks of the old one", () => {
    const { text } = writer.replace(session({ a: 1, ...marks }), session({ b: 1, __created: 5, __tickets: {} }));
    expect(text).toBe(session({ b: 1, ...marks }));
  });

  test("of what is no session gives the new text without marks", () => {
    expect(writer.replace("no session", session({ b: 1, ...marks }), session({}))).toEqual({
      text: session({ b: 1 }),
      expires: now + minute,
    });
  });

  test("keeps the stored expiry where the writer's cookie is the one that was read", () => {
    const read = session({ a: 1 }, 100);
    expect(writer.replace(session({ a: 1 }, 500), session({ b: 1 }, 100), read).expires).toBe(now + 500);
    expect(writer.replace(session({ a: 1 }, 500), session({ b: 1 }, 100)).expires).toBe(now + 100);
  });
});

describe("touch", () => {
  test("moves the expiry alone", () => {
    const stored = session({ a: 1, ...marks }, 100);
    expect(writer.touch(stored, session({ b: 1 }, 500), undefined)).toEqual({
      text: session({ a: 1, ...marks }, 500),
      expires: now + 500,
    });
  });

  test("with what was read never moves the expiry backwards", () => {
    const read = session({ a: 1 }, 100);
    expect(writer.touch(session({ a: 2 }, 500), session({ a: 1 }, 400), read).text).toBe(session({ a: 2 }, 500));
    expect(writer.touch(session({ a: 2 }, 500), session({ a: 1 }, 400), undefined).text).toBe(session({ a: 2 }, 400));
  });
});

test("prolong moves the expiry to a full maxAge after the given moment", () => {
  expect(writer.prolong(session({ a: 1 }, 100), now + 7)).toEqual({
    text: session({ a: 1 }, minute + 7),
    expires: now + minute + 7,
  });
});
