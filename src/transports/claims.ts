// Remembers which servers have sessions already, since each server takes one attach() alone. Knows no server.
import { invalid } from "../internal/check-options.js";

const owners = new WeakMap<object, object>();
/** Servers and namespaces that an `attach()` has named. */
const attached = new WeakSet<object>();
/** In place of a path where a server takes what comes to any: a WebSocketServer without a `path`. */
const all = "";
/** The paths of an HTTP server, with whose sessions their sockets have. */
const paths = new WeakMap<object, Map<string, object>>();

/**
 * Notes whose sessions a server's sockets have: those of one `createSessions()`, or, for an engine, those of the
 * Socket.IO server above it. What owns itself may be claimed once.
 *
 * @throws SessionError `OPTION_INVALID`
 */
export function claim(server: object, owner: object): void {
  const other = owners.get(server);
  if (other && (other !== owner || server === owner)) throw taken("this server");
  owners.set(server, owner);
}

/**
 * Notes that an `attach()` has named this server or namespace, which may happen once.
 *
 * @throws SessionError `OPTION_INVALID`
 */
export function claimOnce(target: object): void {
  if (attached.has(target)) throw taken("this server");
  attached.add(target);
}

/** An HTTP server, as far as it is used here. */
interface HttpServer {
  once?(event: "close", listener: () => void): unknown;
}

/**
 * As {@link claim}, for a path of the HTTP server below, where it is known. Until that closes, which may listen again
 * with other servers on it, or until the returned call.
 *
 * @throws SessionError `OPTION_INVALID`
 */
export function claimPath(
  http: HttpServer | null | undefined,
  path: string | null | undefined,
  owner: object,
): () => void {
  if (!http) return () => undefined;
  let own = paths.get(http);
  if (!own) {
    paths.set(http, (own = new Map<string, object>()));
    http.once?.("close", () => void paths.delete(http));
  }
  const claimed = own;
  const key = path?.replace(/\/$/, "") ?? all;
  for (const [one, other] of claimed) {
    const isSame = one === key || one === all || key === all;
    if (isSame && other !== owner) throw taken(`${path ?? "a path"} of this HTTP server`);
  }
  claimed.set(key, owner);
  return () => void claimed.delete(key);
}

function taken(what: string): Error {
  return invalid(`Sessions are attached to ${what} already. Attach one createSessions() to it, once.`);
}
