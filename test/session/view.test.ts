// What a page may see of its session, as the text that is sent.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { timeUntil, type ViewFunction, Views } from "../../src/session/view.js";

const text = `{"cookie":{"originalMaxAge":60000,"expires":null},"user":"ada","cart":["apple"],"__created":5}`;
const failed = vi.fn();

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.clearAllMocks();
});

const viewOf = (view: ViewFunction | undefined): string | undefined => new Views(view, failed).of(text);

test("without a view function pages see null, and are told of nothing", () => {
  expect(viewOf(undefined)).toBe("null");
  expect(new Views(undefined, failed).isSet).toBe(false);
  expect(new Views(() => 1, failed).isSet).toBe(true);
});

test.each<[string, unknown, string]>([
  ["an object", { user: "ada", nested: [1] }, `{"user":"ada","nested":[1]}`],
  ["a text", "view", `"view"`],
  ["nothing", undefined, "null"],
  ["null", null, "null"],
  ["what JSON leaves out", () => 1, "null"],
  ["an empty object", {}, "{}"],
])("of a function that returns %s is its JSON", (_, returned, json) => {
  expect(viewOf(() => returned)).toBe(json);
  expect(failed).not.toHaveBeenCalled();
});

test("the function gets the stored fields with a cookie as express-session has it, and none of the marks", () => {
  const view = vi.fn<ViewFunction>((session) => session.cookie?.originalMaxAge);
  expect(viewOf(view)).toBe("60000");
  const [session] = view.mock.calls[0] as [Record<string, unknown>];
  expect(Object.keys(session).toSorted()).toEqual(["cart", "cookie", "user"]);
  expect(session["cookie"]).toHaveProperty("serialize");
});

test.each<[string, ViewFunction, object]>([
  [
    "throws",
    () => {
      throw new RangeError("mine");
    },
    new RangeError("mine"),
  ],
  ["returns what JSON cannot hold", () => 1n, { code: "DATA_INVALID" }],
])("a function that %s makes no view, and is reported", (_, view, error) => {
  expect(viewOf(view)).toBeUndefined();
  expect(failed.mock.calls).toMatchObject([[error]]);
});

test("how long a session lasts is told in whole ms, none where it is over, null where nothing ends it", () => {
  expect(timeUntil(1500.6, 1000)).toBe(501);
  expect(timeUntil(900, 1000)).toBe(0);
  expect(timeUntil(Number.POSITIVE_INFINITY, 1000)).toBeNull();
  expect(timeUntil(Date.now() + 70)).toBe(70);
});
