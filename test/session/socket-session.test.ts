// The object that handlers get: its methods, what they answer, and what it shows of itself.
import { inspect } from "node:util";
import session from "express-session";
import { describe, expect, test, vi } from "vitest";
import { SessionError } from "../../src/errors.js";
import { createRoot, operations, refusalOf, regenerable, withoutMethods } from "../../src/session/socket-session.js";
import { liveSession } from "../support/live-session.js";

const methods = ["save", "reload", "touch", "destroy", "regenerate"] as const;
const turn = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve));

/** What a callback gets, and what the call returned. */
function called(data: any, method: (typeof methods)[number]): Promise<{ values: unknown[]; returned: unknown }> {
  return new Promise((resolve) => {
    const returned = data[method]((...values: unknown[]) => resolve({ values, returned }));
  });
}

describe("the methods", () => {
  test("do what they say, with a promise", async () => {
    const { data, stored, ends, live, backend } = await liveSession(
      { user: "ada" },
      { originalMaxAge: 60_000, expires: new Date(Date.now() + 30_000).toISOString() },
    );
    data.user = "bob";
    await data.save();
    expect(await stored()).toMatchObject({ user: "bob" });
    await backend.update("id", (fields) => void Object.assign(fields, { user: "eve" }));
    await data.reload();
    expect(data.user).toBe("eve");
    await data.touch();
    const { expires } = (await stored()).cookie;
    expect(Date.parse(expires)).toBeGreaterThan(Date.now() + 50_000);
    await data.destroy();
    expect([ends, live.ended]).toEqual([["SESSION_DESTROYED"], "SESSION_DESTROYED"]);
    for (const method of ["save", "reload", "touch", "destroy"] as const) {
      await expect(data[method]()).rejects.toMatchObject({ code: "SESSION_DESTROYED" });
    }
  });

  test("answer a callback with null or the error, and return the session", async () => {
    const { data } = await liveSession();
    expect(await called(data, "save")).toEqual({ values: [null], returned: data });
    const { values, returned } = await called(data, "regenerate");
    expect(values).toMatchObject([{ code: "REGENERATE_NEEDS_HTTP" }]);
    expect(returned).toBe(data);
  });

  test("take what is no function for no callback", async () => {
    const { data } = await liveSession();
    expect(await data.save("no callback")).toBeUndefined();
  });

  test("that fail where nobody waits end no process", async () => {
    const { data } = await liveSession();
    const unhandled = vi.fn();
    process.on("unhandledRejection", unhandled);
    await data.destroy();
    for (const method of methods) data[method]();
    await turn();
    await turn();
    process.off("unhandledRejection", unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });

  test("are not data: neither listed nor written", async () => {
    const { data } = await liveSession({ user: "ada" });
    expect(Object.keys(data).toSorted()).toEqual(["cookie", "user"]);
    expect(Object.keys({ ...data }).toSorted()).toEqual(["cookie", "user"]);
    expect(Object.keys(JSON.parse(JSON.stringify(data))).toSorted()).toEqual(["cookie", "user"]);
  });
});

describe("regenerate()", () => {
  test("is made by the connection, where its browser can collect a cookie", async () => {
    const { data } = await liveSession({ user: "ada" });
    const regenerate = vi.fn(async () => undefined);
    const own: any = regenerable(data, regenerate);
    await own.regenerate();
    expect(regenerate).toHaveBeenCalledTimes(1);
    expect((await called(own, "regenerate")).returned).toBe(own);
    // Else it is the same session.
    own.user = "bob";
    expect([data.user, own.user, own.id]).toEqual(["bob", "bob", "id"]);
    await expect(data.regenerate()).rejects.toMatchObject({ code: "REGENERATE_NEEDS_HTTP" });
  });
});

describe("resetMaxAge()", () => {
  test("sets the cookie's time back to what it was originally", async () => {
    const expires = new Date(Date.now() + 1000).toISOString();
    const { data } = await liveSession({}, { originalMaxAge: 60_000, expires });
    expect(data.resetMaxAge()).toBe(data);
    expect(Number(data.cookie.expires)).toBeGreaterThan(Date.now() + 50_000);
    expect(data.cookie.originalMaxAge).toBeGreaterThan(59_000);
  });

  test("leaves a cookie alone that had none", async () => {
    const expires = new Date(Date.now() + 1000).toISOString();
    const { data } = await liveSession({}, { originalMaxAge: null, expires });
    data.resetMaxAge();
    expect(data.cookie.expires.toISOString()).toBe(expires);
  });
});

describe("a session object", () => {
  test("has the id of what stands behind it, and none where nothing does", async () => {
    const { data, live } = await liveSession();
    expect(data.id).toBe("id");
    expect(operations(data)).toBe(live);
    const root: any = createRoot();
    expect(root.id).toBeUndefined();
    expect(operations(root)).toBeUndefined();
  });

  test("has its cookie first, whatever comes first: a record's times are read from its head", () => {
    expect(JSON.stringify(Object.assign(createRoot(), { user: "ada", cookie: {} }))).toBe(`{"cookie":{},"user":"ada"}`);
  });

  test("shows its data in a log, also before a handler has looked at it", async () => {
    const { data } = await liveSession({ user: "ada" });
    expect(inspect(data)).toContain("user: 'ada'");
  });
});

describe("names that are not for data", () => {
  test("are taken out of fields, as others put them there", () => {
    const fields = { user: "ada", id: 7, save: 1, toString: 1, cookie: {} };
    expect(withoutMethods(fields)).toBe(fields);
    expect(fields).toEqual({ user: "ada", cookie: {} });
  });

  test.each(["id", "save", "regenerate", "resetMaxAge", "toString", "__proto__"])("are refused: %s", (field) => {
    const refusal = refusalOf(field, 1) as SessionError;
    expect(refusal).toBeInstanceOf(SessionError);
    expect(refusal).toMatchObject({ code: "DATA_INVALID", message: expect.stringContaining(`"${field}"`) });
    expect(refusal.message).toContain("all sessions have a method or property of that name");
  });

  test("are none of those of data, whatever the value", () => {
    for (const value of [1, {}, undefined, null, "x"]) expect(refusalOf("user", value)).toBeUndefined();
  });
});

describe("the cookie", () => {
  class Foreign {
    originalMaxAge = 5;
  }

  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["a cookie of express-session's", new session.Cookie()],
    ["one of another copy of it", new Foreign()],
  ])("can be %s", (_, value) => {
    expect(refusalOf("cookie", value)).toBeUndefined();
  });

  test.each<[string, unknown]>([
    ["a text", "x"],
    ["a number", 0],
    ["false", false],
    ["plain data", { originalMaxAge: 5, expires: null }],
    ["an object of another class", new Map()],
  ])("cannot be %s", (_, value) => {
    const refusal = refusalOf("cookie", value);
    expect(refusal).toMatchObject({ code: "DATA_INVALID", message: expect.stringContaining("the value is no Cookie") });
    expect(refusal?.message).toContain(`"cookie"`);
  });

  test("has fields with rules, and other ones", () => {
    const refusal = refusalOf("maxAge", "x", true);
    expect(refusal).toMatchObject({ code: "DATA_INVALID", message: expect.stringContaining(`cookie["maxAge"]`) });
    expect(refusal?.message).toContain("it must be a number of ms");
    expect(refusalOf("maxAge", 5, true)).toBeUndefined();
    expect(refusalOf("own", {}, true)).toBeUndefined();
    expect(refusalOf("serialize", 1, true)?.message).toContain("all cookies have a method");
  });
});
