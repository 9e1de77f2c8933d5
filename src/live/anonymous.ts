// The session of a socket that has none: empty, and writing to it fails with a code.
import session from "express-session";
import { SessionError } from "../errors.js";
import { createRoot, createSessionObject, type SocketSession } from "./session-object.js";

/** One empty session for all anonymous sockets: nothing can be put into it. */
export function createAnonymousSession(): SocketSession {
  const root = Object.assign(createRoot(), { cookie: new session.Cookie() });
  const fail = (): Promise<never> => Promise.reject(new SessionError("SESSION_MISSING"));
  return createSessionObject(root, {
    id: undefined,
    save: fail,
    reload: fail,
    touch: fail,
    destroy: fail,
    fill() {},
    allowsChange() {
      throw new SessionError("SESSION_MISSING");
    },
    changed() {},
    escaped() {},
  });
}
