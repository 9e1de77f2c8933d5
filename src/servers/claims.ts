// Which servers have sessions already: a second attach() would be one too many, whoever calls it. Knows no server.
import { SessionError } from "../errors.js";

const owners = new WeakMap<object, object>();

/**
 * Notes whose sessions a server's sockets have: its own, or, for an engine, those of the Socket.IO server above it.
 *
 * @throws SessionError `OPTION_INVALID`
 */
export function claim(server: object, owner: object): void {
  const other = owners.get(server);
  if (other && (other !== owner || server === owner)) {
    throw new SessionError("OPTION_INVALID", { detail: "Sessions are attached to this server already." });
  }
  owners.set(server, owner);
}
