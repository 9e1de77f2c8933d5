// Makes the express-session middleware, or reads ids through one that the application made. A handshake gets its new
// session and cookie by the same middleware as an HTTP request.
import type { IncomingMessage } from "node:http";
import session from "express-session";
import { SessionError } from "../errors.js";
import { isEventSource } from "../handshake/event-source.js";
import type { FindId } from "../handshake/session-id.js";
import type { ProxyTrust, TrustingApp } from "../handshake/proxy-trust.js";
import { invalid } from "../internal/check-options.js";
import { checkHeader } from "../internal/check-origin.js";
import { backendOf, LiveStore } from "../store/live-store.js";
import { texts, warnOnce } from "../warnings.js";
import { takeEndCallback } from "./end-callback.js";
import { isHandshake } from "./handshake-request.js";
import { tellWhenMounted } from "./express-internals.js";
import {
  findIdThrough,
  type MadeSession,
  makeSession,
  makeSessionOf,
  type Middleware,
} from "./express-session-internals.js";
import {
  checkCookieValues,
  warnIfDropped,
  cookieNameOf,
  type HttpOptions,
  isPlainHttp,
  sessionOptionsOf,
  warnIfInsecure,
  warnIfUnseen,
} from "./session-options.js";
import { answerAnyway } from "./unwritable.js";

export type { Middleware } from "./express-session-internals.js";

/**
 * express-session with this library's defaults, and an eye on misconfiguration.
 *
 * @throws SessionError `OPTION_INVALID`
 */
export function createMiddleware(options: HttpOptions, store: LiveStore, trust: ProxyTrust): Middleware {
  const checked = sessionOptionsOf(options, trust) as HttpOptions & { secret: string };
  const inner = session({ resave: false, saveUninitialized: false, ...checked, store }) as unknown as Middleware;
  const cookieName = cookieNameOf(options);
  const isSecureCookie = typeof checked.cookie === "object" && checked.cookie.secure === true;
  const middleware: Middleware = (request, response, next) => {
    if (typeof response === "function") return refuseSocket(response);
    refuseCall(response, "app.use(sessions.middleware)");
    const { app, sessionStore, _query } = request as { app?: TrustingApp; sessionStore?: unknown; _query?: object };
    // Engine.IO has put it there: the request is one of a socket. The library itself passes handshakes in, too.
    if (_query && !isHandshake(request)) warnOnce("ENGINE_MIDDLEWARE");
    trust.learn(app);
    if (sessionStore !== undefined && sessionStore !== store) warnOnce("STORES_DIFFER");
    if (isSecureCookie) warnIfUnseen(request, trust);
    if (isSecureCookie && request.headers[checkHeader] !== undefined && !trust.isSecure(request))
      response.setHeader(checkHeader, isPlainHttp(request) ? "SECURE_COOKIE_OVER_HTTP" : "SECURE_COOKIE_UNSEEN");
    const { end } = response;
    const goOn = (error?: unknown): void => {
      if (response.end !== end) {
        if (isSecureCookie && isPlainHttp(request) && !isHandshake(request))
          response.once("finish", () => warnIfInsecure(request, cookieName));
        answerAnyway(request, response, end, next);
        takeEndCallback(response, end);
      }
      // As express-session does while its store says that it is disconnected: stream() answers it, so that it comes back.
      const isAway = (error as Partial<SessionError> | undefined)?.code === "STORE_UNAVAILABLE";
      next(isAway && isEventSource(request) ? undefined : error);
    };
    inner(request, response, goOn);
  };
  // So its "trust proxy" is known before the first request, when sockets come back after a restart.
  return tellWhenMounted(middleware, (app) => trust.learn(app));
}

/** `io.use()` has called it with a socket, and this. */
function refuseSocket(next: (error: Error) => void): void {
  warnOnce("MIDDLEWARE_ON_SOCKETS");
  next(invalid(texts.MIDDLEWARE_ON_SOCKETS));
}

/** Refuses who calls a middleware as if it made one: `app.use(sessions.middleware())`. */
export function refuseCall(response: unknown, line: string): void {
  if (response === undefined) throw invalid(`It is the middleware itself: write ${line}, without a call.`);
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
  const made = makeSession(middleware, request, trust);
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
  const made = makeSessionOf(store, request ?? blank(false), trust);
  await backendOf(store).create(made.id, made.session);
  return made.id;
}

/** The Set-Cookie header that a first session gets with this request; undefined where its cookie cannot be set. */
export function cookieFor(middleware: Middleware, request: IncomingMessage, trust: ProxyTrust): string | undefined {
  return makeSession(middleware, request, trust)?.setCookie;
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

/**
 * Looks into an express-session middleware that was made elsewhere; its store must be a live store. Its options are not
 * visible, but what they do to a request is.
 *
 * @throws SessionError `OPTION_INVALID`, `STORE_NOT_LIVE`
 */
export function inspectMiddleware(
  middleware: Middleware,
  trust: ProxyTrust,
): { readonly store: LiveStore; readonly findId: FindId } {
  let made: MadeSession | undefined;
  try {
    made = makeSession(middleware, blank(true), trust);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw invalid(`middleware failed for a request without a cookie, in its options cookie or genid: ${why}`, error);
  }
  if (made) {
    if (typeof made.id !== "string" || made.id === "") throw invalid("The middleware's genid() must return a string.");
    const { originalMaxAge, ...values } = made.cookie;
    // As Date.now() may have gone on by now.
    checkCookieValues({ ...values, maxAge: originalMaxAge === -1 ? 0 : originalMaxAge }, "The middleware's cookie");
  }
  if (!made || made.setCookie === undefined) {
    throw invalid(
      'middleware is not express-session\'s, its cookie path is not "/", or its cookie has an invalid name.',
    );
  }
  const { store } = made;
  if (!(store instanceof LiveStore)) {
    const name = (store as object | undefined)?.constructor.name ?? "unknown";
    throw new SessionError("STORE_NOT_LIVE", { detail: `It is a ${name}.` });
  }
  const name = made.setCookie.slice(0, made.setCookie.indexOf("="));
  warnIfDropped(name, made.cookie);
  return { store, findId: (handshake) => findIdThrough(middleware, store, handshake, name, trust) };
}
