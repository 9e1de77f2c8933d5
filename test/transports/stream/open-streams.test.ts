// The streams that are open, and the one timer that keeps them alive.
import { beforeEach, afterEach, expect, test, vi } from "vitest";
import { OpenStreams } from "../../../src/transports/stream/open-streams.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const stream = () => ({ keepAlive: vi.fn(), leave: vi.fn() });

test("one timer, which keeps no process alive, tells all of them that a pause is over", () => {
  const open = new OpenStreams(1000);
  const [one, other] = [stream(), stream()];
  const timers = vi.spyOn(globalThis, "setInterval");
  open.add(one);
  open.add(other);
  expect(timers).toHaveBeenCalledTimes(1);
  expect(timers.mock.results).toMatchObject([{ value: expect.toSatisfy((timer: NodeJS.Timeout) => !timer.hasRef()) }]);
  vi.advanceTimersByTime(999);
  expect(one.keepAlive).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1001);
  for (const { keepAlive } of [one, other]) expect(keepAlive).toHaveBeenCalledTimes(2);
});

test("the timer ends with the last of them, and comes back with the next", () => {
  const open = new OpenStreams(1000);
  const [one, other] = [stream(), stream()];
  open.add(one);
  open.add(other);
  open.delete(one);
  vi.advanceTimersByTime(1000);
  expect([one, other].map(({ keepAlive }) => keepAlive.mock.calls.length)).toEqual([0, 1]);
  open.delete(other);
  expect(vi.getTimerCount()).toBe(0);
  open.add(one);
  vi.advanceTimersByTime(1000);
  expect(one.keepAlive).toHaveBeenCalledTimes(1);
});

test("a stream that was never added changes nothing", () => {
  const open = new OpenStreams(1000);
  open.delete(stream());
  open.add(stream());
  open.delete(stream());
  expect(vi.getTimerCount()).toBe(1);
});

test("without a pause there is no timer", () => {
  new OpenStreams(0).add(stream());
  expect(vi.getTimerCount()).toBe(0);
});

test("all leave together, also where each is deleted then", () => {
  const open = new OpenStreams(1000);
  const streams = [stream(), stream()];
  for (const one of streams) {
    open.add(one);
    one.leave.mockImplementation(() => open.delete(one));
  }
  open.leave();
  for (const { leave } of streams) expect(leave).toHaveBeenCalledTimes(1);
  expect(vi.getTimerCount()).toBe(0);
});
