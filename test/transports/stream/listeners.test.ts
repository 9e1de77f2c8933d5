// What a stream listens to, until it is over.
import { EventEmitter } from "node:events";
import { describe, expect, test, vi } from "vitest";
import { Listeners, spent } from "../../../src/transports/stream/listeners.js";

function start() {
  const sent: unknown[][] = [];
  return { sent, bus: new EventEmitter(), listeners: new Listeners((event, data) => sent.push([event, data])) };
}

describe("a listener for an emitter that is known", () => {
  test("sends what it is called with, under its name, until all are removed", () => {
    const { sent, bus, listeners } = start();
    listeners.listen(bus, "news of ada", "news");
    listeners.listen(bus, "news of bob", "news");
    bus.emit("news of ada", 1);
    bus.emit("news of bob");
    expect(sent).toEqual([
      ["news", 1],
      ["news", undefined],
    ]);
    listeners.remove();
    expect(bus.eventNames()).toEqual([]);
  });

  test("needs no more of it than on() and off(); a call after the end goes nowhere", () => {
    const { sent, listeners } = start();
    const emitter = { on: vi.fn(), off: vi.fn() };
    listeners.listen(emitter, "a", "b");
    const [[event, listener]] = emitter.on.mock.calls as [[string, (data: unknown) => void]];
    listener(1);
    listeners.remove();
    listener(2);
    expect([event, sent]).toEqual(["a", [["b", 1]]]);
    expect(emitter.off.mock.calls).toEqual([["a", listener]]);
    listeners.remove();
    expect(emitter.off).toHaveBeenCalledTimes(1);
  });
});

describe("a listener that the application adds", () => {
  test("leaves each emitter that has called it, under all names, as often as it was added", () => {
    const { sent, bus, listeners } = start();
    const other = new EventEmitter();
    const listener = listeners.create("news");
    const theirs = vi.fn();
    for (const emitter of [bus, other]) emitter.on("a", listener).on("a", theirs);
    bus.on("a", listener).on("b", listener).on("c", listeners.create("news of c"));
    bus.emit("a", 1);
    other.emit("a", 2);
    bus.emit("c", 3);
    expect(sent).toEqual([
      ["news", 1],
      ["news", 1],
      ["news", 2],
      ["news of c", 3],
    ]);
    listeners.remove();
    expect([bus, other].map((emitter) => emitter.rawListeners("a"))).toEqual([[theirs], [theirs]]);
    expect(bus.eventNames()).toEqual(["a"]);
  });

  test("that was never called leaves at its next call, and sends nothing", () => {
    const { sent, bus, listeners } = start();
    bus.on("a", listeners.create("news"));
    listeners.remove();
    expect(bus.listenerCount("a")).toBe(1);
    bus.emit("a", 1);
    expect([bus.listenerCount("a"), sent]).toEqual([0, []]);
  });

  test.each<[string, unknown]>([
    ["nobody", undefined],
    ["null", null],
    ["an object that tells nothing of its listeners", {}],
    ["an object that tells half of it", { eventNames: () => ["a"] }],
  ])("may be called by %s", (_, caller) => {
    const { sent, listeners } = start();
    const listener = listeners.create("news");
    listener.call(caller, 1);
    listeners.remove();
    listener.call(caller, 2);
    expect(sent).toEqual([["news", 1]]);
  });
});

test("the listener of a stream that is over leaves at its first call", () => {
  const bus = new EventEmitter().on("a", spent);
  bus.emit("a", 1);
  expect(bus.eventNames()).toEqual([]);
});
