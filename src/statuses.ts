// How HTTP and WebSocket say the codes that a client can see. Knows no server.
import type { SessionCode } from "./errors.js";

/** The HTTP status of a refused handshake; 503 asks to come back. */
export const statusOf: { readonly [Code in SessionCode]: number } = {
  SESSION_MISSING: 401,
  SESSION_INVALID: 401,
  SESSION_UNKNOWN: 401,
  SESSION_DESTROYED: 401,
  SESSION_EXPIRED: 401,
  SESSION_ROTATED: 503,
  STORE_UNAVAILABLE: 503,
  ORIGIN_REFUSED: 403,
  TICKET_INVALID: 401,
};

/**
 * The close code of an open WebSocket: private codes that look like their HTTP statuses, and 1013, "try again later"
 * (https://www.iana.org/assignments/websocket/websocket.xml#close-code-number).
 */
export const closeCodeOf: { readonly [Code in SessionCode]: number } = {
  SESSION_MISSING: 4401,
  SESSION_INVALID: 4401,
  SESSION_UNKNOWN: 4401,
  SESSION_DESTROYED: 4401,
  SESSION_EXPIRED: 4401,
  SESSION_ROTATED: 4409,
  STORE_UNAVAILABLE: 1013,
  ORIGIN_REFUSED: 4403,
  TICKET_INVALID: 4401,
};
