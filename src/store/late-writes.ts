// Writes that were given up and may still arrive. Without compare-and-set one may overwrite a newer state, or bring an
// ended session back: then the newer state is written again.
import { endMemory } from "./drivers/driver.js";

/** What was written last; `text` is undefined where the session was removed. */
interface Written {
  readonly text: string | undefined;
}

interface Late {
  /** Writes that may still arrive. */
  count: number;
  /** What was written since the first of them was given up. */
  known: Written | undefined;
}

export class LateWrites {
  readonly #late = new Map<string, Late>();

  /** What was written to a session after a write that may still arrive: it counts, not what is stored. */
  known(id: string): Written | undefined {
    return this.#late.get(id)?.known;
  }

  /** A write went well. */
  written(id: string, text: string | undefined): void {
    const late = this.#late.get(id);
    if (late) late.known = { text };
  }

  /** Waits for a write that was given up, for as long as ends are remembered; `rewrite` writes the newer state. */
  follow(id: string, running: Promise<unknown>, rewrite: (newer: () => Written | undefined) => Promise<void>): void {
    const late = this.#late.get(id) ?? { count: 0, known: undefined };
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
    // One that failed has arrived nowhere.
    running.then(() => rewrite(() => (isOver ? undefined : late.known))).then(forget, forget);
  }
}
