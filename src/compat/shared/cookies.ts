// The session id in the cookies of a handshake, found by the application's own cookie parser.
import { setHidden } from "../../internal/hidden.js";
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

/**
 * Lets the parser fill in the handshake's cookies; answers once, with the parser's error if it failed. The secret that
 * it leaves there is not enumerable afterwards: handshakes are logged, and sent to other nodes.
 */
export function parseCookies(parser: CookieParser, handshake: Handshake, done: (error: unknown) => void): void {
  const before = handshake?.cookies;
  once(done, (answer) =>
    parser(handshake as never, {} as never, (error) => {
      if (!error) hideSecret(handshake);
      if (error || !before || handshake.secret !== undefined || !handshake.headers?.cookie) answer(error);
      else readAnew(parser, handshake, before, answer);
    }),
  );
}

/** Parsers pass by what has cookies. Another one may have read them, which had no secret to look at signatures with. */
function readAnew(
  parser: CookieParser,
  handshake: Handshake,
  before: NonNullable<Jar>,
  done: (error: unknown) => void,
): void {
  const own: Handshake = { headers: { ...handshake.headers } };
  once(done, (answer) =>
    parser(own as never, {} as never, (error) => {
      const names = Object.keys({ ...own.cookies, ...own.signedCookies });
      if (!error && own.secret !== undefined && names.some((name) => Object.hasOwn(before, name))) {
        const signedCookies = { ...own.signedCookies, ...handshake.signedCookies };
        Object.assign(handshake, { signedCookies, secret: own.secret });
        hideSecret(handshake);
      }
      answer(error);
    }),
  );
}

function hideSecret(handshake: Handshake): void {
  const { secret } = handshake ?? {};
  if (secret === undefined) return;
  setHidden(handshake, "secret", secret);
}

/**
 * The session id: from secureCookies, else signedCookies, else cookies. A cookie whose signature failed, and one that
 * is an object (`j:{...}`), is none, and neither is an unsigned one where the parser has a secret.
 */
export function findId(handshake: Handshake, key: string): string | number | undefined {
  const { secureCookies, signedCookies, cookies, secret } = handshake ?? {};
  for (const jar of [secureCookies, signedCookies, secret === undefined ? cookies : undefined]) {
    const value = jar && Object.hasOwn(jar, key) ? jar[key] : undefined;
    if (value === undefined || value === "") continue;
    return typeof value === "string" || typeof value === "number" ? value : undefined;
  }
  return undefined;
}
