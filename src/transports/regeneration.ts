// socket.session.regenerate(): gives one connection a new session, and no other connection of the old session, which may
// be an attacker's who planted its id. The browser collects the new cookie over HTTP by a ticket, which is worth nothing
// without the old cookie. Knows no server.
import { SessionError } from "../errors.js";
import { type OneTimeTickets, withoutSecret } from "../handshake/one-time-tickets.js";
import type { Connection } from "../session/connections.js";
import type { ActiveSession } from "../session/live-session.js";
import type { Registry } from "../session/registry.js";
import type { SessionBackend } from "../store/session-backend.js";

/** How long a page may take to collect its cookie, in ms. */
export const collectTimeout = 10_000;

/** A connection that gets a new session. */
export interface RegeneratingConnection {
  readonly connection: Connection;
  readonly live: ActiveSession | undefined;
  /** Lets its page collect the cookie with this ticket. Resolves when it has answered, has gone, or was too slow. */
  sendTicket(ticket: string): Promise<void>;
  /** When its session is rotated, unless `cancelSuccessor` comes before, the connection goes on under this one. */
  setSuccessor(successor: ActiveSession): void;
  cancelSuccessor(): void;
  /** Goes on under the successor, unless it does already. */
  moveToSuccessor(): void;
}

/** What {@link regenerate} works with. */
export interface RegenerationContext {
  readonly registry: Registry;
  readonly store: SessionBackend;
  /** Tickets for cookies; undefined where there is no secret for them. */
  readonly tickets: OneTimeTickets | undefined;
}

/**
 * Gives a connection a new session, which `create` stores. The old one ends when the browser has its new cookie: until
 * then nothing has happened, and where it does not come nothing will have.
 */
export async function regenerate(
  { registry, store, tickets }: RegenerationContext,
  regenerating: RegeneratingConnection,
  create: () => Promise<string>,
): Promise<void> {
  const old = regenerating.live;
  if (!old) throw new SessionError("SESSION_MISSING");
  if (old.ended) throw new SessionError(old.ended);
  if (!tickets) throw withoutSecret();
  const id = await create();
  let next: ActiveSession;
  try {
    const { ticket } = await tickets.issue(id, old.id);
    await regenerating.sendTicket(ticket);
    // What the page says counts for nothing: a ticket that is still open was not used, and now cannot be any more.
    if (await tickets.withdraw(ticket)) {
      throw new SessionError("REGENERATE_NEEDS_HTTP", { detail: "The page did not collect its cookie." });
    }
    if (old.ended) throw new SessionError(old.ended);
    next = await registry.acquire(id, regenerating.connection);
    // A logout may have come while that was read.
    if (old.ended) {
      next.remove(regenerating.connection);
      throw new SessionError(old.ended);
    }
  } catch (error) {
    await store.end(id, "SESSION_DESTROYED").catch(() => undefined);
    throw error;
  }
  regenerating.setSuccessor(next);
  try {
    // The moment of the old session's end is the moment of the move: what the client sends has a session all the time.
    await store.end(old.id, "SESSION_ROTATED");
  } catch (error) {
    regenerating.cancelSuccessor();
    await store.end(id, "SESSION_DESTROYED").catch(() => undefined);
    throw error;
  }
  regenerating.moveToSuccessor();
}
