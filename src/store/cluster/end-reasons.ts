// Which sessions ended a moment ago, and why, as far as this node knows.
import type { EndCode } from "../../errors.js";
import { monotonicNow } from "../../internal/monotonic.js";
import { systemNow } from "../../internal/system-time.js";
import { type End, endMemory } from "../drivers/driver.js";

/** How much later than an end its notice may arrive (ms). */
const longestDelay = 5_000;

interface KnownEnd extends End {
  /** When this node heard of it last. */
  heardAt: number;
}

/** The ends of the last minute. */
export class EndReasons {
  /** Their times are moments of `monotonicNow()`. */
  readonly #ended = new Map<string, KnownEnd>();

  /** Why this session ended, and when (a moment of `monotonicNow()`), if that was within {@link endMemory}. */
  get(id: string): KnownEnd | undefined {
    const end = this.#ended.get(id);
    return end && end.at > monotonicNow() - endMemory ? end : undefined;
  }

  /** Records an end that happened just now. */
  record(id: string, code: EndCode): void {
    this.#record(id, code, 0);
  }

  /** Records an end that the storage remembers, of this node or another. */
  recordRemembered(id: string, { code, at }: End): void {
    // Clocks of nodes differ, and are set; an end that is remembered is younger than that.
    this.#record(id, code, Math.min(Math.max(systemNow() - at, 0), endMemory / 2));
  }

  #record(id: string, code: EndCode, age: number): void {
    const now = monotonicNow();
    for (const [old, { at }] of this.#ended) {
      if (at > now - endMemory) break;
      this.#ended.delete(old);
    }
    const known = this.get(id);
    // The first reason stands: an id that was rotated and is destroyed again was rotated.
    if (known) known.heardAt = now;
    else this.#ended.set(id, { code, at: now - age, heardAt: now });
  }

  /** Whether a session's last end may have been before something that happened so many ms ago. */
  mayPrecede(id: string, ago: number): boolean {
    const known = this.#ended.get(id);
    return known === undefined || monotonicNow() - known.heardAt + longestDelay > ago;
  }

  /** The id is that of a new session. */
  forget(id: string): void {
    this.#ended.delete(id);
  }
}
