// What the server and the client helper say to each other over Socket.IO, beside what is the application's: the helper's
// half of `auth`, and packets that no listener of the application sees. Knows no session.
import type { Auth, Socket } from "./socket.io-parts.js";

/** Sockets whose client is the helper. */
export const helped = new WeakSet<Socket>();

/** What the client helper puts in beside the application's own `auth`. */
interface HelperAuth {
  readonly v?: unknown;
  ticket?: unknown;
}

function helperAuth(auth: Auth): HelperAuth | undefined {
  return typeof auth.session === "object" && auth.session !== null ? auth.session : undefined;
}

export function isHelper(auth: Auth): boolean {
  return helperAuth(auth)?.v === 1;
}

/** The ticket of a CONNECT, which nobody else gets to see. What is no text is a bad one. */
export function takeTicket(auth: Auth): string | undefined {
  const sent = helperAuth(auth);
  if (sent?.ticket === undefined || sent.ticket === null) return undefined;
  const { ticket } = sent;
  delete sent.ticket;
  return typeof ticket === "string" ? ticket : "";
}

export interface EventPacket {
  readonly data?: readonly unknown[];
  readonly id?: number;
}

// Of Socket.IO's protocol, versions 4 and 5.
const eventPacket = 2;
const ackPacket = 3;

/** Sends an event as it is: not kept for connection state recovery, as what is shown would be old by then. */
export function send(socket: Socket, event: string, value: unknown): void {
  socket.client._packet({ type: eventPacket, nsp: socket.nsp.name, data: [event, value] });
}

/** Acknowledges what the helper sent. */
export function acknowledge(socket: Socket, { id }: EventPacket): void {
  if (id !== undefined) socket.client._packet({ type: ackPacket, nsp: socket.nsp.name, id, data: [] });
}
