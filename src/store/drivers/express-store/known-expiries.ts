// Until when this process told a storage to keep its sessions: many stores move an expiry beside the data, which nobody
// can read. Bounded: of the sessions told longest ago nothing is known any more.
import { isSameMaxAge } from "../../record/session-record.js";

export interface Life {
  /** When it ends, if nobody else prolongs it (ms since 1970). */
  readonly until: number;
  /** What the storage was told, so as not to cut short what others prolonged; not before `until` (ms since 1970). */
  readonly given: number;
  readonly maxAge: number;
}

/** Of how many sessions it is known. */
const mostLives = 50_000;

export class KnownExpiries {
  readonly #lives = new Map<string, Life>();

  /** What the storage was told of this session, unless it lives for another time since. */
  of(id: string, maxAge: number): Life | undefined {
    const life = this.#lives.get(id);
    return life && isSameMaxAge(life.maxAge, maxAge) ? life : undefined;
  }

  keep(id: string, life: Life): void {
    this.#lives.delete(id);
    this.#lives.set(id, life);
    if (this.#lives.size <= mostLives) return;
    const oldest = this.#lives.keys().next().value;
    if (oldest !== undefined) this.#lives.delete(oldest);
  }

  forget(id: string): void {
    this.#lives.delete(id);
  }
}
