// Finds the session id of a request. An id is a string that this server signed, or that the application's own reader
// gave; nothing else leaves here as one.
import type { IncomingMessage } from "node:http";
import { parse } from "cookie";
import { unsign } from "cookie-signature";

/** The id that was found, or why none was. */
export type Found =
  | { readonly id: string }
  | { readonly code: "SESSION_MISSING" | "SESSION_INVALID" | "STORE_UNAVAILABLE" };

/** Finds the session id of a request. */
export type FindId = (request: IncomingMessage) => Found;

const missing: Found = { code: "SESSION_MISSING" };
const invalid: Found = { code: "SESSION_INVALID" };

/**
 * The id from express-session's signed cookie, read as express-session reads it: of repeated cookies the first
 * counts; a raw id and a JSON cookie (`j:`) are not signed, so they are invalid.
 */
export function fromCookie(name: string, secrets: readonly (string | Buffer)[]): FindId {
  return (request) => {
    const raw = cookieValue(request, name);
    if (raw === undefined) return missing;
    if (!raw.startsWith("s:")) return invalid;
    const signed = raw.slice(2);
    for (const secret of secrets) {
      const id = unsign(signed, secret);
      if (typeof id === "string" && id !== "") return { id };
    }
    return invalid;
  };
}

/** The id from the application's `sessionId` option; where that gives none, from the cookie. */
export function fromReader(read: (request: IncomingMessage) => string | undefined, otherwise: FindId): FindId {
  return (request) => {
    const id: unknown = read(request);
    if (id === undefined || id === null || id === "") return otherwise(request);
    // Stores keep notes of their own beside the sessions, which are nobody's session; PostgreSQL holds no NUL.
    return typeof id === "string" && !id.startsWith("socket-session:") && !id.includes("\0") ? { id } : invalid;
  };
}

/**
 * The cookie's value; `undefined` where the request has none of this name. Quotes are no part of it and go before it is
 * decoded, what cannot be decoded stays as it is: so express-session has it, and HTTP and sockets find the same id.
 */
export function cookieValue(request: IncomingMessage, name: string): string | undefined {
  const header: unknown = request.headers.cookie;
  if (typeof header !== "string" || !header.includes(name)) return undefined;
  return parse(header, { decode })[name] || undefined;
}

function decode(raw: string): string {
  const isQuoted = raw.startsWith('"') && raw.endsWith('"');
  const value = isQuoted ? raw.slice(1, -1) : raw;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
