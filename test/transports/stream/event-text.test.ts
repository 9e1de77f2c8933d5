// Events as text of the type text/event-stream.
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { checkEvent, checkEventId, comment, eventText, retryText } from "../../../src/transports/stream/event-text.js";

test("a comment is one that clients ignore", () => {
  expect(comment).toBe(":\n\n");
});

describe("an event's data is", () => {
  test.each<[string, unknown, string]>([
    ["a text as it is", "a text", "data: a text\n"],
    ["an empty text", "", "data: \n"],
    ["JSON of everything else", { a: [1, null] }, `data: {"a":[1,null]}\n`],
    ["an empty text where there is none", undefined, "data: \n"],
    ["an empty text where JSON knows none", () => 0, "data: \n"],
    ["a field for each line, however it ends", "a\nb\r\nc\rd", "data: a\ndata: b\ndata: c\ndata: d\n"],
    ["fields for empty lines, too", "\n\r\n", "data: \ndata: \ndata: \n"],
  ])("%s", (_, data, fields) => {
    expect(eventText("news", data)).toBe(`event: news\n${fields}\n`);
  });
});

test("an event's id stands between its name and its data", () => {
  expect(eventText("news", 1, "7")).toBe("event: news\nid: 7\ndata: 1\n\n");
  expect(eventText("news", 1, "")).toBe("event: news\nid: \ndata: 1\n\n");
});

test("clients come back after 1 to 3 s, by chance", () => {
  const random = vi.spyOn(Math, "random");
  onTestFinished(() => random.mockRestore());
  const texts = [0, 0.5, 0.9999].map((chance) => {
    random.mockReturnValueOnce(chance);
    return retryText();
  });
  expect(texts).toEqual(["retry: 1000\n", "retry: 2000\n", "retry: 3000\n"]);
});

describe("refused, because it would end a field:", () => {
  test.each([
    ["an empty name", ""],
    ["no text", 7],
    ["a line feed", "a\nb"],
    ["a carriage return", "a\rb"],
  ])("%s as a name", (_, name) => {
    expect(() => checkEvent(name)).toThrow(
      expect.objectContaining({ code: "OPTION_INVALID", message: expect.stringContaining("a text of one line") }),
    );
  });

  test.each([
    ["NUL", "a\0"],
    ["no text", 7],
    ["a line feed", "a\nb"],
    ["a carriage return", "a\rb"],
  ])("%s as an id", (_, id) => {
    expect(() => checkEventId(id)).toThrow(
      expect.objectContaining({ code: "OPTION_INVALID", message: expect.stringContaining("without NUL") }),
    );
  });
});

test("any other name and id is fine, and so is no id", () => {
  for (const name of ["news", "two words", "ä"]) expect(() => checkEvent(name)).not.toThrow();
  for (const id of [undefined, "", "7", "two words"]) expect(() => checkEventId(id)).not.toThrow();
});
