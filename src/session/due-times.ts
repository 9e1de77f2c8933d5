// When each of many things is due: a binary heap, which has the earliest on top. What is due later costs nothing until then.
// Knows nothing of what is done.
import { never } from "../internal/monotonic.js";

/** Has a place among the due times. */
export interface Timed {
  /** Where it stands in the heap; -1 where it is not due at all. */
  dueIndex: number;
}

/** A moment for each item. An item whose moment moves later stays where it is until it comes up. */
export class DueTimes<Item extends Timed> {
  // Two arrays side by side: one object for each entry would take three times the memory.
  readonly #items: Item[] = [];
  readonly #times: number[] = [];

  /** The earliest moment, or Infinity. */
  get earliest(): number {
    return this.#times[0] ?? never;
  }

  /** Makes sure that an item comes up at `at`, or before. */
  bring(item: Item, at: number): void {
    const index = item.dueIndex;
    if (index >= 0) {
      if (at < (this.#times[index] as number)) this.#rise(index, item, at);
    } else if (at !== never) this.#rise(this.#items.length, item, at);
  }

  /** As {@link DueTimes.bring}, for all that are there. */
  bringAll(at: number): void {
    // With one moment for all of them, or an earlier one above, the order stays a heap.
    for (const [index, time] of this.#times.entries()) if (at < time) this.#times[index] = at;
  }

  /** Takes out what is due at `now`. */
  take(now: number): Item[] {
    const due: Item[] = [];
    while (this.earliest <= now) {
      const first = this.#items[0] as Item;
      this.drop(first);
      due.push(first);
    }
    return due;
  }

  /** What is due until then; it stays. */
  until(until: number): Item[] {
    const due: Item[] = [];
    const waiting = [0];
    for (let index = waiting.pop(); index !== undefined; index = waiting.pop()) {
      if ((this.#times[index] ?? never) > until) continue;
      due.push(this.#items[index] as Item);
      waiting.push(2 * index + 1, 2 * index + 2);
    }
    return due;
  }

  /** An item is not due any more. */
  drop(item: Item): void {
    const index = item.dueIndex;
    if (index < 0) return;
    item.dueIndex = -1;
    const last = this.#items.pop() as Item;
    const time = this.#times.pop() as number;
    if (last === item) return;
    // The last one takes its place, and finds its own.
    const above = (index - 1) >> 1;
    if (index > 0 && time < (this.#times[above] as number)) this.#rise(index, last, time);
    else this.#sink(index, last, time);
  }

  #rise(from: number, item: Item, at: number): void {
    let index = from;
    while (index > 0) {
      const above = (index - 1) >> 1;
      if ((this.#times[above] as number) <= at) break;
      this.#put(index, this.#items[above] as Item, this.#times[above] as number);
      index = above;
    }
    this.#put(index, item, at);
  }

  #sink(from: number, item: Item, at: number): void {
    let index = from;
    for (;;) {
      let below = 2 * index + 1;
      if (below + 1 < this.#times.length && (this.#times[below + 1] as number) < (this.#times[below] as number))
        below++;
      if (below >= this.#times.length || (this.#times[below] as number) >= at) break;
      this.#put(index, this.#items[below] as Item, this.#times[below] as number);
      index = below;
    }
    this.#put(index, item, at);
  }

  #put(index: number, item: Item, at: number): void {
    this.#items[index] = item;
    this.#times[index] = at;
    item.dueIndex = index;
  }
}
