// The session id in the cookies of a handshake, found by the application's own cookie parser.
import { once } from "./once.js";

/** `express.cookieParser(secret)`, `connect.cookieParser(secret)` or `require("cookie-parser")(secret)`. */
export type CookieParser = (request: never, response: never, next: (error?: unknown) => void) => unknown;

/** What cookie parsers read and write: a request, or the handshake of any Socket.IO version. */
export interface Handshake {
  readonly headers?: { readonly cookie?: string | undefined };
  /** The parser's secret, which it leaves here. */
  readonly secret?: unknown;
  readonly secureCookies?: Jar;
  readonly signedCookies?: Jar;
  readonly cookies?: Jar;
}

type Jar = Readonly<Record<string, unknown>> | undefined;

/** Lets the parser fill in the handshake's cookies; answers once, with the parser's error if it failed. */
export function parseCookies(parser: CookieParser, handshake: Handshake, done: (error: unknown) => void): void {
  once(done, (answer) => parser(handshake as never, {} as never, answer));
}

/**
 * The session id: from secureCookies, else signedCookies, else cookies. A cookie whose signature failed, and one that
 * is an object (`j:{...}`), is none, and neither is an unsigned one where the parser has a secret.
 */
export function findId(handshake: Handshake, key: string): string | number | undefined {
  const { secureCookies, signedCookies, cookies, secret } = handshake;
  for (const jar of [secureCookies, signedCookies, secret === undefined ? cookies : undefined]) {
    const value = jar && Object.hasOwn(jar, key) ? jar[key] : undefined;
    if (value === undefined || value === "") continue;
    return typeof value === "string" || typeof value === "number" ? value : undefined;
  }
  return undefined;
}
