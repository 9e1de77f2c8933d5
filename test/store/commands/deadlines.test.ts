import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { CommandRunner } from "../../../src/store/commands/command-runner.js";
import { Deadlines } from "../../../src/store/commands/deadlines.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("each is over at its own moment, with one timer for all", () => {
  const deadlines = new Deadlines(1000);
  const over: string[] = [];
  deadlines.begin(() => over.push("first"));
  const met = deadlines.begin(() => over.push("met"));
  vi.advanceTimersByTime(400);
  const second = deadlines.begin(() => over.push("second"));
  expect(vi.getTimerCount()).toBe(1);
  expect(deadlines.meet(met)).toBe(true);
  vi.advanceTimersByTime(600);
  expect(over).toEqual(["first"]);
  vi.advanceTimersByTime(399);
  expect(over).toEqual(["first"]);
  vi.advanceTimersByTime(2);
  expect(over).toEqual(["first", "second"]);
  expect(deadlines.meet(second)).toBe(false);
  expect(vi.getTimerCount()).toBe(0);
});

test("where all is done in time the timer ends by itself, and begins with the next", () => {
  const deadlines = new Deadlines(1000);
  const over: string[] = [];
  for (let index = 0; index < 3; index++) {
    const one = deadlines.begin(() => over.push("never"));
    vi.advanceTimersByTime(300);
    deadlines.meet(one);
  }
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(1000);
  expect(vi.getTimerCount()).toBe(0);
  deadlines.begin(() => over.push("late"));
  vi.advanceTimersByTime(1001);
  expect(over).toEqual(["late"]);
});

test("a command that is answered late is given up once, and the storage counts as there again", async () => {
  const runner = new CommandRunner(true, 1000);
  let answer: (value: string) => void = () => undefined;
  const running = runner.run("id", () => new Promise<string>((resolve) => (answer = resolve)));
  const failed = expect(running).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  await vi.advanceTimersByTimeAsync(1001);
  await failed;
  expect(runner.downSince).toBeDefined();
  answer("late");
  await vi.advanceTimersByTimeAsync(0);
  expect(runner.downSince).toBeDefined();
  expect(await runner.run("id", async () => "answer")).toBe("answer");
  expect(runner.downSince).toBeUndefined();
});

test("of commands without an answer so many may be under way that the memory is not filled", async () => {
  const runner = new CommandRunner(true, 1000);
  const answers: (() => void)[] = [];
  const ask = () => runner.run("id", () => new Promise<void>((resolve) => answers.push(resolve)));
  const given = Array.from({ length: 1000 }, () => ask().catch(() => undefined));
  await vi.advanceTimersByTimeAsync(1001);
  await Promise.all(given);
  await expect(ask()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  expect(answers).toHaveLength(1000);
  // One that is answered late makes room for another.
  answers[0]?.();
  await vi.advanceTimersByTimeAsync(0);
  const next = ask();
  expect(answers).toHaveLength(1001);
  answers[1000]?.();
  await next;
});
