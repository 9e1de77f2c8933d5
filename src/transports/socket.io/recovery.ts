// Connection state recovery gives a state to whoever knows its private id, and sends the missed packets before any
// middleware runs. Here a connection gets only states of its own session, which is told by the state's rooms.
import { setHidden } from "../../internal/hidden.js";
import type { SocketIoConnection } from "./connection.js";
import type { Adapter, Namespace, Socket } from "./internals.js";
import { roomPrefix } from "./room.js";

/** The connection that a state may be restored for, while its socket is made. */
let restoring: SocketIoConnection | undefined;

const restricted = new WeakSet<Adapter>();

/** Makes a socket that gets states of the connection's session alone. */
export function restoreOwnState(
  namespace: Namespace,
  connection: SocketIoConnection,
  create: () => Promise<Socket>,
): Promise<Socket> {
  restrict(namespace.adapter);
  // Socket.IO asks the adapter within this synchronous call; asked at any other time, the adapter has nothing.
  restoring = connection;
  try {
    return create();
  } finally {
    restoring = undefined;
  }
}

function restrict(adapter: Adapter): void {
  const restore = adapter.restoreSession;
  if (restricted.has(adapter) || typeof restore !== "function") return;
  restricted.add(adapter);
  setHidden(adapter, "restoreSession", async (pid: string, offset: string) => {
    const connection = restoring;
    if (!connection) return null;
    const state = await restore.call(adapter, pid, offset);
    const rooms = [...(state?.rooms ?? [])].filter((room) => room.startsWith(roomPrefix));
    const { room } = connection;
    const isOwn = room === undefined ? rooms.length === 0 : rooms.length === 1 && rooms[0] === room;
    // The session may have ended while an adapter of several nodes asked its storage.
    return isOwn && connection.check() === undefined ? state : null;
  });
}
