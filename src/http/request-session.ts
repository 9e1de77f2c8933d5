// The session that express-session has put on a request whose answer is a stream: it is over long after, or never.
import type { IncomingMessage } from "node:http";
import type { Session, SessionData } from "express-session";
import { rescue, type Awaitable } from "../internal/awaitable.js";
import { setHidden } from "../internal/hidden.js";
import { backendOf, type LiveStore } from "../store/live-store.js";

/** A session that is on a request. */
interface Held {
  readonly id: string;
  readonly session: Session & SessionData;
}

/** Looks for sessions of one store on requests. */
export class RequestSessions {
  readonly #store: LiveStore;
  readonly #onError: (error: unknown) => void;

  constructor(store: LiveStore, onError: (error: unknown) => void) {
    this.#store = store;
    this.#onError = onError;
  }

  /** The session on a request, as it was read when the request came. */
  of(request: IncomingMessage): (Session & SessionData) | undefined {
    return this.#heldBy(request)?.session;
  }

  /** The id of the session on a request; undefined for one that is not stored. */
  idOf(request: IncomingMessage): string | undefined {
    const held = this.#heldBy(request);
    return held && backendOf(this.#store).snapshots.isStored(held.id, held.session) ? held.id : undefined;
  }

  /**
   * Saves now what the application has changed so far, which express-session does when the answer is over. What it does
   * then is no activity: nobody knows how long ago the client did something.
   */
  settle(request: IncomingMessage): Awaitable<void> {
    const held = this.#heldBy(request);
    if (!held) return;
    setHidden(held.session, "touch", returnThis);
    return this.save(request);
  }

  /** Saves what is changed, if anything is. What cannot be saved is reported. */
  save(request: IncomingMessage): Awaitable<void> {
    const { id, session } = this.#heldBy(request) ?? {};
    const { snapshots } = backendOf(this.#store);
    return rescue(() => {
      if (id === undefined || !session || !snapshots.isChanged(id, session)) return undefined;
      return snapshots.write(id, session);
    }, this.#onError);
  }

  #heldBy(request: IncomingMessage): Held | undefined {
    const { session, sessionID, sessionStore } = request as {
      session?: unknown;
      sessionID?: unknown;
      sessionStore?: unknown;
    };
    if (sessionStore !== this.#store || typeof session !== "object" || !session) return undefined;
    return typeof sessionID === "string" ? { id: sessionID, session: session as Held["session"] } : undefined;
  }
}

function returnThis(this: unknown): unknown {
  return this;
}
