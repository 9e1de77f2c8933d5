// Stops reading what one client of Engine.IO sends, whichever transport it has. Knows no sessions.
import { pauseTransport, type Transport } from "./engine-internals.js";

/** An Engine.IO socket, as far as it is used here. */
export interface PausableSocket {
  readonly transport: Transport;
  on(event: "upgrade", listener: (transport: Transport) => void): unknown;
  off(event: "upgrade", listener: (transport: Transport) => void): unknown;
}

/** Several may pause one socket: those who guard different namespaces of Socket.IO. */
const pauses = new WeakMap<PausableSocket, { holders: number; end(): void }>();

/** Pauses a socket until the returned call. */
export function pauseReading(socket: PausableSocket): () => void {
  let pause = pauses.get(socket);
  if (!pause) pauses.set(socket, (pause = { holders: 0, end: start(socket) }));
  pause.holders++;
  return () => {
    if (--pause.holders > 0) return;
    pauses.delete(socket);
    pause.end();
  };
}

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
