// The options of createSessions() and attach(): their types, what counts where one is left out, and their checks.
import type { IncomingMessage } from "node:http";
import type { SessionData, SessionOptions, Store } from "express-session";
import type { Missing } from "./handshake/admission.js";
import { ownHosts } from "./handshake/hosts.js";
import type { AllowedOrigins } from "./handshake/origin.js";
import type { Allow } from "./handshake/permission.js";
import { canBeOrigin } from "./handshake/proxy-trust.js";
import { cookieNames, httpNames, secretsOf } from "./http/session-options.js";
import {
  checkBooleans,
  checkFunctions,
  checkNames,
  checkPositive,
  checkTimes,
  invalid,
  kindOf,
  type NamesOf,
  shown,
} from "./internal/check-options.js";
import type { PassportLike } from "./session/passport-users.js";
import type { ViewFunction } from "./session/view.js";

/** Options of `sessions.routes`. */
export interface RoutesOptions {
  /** Origins whose pages may use the routes besides the server's own and those that may connect. Default: none. */
  origins?: AllowedOrigins | undefined;
  /** How long a ticket may be used, in ms, at most 2,147,483,647. Default 30,000. */
  ticketLifetime?: number | undefined;
}

/** Options of `createSessions()` beside express-session's own. */
export interface LiveOptions<View = unknown> {
  /** How long a live session may be trusted before a shared store is read again, in ms. Default 30,000. */
  lease?: number | undefined;
  /** How long handlers may go on with the last known session while the store does not answer, in ms. Default 300,000. */
  maxStale?: number | undefined;
  /** How long a session may live since it was created, whatever its activity, in ms. Default: no limit. */
  absoluteTimeout?: number | undefined;
  /**
   * How many bytes (UTF-8) a session may take as it is stored; a save above it is `DATA_INVALID`. Default 1 MiB
   * (1,048,576), or what the store was made with; Infinity: no limit.
   */
  maxSessionSize?: number | undefined;
  /** How many sessions without connections may wait to be saved in an outage; then the oldest is given up. Default 10,000. */
  maxUnsaved?: number | undefined;
  /**
   * How many messages of one connection may wait while its session is read again, whatever the number of its
   * namespaces. The client is asked to send no more once the first waits; one that sends more all the same is closed
   * with `LIMIT_REACHED`. Default 10,000, more than one read from a WebSocket brings.
   */
  maxWaitingEvents?: number | undefined;
  /** The same in bytes: with more than so many, nothing more is taken. Default 2 MiB (2,097,152). */
  maxWaitingBytes?: number | undefined;
  /**
   * Whose session it is, by its data: lets `sessions.ofUser()` and `sessions.destroyUser()` find all sessions
   * of a user, on all nodes. Undefined, null or "" for nobody's; anything but a string or a number is `DATA_INVALID` when
   * the session is saved. Called often, so it has to be quick. Needs `memoryStore()`, `redisStore()` or
   * `postgresStore()`. Default: none.
   */
  user?: ((session: SessionData) => string | number | null | undefined) | undefined;
  /** The application's Passport, for `sessions.userOf()`. Default: none. */
  passport?: PassportLike | undefined;
  /**
   * What the page may see of its session: gets a copy of what is stored, and returns what JSON can hold. Sockets are
   * told at once when they connect, and after each change of what it returns. Nothing else of a session leaves the
   * server. Default: pages see nothing.
   *
   * @example
   * ```ts
   * createSessions({ secret, view: ({ user }) => ({ name: user?.name }) });
   * ```
   */
  view?: ViewFunction<View> | undefined;
  /** What concerns `sessions.routes`. Default `{}`. */
  routes?: RoutesOptions | undefined;
  /**
   * The names by which browsers reach this server: `"app.example.com"` at any port, `"localhost:3000"` at this one,
   * `".example.com"` with all below it. A handshake or a request for the session routes that was sent to another host is
   * refused (`ORIGIN_REFUSED`), which stops DNS rebinding. The host is that of `X-Forwarded-Host` where a proxy is
   * trusted. Default: any.
   *
   * @example
   * ```ts
   * createSessions({ secret, hosts: ["app.example.com"] });
   * ```
   */
  hosts?: readonly string[] | undefined;
}

