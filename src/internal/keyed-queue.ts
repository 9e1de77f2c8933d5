// Work on one session runs one piece after the other, work on different sessions side by side.
// Knows only keys and promises.
import { noop } from "./noop.js";

/** A queue per key, kept only while there is work. */
export class KeyedQueue {
  /** When all work on a key so far is done. */
  readonly #tails = new Map<string, Promise<void>>();
  /** When all of it is done that shares its turn with nobody. */
  readonly #changes = new Map<string, Promise<void>>();
  #barrier: Promise<void> | undefined;

  /** Runs `task` when all earlier work on this key is done. */
  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const result = start(this.#tails.get(key) ?? this.#barrier, task);
    const tail = result.then(noop, noop);
    keep(this.#tails, key, tail);
    keep(this.#changes, key, tail);
    return result;
  }

  /** As {@link KeyedQueue.run}, for reading: side by side with others that share their turn. */
  share<T>(key: string, task: () => Promise<T>): Promise<T> {
    const result = start(this.#changes.get(key) ?? this.#barrier, task);
    const others = this.#tails.get(key);
    const tail = result.then(noop, noop);
    keep(this.#tails, key, others ? tail.then(() => others) : tail);
    return result;
  }

  /** Runs `task` when all earlier work is done, and before all later work, whatever its key. */
  runAlone<T>(task: () => Promise<T>): Promise<T> {
    const result = this.runAfter(task);
    this.#tails.clear();
    this.#changes.clear();
    const barrier = result.then(noop, noop).then(() => {
      if (this.#barrier === barrier) this.#barrier = undefined;
    });
    this.#barrier = barrier;
    return result;
  }

  /** Runs `task` when all earlier work is done, whatever its key; later work does not wait for it. */
  runAfter<T>(task: () => Promise<T>): Promise<T> {
    if (this.#tails.size === 0) return start(this.#barrier, task);
    return Promise.all([...this.#tails.values(), this.#barrier]).then(task);
  }

  /** True while there is work on this key. */
  isBusy(key: string): boolean {
    return this.#tails.has(key) || this.#barrier !== undefined;
  }
}

function start<T>(before: Promise<void> | undefined, task: () => Promise<T>): Promise<T> {
  return before ? before.then(task) : task();
}

function keep(promises: Map<string, Promise<void>>, key: string, promise: Promise<void>): void {
  promises.set(key, promise);
  void promise.then(() => {
    if (promises.get(key) === promise) promises.delete(key);
  });
}
