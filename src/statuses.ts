// HTTP statuses and WebSocket close codes for the codes that a client can see. Knows no server.
import type { SessionCode } from "./errors.js";

/** The HTTP status that refuses a handshake; 503 asks the client to come back. */
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
  SESSION_FORBIDDEN: 403,
  LIMIT_REACHED: 429,
};

/**
 * The close code that tells a WebSocket client why its session ended. graphql-ws, tRPC and partysocket act on close
 * codes: to their clients each of these means the same, or nothing. 4401 is their "unauthorized", which is final. 1008
 * ("policy violation") is final, and 1013 ("try again later") is not
 * (https://www.iana.org/assignments/websocket/websocket.xml#close-code-number). 4205 is private to this library, after
 * HTTP's 205, "reset content". 3003 is "Forbidden" in IANA's registry (beside 3000, "Unauthorized", and 3008, "Timeout"),
 * as RFC 6455, section 7.4.2, asks of 3000 to 3999. 4403 is graphql-ws' own, and not final. None of these clients
 * takes 3003 for final by itself: the page's half knows the final ones, `shouldRetry()`.
 */
export const closeCodeOf: { readonly [Code in SessionCode]: number } = {
  SESSION_MISSING: 4401,
  SESSION_INVALID: 4401,
  SESSION_UNKNOWN: 4401,
  SESSION_DESTROYED: 4401,
  SESSION_EXPIRED: 4401,
  SESSION_ROTATED: 4205,
  STORE_UNAVAILABLE: 1013,
  ORIGIN_REFUSED: 1008,
  TICKET_INVALID: 4401,
  SESSION_FORBIDDEN: 3003,
  LIMIT_REACHED: 1008,
};
