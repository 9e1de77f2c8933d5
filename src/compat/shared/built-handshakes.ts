// Puts a session on the handshakes that Socket.IO builds from a request, for those who are given the request alone:
// before its sockets are made (allowRequest) or after (io.set() of 1.x and 2.x). Knows nothing of stores or cookies.
import { createRequire } from "node:module";
import { setHidden } from "../../internal/hidden.js";

interface Built {
  /** The session, when it is known. */
  session?: unknown;
  /** What was built last: io.set() asks for the main namespace's socket, before the client may connect to another. */
  handshake?: { session?: unknown };
}

interface SocketPrototype {
  readonly request?: object;
  buildHandshake?(this: SocketPrototype, ...values: unknown[]): { session?: unknown };
}

const builtFrom = new WeakMap<object, Built>();
const known = new WeakSet<SocketPrototype>();
/** How many modules were loaded at the last look. */
let seen = 0;

/** Gives this session to the request and to each `socket.handshake` made of it, whichever is there first. */
export function giveSession(request: object, session: unknown): void {
  watchHandshakes();
  const built = builtOf(request);
  built.session = session;
  setHidden(request, "session", session);
  if (built.handshake) setHidden(built.handshake, "session", session);
}

/**
 * Looks at each handshake that is built from now on, by every Socket.IO that this process has loaded. A request knows
 * neither its server nor its sockets; in a bundle, where nothing is loaded, the session is on `socket.request` alone.
 */
export function watchHandshakes(): void {
  const { cache } = createRequire(process.execPath);
  const paths = Object.keys(cache);
  if (paths.length === seen) return;
  seen = paths.length;
  for (const path of paths) {
    if (!/[/\\](?:lib|dist)[/\\]socket\.js$/.test(path)) continue;
    const loaded = cache[path]?.exports as
      | { Socket?: { prototype?: SocketPrototype }; prototype?: SocketPrototype }
      | undefined;
    const prototype = loaded?.Socket?.prototype ?? loaded?.prototype;
    if (prototype && !known.has(prototype)) watch(prototype);
  }
}

function watch(prototype: SocketPrototype): void {
  const { buildHandshake } = prototype;
  if (typeof buildHandshake !== "function") return;
  known.add(prototype);
  prototype.buildHandshake = function (...values) {
    const handshake = buildHandshake.apply(this, values);
    if (this.request) {
      const built = builtOf(this.request);
      built.handshake = handshake;
      if (built.session) setHidden(handshake, "session", built.session);
    }
    return handshake;
  };
}

function builtOf(request: object): Built {
  let built = builtFrom.get(request);
  if (!built) builtFrom.set(request, (built = {}));
  return built;
}
