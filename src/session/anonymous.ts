// The session of a socket that has none: empty, and writing to it fails with a code.
import session from "express-session";
import { SessionError } from "../errors.js";
import { createRoot, type SessionOperations, type SocketSession } from "./socket-session.js";
import { ChangeTracker } from "./change-tracker.js";

/** One empty session for all anonymous sockets: nothing can be put into it. */
export class AnonymousSession extends ChangeTracker implements SessionOperations {
  readonly id = undefined;
  readonly data: SocketSession;

  constructor() {
    super(Object.assign(createRoot(), { cookie: new session.Cookie() }));
    this.data = this.track(this.root) as SocketSession;
  }

  async save(): Promise<never> {
    throw nothingToWriteTo();
  }

  reload = this.save;
  touch = this.save;
  destroy = this.save;

  protected allowsChange(): never {
    throw nothingToWriteTo();
  }
}

function nothingToWriteTo(): SessionError {
  return new SessionError("SESSION_MISSING", {
    detail: "So this client is anonymous, and nothing can be written.",
    fix: 'Check session.id first: it is undefined. Or give visitors a session: sessions.attach(io, { missing: "create" }).',
  });
}
