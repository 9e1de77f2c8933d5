// Ids that were not in the store, and the searches for them, by themselves.
import { expect, test } from "vitest";
import { AbsentIds } from "../../src/session/absent-ids.js";

test("who asks while a search is under way waits for the one after it, all together", async () => {
  const ids = new AbsentIds();
  ids.add("a");
  const answers: ((isFound: boolean) => void)[] = [];
  const find = (): Promise<boolean> => new Promise((resolve) => answers.push(resolve));
  const first = ids.search("a", find);
  const later = [ids.search("a", find), ids.search("a", find)];
  answers[0]?.(false);
  expect(await first).toBe(false);
  await expect.poll(() => answers.length).toBe(2);
  // It was made after the first search had begun.
  answers[1]?.(true);
  expect(await Promise.all(later)).toEqual([true, true]);
  expect(ids.has("a")).toBe(false);
  expect(answers.length).toBe(2);
});

test("a search that fails is no answer, and the next one begins anew", async () => {
  const ids = new AbsentIds();
  ids.add("a");
  await expect(ids.search("a", () => Promise.reject(new Error("down")))).rejects.toThrow("down");
  expect(ids.has("a")).toBe(true);
  expect(await ids.search("a", () => Promise.resolve(false))).toBe(false);
});

test("no more than a thousand ids are remembered, the newest", () => {
  const ids = new AbsentIds();
  for (let number = 0; number < 3000; number++) ids.add(`${number}`);
  expect([...Array(3000).keys()].filter((number) => ids.has(`${number}`))).toHaveLength(1000);
  expect(ids.has("2999")).toBe(true);
});

test("an id that was never absent is searched for, and is not remembered whatever the answer", async () => {
  const ids = new AbsentIds();
  for (const answer of [true, false]) {
    expect(await ids.search("b", async (id) => id === "b" && answer)).toBe(answer);
    expect(ids.has("b")).toBe(false);
  }
});

test("an id that is absent again keeps its place and its search", async () => {
  const ids = new AbsentIds();
  let searches = 0;
  let answer: (isThere: boolean) => void = () => undefined;
  const find = (): Promise<boolean> => {
    searches++;
    return new Promise((resolve) => (answer = resolve));
  };
  ids.add("a");
  const first = ids.search("a", find);
  ids.add("a");
  const later = ids.search("a", find);
  expect(searches).toBe(1);
  answer(false);
  expect(await first).toBe(false);
  await expect.poll(() => searches).toBe(2);
  answer(true);
  expect(await later).toBe(true);
});

test("the oldest is forgotten first, and only when there are more than a thousand", () => {
  const ids = new AbsentIds();
  for (let number = 0; number < 1000; number++) ids.add(`${number}`);
  expect([ids.has("0"), ids.has("999")]).toEqual([true, true]);
  ids.add("0");
  expect(ids.has("1")).toBe(true);
  ids.add("1000");
  expect([ids.has("0"), ids.has("1"), ids.has("1000")]).toEqual([false, true, true]);
});

test("a search that ends says nothing of an id that was forgotten and remembered again meanwhile", async () => {
  const ids = new AbsentIds();
  let answer: (isThere: boolean) => void = () => undefined;
  ids.add("a");
  const first = ids.search("a", () => new Promise((resolve) => (answer = resolve)));
  for (let number = 0; number < 1000; number++) ids.add(`${number}`);
  expect(ids.has("a")).toBe(false);
  ids.add("a");
  answer(true);
  expect(await first).toBe(true);
  expect(ids.has("a")).toBe(true);
});
