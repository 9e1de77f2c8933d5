// The session of a socket that has none: empty, and writing to it fails with a code.
import session from "express-session";
import { SessionError } from "../errors.js";
import { createRoot, expose, type SocketSession } from "./session-object.js";
import { track } from "./tracked.js";

/** One empty session for all anonymous sockets: nothing can be put into it. */
export function createAnonymousSession(): SocketSession {
  const root = Object.assign(createRoot(), { cookie: new session.Cookie() });
  const fail = (): Promise<never> => Promise.reject(new SessionError("SESSION_MISSING"));
  const face = track(root, {
    fill() {},
    allowsChange() {
      throw new SessionError("SESSION_MISSING");
    },
    changed() {},
    escaped() {},
  });
  return expose(face, { id: undefined, save: fail, reload: fail, touch: fail, destroy: fail });
}
