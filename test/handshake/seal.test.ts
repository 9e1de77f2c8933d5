// Sealed texts: what opens, and all that does not.
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Seal } from "../../src/handshake/seal.js";

const seal = new Seal(["a secret"], "test");
const later = 60_000;

describe("a sealed text", () => {
  test.each(["an id", "", "with spaces, \n and ümläuts ✓", "x".repeat(10_000)])("opens again: %j", (text) => {
    expect(seal.open(seal.seal(text, later))).toBe(text);
    expect(new Seal(["a secret"], "test").open(seal.seal(text, later))).toBe(text);
  });

  test.each([0, -60_000, 60_000])(
    "opens for its lifetime and no longer, also where the clock is set: %d ms",
    (step) => {
      vi.useFakeTimers();
      onTestFinished(() => void vi.useRealTimers());
      const sealed = seal.seal("an id", 1000);
      vi.setSystemTime(Date.now() + step);
      vi.advanceTimersByTime(999);
      expect(seal.open(sealed)).toBe("an id");
      vi.advanceTimersByTime(1);
      expect(seal.open(sealed)).toBeUndefined();
      expect(seal.open(sealed, true)).toBe("an id");
      expect(seal.open(seal.seal("an id", Number.NaN))).toBeUndefined();
      expect(seal.open(seal.seal("9999999999999 says 9999999999999 the text", Number.NaN))).toBeUndefined();
    },
  );

  test("can stand in a URL and in a script, does not show its text, and is another one each time", () => {
    const sealed = seal.seal("an id", later);
    expect(sealed).toMatch(/^[\w-]+$/);
    expect(sealed).not.toContain(Buffer.from("an id").toString("base64url"));
    expect(Buffer.from(sealed, "base64url").includes("an id")).toBe(false);
    expect(seal.seal("an id", later)).not.toBe(sealed);
  });

  test("does not open where any of its bytes was changed, or where it was cut or lengthened", () => {
    const bytes = Buffer.from(seal.seal("an id", later), "base64url");
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ 1;
      expect(seal.open(changed.toString("base64url"))).toBeUndefined();
      expect(seal.open(bytes.subarray(0, at).toString("base64url"))).toBeUndefined();
    }
    expect(seal.open(Buffer.concat([bytes, Buffer.from("x")]).toString("base64url"))).toBeUndefined();
  });

  test.each(["", "x", "an id", "%%%", "\n", "A".repeat(43), "A".repeat(100_000)])("is not %j", (text) => {
    expect(seal.open(text)).toBeUndefined();
  });

  test("does not open for another purpose, or with another secret", () => {
    const sealed = seal.seal("an id", later);
    expect(new Seal(["a secret"], "other").open(sealed)).toBeUndefined();
    expect(new Seal(["another secret"], "test").open(sealed)).toBeUndefined();
  });

  test("opens with any of the secrets, and is sealed with the first", () => {
    const rotated = new Seal(["a new secret", "a secret"], "test");
    expect(rotated.open(seal.seal("an id", later))).toBe("an id");
    expect(seal.open(rotated.seal("an id", later))).toBeUndefined();
    expect(new Seal([Buffer.from("a secret")], "test").open(seal.seal("an id", later))).toBe("an id");
  });
});

test("a hash is the same for the same text, secret and purpose, and for nothing else", () => {
  const hash = seal.hash("an id");
  expect(new Seal(["a secret", "old"], "test").hash("an id")).toBe(hash);
  expect(hash).toMatch(/^[\w-]{43}$/);
  for (const other of [new Seal(["another"], "test"), new Seal(["a secret"], "other")]) {
    expect(other.hash("an id")).not.toBe(hash);
  }
  expect(seal.hash("an ie")).not.toBe(hash);
});

describe("a text that another process sealed", () => {
  const otherProcess = async (): Promise<Seal> => {
    vi.resetModules();
    const { Seal: Other } = await import("../../src/handshake/seal.js");
    return new Other(["a secret"], "test");
  };

  test("opens for its lifetime, by the system's clock", async () => {
    const other = await otherProcess();
    vi.useFakeTimers({ toFake: ["Date"] });
    onTestFinished(() => void vi.useRealTimers());
    const sealed = other.seal("an id", 1000.4);
    expect(seal.open(sealed)).toBe("an id");
    vi.setSystemTime(Date.now() + 999);
    expect(seal.open(sealed)).toBe("an id");
    vi.setSystemTime(Date.now() + 1);
    expect(seal.open(sealed)).toBeUndefined();
    expect(seal.open(sealed, true)).toBe("an id");
    // Its own process goes by the clock that nobody sets.
    expect(other.open(sealed)).toBe("an id");
  });

  // During an upgrade, nodes of two versions serve the same clients.
  test("opens also where an earlier version sealed it, and its hash is the same", () => {
    const sealed =
      "X6rqIA2w95DJggp2lL_XIL0Q9yQTuGj9DZQODpnXsM9ITdRmYikg9Y5qdPUZ8NPyttMqyfDnX5V2jYY1X1DeU-ikqfJzgLbCpa_aeQ";
    expect(seal.open(sealed)).toBe("an id");
    expect(seal.hash("an id")).toBe("wh8EUS7CXftzytgM6K6yVTnWkl-L5X_XuwSE-2TZQss");
  });
});

test.each([[[]], [[""]], [[Buffer.alloc(0)]], [["a secret", ""]], [["a secret", Buffer.alloc(0)]]])(
  "nothing is sealed with the secrets %j",
  (secrets) => {
    const message = expect.stringContaining("A secret must be a string or Buffer, and not empty.");
    expect(() => new Seal(secrets, "test")).toThrow(expect.objectContaining({ code: "OPTION_INVALID", message }));
  },
);
