// The session of a stream whose client is still being admitted: the request's one, and then the live one.
import { expect, test } from "vitest";
import { sessionUntil } from "../../../src/transports/stream/pending-session.js";

class Session {
  [name: string]: unknown;

  constructor(readonly user: string) {}

  hello(): string {
    return `I am ${this.user}.`;
  }
}

function start() {
  const [before, live] = [new Session("before"), new Session("live")];
  let isLive = false;
  const face = sessionUntil(
    () => (isLive ? live : undefined),
    () => before,
  ) as unknown as Session;
  return { before, live, face, goLive: () => (isLive = true) };
}

test("reads, writes, deletes and lists what is there now", () => {
  const { before, live, face, goLive } = start();
  for (const session of [before, live]) {
    if (session === live) goLive();
    expect([face.user, face.hello()]).toEqual([session.user, `I am ${session.user}.`]);
    face["count"] = 1;
    expect(session["count"]).toBe(1);
    expect(["count" in face, "other" in face]).toEqual([true, false]);
    expect(Object.entries(face)).toEqual([
      ["user", session.user],
      ["count", 1],
    ]);
    delete face["count"];
    expect(Object.keys(session)).toEqual(["user"]);
    expect(face).toBeInstanceOf(Session);
  }
});

test("a write that is refused there is refused here", () => {
  const { before, face } = start();
  Object.freeze(before);
  expect(Reflect.set(face, "user", "other")).toBe(false);
  expect(Reflect.deleteProperty(face, "user")).toBe(false);
});

test("describes a property as one that may change, and none that is not there", () => {
  const { before, face } = start();
  Object.defineProperty(before, "id", { value: "7" });
  expect(Object.getOwnPropertyDescriptor(face, "id")).toMatchObject({ value: "7", configurable: true });
  expect(Object.getOwnPropertyDescriptor(face, "other")).toBeUndefined();
});
