// Tickets that are kept with their sessions. Knows neither what a ticket opens nor who may have one.
import { monotonicNow } from "../internal/monotonic.js";
import { systemNow } from "../internal/system-time.js";
import { addTicket, consumeTicket, parse, timesOf } from "./record/session-record.js";
import type { StoredSessions } from "./stored-sessions.js";

/** The unused tickets of the sessions of one storage. */
export class StoredTickets {
  readonly #sessions: StoredSessions;

  constructor(sessions: StoredSessions) {
    this.#sessions = sessions;
  }

  /** Notes a ticket of this session until `expires` (ms since 1970); rejects with the end's code. */
  async add(id: string, nonce: string, expires: number): Promise<void> {
    return this.#sessions.queue.run(id, () =>
      this.#sessions.rewrite(id, (text) => {
        const record = parse(text);
        // A clock that is set forward ends no ticket of this node.
        addTicket(record, nonce, expires, Math.min(systemNow(), monotonicNow()));
        return this.#sessions.recordWriter.serialize(record);
      }),
    );
  }

  /** True for the first who uses this ticket, on whichever node; rejects with the end's code. */
  async consume(id: string, nonce: string): Promise<boolean> {
    let isFirst = false;
    await this.#sessions.queue.run(id, () =>
      this.#sessions.rewrite(id, (text) => {
        const record = parse(text);
        isFirst = consumeTicket(record, nonce);
        return isFirst
          ? this.#sessions.recordWriter.serializeAnySize(record)
          : { text, expires: timesOf(text).expires };
      }),
    );
    return isFirst;
  }
}
