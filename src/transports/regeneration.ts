// socket.session.regenerate(): a new session for one connection, and for no other of the old session, as any of these
// may be an attacker's who planted its id. The browser collects the new cookie over HTTP by a ticket that is worth
// nothing without the old one. Knows no server.
import { SessionError } from "../errors.js";
import { type Tickets, withoutSecret } from "../handshake/ticket.js";
import type { ActiveSession, Connection } from "../session/live-session.js";
import type { Registry } from "../session/registry.js";
import type { SessionBackend } from "../store/session-backend.js";

/** How long a page may take to collect its cookie, in ms. */
export const collectTimeout = 10_000;

/** A connection that gets a new session. */
export interface Mover {
  readonly connection: Connection;
  readonly live: ActiveSession | undefined;
  /** Asks its page to collect the cookie. Resolves when the page has answered, has gone, or was too slow. */
  ask(ticket: string): Promise<void>;
  /** The next rotation of its session, if it is before `cancel`, gives it this one. */
  expect(successor: ActiveSession): void;
  cancel(): void;
  /** Goes on under the session that it expects, unless it does already. */
  move(): void;
}

/** What the sessions provide for it. */
export interface Regenerations {
  readonly registry: Registry;
  readonly store: SessionBackend;
  /** Tickets for cookies; undefined where there is no secret for them. */
  readonly tickets: Tickets | undefined;
}

/**
 * Gives a connection a new session, which `create` stores. The old one ends when the browser has its new cookie: until
 * then nothing has happened, and where it does not come nothing will have.
 */
export async function regenerate(
  { registry, store, tickets }: Regenerations,
  mover: Mover,
  create: () => Promise<string>,
): Promise<void> {
  const old = mover.live;
  if (!old) throw new SessionError("SESSION_MISSING");
  if (old.ended) throw new SessionError(old.ended);
  if (!tickets) throw withoutSecret();
  const id = await create();
  let next: ActiveSession;
  try {
    const { ticket } = await tickets.issue(id, old.id);
    await mover.ask(ticket);
    // What the page says counts for nothing: a ticket that is still open was not used, and now cannot be any more.
    if (await tickets.withdraw(ticket)) {
      throw new SessionError("REGENERATE_NEEDS_HTTP", { detail: "The page did not collect its cookie." });
    }
    if (old.ended) throw new SessionError(old.ended);
    next = await registry.acquire(id, mover.connection);
    // A logout may have come while that was read.
    if (old.ended) {
      next.remove(mover.connection);
      throw new SessionError(old.ended);
    }
  } catch (error) {
    await store.end(id, "SESSION_DESTROYED").catch(() => undefined);
    throw error;
  }
  mover.expect(next);
  try {
    // The moment of the old session's end is the moment of the move: what the client sends has a session all the time.
    await store.end(old.id, "SESSION_ROTATED");
  } catch (error) {
    mover.cancel();
    await store.end(id, "SESSION_DESTROYED").catch(() => undefined);
    throw error;
  }
  mover.move();
}
