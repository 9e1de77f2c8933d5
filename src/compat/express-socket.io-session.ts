/**
 * The API of express-socket.io-session: a Socket.IO middleware that gives each socket `socket.handshake.session`.
 * Knows of Socket.IO only what its versions since 1.0 share, and nothing of live sessions: those come with attach().
 *
 * @module socket-session/compat/express-socket.io-session
 */
import type { IncomingHttpHeaders } from "node:http";
import createDebug from "debug";
import type { Session as ExpressSession, SessionData, Store } from "express-session";
import { SessionError, closeReason } from "../errors.js";
import { invalid } from "../internal/check-options.js";
import { setHidden } from "../internal/hidden.js";
import { redact } from "../store/commands/command-runner.js";
import { backendOf, LiveStore } from "../store/live-store.js";
import { saveChanges, type WatchedSocket } from "./shared/auto-save.js";
import { type CookieParser, type Handshake as CookieHandshake, parseCookies } from "./shared/cookies.js";
import { once } from "./shared/once.js";
import { mergingStore, patience, type Session } from "./shared/sessions.js";

export type { CookieParser } from "./shared/cookies.js";

const debug = createDebug("socket-session:compat");

/** Options of `sharedsession()`. */
export interface SharedSessionOptions {
  /** True saves what is changed in the session without `session.save()`. Default false. */
  autoSave?: boolean | undefined;
  /** Taken for the older module's sake, where it had no effect either: a new session is stored when it is saved. */
  saveUninitialized?: boolean | undefined;
}

/** What `session()` of express-session returns. */
export type SessionMiddleware = (request: never, response: never, next: (error?: unknown) => void) => unknown;

/**
 * What `socket.handshake` has behind the middleware. TypeScript does not know, as Socket.IO lets nobody add to its type:
 *
 * @example
 * ```ts
 * const { session }: SharedHandshake = socket.handshake;
 * ```
 */
export interface SharedHandshake {
  readonly headers: IncomingHttpHeaders;
  /** Undefined where the session's cookie path does not cover Socket.IO's path, and after `session.destroy()`. */
  session?: (ExpressSession & Partial<SessionData>) | undefined;
  sessionID?: string | undefined;
  /** The store of the session middleware. Not enumerable: it may hold all sessions, and handshakes are logged. */
  sessionStore?: Store | undefined;
}

/** A middleware for `io.use()` and `io.of(…).use()`. */
export type SocketIoSharedSessionMiddleware = (
  socket: { readonly handshake: object },
  next: (error?: Error) => void,
) => void;

/**
 * Shares express-session's sessions with Socket.IO: `socket.handshake.session` is what `req.session` is, for a client
 * without a session cookie a new one. It is the session as it was when the socket connected; `session.reload()` reads
 * it again. A save writes what was changed since, and only if the session is still there.
 *
 * With `autoSave` a change is saved at the end of the turn where `handshake.session` was used, and one that is made
 * later through a variable when a quarter of the time since has passed, up to a minute; then at the next event.
 *
 * Never throws. Clients are refused with what the cookie parser or the session middleware fails with,
 * `STORE_UNAVAILABLE` where that is the store's error, or the store is disconnected, or the middleware takes longer than
 * 5 s, `OPTION_INVALID` where there is no session middleware.
 *
 * @deprecated Use `createSessions()` and `sessions.attach(io)`: such sessions are always current, are saved by
 * themselves, and end with a logout.
 * @example
 * ```ts
 * const sharedsession = require("socket-session/compat/express-socket.io-session");
 * app.use(session);
 * io.use(sharedsession(session, { autoSave: true }));
 * io.on("connection", (socket) => {
 *   socket.on("login", (user) => (socket.handshake.session.user = user));
 * });
 * ```
 */
