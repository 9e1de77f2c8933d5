// Which sessions ended a moment ago, and why, as far as this node knows.
import { type End, endMemory } from "./driver.js";

export class Ends {
  readonly #ended = new Map<string, End>();

  /** Why this session ended, and when, if that was within {@link endMemory} and is known here. */
  of(id: string): End | undefined {
    const end = this.#ended.get(id);
    return end && end.at > Date.now() - endMemory ? end : undefined;
  }

  keep(id: string, end: End): void {
    for (const [old, { at }] of this.#ended) {
      if (at > Date.now() - endMemory) break;
      this.#ended.delete(old);
    }
    // The first reason stands: an id that was rotated and is destroyed again was rotated.
    if (!this.of(id)) this.#ended.set(id, end);
  }

  /** The id is that of a new session. */
  forget(id: string): void {
    this.#ended.delete(id);
  }
}
