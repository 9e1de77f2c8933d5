// Writes that were given up and may still arrive. Without compare-and-set one may overwrite a newer state, or bring an
// ended session back. Then the newer state is written again.
import { endMemory } from "../drivers/driver.js";

/** What was written last; `text` is undefined where the session was removed. */
interface LatestState {
  readonly text: string | undefined;
}

interface LateWrite {
  /** How many writes may still arrive. */
  count: number;
  /** What was written since the first of them was given up. */
  latest: LatestState | undefined;
}

/** Follows late writes, and remembers what was written after them. */
export class LateWrites {
  readonly #late = new Map<string, LateWrite>();

  /** What was written to a session after a write that may still arrive: it counts, not what is stored. */
  latest(id: string): LatestState | undefined {
    return this.#late.get(id)?.latest;
  }

  /** A write went well. */
  noteWrite(id: string, text: string | undefined): void {
    const late = this.#late.get(id);
    if (late) late.latest = { text };
  }

  /** Waits for a write that was given up, for as long as ends are remembered; `rewrite` writes the newer state. */
  follow(
    id: string,
    running: Promise<unknown>,
    rewrite: (latest: () => LatestState | undefined) => Promise<void>,
  ): void {
    const late = this.#late.get(id) ?? { count: 0, latest: undefined };
    this.#late.set(id, late);
    late.count++;
    let isOver = false;
    const forget = (): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      if (--late.count === 0) this.#late.delete(id);
    };
    const timer = setTimeout(forget, endMemory).unref();
    // A write that failed has arrived nowhere.
    running.then(() => rewrite(() => (isOver ? undefined : late.latest))).then(forget, forget);
  }
}
