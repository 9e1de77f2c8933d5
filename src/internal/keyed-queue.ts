// Work on one session runs one piece after the other, work on different sessions side by side.
// Knows only keys, tasks and promises.
import { type Awaitable, isPromise, promised } from "./awaitable.js";
import { noop } from "./noop.js";

/** A task that has begun and not returned yet. */
interface Turn {
  readonly key: string;
  /** The task that this one was begun by. */
  readonly outer: Turn | undefined;
  /** When it is done: made where somebody has to wait for it. */
  done: Promise<void> | undefined;
  /** Settles that promise, or has it settle as another does. */
  settle: (done?: Promise<void>) => void;
}

/** A queue per key, kept only while there is work that takes time. */
export class KeyedQueue {
  /** When all work on a key so far is done. */
  readonly #tails = new Map<string, Promise<void>>();
  /** When all of it is done that shares its turn with nobody. */
  readonly #changes = new Map<string, Promise<void>>();
  #barrier: Promise<void> | undefined;
  /** The innermost of the tasks that have begun and not returned: their listeners may bring more work. */
  #turn: Turn | undefined;

  /** Runs `task` when all earlier work on this key is done: at once where there is none, so that it may answer at once. */
  run<T>(key: string, task: () => Promise<T>): Promise<T>;
  run<T>(key: string, task: () => Awaitable<T>): Awaitable<T>;
  run<T>(key: string, task: () => Awaitable<T>): Awaitable<T> {
    const before = this.#before(this.#tails, key);
    if (!before) return this.#begin(key, task);
    const result = before.then(task);
    this.#keep(key, result.then(noop, noop));
    return result;
  }

  /** As {@link KeyedQueue.run}, for reading: side by side with others that share their turn. */
  share<T>(key: string, task: () => Awaitable<T>): Promise<T> {
    const before = this.#before(this.#changes, key);
    const result = before ? before.then(task) : promised(task);
    const others = this.#tails.get(key);
    const tail = result.then(noop, noop);
    const all = others ? tail.then(() => others) : tail;
    this.#tails.set(key, all);
    void all.then(() => {
      if (this.#tails.get(key) === all) this.#tails.delete(key);
    });
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
    for (let turn = this.#turn; turn; turn = turn.outer) void this.#doneOf(turn);
    if (this.#tails.size > 0) return Promise.all([...this.#tails.values(), this.#barrier]).then(task);
    return this.#barrier ? this.#barrier.then(task) : task();
  }

  /** True while there is work on any key. */
  get isAnyBusy(): boolean {
    return this.#tails.size > 0 || this.#barrier !== undefined;
  }

  /** True while there is work on this key. */
  isBusy(key: string): boolean {
    return this.#tails.has(key) || this.#barrier !== undefined || this.#turnOf(key) !== undefined;
  }

  /** What work on this key has to wait for, of what is in `promises`. */
  #before(promises: ReadonlyMap<string, Promise<void>>, key: string): Promise<void> | undefined {
    const turn = this.#turnOf(key);
    if (turn && !turn.done) return this.#doneOf(turn);
    return promises.get(key) ?? this.#barrier;
  }

  #turnOf(key: string): Turn | undefined {
    let turn = this.#turn;
    while (turn && turn.key !== key) turn = turn.outer;
    return turn;
  }

  /** When a task that has not returned yet is done: it has its place in the queue from now on. */
  #doneOf(turn: Turn): Promise<void> {
    if (!turn.done) {
      turn.done = new Promise((resolve) => (turn.settle = resolve));
      this.#keep(turn.key, turn.done);
    }
    return turn.done;
  }

  #begin<T>(key: string, task: () => Awaitable<T>): Awaitable<T> {
    const turn: Turn = { key, outer: this.#turn, done: undefined, settle: noop };
    this.#turn = turn;
    let result: Awaitable<T>;
    try {
      result = task();
    } catch (error) {
      turn.settle();
      throw error;
    } finally {
      this.#turn = turn.outer;
    }
    if (!isPromise(result)) turn.settle();
    else if (turn.done) turn.settle(result.then(noop, noop));
    else this.#keep(key, result.then(noop, noop));
    return result;
  }

  #keep(key: string, tail: Promise<void>): void {
    this.#changes.set(key, tail);
    this.#tails.set(key, tail);
    void tail.then(() => {
      if (this.#changes.get(key) === tail) this.#changes.delete(key);
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
  }
}
