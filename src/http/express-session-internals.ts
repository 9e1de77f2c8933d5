// express-session from the inside. It has no way to ask which id a request has, to make a session for a handshake, or to
// send a cookie anew. Only this file leans on how it does these, and a contract test holds it to them:
//
// - It runs synchronously up to `store.get(id)`, or, for a request without an id, up to `next()` with a new session.
// - It puts `generate(request)` on its store, which makes a session with the middleware's options.
// - When the headers are written it sets the cookie of a session whose fields have changed since, or whose id is another
//   than the request's; whether a field has changed is all that counts.
// - It lets requests pass without a session while its store says that it is disconnected.
//
// end-callback.ts and unwritable.ts lean on one thing more: it wraps `response.end()`.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Session, SessionData } from "express-session";
import type { ProxyTrust } from "../handshake/proxy-trust.js";
import { cookieValue, type Found } from "../handshake/session-id.js";
import type { LiveStore } from "../store/live-store.js";
import { handshakeRequest } from "./handshake-request.js";

/** A Connect-style middleware: Express 4 and 5, Connect, and what understands them. */
export type Middleware = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void;

/** What express-session puts on a request. */
interface SessionParts {
  session?: Session & SessionData;
  sessionID?: string;
  sessionStore?: unknown;
}

/** A session that was made for a request that has none. */
export interface MadeSession {
  readonly id: string;
  readonly session: Session & SessionData;
  /** Its cookie, as it was made. */
  readonly cookie: Record<string, unknown>;
  readonly store: unknown;
  /** Undefined where its cookie cannot be set for this request. */
  readonly setCookie: string | undefined;
}

/** Lets the middleware make a session, as for a request without a cookie; undefined where it makes none. */
export function makeSession(
  middleware: Middleware,
  request: IncomingMessage,
  trust: ProxyTrust,
): MadeSession | undefined {
  const { cookie: _, ...headers } = request.headers;
  const { probe, response } = run(middleware, request, trust, headers);
  const { session, sessionID: id, sessionStore: store } = probe;
  if (!session || id === undefined) return undefined;
  const cookie = (session.cookie as unknown as { data: Record<string, unknown> }).data;
  sendCookie(session, () => (response as unknown as ServerResponse).writeHead(200));
  const header = response.headers["set-cookie"];
  return { id, session, cookie, store, setCookie: Array.isArray(header) ? (header[0] as string) : undefined };
}

/** Makes a session as the store's middleware makes it, whatever the cookie's path. It is not stored. */
export function makeSessionOf(
  store: LiveStore,
  request: IncomingMessage,
  trust: ProxyTrust,
): { readonly id: string; readonly session: Session & SessionData } {
  const probe = handshakeRequest(request, trust, request.headers) as Required<SessionParts>;
  (store as unknown as { generate(request: SessionParts): void }).generate(probe);
  return { id: probe.sessionID, session: probe.session };
}

/** The id that the middleware itself finds in a request, with its own secrets: it would ask the store for it. */
export function findIdThrough(
  middleware: Middleware,
  store: LiveStore,
  request: IncomingMessage,
  name: string,
  trust: ProxyTrust,
): Found {
  let id: string | undefined;
  // Within one synchronous call: nobody else can come in between.
  store.get = ((asked: string) => {
    id = asked;
  }) as LiveStore["get"];
  try {
    const { probe } = run(middleware, request, trust, request.headers);
    if (id === undefined && probe.session === undefined) return { code: "STORE_UNAVAILABLE" };
  } finally {
    delete (store as Partial<LiveStore>).get;
  }
  if (id !== undefined) return { id };
  return { code: cookieValue(request, name) === undefined ? "SESSION_MISSING" : "SESSION_INVALID" };
}

/** Lets express-session set the cookie when `writeHead` writes the headers: the session has one field more meanwhile. */
export function sendCookie(session: object, writeHead: () => void): void {
  const fields = session as { "socket-session"?: true };
  fields["socket-session"] = true;
  writeHead();
  delete fields["socket-session"];
}

/** Puts another session on a request, as `req.session.regenerate()` does; its cookie is set with the headers. */
export function replaceSession(request: IncomingMessage, store: LiveStore, id: string, data: SessionData): void {
  (request as SessionParts).sessionID = id;
  store.createSession(request as never, data);
}

/** Runs the middleware for a request that did not pass the application. */
function run(middleware: Middleware, request: IncomingMessage, trust: ProxyTrust, headers: object) {
  const probe = handshakeRequest(request, trust, headers) as SessionParts;
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