function sharedsession(
  sessionMiddleware: SessionMiddleware,
  cookieParser?: CookieParser | SharedSessionOptions,
  options?: SharedSessionOptions,
): SocketIoSharedSessionMiddleware {
  const parser = typeof cookieParser === "function" ? cookieParser : undefined;
  const { autoSave } = options ?? (typeof cookieParser === "object" ? cookieParser : undefined) ?? {};

  return (socket, next) => {
    const handshake = socket.handshake as Handshake;
    const admitted = (error?: unknown): void => {
      if (error) return refuse(handshake, error, next);
      if (autoSave === true) saveChanges(socket as WatchedSocket);
      next();
    };
    if (typeof sessionMiddleware !== "function") {
      return admitted(invalid("The argument of sharedsession() must be a session middleware."));
    }
    const findSession = (error?: unknown): void => {
      if (error) admitted(error);
      else once(admitted, (answer) => runMiddleware(sessionMiddleware, handshake, answer), patience);
    };
    if (parser) parseCookies(parser, handshake, findSession);
    else findSession();
  };
}

interface Handshake extends CookieHandshake {
  session?: Session | undefined;
  sessionID?: unknown;
  sessionStore?: Store | undefined;
}

/** Runs express-session on the handshake; what its sessions save goes through the store that merges. */
function runMiddleware(middleware: SessionMiddleware, handshake: Handshake, done: (error?: unknown) => void): unknown {
  // Another sharedsession() of this namespace was here before.
  if (handshake.session) return done();
  const ids: unknown[] = [];
  let isUrlRead = false;
  // Session objects call `request.sessionStore`; applications get their own store from the handshake.
  const request = new Proxy(handshake, {
    get(target, key): unknown {
      if (key === "url" || key === "originalUrl") isUrlRead = true;
      return key === "sessionStore" ? savingStore(target) : Reflect.get(target, key);
    },
    set(target, key, value) {
      if (key === "sessionID") ids.push(value);
      // Handshakes are logged and sent to other nodes. What looks for changes is told of a new session.
      if (Object.getOwnPropertyDescriptor(target, key)?.set) return Reflect.set(target, key, value);
      setHidden(target, key, value);
      return true;
    },
    // destroy() deletes it; that it is watched must stay.
    deleteProperty: (target, key) => Reflect.set(target, key, undefined),
  });
  const response = { end: () => undefined };
  return middleware(request as never, response as never, (error) => {
    const { session, sessionStore } = request;
    // express-session itself takes a session for new when its id is another than the cookie's, which it noted first.
    const isNew = handshake.sessionID !== ids[0];
    if (session && sessionStore instanceof LiveStore && sessionStore !== handshake.sessionStore) {
      backendOf(sessionStore).snapshots.adopt(session, isNew);
    }
    // express-session goes on without a session where its store says that it is disconnected, before it looks whether
    // the cookie's path covers the URL: unknown is not gone.
    const isStoreDown = !error && !session && !isUrlRead;
    done(isStoreDown ? new SessionError("STORE_UNAVAILABLE", { detail: "It says that it is disconnected." }) : error);
  });
}

function savingStore({ sessionStore: store }: Handshake): Store | undefined {
  return (store && mergingStore(store)) ?? store;
}

/** A store's own words are not for clients; the parser's are part of the older module's API. */
function refuse({ sessionID: id }: Handshake, error: unknown, next: (error: Error) => void): void {
  const isTold = error instanceof SessionError && error.code === "STORE_UNAVAILABLE";
  if (!isTold && typeof id !== "string") return next(error instanceof Error ? error : new Error(String(error)));
  const told = isTold ? error : new SessionError("STORE_UNAVAILABLE", { cause: redact(error, id as string) });
  debug("refused: %s", told.cause ?? told);
  next(Object.assign(told, { data: closeReason("STORE_UNAVAILABLE") }));
}

// oxlint-disable-next-line import/no-default-export -- what require() of the older module gave
export default sharedsession;
export { sharedsession as "module.exports" };
