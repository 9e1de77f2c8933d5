// The connections of one live session. Knows nothing of which kind of server they are of.
import type { CloseReason } from "../errors.js";
import type { SocketSession } from "./socket-session.js";
import type { SessionView } from "./view.js";

/** A connection that uses a live session; its server's adapter tells and closes it. */
export interface Connection {
  /** Tells the client the reason, then closes the connection. */
  end(reason: CloseReason): void;
  /** Whether its client may stay with this data, which has changed; only those that ask somebody have this. */
  mayStay?(data: SocketSession): boolean;
  /** Sends the client a changed view; only servers that can send one have this. */
  showView?(view: SessionView): void;
}

/** Nearly always there is one connection: only more of them get a set. */
export type Connections = Connection | Set<Connection> | undefined;

/** The connections with one more. */
export function withOne(all: Connections, one: Connection): Connections {
  if (all === undefined) return one;
  return all instanceof Set ? all.add(one) : new Set([all, one]);
}

/** The connections without this one. */
export function withoutOne(all: Connections, one: Connection): Connections {
  if (all instanceof Set) all.delete(one);
  return all === one || (all instanceof Set && all.size === 0) ? undefined : all;
}

/** How many connections these are. */
export function countOf(all: Connections): number {
  if (all === undefined) return 0;
  return all instanceof Set ? all.size : 1;
}

/** The connections as a list, which stays as it is when one of them goes. */
export function listOf(all: Connections): readonly Connection[] {
  if (all === undefined) return [];
  return all instanceof Set ? [...all] : [all];
}
