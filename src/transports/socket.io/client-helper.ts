// What the server and the client helper say to each other over Socket.IO, beside what is the application's: the helper's
// half of `auth`, and packets that no listener of the application sees. Knows no session.
import { type Auth, type Packet, packetTypes, sendPacket, type Socket } from "./internals.js";

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

/** Whether this CONNECT comes from the client helper. */
export function isHelper(auth: Auth): boolean {
  return helperAuth(auth)?.v === 1;
}

/** Takes the ticket out of a CONNECT's `auth`, so that nobody else gets to see it. What is no text is a bad ticket. */
export function removeTicket(auth: Auth): string | undefined {
  const sent = helperAuth(auth);
  if (sent?.ticket === undefined || sent.ticket === null) return undefined;
  const { ticket } = sent;
  delete sent.ticket;
  return typeof ticket === "string" ? ticket : "";
}

/** Sends an event as it is: not kept for connection state recovery, as what is shown would be old by then. */
export function send(socket: Socket, event: string, value: unknown): void {
  sendPacket(socket.client, { type: packetTypes.event, nsp: socket.nsp.name, data: [event, value] });
}

/** Acknowledges what the helper sent. */
export function acknowledge(socket: Socket, { id }: Packet): void {
  if (id !== undefined) sendPacket(socket.client, { type: packetTypes.ack, nsp: socket.nsp.name, id, data: [] });
}
