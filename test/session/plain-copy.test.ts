// Copies of session data for who clones.
import { expect, test } from "vitest";
import { untracked } from "../../src/session/plain-copy.js";
import { startApp } from "../support/app.js";

async function sessionOf(data: object): Promise<any> {
  const { io, browser } = await startApp({ attach: { missing: "create" } });
  const connected = new Promise<any>((resolve) => io.once("connection", resolve));
  await browser().connect();
  return Object.assign((await connected).session, data);
}

test("holds what the session holds, wherever it stands, and can be cloned", async () => {
  const session = await sessionOf({ cart: ["apple", { ripe: true }], address: { city: "Ulm" } });
  const buffer = Buffer.from("as it is");
  const sent = { list: [session.cart, 1n], nested: { deep: { address: session.address } }, buffer, missing: undefined };
  const copy = untracked(sent);
  expect(copy).toEqual({
    list: [["apple", { ripe: true }], 1n],
    nested: { deep: { address: { city: "Ulm" } } },
    buffer,
    missing: undefined,
  });
  expect(copy?.buffer).toBe(buffer);
  expect(() => structuredClone(copy)).not.toThrow();
  expect(structuredClone(untracked({ session }))).toMatchObject({ session: { address: { city: "Ulm" } } });
  expect(JSON.stringify(untracked({ session }))).toBe(JSON.stringify({ session }));
});

test("is not made where there is no data of a session", () => {
  expect(untracked({ plain: [{ text: "text" }], none: null })).toBeUndefined();
});

test("keeps an object of a class readable, ends at a cycle, and is not made by recursion", async () => {
  const { cart } = await sessionOf({ cart: ["apple"] });
  class Message {
    readonly cart = cart as unknown;
  }
  const around: { self?: unknown; message: Message; deep: unknown } = { message: new Message(), deep: [] };
  around.self = around;
  for (let depth = 0; depth < 50_000; depth++) around.deep = [around.deep];
  const copy = untracked(around);
  expect(copy?.message).toEqual({ cart: ["apple"] });
  expect(copy?.self).toBe(copy);
});
