// Notices what event handlers change in `socket.handshake.session`, and saves it. Knows of sessions only save() and
// touch(), and of sockets what all versions of Socket.IO since 1.0 share.
import type { EventEmitter } from "node:events";
import createDebug from "debug";
import { monotonicNow } from "../../internal/monotonic.js";
import type { Session } from "./sessions.js";

const debug = createDebug("socket-session:compat");

/** The part of a socket that {@link saveChanges} uses. */
export interface WatchedSocket extends EventEmitter {
  readonly handshake: { session?: Session | undefined };
  /** Since 1.7. */
  use?(middleware: (packet: unknown, next: () => void) => void): unknown;
}

/** How long a change is looked for after the session was last used, in ms. */
const watch = 60_000;

/**
 * Saves what is changed from now on. Who changes the session has got it from `handshake.session`, a moment ago or
 * before an `await`: so it is looked at after each such use and each event, and at growing distances for a minute.
 */
export function saveChanges(socket: WatchedSocket): void {
  let { session } = socket.handshake;
  if (!session) return;
  let saved = textOf(session);
  let usedAt = 0;
  let isDue = false;
  let timer: NodeJS.Timeout | undefined;

  const save = (changed: Session): void => {
    const text = textOf(changed);
    if (text === undefined || text === saved) return;
    saved = text;
    changed.touch().save((error: unknown) => {
      if (!error) return;
      debug("not saved, tried again at the next look: %s", error);
      if (session === changed) saved = undefined;
    });
  };
  const look = (): void => {
    isDue = false;
    clearTimeout(timer);
    if (!session) return;
    save(session);
    const age = monotonicNow() - usedAt;
    if (age < watch) timer = setTimeout(look, Math.max(5, age / 4)).unref();
  };
  const use = (): void => {
    usedAt = monotonicNow();
    if (isDue) return;
    isDue = true;
    process.nextTick(look);
  };

  Object.defineProperty(socket.handshake, "session", {
    configurable: true,
    enumerable: false,
    get() {
      use();
      return session;
    },
    // What reload() has read, regenerate() has made, or nothing after destroy().
    set(value: Session | undefined) {
      session = value;
      saved = value && textOf(value);
    },
  });
  socket.use?.((_packet, next) => {
    use();
    next();
  });
  socket.on("disconnect", use);
}

/** The fields, without the cookie, which every touch changes. Undefined for what is no JSON: it cannot be saved. */
function textOf(session: Session): string | undefined {
  const { cookie: _, ...fields } = session;
  try {
    return JSON.stringify(fields);
  } catch (error) {
    debug("cannot be saved: %s", error);
    return undefined;
  }
}
