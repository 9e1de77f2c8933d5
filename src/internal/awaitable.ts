// Answers that may be there at once: a store in memory needs no promise, and a promise costs each connection and each
// write time and memory.

/** A value, or the promise of one. A function that returns it may throw as well as reject. */
export type Awaitable<T> = T | Promise<T>;

/** True for a value that is still to come. */
export function isPromise<T>(value: Awaitable<T>): value is Promise<T> {
  return value instanceof Promise;
}

/** Hands the value on, at once where it is there. */
export function after<T, R>(value: Awaitable<T>, next: (value: T) => Awaitable<R>): Awaitable<R> {
  return isPromise(value) ? value.then(next) : next(value);
}

/** The promise of what `task` does: it begins at once, and rejects where it throws. */
export async function promised<T>(task: () => Awaitable<T>): Promise<T> {
  return task();
}

/** What a call gives; where it throws or rejects, what `failed` makes of that. */
export function rescue<T, R>(call: () => Awaitable<T>, failed: (error: unknown) => R): Awaitable<T | R> {
  try {
    const value = call();
    return isPromise(value) ? value.catch(failed) : value;
  } catch (error) {
    return failed(error);
  }
}

/** True for the promise of any library. */
export function isThenable(value: unknown): boolean {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}