/** express-session's options (its defaults, but `resave` and `saveUninitialized` are false), and {@link LiveOptions}. */
export interface CreateOptions<View = unknown> extends Omit<SessionOptions, "store">, LiveOptions<View> {
  /** What the cookie is signed with: a string or Buffer, or a list whose first signs, while all are accepted. */
  secret: SessionOptions["secret"];
  /** The cookie's name. Default `"connect.sid"`. */
  name?: string | undefined;
  /** The older word for `name`, as express-session takes it. Default: none. */
  key?: string | undefined;
  /**
   * The cookie's `maxAge` (in ms), `secure`, `sameSite`, `httpOnly`, `domain`, `path` and so on. Default
   * `{ path: "/", httpOnly: true }`, until the browser is closed.
   */
  cookie?: SessionOptions["cookie"];
  /** A live store, or any express-session `Store`, which is then wrapped by `liveStore()`. Default `memoryStore()`. */
  store?: Store | undefined;
  /** Whether each HTTP response sets the cookie anew. Default false. */
  rolling?: boolean | undefined;
  /** Whether a request saves a session that it left as it was. Default false; true in express-session itself. */
  resave?: boolean | undefined;
  /** Whether a session is stored before anything is written to it. Default false; true in express-session itself. */
  saveUninitialized?: boolean | undefined;
  /** Makes ids, which have to be impossible to guess. Default: express-session's, 24 random bytes. */
  genid?: NonNullable<SessionOptions["genid"]>;
  /** Whether `X-Forwarded-*` headers are trusted. Default: as Express's "trust proxy" says. */
  proxy?: boolean | undefined;
  /** What happens when `req.session` is deleted: `"destroy"` ends the session. Default `"keep"`. */
  unset?: SessionOptions["unset"];
  middleware?: undefined;
}

/** For an application that configures express-session elsewhere: the middleware, whose store is a live store. */
export interface ExistingMiddlewareOptions<View = unknown> extends LiveOptions<View> {
  /** What `session({ store: liveStore(…), … })` gave. */
  middleware: (request: never, response: never, next: (error?: unknown) => void) => void;
  /** Whether X-Forwarded headers of handshakes are trusted. Default false. */
  proxy?: boolean | undefined;
  /** What tickets are sealed with: the middleware's, or a list whose first seals. Default: none, and no tickets. */
  secret?: SessionOptions["secret"] | undefined;
}

/** Options of `sessions.attach()`. */
export interface AttachOptions {
  /**
   * What happens with a socket that has no session: `"reject"` it, let it in `"anonymous"`, or `"create"` a session,
   * stored, its cookie set by the handshake response. Default `"reject"`.
   */
  missing?: Missing | undefined;
  /**
   * Origins that may connect besides the server's own: strings and regular expressions, or a function that is given the
   * origin and the request. Anchor expressions: `/^https:\/\/[a-z]+\.example\.com$/`. Where the function throws, the client
   * is refused with `ORIGIN_REFUSED`. Default: none but those in the server's `cors.origin`.
   */
  origins?: AllowedOrigins | undefined;
  /** Whether requests without an Origin header (native clients) are refused, too. Default false. */
  requireOrigin?: boolean | undefined;
  /**
   * Who may be here, by the data of the session: asked at the handshake, and again whenever the data changes, on this
   * node or elsewhere. Who may not, or not any more, is told `SESSION_FORBIDDEN` and closed; so it is where the function
   * throws. A socket without a session is asked about with an empty one. Default: whoever has a session.
   *
   * @example
   * ```ts
   * sessions.attach(io, { allow: (session) => Boolean(session.user) });
   * ```
   */
  allow?: Allow | undefined;
  /** Another way than the cookie to find the id; where it gives none, the cookie counts. Default: none. */
  sessionId?: ((request: IncomingMessage) => string | undefined) | undefined;
  /**
   * Whether a ticket of the session routes lets in a client that cannot send its cookie: with Socket.IO in `auth`, put
   * there by the client helper, with `ws` as a subprotocol. Not with `missing: "create"`, nor for Engine.IO. Default false.
   */
  tickets?: boolean | undefined;
}

