// Tickets: a page fetches one with its cookie, and opens a socket with it where the cookie is not sent. A ticket is
// sealed, so that nobody can make one. The session itself lists the open ones: so they end with it, and count once on all
// nodes.
import { randomBytes } from "node:crypto";
import { endCodeOf, SessionError } from "../errors.js";
import type { SessionBackend } from "../store/session-backend.js";
import { Seal } from "./seal.js";
import { systemNow } from "../internal/system-time.js";

/** What a page gets. */
export interface Ticket {
  readonly ticket: string;
  /** How long it may be used, in ms. */
  readonly expiresIn: number;
}

/** Tickets for one purpose; those for another are worth nothing here. */
export class OneTimeTickets {
  readonly #seal: Seal;
  readonly #store: SessionBackend;
  readonly #lifetime: number;

  constructor(secrets: readonly (string | Buffer)[], purpose: string, store: SessionBackend, lifetime: number) {
    this.#seal = new Seal(secrets, purpose);
    this.#store = store;
    this.#lifetime = lifetime;
  }

  /** A ticket of this session for one use by `holder`: a page's origin, say. Rejects with the end's code. */
  async issue(id: string, holder: string): Promise<Ticket> {
    const nonce = randomBytes(12).toString("base64url");
    const expires = systemNow() + this.#lifetime;
    await this.#store.tickets.add(id, nonce, expires);
    return { ticket: this.#seal.seal(JSON.stringify([id, nonce, holder]), this.#lifetime), expiresIn: this.#lifetime };
  }

  /**
   * The session that a ticket of one of these holders lets into, which must be `own` where that is given. Rejects with
   * `TICKET_INVALID`, whatever is wrong: who guesses learns nothing. `STORE_UNAVAILABLE` leaves the ticket as it is.
   */
  async redeem(ticket: unknown, holders: readonly string[], own?: string): Promise<string> {
    const opened = typeof ticket === "string" ? this.#seal.open(ticket) : undefined;
    if (opened === undefined) throw new SessionError("TICKET_INVALID");
    const [id, nonce, boundTo] = JSON.parse(opened) as [string, string, string];
    if (!holders.includes(boundTo) || (own !== undefined && own !== id)) throw new SessionError("TICKET_INVALID");
    if (!(await this.#consume(id, nonce))) throw new SessionError("TICKET_INVALID");
    return id;
  }

  /** Takes a ticket back, whatever its time: true where nobody has used it. */
  withdraw(ticket: string): Promise<boolean> {
    const [id, nonce] = JSON.parse(this.#seal.open(ticket, true) as string) as [string, string];
    return this.#consume(id, nonce);
  }

  async #consume(id: string, nonce: string): Promise<boolean> {
    try {
      return await this.#store.tickets.consume(id, nonce);
    } catch (error) {
      if (endCodeOf(error)) return false;
      throw error;
    }
  }
}

/** Told to a developer who wants tickets from an existing middleware, whose secrets are not known. */
export function withoutSecret(): SessionError {
  return new SessionError("OPTION_INVALID", {
    detail: "Tickets need a secret: pass it beside the middleware, createSessions({ middleware, secret }).",
  });
}
