// Handshake requests that no server has received.
import { IncomingMessage } from "node:http";
import { Socket } from "node:net";

export interface RequestParts {
  /** Whether the connection has TLS. */
  readonly isEncrypted?: boolean;
  /** The address at its other end. */
  readonly address?: string;
}

export function requestOf(
  headers: Readonly<Record<string, string | string[]>>,
  { isEncrypted = false, address }: RequestParts = {},
): IncomingMessage {
  const socket = new Socket();
  Object.defineProperties(socket, { encrypted: { value: isEncrypted }, remoteAddress: { value: address } });
  return Object.assign(new IncomingMessage(socket), { headers });
}
