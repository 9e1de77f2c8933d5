// Stops reading what one client of Engine.IO sends, whichever transport it has. Knows no sessions.
import { sharedHold } from "../internal/shared-hold.js";
import { pauseTransport, type Transport } from "./engine-internals.js";

/** An Engine.IO socket, as far as it is used here. */
export interface PausableSocket {
  readonly transport: Transport;
  on(event: "upgrade", listener: (transport: Transport) => void): unknown;
  off(event: "upgrade", listener: (transport: Transport) => void): unknown;
}

/** Pauses a socket until the returned call. Several may pause one: those who guard different namespaces of Socket.IO. */
export const pauseReading = sharedHold(start);

function start(socket: PausableSocket): () => void {
  let resume = pauseTransport(socket.transport);
  // The client may be changing its transport at this moment.
  const upgraded = (transport: Transport): void => {
    resume();
    resume = pauseTransport(transport);
  };
  socket.on("upgrade", upgraded);
  return () => {
    socket.off("upgrade", upgraded);
    resume();
  };
}
