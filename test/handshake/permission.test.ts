// What an application's function `allow` may answer, and about which data it is asked: at the handshake, and after a change.
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { answerTimeout } from "../../src/handshake/cors.js";
import { type Allow, Permission } from "../../src/handshake/permission.js";
import type { ActiveSession } from "../../src/session/live-session.js";
import { Reviews } from "../../src/session/reviews.js";
import type { SocketSession } from "../../src/session/socket-session.js";
import { requestOf } from "../support/requests.js";

const request = requestOf({ host: "app.example" });
const ada = { id: "of ada", user: "ada" } as SocketSession;

function start(allow: unknown) {
  const reviews = new Reviews();
  const errors: any[] = [];
  const permission = new Permission(allow as Allow, reviews, (error) => errors.push(error));
  return { reviews, errors, permission, live: { data: ada, review: vi.fn() } as unknown as ActiveSession };
}

const never = (): void => {};
const broken = new Error("broken");
const breaks = (): never => {
  throw broken;
};

test("sessions are reviewed where somebody asks", () => {
  expect(start(() => true).reviews.isUsed).toBe(true);
});

describe("an answer", () => {
  test("of true lets in: at the handshake, at once or later, and after a change", async () => {
    const { permission, errors } = start(() => true);
    expect(permission.ask(undefined, ada, request)).toBe(true);
    expect(permission.isGiven(ada)).toBe(true);
    const later = start(async () => true);
    expect(await later.permission.ask(undefined, ada, request)).toBe(true);
    expect([...errors, ...later.errors]).toEqual([]);
  });

  test.each([false, undefined, null])("of %s lets nobody in, and is no mistake", async (answer) => {
    const { permission, errors } = start(() => answer);
    expect([permission.ask(undefined, ada, request), permission.isGiven(ada)]).toEqual([false, false]);
    const later = start(async () => answer);
    expect(await later.permission.ask(undefined, ada, request)).toBe(false);
    expect([...errors, ...later.errors]).toEqual([]);
  });

  test.each<[string, unknown]>([
    ["a number", 1],
    ["a string", "ada"],
    ["an object", {}],
  ])("of %s lets nobody in, and is reported by its kind alone", async (kind, answer) => {
    const { permission, errors } = start(() => answer);
    expect([permission.ask(undefined, ada, request), permission.isGiven(ada)]).toEqual([false, false]);
    const later = start(async () => answer);
    expect(await later.permission.ask(undefined, ada, request)).toBe(false);
    const all = [...errors, ...later.errors];
    expect(all.map(({ code }) => code)).toEqual(Array(3).fill("OPTION_INVALID"));
    for (const { message } of all) expect(message).toContain(`allow must return true or false, not ${kind}.`);
  });

  test("that is thrown or rejected lets nobody in, and is reported", async () => {
    const { permission, errors } = start(breaks);
    expect([permission.ask(undefined, ada, request), permission.isGiven(ada)]).toEqual([false, false]);
    expect(errors).toEqual([broken, broken]);
    const later = start(async () => breaks());
    expect(await later.permission.ask(undefined, ada, request)).toBe(false);
    expect(later.errors).toEqual([broken]);
  });

  test("by the promise of any library counts", async () => {
    // oxlint-disable-next-line unicorn/no-thenable -- what a promise of another library is
    const { permission } = start(() => ({ then: (done: (answer: boolean) => void) => done(true) }));
    expect(await permission.ask(undefined, ada, request)).toBe(true);
  });

  test("that does not come lets nobody in", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { permission, errors } = start(() => new Promise(never));
    const answer = permission.ask(undefined, ada, request);
    await vi.advanceTimersByTimeAsync(answerTimeout + 1);
    expect(await answer).toBe(false);
    expect(errors).toEqual([new Error(`allow did not answer within ${answerTimeout} ms.`)]);
  });

  test("by a promise after a change lets nobody in; that and its rejection are reported", async () => {
    const { permission, errors } = start(async () => breaks());
    expect(permission.isGiven(ada)).toBe(false);
    await nextTurn();
    expect(errors).toMatchObject([
      { code: "OPTION_INVALID", message: expect.stringContaining("allow returned a promise after a change") },
      broken,
    ]);
  });
});

