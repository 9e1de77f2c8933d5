/**
 * The API of session.io: one function that lets in clients whose session is there, and gives it to their handshakes.
 * Works with each version of Socket.IO: it uses only what all of them share.
 *
 * @module socket-session/compat/session.io
 */
import { IncomingMessage } from "node:http";
import { checkFunctions } from "../internal/check-options.js";
import { giveSession, watchHandshakes } from "./shared/built-handshakes.js";
import { type CookieParser, findId, type Handshake, parseCookies } from "./shared/cookies.js";
import { once } from "./shared/once.js";
import { type AnyStore, loadSession, requireParts, type Session } from "./shared/sessions.js";

/**
 * What `fn` gets: the handshake, or the request where that is all that there is. Its session is there, and so it is
 * later, in TypeScript as `(socket.handshake as AuthorizedHandshake).session`.
 */
export type AuthorizedHandshake = Handshake & { readonly session: Session };

/** Decides further, at once or later: `done(null, true)` lets the client in. */
export type AuthorizationFunction = (
  handshake: AuthorizedHandshake,
  done: (reason: unknown, isAuthorized?: boolean) => void,
) => unknown;

/** What `sessionIo()` returns. */
export interface Authorization {
  /** For `io.use(authorization)` and `io.of(…).use(authorization)`, since Socket.IO 1.0. */
  (socket: { readonly handshake: object }, next: (error?: Error) => void): void;
  /** For the `allowRequest` option of Socket.IO 4, and for `io.set("authorization", authorization)` up to 2.x. */
  (handshake: Handshake, done: (error: never, isAuthorized: boolean) => void): void;
}

interface Options {
  readonly parser: CookieParser;
  readonly store: AnyStore;
  readonly key: string;
  readonly fn: AuthorizationFunction | undefined;
}

/**
 * Makes a function that lets in clients whose session is there: `socket.handshake.session` is it, in the connection
 * handler and ever after. All others are refused, once, and `fn` is not asked for them.
 *
 * The session is the one that was stored when the client connected. `session.save()` writes what was changed in it
 * since, and only if it is still stored.
 *
 * @param cookieParser a cookie parser with the secret of the session middleware
 * @param sessionStore the store of the session middleware, the same instance
 * @param key the session cookie's name, by default "connect.sid"; may be left out before `fn`
 * @param fn decides further, when the session is there
 * @throws SessionError `OPTION_INVALID` for a store that cannot be read, a parser or an fn that is no function
 * @deprecated Use `createSessions()` and `sessions.attach(io)`: `socket.session` is always current, is saved by itself,
 * and its sockets are closed when it ends.
 * @example
 * ```ts
 * const authorization = require("socket-session/compat/session.io")(cookieParser, sessionStore);
 * io.use(authorization); // or new Server(server, { allowRequest: authorization }), or io.set("authorization", …)
 * io.on("connection", (socket) => console.log(socket.handshake.session.user));
 * ```
 */
function sessionIo(
  cookieParser: CookieParser,
  sessionStore: AnyStore,
  key?: string | AuthorizationFunction,
  fn?: AuthorizationFunction,
): Authorization {
  requireParts(sessionStore, cookieParser);
  const options: Options = {
    parser: cookieParser,
    store: sessionStore,
    key: typeof key === "string" ? key : "connect.sid",
    fn: typeof key === "function" ? key : fn,
  };
  checkFunctions({ fn: options.fn });
  // io.set() of 1.x and 2.x asks when the handshake is built.
  watchHandshakes();
  return ((given: Given, done: Done) => authorize(options, given, done)) as Authorization;
}

type Done = (error?: unknown, isAuthorized?: boolean) => void;
type Given = Handshake & { handshake?: Handshake };

/** Told apart by what it is: a socket has a handshake; what has headers is a request, or the plain handshake of 0.9. */
function authorize(options: Options, given: Given, done: Done): void {
  const ofSocket = given?.headers ? undefined : given?.handshake;
  authorizeHandshake(options, ofSocket ?? given, (reason, isAuthorized) => {
    if (ofSocket && isAuthorized) done();
    else if (ofSocket) done(reason instanceof Error ? reason : new Error(textOf(reason)));
    // Engine.IO writes the reason into the response as it is: anything but a text ends the process.
    else done(!isAuthorized && given instanceof IncomingMessage ? textOf(reason) : reason, isAuthorized);
  });
}

/** Answers once: `(null, true)` for a client whose session is there, unless `fn` refuses it. */
function authorizeHandshake(
  { parser, store, key, fn }: Options,
  handshake: Handshake,
  onDecision: (reason: unknown, isAuthorized: boolean) => void,
): void {
  if (!handshake?.headers?.cookie) return onDecision("No cookie in header", false);
  parseCookies(parser, handshake, (parserError) => {
    if (parserError) return onDecision(parserError, false);
    const id = findId(handshake, key);
    if (id === undefined) return onDecision(`Could not find cookie with key: ${key}`, false);
    loadSession(store, id, (storeError, session) => {
      if (storeError) return onDecision(storeError, false);
      if (!session) return onDecision(`Could not find session with key: ${key}`, false);
      giveSession(handshake, session);
      if (!fn) return onDecision(null, true);
      once<[isAuthorized?: boolean]>(
        (reason, isAuthorized) => onDecision(reason || null, !reason && isAuthorized === true),
        (answer) => fn(handshake as AuthorizedHandshake, answer),
      );
    });
  });
}

function textOf(reason: unknown): string {
  if (reason instanceof Error) return reason.message;
  return typeof reason === "string" && reason ? reason : "Not authorized";
}

// oxlint-disable-next-line import/no-default-export -- what require() of the older module gave
export default sessionIo;
export { sessionIo as "module.exports" };
