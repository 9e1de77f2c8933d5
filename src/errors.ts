// The errors that users meet: one class, one union of codes, one help text per code. Knows no store, socket or HTTP.

/** Codes that a client can see: why a handshake was refused, or why a session ended. */
export type SessionCode =
  | "SESSION_MISSING"
  | "SESSION_INVALID"
  | "SESSION_UNKNOWN"
  | "SESSION_DESTROYED"
  | "SESSION_EXPIRED"
  | "SESSION_ROTATED"
  | "STORE_UNAVAILABLE"
  | "ORIGIN_REFUSED"
  | "TICKET_INVALID"
  | "SESSION_FORBIDDEN"
  | "LIMIT_REACHED";

/** Codes of an end: the session is over and never comes back. */
export type EndCode = "SESSION_DESTROYED" | "SESSION_EXPIRED" | "SESSION_ROTATED";

/** Codes that only the developer sees: a wrong option, a wrong call, a value that no session can keep. */
export type UsageCode =
  | "OPTION_INVALID"
  | "STORE_NOT_LIVE"
  | "STORE_UNSUPPORTED"
  | "STORE_CLIENT_INVALID"
  | "STORE_NOT_READY"
  | "SERVER_UNSUPPORTED"
  | "TARGET_INVALID"
  | "DATA_INVALID"
  | "RECORD_INVALID"
  | "UPDATE_ASYNC"
  | "USER_UNAVAILABLE"
  | "REGENERATE_NEEDS_HTTP"
  | "SESSIONS_CLOSED";

/** Every code a {@link SessionError} can have. */
export type ErrorCode = SessionCode | UsageCode;

/** Where the docs are: a folder of the repository, as long as they have no public address. */
const docsAddress = "docs";

/** Leads to the page of a code; each message ends with it. */
export function seePage(code: string): string {
  return ` See ${docsAddress}/errors/${code}.md`;
}

interface Help {
  /** What happened, in one sentence. */
  readonly what: string;
  /** The likely cause. */
  readonly cause: string;
  /** What to do about it. */
  readonly fix: string;
  /** Where coming back later, or with a new cookie, can help. */
  readonly retry?: true;
}

