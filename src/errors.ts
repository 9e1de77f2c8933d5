// The errors users meet: one class, one union of codes, one help text per code.
// Knows nothing of stores, sockets or HTTP.

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
  | "LIMIT_REACHED";

/** Codes for an end: a live session is over and never comes back. */
export type EndCode = "SESSION_DESTROYED" | "SESSION_EXPIRED" | "SESSION_ROTATED";

/** Codes that only the developer sees: a wrong option, a wrong call, a value that cannot be kept. */
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
  | "REGENERATE_NEEDS_HTTP"
  | "SESSIONS_CLOSED";

/** Every code a {@link SessionError} can have. */
export type ErrorCode = SessionCode | UsageCode;

interface Help {
  /** What happened, in one sentence. */
  readonly what: string;
  /** The likely cause. */
  readonly cause: string;
  /** What to do about it. */
  readonly fix: string;
  /** True where coming back later, or with a new cookie, can help. */
  readonly retry: boolean;
}

/** What each code means. The tables in the README are held against this one by a test. */
export const help: { readonly [Code in ErrorCode]: Help } = {
  SESSION_MISSING: {
    what: "There is no session: the handshake carried no session cookie.",
    cause:
      "The browser has not been given the cookie yet, the page is on another site (SameSite), or the client was created without withCredentials.",
    fix: 'Log in over HTTP first, set withCredentials on a cross-origin client, or attach with { missing: "anonymous" }, { missing: "create" } or { tickets: true }.',
    retry: false,
  },
  SESSION_INVALID: {
    what: "The session cookie is not one that this server signed.",
    cause:
      "The secret was changed without keeping the old one in the list, the cookie was made by another application, or it was tampered with.",
    fix: "Give all services the same secret; when rotating, pass [newSecret, oldSecret].",
    retry: false,
  },
  SESSION_UNKNOWN: {
    what: "The session cookie is genuine, but its session is not in the store.",
    cause: "The session was destroyed or expired before, or this server uses another store than the one that made it.",
    fix: "Log in again; check that HTTP and sockets share one store.",
    retry: false,
  },
  SESSION_DESTROYED: {
    what: "The session was destroyed.",
    cause: "The user logged out, here or in another tab, or the application called destroy().",
    fix: "Log in again.",
    retry: false,
  },
  SESSION_EXPIRED: {
    what: "The session expired.",
    cause: "No activity within cookie.maxAge, or its absoluteTimeout was reached.",
    fix: "Log in again; raise cookie.maxAge or absoluteTimeout if this comes too early.",
    retry: false,
  },
  SESSION_ROTATED: {
    what: "The session got a new id.",
    cause: "regenerate() was called, as it should be at login: the old id is worth nothing any more.",
    fix: "Connect again: the browser sends its new cookie.",
    retry: true,
  },
  STORE_UNAVAILABLE: {
    what: "The session store did not answer.",
    cause: "The store is down, restarting or unreachable.",
    fix: "Try again; changes already made to a live session are kept and saved when the store is back.",
    retry: true,
  },
  ORIGIN_REFUSED: {
    what: "The page's origin may not use sessions here.",
    cause:
      "The page is on another scheme, host or port than this server, a proxy in between is not trusted, or the option `hosts` does not have the name that the browser used.",
    fix: 'Add the origin to attach(io, { origins: ["https://app.example.com"] }), or for the routes to createSessions({ routes: { origins } }); behind a proxy set { proxy: true } or Express\'s "trust proxy".',
    retry: false,
  },
  TICKET_INVALID: {
    what: "The ticket is not good, or not good any more.",
    cause:
      "It was used before, is too old, was fetched by a page of another origin or for another session, or its session has ended.",
    fix: "Fetch a new ticket for each connection: POST to the session routes' /ticket, with the session's cookie.",
    retry: true,
  },
  LIMIT_REACHED: {
    what: "Too many messages of the connection waited for its session.",
    cause: "The client sends faster than its session can be read again: it floods, or the store is slow.",
    fix: "Send less at once, or wait for acknowledgements; look at the store's latency; raise maxWaitingEvents or maxWaitingBytes of createSessions().",
    retry: false,
  },
  OPTION_INVALID: {
    what: "An option is missing or has a wrong value.",
    cause: "A typing error, or an option of another library.",
    fix: "Compare with the options table in the README.",
    retry: false,
  },
  STORE_NOT_LIVE: {
    what: "The session middleware keeps its sessions in a store that is not a live store.",
    cause: "A plain express-session store overwrites concurrent changes and cannot tell sockets about logouts.",
    fix: "Wrap it where the middleware is made: session({ ..., store: liveStore(yourStore) }).",
    retry: false,
  },
  STORE_UNSUPPORTED: {
    what: "The store does not offer this operation, or is not an express-session store.",
    cause: "all, length and clear are optional for express-session stores.",
    fix: "Use a store that implements it.",
    retry: false,
  },
  STORE_CLIENT_INVALID: {
    what: "The store was given a client or pool that it cannot work with.",
    cause: "It is of another package, a subscriber, not there at all, or has no listener for errors.",
    fix: "Pass redisStore() a client of the package redis, postgresStore() a Pool of the package pg, each with an error listener.",
    retry: false,
  },
  STORE_NOT_READY: {
    what: "The store cannot be used as it is set up.",
    cause:
      "Its client is not connected, its table is not there or has other columns, its user lacks a right, or the server is a replica or one of a cluster.",
    fix: "Connect the client before the first request; create the table, or pass createTable: true; grant the rights that docs/deploy.md names; pass a client of the right kind.",
    retry: false,
  },
  SERVER_UNSUPPORTED: {
    what: "attach() was given something that is not a server it knows.",
    cause: "A wrong argument, or a version of Socket.IO before 4.6.",
    fix: "Pass a Socket.IO Server or Namespace (npm install socket.io@4), an Engine.IO Server (engine.io@6), or a WebSocketServer (ws@8).",
    retry: false,
  },
  TARGET_INVALID: {
    what: "The target is neither a socket, a request nor a session id.",
    cause: "The socket is not attached, the request did not pass the session middleware, or the id is empty.",
    fix: "Pass an attached socket, a request behind sessions.middleware, or a session id.",
    retry: false,
  },
  DATA_INVALID: {
    what: "The session was given a value that it cannot keep.",
    cause:
      "A cycle, a BigInt, an object whose toJSON throws, more than 1,000 levels of nesting, more bytes than maxSessionSize, or a field with the name of a method. Clients may send such values.",
    fix: "Store plain JSON values under names of your own, and check what clients send. Remove the value: the other changes wait until then.",
    retry: false,
  },
  RECORD_INVALID: {
    what: "A record in the store is no session.",
    cause: "Another program wrote it, it was cut off, or a field is nested deeper than 1,000 levels.",
    fix: "Let nothing else write below the store's prefix or into its table, and destroy such sessions. They let nobody in.",
    retry: false,
  },
  UPDATE_ASYNC: {
    what: "The function given to update() returned a promise.",
    cause: "An update is atomic: it may run again on newer data, so it must not wait for anything.",
    fix: "Await what you need before update(), then change the session synchronously inside.",
    retry: false,
  },
  REGENERATE_NEEDS_HTTP: {
    what: "The browser did not get the cookie of a new session: the session is the old one.",
    cause:
      "The new id must reach the browser in a Set-Cookie header, and an open socket cannot send one: it takes a Socket.IO client with socket-session/client, and the session routes within its reach.",
    fix: "Use withSession() in the page and mount sessions.routes, or call req.session.regenerate() in an HTTP route.",
    retry: false,
  },
  SESSIONS_CLOSED: {
    what: "close() was called on these sessions.",
    cause: "The server is shutting down.",
    fix: "Close the servers before the sessions, and do not use them afterwards.",
    retry: false,
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
 *   if ((error as SessionError).code === "SESSION_DESTROYED") return; // logged out meanwhile
 *   throw error;
 * }
 * ```
 */
export class SessionError extends Error {
  override readonly name = "SessionError";
  /** What went wrong; see the codes table in the README. */
  readonly code: ErrorCode;
  /** True where coming back later, or with a new cookie, can help; false where somebody has to mend the store's set-up. */
  readonly retry: boolean;

  constructor(code: ErrorCode, options: { detail?: string; cause?: unknown } = {}) {
    const text = help[code];
    const detail = options.detail ? ` ${options.detail}` : "";
    const refusal = code === "STORE_UNAVAILABLE" ? notReady(options.cause) : undefined;
    super(
      refusal?.message ?? `${text.what}${detail} Likely cause: ${text.cause} Fix: ${text.fix}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.code = code;
    this.retry = text.retry && !refusal;
  }
}

/**
 * What somebody has to mend, where that is why the store is not available: told as what it is, and waiting does not
 * help. Clients are told that they may come back: they cannot know, and it may be mended by then.
 */
function notReady(cause: unknown): SessionError | undefined {
  return cause instanceof SessionError && cause.code === "STORE_NOT_READY" ? cause : undefined;
}

/** What a client is told: the code, and whether coming back can help. Never an id. */
export interface Verdict {
  readonly code: SessionCode;
  readonly retry: boolean;
}

/** The {@link Verdict} for a code. */
export function verdict(code: SessionCode): Verdict {
  return { code, retry: help[code].retry };
}

/**
 * The code of an end that a writer met, `gone` where nobody knows why; undefined where the error tells of no end:
 * unknown is not gone.
 */
export function endCodeOf(error: unknown, gone: EndCode = "SESSION_DESTROYED"): EndCode | undefined {
  const { code } = error as SessionError;
  if (code === "SESSION_UNKNOWN") return gone;
  return code === "SESSION_EXPIRED" || code === "SESSION_ROTATED" || code === "SESSION_DESTROYED" ? code : undefined;
}
