// express-session as the HTTP half: makes the middleware, reads ids through an existing one, and lets it issue a new
// session for a handshake, so that cookies are made by the same code everywhere.
import type { IncomingMessage, ServerResponse } from "node:http";
import session, { type SessionData, type SessionOptions } from "express-session";
import { SessionError } from "../errors.js";
import { cookieValue, type FindId } from "../handshake/credentials.js";
import { forwardedScheme, isEncrypted, type ProxyTrust, type TrustingApp } from "../handshake/proxy.js";
import { LiveStore } from "../store/live-store.js";
import { warnOnce } from "../warnings.js";

/** A Connect-style middleware: Express 4 and 5, Connect, and what understands them. */
export type Middleware = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void;

interface SessionRequest {
  session?: session.Session & SessionData;
  sessionID?: string;
  sessionStore?: unknown;
  app?: TrustingApp;
  secure?: boolean;
}

/** express-session with this library's defaults, and an eye on misconfiguration. */
export function createMiddleware(options: SessionOptions & { store: LiveStore }, trust: ProxyTrust): Middleware {
  const inner = session({ resave: false, saveUninitialized: false, ...options }) as unknown as Middleware;
  const { cookie } = options;
  const isSecureCookie = typeof cookie === "object" && cookie.secure === true;
  const middleware: Middleware = (request, response, next) => {
    const { app, sessionStore } = request as SessionRequest;
    trust.learn(app);
    if (sessionStore !== undefined && sessionStore !== options.store) warnOnce("STORES_DIFFER");
    if (isSecureCookie && forwardedScheme(request) === "https" && !trust.isSecure(request)) {
      warnOnce("SECURE_COOKIE_UNSEEN");
    }
    inner(request, response, next);
  };
  // Express tells an application that is mounted in another where it is: so its "trust proxy" is known before the
  // first request, when sockets come back after a restart.
  const emit = (_mount: string, app: TrustingApp): void => trust.learn(app);
  return Object.assign(middleware, { handle: middleware, set: () => undefined, emit });
}

/** A new session for a handshake: stored, with the Set-Cookie header's value for the response. */
export interface Issued {
  readonly id: string;
  readonly setCookie: string;
}

/**
 * Lets the middleware make a session for this handshake, as it would for a first HTTP request. Undefined where its
 * cookie cannot be set: a `secure` cookie over plain HTTP, or a cookie path that leaves out this URL.
 */
export async function issueSession(
  middleware: Middleware,
  store: LiveStore,
  request: IncomingMessage,
  isSecure: boolean,
): Promise<Issued | undefined> {
  const made = generate(middleware, request, isSecure);
  if (!made || made.setCookie === undefined) return undefined;
  await store.create(made.id, made.session);
  return { id: made.id, setCookie: made.setCookie };
}

/**
 * Stores a new, empty session, whose cookie the browser gets later, and answers with its id. As the middleware makes it
 * for a request with a cookie in reach: the path of the request that is there, a handshake's, does not count.
 */
export async function createEmpty(
  middleware: Middleware,
  store: LiveStore,
  request: IncomingMessage | null | undefined,
  { path, isSecure }: { readonly path: string; readonly isSecure: boolean },
): Promise<string> {
  const asked = Object.assign(Object.create(request ?? blank) as IncomingMessage, { url: path, originalUrl: path });
  const made = generate(middleware, asked, isSecure);
  if (!made) throw new SessionError("STORE_UNAVAILABLE");
  await store.create(made.id, made.session);
  return made.id;
}

const blank = { headers: {}, url: "/", method: "GET", socket: { encrypted: true } };

/** What can be learned from an existing express-session middleware. */
export interface KnownMiddleware {
  readonly store: LiveStore;
  readonly findId: FindId;
}

/** Looks into an express-session middleware that was made elsewhere; its store must be a live store. */
export function inspectMiddleware(middleware: Middleware): KnownMiddleware {
  const made = generate(middleware, blank as unknown as IncomingMessage, true);
  if (!made || made.setCookie === undefined) {
    const detail = 'middleware is not express-session\'s, or its cookie path is not "/".';
    throw new SessionError("OPTION_INVALID", { detail });
  }
  const { store } = made;
  if (!(store instanceof LiveStore)) {
    const name = (store as object | undefined)?.constructor.name ?? "unknown";
    throw new SessionError("STORE_NOT_LIVE", { detail: `It is a ${name}.` });
  }
  const name = decodeURIComponent(made.setCookie.slice(0, made.setCookie.indexOf("=")));
  return { store, findId: (handshake) => findThrough(middleware, store, handshake, name) };
}

/** The id that the middleware itself finds in a request, with its own secrets: it would ask the store for it. */
function findThrough(
  middleware: Middleware,
  store: LiveStore,
  request: IncomingMessage,
  name: string,
): ReturnType<FindId> {
  let id: string | undefined;
  // Within one synchronous call: nobody else can come in between.
  store.get = ((asked: string) => {
    id = asked;
  }) as LiveStore["get"];
  try {
    const { probe } = run(middleware, request, true, request.headers);
    // It lets requests by without a session while its store says that it is disconnected.
    if (id === undefined && probe.session === undefined) return { code: "STORE_UNAVAILABLE" };
  } finally {
    delete (store as Partial<LiveStore>).get;
  }
  if (id !== undefined) return { id };
  return { code: cookieValue(request, name) === undefined ? "SESSION_MISSING" : "SESSION_INVALID" };
}

interface Made {
  readonly id: string;
  readonly session: session.Session & SessionData;
  readonly store: unknown;
  readonly setCookie: string | undefined;
}

function generate(middleware: Middleware, request: IncomingMessage, isSecure: boolean): Made | undefined {
  const { cookie: _, ...headers } = request.headers;
  const { probe, response } = run(middleware, request, isSecure, headers);
  const { session: made, sessionID: id, sessionStore: store } = probe;
  if (!made || id === undefined) return undefined;
  // express-session sets the cookie of a session that was changed: it is, for as long as it looks.
  const fields = made as unknown as { changed?: boolean };
  fields.changed = true;
  (response as unknown as ServerResponse).writeHead(200);
  delete fields.changed;
  const header = response.headers["set-cookie"];
  return { id, session: made, store, setCookie: Array.isArray(header) ? (header[0] as string) : undefined };
}

function run(middleware: Middleware, request: IncomingMessage, isSecure: boolean, headers: object) {
  // A request of its own: the handshake's stays as it is.
  const probe = Object.create(request, {
    headers: { value: headers },
    // What a cookie parser has found in the request: express-session would look for the old id there, too.
    ...("cookie" in headers ? {} : { cookies: { value: {} }, signedCookies: { value: {} } }),
    secure: { value: isSecure },
    session: { value: undefined, writable: true },
    sessionID: { value: undefined, writable: true },
    sessionStore: { value: undefined, writable: true },
    connection: { value: { encrypted: isEncrypted(request) } },
  }) as SessionRequest;
  const response = {
    statusCode: 200,
    headers: {} as Record<string, unknown>,
    getHeader(name: string): unknown {
      return this.headers[name.toLowerCase()];
    },
    setHeader(name: string, value: unknown): void {
      this.headers[name.toLowerCase()] = value;
    },
    writeHead(): void {},
    write(): void {},
    end(): void {},
  };
  middleware(probe as unknown as IncomingMessage, response as unknown as ServerResponse, () => undefined);
  return { probe, response };
}