/** What each code means. `npm run error-pages` makes a page of each. */
export const help: { readonly [Code in ErrorCode]: Help } = {
  SESSION_MISSING: {
    what: "There is no session: the handshake carried no session cookie.",
    cause:
      "The browser has no cookie yet, cookie.secure is set over plain http, the page is on another site (SameSite), or the client lacks withCredentials.",
    fix: 'Log in over HTTP first. Give a cross-origin client withCredentials: true. Or attach with { missing: "create" }, { tickets: true } or, for sockets that only read, { missing: "anonymous" }.',
  },
  SESSION_INVALID: {
    what: "This server did not sign the session cookie.",
    cause: "Services have different secrets, a new secret replaced the old one, or somebody changed the cookie.",
    fix: "Give all services the same secret. To change it, pass [newSecret, oldSecret].",
  },
  SESSION_UNKNOWN: {
    what: "The session cookie is genuine, but the store does not have its session.",
    cause: "The session was destroyed or expired earlier, or another store than this server's has it.",
    fix: "Log in again. Check that HTTP and sockets share one store.",
  },
  SESSION_DESTROYED: {
    what: "The session was destroyed.",
    cause: "The user logged out, in this tab or another one, or the application called destroy().",
    fix: "Log in again.",
  },
  SESSION_EXPIRED: {
    what: "The session expired.",
    cause: "Nobody used it for as long as cookie.maxAge, or it reached its absoluteTimeout.",
    fix: "Log in again. Raise cookie.maxAge or absoluteTimeout if sessions expire too early.",
  },
  SESSION_ROTATED: {
    what: "The session has a new id.",
    cause: "The application called regenerate(), as it should at login. The old id is worth nothing now.",
    fix: "Connect again: the browser sends its new cookie.",
    retry: true,
  },
  STORE_UNAVAILABLE: {
    what: "The session store did not answer.",
    cause: "The store is down, restarting or unreachable.",
    fix: "Try again later. The library keeps the changes of live sessions, and saves them when the store answers.",
    retry: true,
  },
  ORIGIN_REFUSED: {
    what: "The page's origin may not use sessions here.",
    cause:
      "The page has another scheme, host or port than this server, a proxy is not trusted, or the option hosts lacks this server's name.",
    fix: 'Allow the origin: attach(io, { origins: ["https://app.example.com"] }), which is for the session routes, too. A page that uses the routes alone: createSessions({ routes: { origins } }). Behind a proxy, set { proxy: true } or Express\'s "trust proxy".',
  },
  TICKET_INVALID: {
    what: "The ticket is not valid, or not valid any more.",
    cause:
      "A ticket lets in once, soon after it was fetched, a page of the same origin. It dies with its session, and counts for no other.",
    fix: "Fetch a new ticket for each connection: POST to the session routes' /ticket, with the session's cookie.",
    retry: true,
  },
  SESSION_FORBIDDEN: {
    what: "The session may not be here: the application's function allow said no.",
    cause:
      "Nobody is logged in with it, a log out has emptied it, or it lost a right. Or allow failed, which is told as an error.",
    fix: "Log in again, with an account that may be here. See what allow returns: attach(server, { allow }).",
  },
  LIMIT_REACHED: {
    what: "Too many messages of one connection waited for its session, or too many events for a client that does not read.",
    cause:
      "The client floods the server, or the store is slow. Or a stream's client, or a proxy before it, reads too slowly.",
    fix: "Send less at once, or wait for acknowledgements. Check the store's latency. Or raise the limit: createSessions({ maxWaitingEvents, maxWaitingBytes }), stream(req, res, { maxBufferedBytes }).",
  },
  OPTION_INVALID: {
    what: "An option is missing or has a wrong value.",
    cause: "A typing error, or an option of another library.",
    fix: `Compare it with ${docsAddress}/reference/options.md.`,
  },
  STORE_NOT_LIVE: {
    what: "The session middleware's store is not a live store.",
    cause: "A plain express-session store overwrites concurrent changes and tells no socket about a logout.",
    fix: "Wrap the store where you make the middleware: session({ ..., store: liveStore(yourStore) }).",
  },
  STORE_UNSUPPORTED: {
    what: "The store lacks this operation, or is not an express-session store.",
    cause: "An express-session store may leave out all(), length() and clear().",
    fix: "Use a store that has the operation.",
  },
  STORE_CLIENT_INVALID: {
    what: "The store cannot work with this client or pool.",
    cause: "It is missing, of another package, a subscriber, or without a listener for errors.",
    fix: "Pass redisStore() a client of the package redis, postgresStore() a Pool of the package pg. Add an error listener to it.",
  },
  STORE_NOT_READY: {
    what: "The store cannot work until somebody mends its set-up.",
    cause:
      "The client is not connected, the table is missing or has other columns, or the user lacks a right. Or the server is a replica, or one of a cluster.",
    fix: `Connect the client before the first request. Create the table, or pass createTable: true. Grant the rights that ${docsAddress}/operate/deploy.md names. Pass a client of the right kind.`,
  },
  SERVER_UNSUPPORTED: {
    what: "attach() does not know this kind of server.",
    cause: "A wrong argument, or a version of Socket.IO before 4.6.",
    fix: "Pass a Socket.IO Server or Namespace (npm install socket.io@4), an Engine.IO Server (engine.io@6), or a WebSocketServer (ws@8).",
  },
  TARGET_INVALID: {
    what: "The target is neither a socket, a request nor a session id.",
    cause: "Its server is not attached, the request did not pass the session middleware, or the id is empty.",
    fix: "Pass a socket of an attached server, a request behind sessions.middleware, or a session id.",
  },
  DATA_INVALID: {
    what: "The session cannot keep this value.",
    cause:
      "A cycle, a BigInt, a Map or Set, a function, NaN, or a toJSON() that throws. Or more than 1,000 levels, more bytes than maxSessionSize, or a method's name as a field. Clients may send such values.",
    fix: "Store plain JSON values under names of your own, and check what clients send. Remove the value: the session's other changes wait until then.",
  },
  RECORD_INVALID: {
    what: "A record in the store is no session.",
    cause: "Another program wrote it, it was cut off, or a field is nested deeper than 1,000 levels.",
    fix: "Destroy such sessions; they let nobody in. Let no other program write below the store's prefix or into its table.",
  },
  UPDATE_ASYNC: {
    what: "The function given to update() returned a promise.",
    cause: "An update is atomic and may run again on newer data, so it must not wait for anything.",
    fix: "Await what you need before update(), then change the session synchronously inside.",
  },
  USER_UNAVAILABLE: {
    what: "Passport could not derive the user of the session.",
    cause: "The function given to deserializeUser() failed, or none was given. The error's cause says which.",
    fix: "Register passport.deserializeUser(), and catch what userOf() rejects with. The next call derives the user again.",
  },
  REGENERATE_NEEDS_HTTP: {
    what: "The browser did not get the cookie of the new session, so it keeps the old session.",
    cause:
      "Only an HTTP response can set a cookie. The page needs socket-session/client, and session routes that it can reach.",
    fix: "Use withSession() in the page and mount sessions.routes, or call req.session.regenerate() in an HTTP route.",
  },
  SESSIONS_CLOSED: {
    what: "The application has called close() on these sessions.",
    cause: "The server is shutting down.",
    fix: "Close the servers before the sessions, and do not use the sessions afterwards.",
  },
};

