// Work on one session runs one piece after the other, work on different sessions side by side.
// Knows only keys and promises.

/** A queue per key, kept only while there is work. */
export class KeyedQueue {
  readonly #tails = new Map<string, Promise<void>>();
  #barrier: Promise<void> | undefined;

  /** Runs `task` when all earlier work on this key is done. */
  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? this.#barrier;
    const result = before ? before.then(task) : task();
    const done = (): void => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    };
    const tail = result.then(done, done);
    this.#tails.set(key, tail);
    return result;
  }

  /** Runs `task` when all earlier work is done, and before all later work, whatever its key. */
  runAlone<T>(task: () => Promise<T>): Promise<T> {
    const before = [...this.#tails.values(), this.#barrier];
    this.#tails.clear();
    const result = Promise.all(before).then(task);
    const barrier = result.then(ignore, ignore).then(() => {
      if (this.#barrier === barrier) this.#barrier = undefined;
    });
    this.#barrier = barrier;
    return result;
  }
}

function ignore(): void {}
