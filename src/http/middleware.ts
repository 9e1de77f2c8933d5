// express-session as the HTTP half: makes the middleware, reads ids through an existing one, and lets it issue a new
// session for a handshake, so that cookies are made by the same code everywhere.
import type { IncomingMessage, ServerResponse } from "node:http";
import session, { type SessionData } from "express-session";
import { SessionError } from "../errors.js";
import { cookieValue, type FindId } from "../handshake/session-id.js";
import type { ProxyTrust, TrustingApp } from "../handshake/proxy-trust.js";
import { invalid } from "../internal/check-options.js";
import { backendOf, LiveStore } from "../store/live-store.js";
import { warnOnce } from "../warnings.js";
import { takeEndCallback } from "./end-callback.js";
import { handshakeRequest } from "./handshake-request.js";
import { checkCookieValues, type HttpOptions, sessionOptionsOf, warnIfUnseen } from "./session-options.js";
import { answerAnyway } from "./unwritable.js";

/** A Connect-style middleware: Express 4 and 5, Connect, and what understands them. */
export type Middleware = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void;

interface SessionRequest {
  session?: session.Session & SessionData;
  sessionID?: string;
  sessionStore?: unknown;
  app?: TrustingApp;
  secure?: boolean;
}

/**
 * express-session with this library's defaults, and an eye on misconfiguration.
 *
 * @throws SessionError `OPTION_INVALID`
 */
export function createMiddleware(options: HttpOptions, store: LiveStore, trust: ProxyTrust): Middleware {
  const checked = sessionOptionsOf(options, trust) as HttpOptions & { secret: string };
  const inner = session({ resave: false, saveUninitialized: false, ...checked, store }) as unknown as Middleware;
  const isSecureCookie = typeof checked.cookie === "object" && checked.cookie.secure === true;
  const middleware: Middleware = (request, response, next) => {
    const { app, sessionStore } = request as SessionRequest;
    trust.learn(app);
    if (sessionStore !== undefined && sessionStore !== store) warnOnce("STORES_DIFFER");
    if (isSecureCookie) warnIfUnseen(request, trust);
    const { end } = response;
    const goOn = (error?: unknown): void => {
      if (response.end !== end) {
        answerAnyway(request, response, end, next);
        takeEndCallback(response, end);
      }
      next(error);
    };
    inner(request, response, goOn);
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
  trust: ProxyTrust,
): Promise<Issued | undefined> {
  const made = generate(middleware, request, trust);
  if (!made || made.setCookie === undefined) return undefined;
  await backendOf(store).create(made.id, made.session);
  return { id: made.id, setCookie: made.setCookie };
}

/**
 * Stores a new, empty session, whose cookie the browser gets later, and answers with its id. Made as express-session
 * makes it, but whatever the cookie's path: that of a handshake does not count.
 */
export async function createEmpty(
  store: LiveStore,
  request: IncomingMessage | null | undefined,
  trust: ProxyTrust,
): Promise<string> {
  const asked = request ?? blank(false);
  const made = handshakeRequest(asked, trust, asked.headers) as Required<SessionRequest>;
  (store as unknown as { generate(request: SessionRequest): void }).generate(made);
  await backendOf(store).create(made.sessionID, made.session);
  return made.sessionID;
}

/** Of somebody who has no cookie. */
function blank(encrypted: boolean): IncomingMessage {
  return {
    headers: { host: "localhost" },
    url: "/",
    method: "GET",
    socket: { encrypted },
  } as unknown as IncomingMessage;
}

/** What can be learned from an existing express-session middleware. */
export interface KnownMiddleware {
  readonly store: LiveStore;
  readonly findId: FindId;
}

/**
 * Looks into an express-session middleware that was made elsewhere; its store must be a live store. Its options are not
 * visible, but what they do to a request is.
 *
 * @throws SessionError `OPTION_INVALID`, `STORE_NOT_LIVE`
 */
export function inspectMiddleware(middleware: Middleware, trust: ProxyTrust): KnownMiddleware {
  let made: Made | undefined;
  try {
    made = generate(middleware, blank(true), trust);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw invalid(`middleware failed for a request without a cookie, in its options cookie or genid: ${why}`, error);
  }
  if (made) {
    if (typeof made.id !== "string" || made.id === "") throw invalid("The middleware's genid() returns no string.");
    const { originalMaxAge, ...values } = made.cookie;
    // As Date.now() may have gone on by now.
    checkCookieValues({ ...values, maxAge: originalMaxAge === -1 ? 0 : originalMaxAge }, "The middleware's cookie");
  }
  if (!made || made.setCookie === undefined) {
    const detail =
      'middleware is not express-session\'s, its cookie path is not "/", or its name is none that a cookie can have.';
    throw invalid(detail);
  }
  const { store } = made;
  if (!(store instanceof LiveStore)) {
    const name = (store as object | undefined)?.constructor.name ?? "unknown";
    throw new SessionError("STORE_NOT_LIVE", { detail: `It is a ${name}.` });
  }
  const name = made.setCookie.slice(0, made.setCookie.indexOf("="));
  return { store, findId: (handshake) => findThrough(middleware, store, handshake, name, trust) };
}

/** The id that the middleware itself finds in a request, with its own secrets: it would ask the store for it. */
function findThrough(
  middleware: Middleware,
  store: LiveStore,
  request: IncomingMessage,
  name: string,
  trust: ProxyTrust,
): ReturnType<FindId> {
  let id: string | undefined;
  // Within one synchronous call: nobody else can come in between.
  store.get = ((asked: string) => {
    id = asked;
  }) as LiveStore["get"];
  try {
    const { probe } = run(middleware, request, trust, request.headers);
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
  /** Its cookie, as it was made. */
  readonly cookie: Record<string, unknown>;
  readonly store: unknown;
  readonly setCookie: string | undefined;
}

function generate(middleware: Middleware, request: IncomingMessage, trust: ProxyTrust): Made | undefined {
  const { cookie: _, ...headers } = request.headers;
  const { probe, response } = run(middleware, request, trust, headers);
  const { session: made, sessionID: id, sessionStore: store } = probe;
  if (!made || id === undefined) return undefined;
  const cookie = (made.cookie as unknown as { data: Record<string, unknown> }).data;
  // express-session sets the cookie of a session that was changed: it is, for as long as it looks.
  const fields = made as unknown as { changed?: boolean };
  fields.changed = true;
  (response as unknown as ServerResponse).writeHead(200);
  delete fields.changed;
  const header = response.headers["set-cookie"];
  return { id, session: made, cookie, store, setCookie: Array.isArray(header) ? (header[0] as string) : undefined };
}

function run(middleware: Middleware, request: IncomingMessage, trust: ProxyTrust, headers: object) {
  const probe = handshakeRequest(request, trust, headers) as SessionRequest;
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