/**
 * The one error class of this library. Tell errors by `code`, never by `instanceof`.
 *
 * @example
 * ```ts
 * try {
 *   await socket.session.save();
 * } catch (error) {
 *   // Logged out meanwhile: nothing is left to save.
 *   if ((error as SessionError).code !== "SESSION_DESTROYED") throw error;
 * }
 * ```
 */
export class SessionError extends Error {
  override readonly name = "SessionError";
  /** What went wrong; see docs/errors. */
  readonly code: ErrorCode;
  /** True where coming back later, or with a new cookie, can help; false where somebody must mend something. */
  readonly retry: boolean;

  /** A `fix` takes the place of the code's likely cause and fix, where only one of the causes can be meant. */
  constructor(code: ErrorCode, options: { detail?: string; fix?: string; cause?: unknown } = {}) {
    const text = help[code];
    const detail = options.detail ? ` ${options.detail}` : "";
    const advice = options.fix === undefined ? ` Likely cause: ${text.cause} Fix: ${text.fix}` : ` Fix: ${options.fix}`;
    const setupError = code === "STORE_UNAVAILABLE" ? setupErrorIn(options.cause) : undefined;
    super(
      setupError?.message ?? `${text.what}${detail}${advice}${seePage(code)}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.code = code;
    this.retry = text.retry === true && !setupError;
  }
}

/**
 * The cause, where the store does not answer because somebody must mend its set-up: waiting does not help then. Clients
 * hear `retry: true` all the same: the set-up may be mended when they come back.
 */
function setupErrorIn(cause: unknown): SessionError | undefined {
  return cause instanceof SessionError && cause.code === "STORE_NOT_READY" ? cause : undefined;
}

/** What a client is told when it is refused or closed: the code, and whether coming back can help. Never an id. */
export interface CloseReason {
  readonly code: SessionCode;
  readonly retry: boolean;
}

/** The {@link CloseReason} for a code. */
export function closeReason(code: SessionCode): CloseReason {
  return { code, retry: help[code].retry === true };
}

/**
 * The end code in a writer's error; `fallback` where nobody knows why the session ended. Undefined for any other error:
 * a store that does not answer ends no session.
 */
export function endCodeOf(error: unknown, fallback: EndCode = "SESSION_DESTROYED"): EndCode | undefined {
  const { code } = error as SessionError;
  if (code === "SESSION_UNKNOWN") return fallback;
  return code === "SESSION_EXPIRED" || code === "SESSION_ROTATED" || code === "SESSION_DESTROYED" ? code : undefined;
}