/** Options of `sessions.stream()`: those of `attach()` that concern who comes in, and two of streams. */
export interface StreamOptions extends Omit<AttachOptions, "missing" | "tickets"> {
  /** What happens with a client that has no session: `"reject"` it, or let it in `"anonymous"`. Default `"reject"`. */
  missing?: "reject" | "anonymous" | undefined;
  /**
   * How often a comment is sent while nothing else waits, in ms, so that no proxy takes the stream for a dead one.
   * Default 25,000; false or 0: never.
   */
  keepAlive?: number | false | undefined;
  /**
   * How many bytes of events may wait for a client that reads slowly; one that leaves more unread is closed with
   * `LIMIT_REACHED`. Default 1 MiB (1,048,576).
   */
  maxBufferedBytes?: number | undefined;
}

// --- the checks ---

const liveNames: NamesOf<LiveOptions> = {
  lease: true,
  maxStale: true,
  absoluteTimeout: true,
  maxUnsaved: true,
  maxSessionSize: true,
  maxWaitingEvents: true,
  maxWaitingBytes: true,
  user: true,
  passport: true,
  view: true,
  routes: true,
  hosts: true,
};
const routesNames: NamesOf<RoutesOptions> = { origins: true, ticketLifetime: true };
const handshakeNames = { allow: true, missing: true, origins: true, requireOrigin: true, sessionId: true } as const;
const attachNames: NamesOf<AttachOptions> = { ...handshakeNames, tickets: true };
const streamNames: NamesOf<StreamOptions> = { ...handshakeNames, keepAlive: true, maxBufferedBytes: true };

/**
 * This library's own options with their defaults; express-session's are checked where its middleware is made.
 *
 * @throws SessionError `OPTION_INVALID`
 */
export function checkOptions<View>(options: CreateOptions<View> | ExistingMiddlewareOptions<View>) {
  checkCreateNames(options);
  const {
    lease = 30_000,
    maxStale = 300_000,
    maxUnsaved = 10_000,
    maxWaitingEvents = 10_000,
    maxWaitingBytes = 2 << 20,
    absoluteTimeout,
    maxSessionSize,
    user,
    passport,
    view,
    routes = {},
  } = options;
  checkPositive({ lease, maxStale, maxUnsaved, maxWaitingEvents, maxWaitingBytes });
  if (absoluteTimeout !== undefined) checkPositive({ absoluteTimeout });
  if (maxSessionSize !== undefined) checkPositive({ maxSessionSize });
  if (typeof routes === "string")
    throw invalid(
      `routes are options. Where the routes are, says app.use(${JSON.stringify(routes)}, sessions.routes), in Fastify routesAt.`,
    );
  checkNames(routes, routesNames, "routes");
  const { ticketLifetime = 30_000 } = routes;
  checkTimes({ "routes.ticketLifetime": ticketLifetime });
  checkFunctions({ view, user, middleware: options.middleware });
  if (passport !== undefined && typeof (passport as Partial<PassportLike> | null)?.deserializeUser !== "function") {
    throw invalid(`passport must be what the package passport exports, not ${kindOf(passport)}.`);
  }
  return {
    lease,
    maxStale,
    maxUnsaved,
    limits: { events: maxWaitingEvents, bytes: maxWaitingBytes },
    policies: { absoluteTimeout, maxSessionSize, user },
    passport,
    view,
    routes: { origins: originsOf(routes.origins, "routes.origins"), ticketLifetime },
    hosts: ownHosts(options.hosts),
    secrets: options.middleware && options.secret === undefined ? undefined : secretsOf(options.secret),
  };
}

