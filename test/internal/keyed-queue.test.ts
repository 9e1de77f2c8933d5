import { describe, expect, test } from "vitest";
import { type Awaitable } from "../../src/internal/awaitable.js";
import { KeyedQueue } from "../../src/internal/keyed-queue.js";

/** A queue, a list of what happened, and tasks that write to it. */
function recorded() {
  const queue = new KeyedQueue();
  const done: string[] = [];
  const at = (name: string) => (): Awaitable<string> => (done.push(name), name);
  const late = (name: string) => async (): Promise<string> => {
    done.push(`${name} begins`);
    await new Promise(setImmediate);
    done.push(name);
    return name;
  };
  return { queue, done, at, late };
}

describe("work that is done at once", () => {
  test("answers at once, and leaves nothing to wait for", () => {
    const { queue, at } = recorded();
    expect(queue.run("a", at("one"))).toBe("one");
    expect(queue.isBusy("a")).toBe(false);
    expect(queue.run("a", at("two"))).toBe("two");
  });

  test("waits for work that takes time, and later work waits for it", async () => {
    const { queue, done, at, late } = recorded();
    const first = queue.run("a", late("first"));
    const second = queue.run("a", at("second"));
    expect(second).toBeInstanceOf(Promise);
    expect(queue.run("b", at("of another key"))).toBe("of another key");
    await Promise.all([first, second, queue.run("a", at("third"))]);
    expect(done).toEqual(["first begins", "of another key", "first", "second", "third"]);
    expect(queue.isBusy("a")).toBe(false);
  });

  test("throws what it throws, and the next goes on", () => {
    const { queue, at } = recorded();
    const fail = (): Awaitable<void> => {
      throw new Error("refused");
    };
    expect(() => queue.run("a", fail)).toThrow("refused");
    expect(queue.isBusy("a")).toBe(false);
    expect(queue.run("a", at("next"))).toBe("next");
  });
});

describe("work that a task brings before it has returned", () => {
  test.each(["at once", "later", "with an error"])("waits for the end of a task that answers %s", async (how) => {
    const { queue, done, at } = recorded();
    const brought: unknown[] = [];
    const task = (): Awaitable<void> => {
      expect(queue.isBusy("a")).toBe(true);
      brought.push(
        queue.run("a", at("second")),
        queue.share("a", async () => at("third")()),
      );
      brought.push(queue.run("b", at("of another key")), queue.run("a", at("fourth")));
      done.push("first");
      if (how === "with an error") throw new Error("refused");
      if (how === "later") return new Promise(setImmediate).then(() => void done.push("the end of the first"));
    };
    await Promise.resolve()
      .then(() => queue.run("a", task))
      .catch(() => undefined);
    await Promise.all(brought);
    const end = how === "later" ? ["the end of the first"] : [];
    expect(done).toEqual(["of another key", "first", ...end, "second", "third", "fourth"]);
    await new Promise(setImmediate);
    expect(queue.isBusy("a")).toBe(false);
    expect(queue.run("a", at("at once again"))).toBe("at once again");
  });

  test("waits for all tasks around it, whatever their keys", async () => {
    const { queue, done, at } = recorded();
    let alone: Promise<unknown> | undefined;
    const inner = (): Awaitable<void> => {
      alone = queue.runAlone(async () => void done.push("alone"));
      done.push("inner");
    };
    void queue.run("a", () => {
      void queue.run("b", inner);
      done.push("outer");
    });
    const later = queue.run("a", at("later"));
    await Promise.all([alone, later]);
    expect(done).toEqual(["inner", "outer", "alone", "later"]);
    await new Promise(setImmediate);
    expect(queue.isBusy("a")).toBe(false);
  });
});