test("the request is there at the handshake alone", () => {
  const allow = vi.fn<Allow>(() => true);
  const { permission } = start(allow);
  void permission.ask(undefined, ada, request);
  permission.isGiven(ada);
  expect(allow.mock.calls).toEqual([
    [ada, request],
    [ada, undefined],
  ]);
});

describe("a change while the answer is under way", () => {
  const wait = () => {
    const done: ((answer: boolean) => void)[] = [];
    const asked: unknown[] = [];
    const answers = { now: true };
    const started = start((_session: SocketSession, asking: unknown) => {
      asked.push(asking);
      return asking ? new Promise<boolean>((resolve) => done.push(resolve)) : answers.now;
    });
    return { ...started, asked, answers, answer: (is: boolean) => done[0]?.(is) };
  };

  test("has the new data judged, without the request", async () => {
    const { permission, live, answer, answers, asked } = wait();
    answers.now = false;
    const answering = permission.ask(live, ada, request);
    permission.reviewSoon(live);
    answer(true);
    expect(await answering).toBe(false);
    expect(asked).toEqual([request, undefined]);
  });

  test("does not let in whom the answer refuses", async () => {
    const { permission, live, answer } = wait();
    const answering = permission.ask(live, ada, request);
    permission.reviewSoon(live);
    answer(false);
    expect(await answering).toBe(false);
  });

  test("of another session asks nobody again", async () => {
    const { permission, live, answer, asked } = wait();
    const answering = permission.ask(live, ada, request);
    permission.reviewSoon({ data: {}, review: never } as unknown as ActiveSession);
    answer(true);
    expect(await answering).toBe(true);
    expect(asked).toEqual([request]);
  });
});

describe("what is stored beside data that cannot be written", () => {
  const stored = JSON.stringify({ cookie: { path: "/" }, user: "bob", save: 1, __created: 5 });

  test("counts as well as the data, at the handshake and after a change", async () => {
    for (const [allow, expected] of [
      [(session: SocketSession) => session.user === "ada", false],
      [(session: SocketSession) => session.user === "bob", false],
      [(session: SocketSession) => session.user !== undefined, true],
    ] as const) {
      const { permission, reviews, live } = start(allow);
      reviews.onUnmerged(live, stored);
      expect([permission.ask(live, ada, request), permission.isGiven(ada)]).toEqual([expected, expected]);
      const later = start(async (session: SocketSession, asking: unknown) => (asking ? allow(session) : false));
      later.reviews.onUnmerged(later.live, stored);
      expect(await later.permission.ask(later.live, ada, request)).toBe(false);
    }
  });

  test("is shown like any session: with its id and its methods, without marks", () => {
    const seen: any[] = [];
    const { permission, reviews, live } = start((session: SocketSession) => seen.push(session) > 0);
    reviews.onUnmerged(live, stored);
    permission.isGiven(ada);
    const [, beside] = seen;
    expect([beside.id, beside.user, typeof beside.save, beside.cookie.path]).toEqual([
      "of ada",
      "bob",
      "function",
      "/",
    ]);
    expect(Object.keys(beside).toSorted()).toEqual(["cookie", "user"]);
  });
});

test("who waits for a review goes on behind it", async () => {
  const { permission, live } = start(() => true);
  expect(permission.isDue(live)).toBe(false);
  permission.reviewSoon(live);
  expect([permission.isDue(live), vi.mocked(live.review).mock.calls.length]).toEqual([true, 0]);
  expect(await permission.untilReviewed()).toBe(true);
  expect([permission.isDue(live), vi.mocked(live.review).mock.calls.length]).toEqual([false, 1]);
});