function checkCreateNames(options: CreateOptions | ExistingMiddlewareOptions): void {
  if (options === undefined)
    throw invalid("createSessions() needs options, at least createSessions({ secret: process.env.SESSION_SECRET }).");
  const ownNames = { ...liveNames, middleware: true, proxy: true, secret: true } as const;
  const allNames = { ...ownNames, ...httpNames, store: true } as const;
  checkNames(options, allNames, "createSessions()", (name) => {
    if (Object.hasOwn(attachNames, name)) return `sessions.attach(io, { ${name} })`;
    return Object.hasOwn(cookieNames, name) ? `createSessions({ cookie: { ${name} } })` : undefined;
  });
  if (!options.middleware) return;
  const elsewhere = Object.keys(options).find((name) => !Object.hasOwn(ownNames, name));
  if (elsewhere !== undefined)
    throw invalid(`Beside a middleware, ${elsewhere} must be an option of session(), which made it.`);
}

/** As {@link checkOptions}, for `attach()`. */
export function checkAttachOptions(options: AttachOptions) {
  checkNames(options, attachNames, "attach()", (name) => {
    if (name === "cors") return "new Server(server, { cors })";
    return Object.hasOwn(liveNames, name) ? `createSessions({ ${name} })` : undefined;
  });
  const { missing = "reject", requireOrigin = false, tickets = false, sessionId, allow } = options;
  if (missing !== "reject" && missing !== "anonymous" && missing !== "create") {
    throw invalid(`missing must be "reject", "anonymous" or "create", not ${shown(missing)}.`);
  }
  const origins = originsOf(options.origins, "origins");
  checkFunctions({ sessionId, allow });
  checkBooleans({ requireOrigin, tickets });
  if (tickets && missing === "create") {
    throw invalid(
      'tickets: true does not go with missing: "create": every client has a session before it sends a ticket.',
    );
  }
  return { missing, origins, requireOrigin, sessionId, tickets, allow };
}

/** As {@link checkOptions}, for `stream()`. */
export function checkStreamOptions(options: StreamOptions = {}) {
  checkNames(options, streamNames, "stream()");
  const { keepAlive = 25_000, maxBufferedBytes = 1 << 20, ...rest } = options;
  const pause = keepAlive || 0;
  if (pause !== 0) checkTimes({ keepAlive });
  checkPositive({ maxBufferedBytes });
  if ((rest.missing as string | undefined) === "create")
    throw invalid(
      'missing must be "reject" or "anonymous": a route that streams makes a session by writing to req.session.',
    );
  return { ...checkAttachOptions(rest), keepAlive: pause, maxBufferedBytes };
}

function originsOf(origins: AllowedOrigins = [], name: string): AllowedOrigins {
  if (typeof origins === "function") return origins;
  if (!Array.isArray(origins)) {
    const line =
      typeof origins === "string" && canBeOrigin(origins) ? ` Write origins: [${JSON.stringify(origins)}].` : "";
    throw invalid(`${name} must be a list or a function, not ${shown(origins)}.${line}`);
  }
  const wrong = origins.findIndex((one: unknown) => typeof one !== "string" && !(one instanceof RegExp));
  if (wrong !== -1)
    throw invalid(`${name} must contain strings and regular expressions, not ${kindOf(origins[wrong])}.`);
  const idle = origins.find((one: unknown) => typeof one === "string" && !canBeOrigin(one)) as string | undefined;
  if (idle !== undefined) {
    const detail = `${name} must contain origins such as "https://app.example.com": no browser sends ${JSON.stringify(idle)}. For many at once, give a regular expression or a function.`;
    throw invalid(detail);
  }
  return origins as AllowedOrigins;
}
