// The session of a socket that has none.
import { expect, test } from "vitest";
import { AnonymousSession } from "../../src/session/anonymous.js";
import { operations } from "../../src/session/socket-session.js";

const missing = expect.objectContaining({ code: "SESSION_MISSING" });

test("an anonymous session has no id and no fields but an unlimited cookie", () => {
  const { data } = new AnonymousSession();
  expect(data.id).toBeUndefined();
  expect(Object.keys(data)).toEqual(["cookie"]);
  expect(data.cookie.originalMaxAge).toBeNull();
});

test.each(["save", "reload", "touch", "destroy", "regenerate"] as const)("%s() fails with a code", async (method) => {
  const { data } = new AnonymousSession();
  await expect(data[method]()).rejects.toThrow(missing);
});

test("what stands behind it fails with the same code", async () => {
  const { data } = new AnonymousSession();
  const behind = operations(data);
  for (const method of ["save", "reload", "touch", "destroy"] as const) {
    await expect(behind?.[method]()).rejects.toThrow(missing);
  }
});

test.each<[string, (data: any) => unknown]>([
  ["assigning a field", (data) => (data.user = "ada")],
  ["defining one", (data) => Object.defineProperty(data, "user", { value: "ada" })],
  ["deleting the cookie", (data) => delete data.cookie],
  ["a field of the cookie", (data) => (data.cookie.path = "/x")],
  ["assigning to the cookie", (data) => Object.assign(data.cookie, { maxAge: 1 })],
])("%s fails with that code, and changes nothing that all anonymous sockets share", (_, write) => {
  const { data } = new AnonymousSession();
  const before = JSON.stringify(data);
  expect(() => write(data)).toThrow(missing);
  expect(JSON.stringify(data)).toBe(before);
});

test("the message says what to check, and does not advise what was done already", async () => {
  const failing = new AnonymousSession().data.save();
  await expect(failing).rejects.toThrow(/Check session\.id first.*missing: "create"/);
  await expect(failing).rejects.not.toThrow('anonymous"');
  await expect(failing).rejects.not.toThrow("Likely cause");
});
