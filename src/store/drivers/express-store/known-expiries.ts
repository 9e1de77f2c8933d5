// Until when this process told a store to keep its sessions: many stores move an expiry beside the data, where nobody
// can read it. Bounded: the sessions sent longest ago are forgotten.
import { BoundedMap } from "../../../internal/bounded-map.js";
import { isSameMaxAge } from "../../record/session-record.js";

/** How long a session lives, as this process has sent it to the store. */
export interface KnownExpiry {
  /** When it ends, unless somebody else prolongs it (ms since 1970). */
  readonly expires: number;
  /** What the store was sent: not before `expires`, so as not to cut short what others prolonged (ms since 1970). */
  readonly sent: number;
  readonly maxAge: number;
}

/** Of how many sessions it is known. */
const mostKnown = 50_000;

/** The expiries of the sessions that were sent last. */
export class KnownExpiries {
  readonly #expiries = new BoundedMap<string, KnownExpiry>(mostKnown);

  /** What the store was sent for this session, unless it has another maxAge since. */
  get(id: string, maxAge: number): KnownExpiry | undefined {
    const known = this.#expiries.get(id);
    return known && isSameMaxAge(known.maxAge, maxAge) ? known : undefined;
  }

  set(id: string, expiry: KnownExpiry): void {
    this.#expiries.set(id, expiry);
  }

  delete(id: string): void {
    this.#expiries.delete(id);
  }
}
