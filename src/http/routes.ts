// The session routes. A page reads the view of its session, renews its cookie, gets tickets for sockets, and collects the
// cookie of a session that a socket has made. Plain Connect middleware, to be mounted at a path. Pages of other origins
// are refused before the session is looked at.
import type { IncomingMessage, ServerResponse } from "node:http";
import { promisify } from "node:util";
import createDebug from "debug";
import { type SessionCode, SessionError, closeReason } from "../errors.js";
import type { FindId } from "../handshake/session-id.js";
import { originOfPage, type OriginRules, refusedPage, warnOfOrigin } from "../handshake/origin.js";
import type { ProxyTrust } from "../handshake/proxy-trust.js";
import { type OneTimeTickets, withoutSecret } from "../handshake/one-time-tickets.js";
import { deadlineOf } from "../session/lifetime.js";
import { type SessionView, timeUntil, type Views } from "../session/view.js";
import { statusOf as handshakeStatusOf } from "../statuses.js";
import type { LiveStore } from "../store/live-store.js";
import { timesOf } from "../store/record/session-record.js";
import type { SessionBackend } from "../store/session-backend.js";
import { tellWhenMounted } from "./express-internals.js";
import { sendClientScript } from "./client-script.js";
import { type Middleware, replaceSession, sendCookie } from "./express-session-internals.js";
import { refuseCall } from "./middleware.js";
import { systemNow } from "../internal/system-time.js";

const debug = createDebug("socket-session:routes");

/** What the routes work with. */
export interface RoutesContext {
  readonly middleware: Middleware;
  readonly findId: FindId;
  readonly store: LiveStore;
  readonly backend: SessionBackend;
  readonly trust: ProxyTrust;
  readonly rules: OriginRules;
  readonly views: Views;
  /** Tickets for sockets; undefined where there is no secret for them. */
  readonly tickets: OneTimeTickets | undefined;
  /** Tickets for the cookies of new sessions, held by whoever has the old cookie; undefined likewise. */
  readonly collectTickets: OneTimeTickets | undefined;
  onError(error: unknown): void;
}

/** Makes the middleware, which says when it is mounted, and with which request it is used. Requests for other paths go on to the next one. */
export function createRoutes(context: RoutesContext, onUse: (request?: IncomingMessage) => void): Middleware {
  const routes: { readonly [path in string]?: Route } = {
    "/": { method: "GET", run: look },
    "/renew": { method: "POST", run: renew },
    "/ticket": { method: "POST", run: issue },
    "/collect": { method: "POST", run: collect },
  };
  const middleware: Middleware = (request, response, next) => {
    refuseCall(response, 'app.use("/session", sessions.routes)');
    onUse(request);
    const path = pathOf(request);
    if (path === "/client.js" && (request.method === "GET" || request.method === "HEAD")) {
      sendClientScript(request, response).catch(next);
      return;
    }
    const route = routes[path];
    if (!route) return next();
    answer(context, route, request, response).catch((error: unknown) => {
      const { code } = error as { code?: SessionCode };
      // What a page cannot know of is the application's to hear.
      if (!(error instanceof SessionError) || !code || !(code in statusOf) || response.headersSent) return next(error);
      debug("refused: %s", code);
      send(response, statusOf[code], closeReason(code));
    });
  };
  return tellWhenMounted(middleware, () => onUse());
}

// --- the routes ---

type Session = Record<string, unknown>;
type SessionRequest = IncomingMessage & { session?: Session; sessionID?: string; body?: unknown };

/** A request with its session. */
interface Visit {
  readonly context: RoutesContext;
  readonly request: SessionRequest;
  readonly id: string;
  readonly session: Session;
  readonly response: ServerResponse;
}

interface Route {
  readonly method: "GET" | "POST";
  readonly run: (visit: Visit) => Promise<void>;
}

async function look({ context, id, response }: Visit): Promise<void> {
  send(response, 200, await sessionViewOf(context, id));
}

async function renew({ context, id, session, response }: Visit): Promise<void> {
  // express-session does this, too, but tells nobody where it fails.
  await context.backend.prolong(id, systemNow());
  const { expiresIn } = await sessionViewOf(context, id);
  sendCookie(session, () => writeHead(response, 200));
  response.end(JSON.stringify({ expiresIn }));
}

async function issue({ context, id, request, response }: Visit): Promise<void> {
  if (!context.tickets) throw withoutSecret();
  send(response, 200, await context.tickets.issue(id, originOfPage(request, context.trust)));
}

/** Gives the browser the cookie of the session that has taken this one's place, see `transports/regeneration.ts`. */
async function collect({ context, id: old, request, response }: Visit): Promise<void> {
  const { store, backend, collectTickets } = context;
  if (!collectTickets) throw withoutSecret();
  const { ticket } = await bodyOf(request);
  const id = await collectTickets.redeem(ticket, [old]);
  const data = await backend.get(id);
  if (!data) throw new SessionError("TICKET_INVALID");
  replaceSession(request, store, id, data);
  send(response, 200, await sessionViewOf(context, id));
}

/** A session's view and expiry. The request counts as activity, as express-session will have it. */
async function sessionViewOf({ backend, views }: RoutesContext, id: string): Promise<SessionView> {
  const text = await backend.read(id, (stored) => stored);
  if (text === undefined) throw unknown(backend, id);
  const now = systemNow();
  return {
    view: JSON.parse(views.of(text) ?? "null") as unknown,
    expiresIn: timeUntil(deadlineOf(timesOf(text), now, backend.absoluteTimeout), now),
  };
}

// --- before a route runs ---

async function answer(
  context: RoutesContext,
  { method, run }: Route,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader("Cache-Control", "no-store");
  response.appendHeader("Vary", "Origin");
  const refused = await refusedBy(context, request);
  if (refused !== undefined) {
    warnOfOrigin(refused, request, context.trust);
    throw new SessionError("ORIGIN_REFUSED");
  }
  const { origin } = request.headers;
  if (origin !== undefined && request.headers["sec-fetch-site"] !== "same-origin") {
    response.setHeader("Access-Control-Allow-Origin", origin);
    response.setHeader("Access-Control-Allow-Credentials", "true");
  }
  if (request.method === "OPTIONS") {
    response.setHeader("Access-Control-Allow-Methods", method);
    response.setHeader("Access-Control-Allow-Headers", "content-type");
    response.writeHead(204).end();
  } else if (request.method === method) {
    await run({ context, request, response, ...(await requireSession(context, request, response)) });
  } else {
    response.setHeader("Allow", method);
    response.writeHead(405).end();
  }
}

async function refusedBy(
  { rules, trust, onError }: RoutesContext,
  request: IncomingMessage,
): Promise<string | undefined> {
  try {
    return await refusedPage(request, rules, trust);
  } catch (error) {
    // The application's own function threw: what it did not allow is refused.
    onError(error);
    return request.headers.origin ?? "(none)";
  }
}

/** The session that express-session has put on the request, or puts there now. */
async function requireSession(
  { findId, middleware, backend }: RoutesContext,
  request: SessionRequest,
  response: ServerResponse,
): Promise<Pick<Visit, "id" | "session">> {
  const found = findId(request);
  if ("code" in found) throw new SessionError(found.code);
  if (!request.session) await promisify(middleware)(request, response);
  const { session, sessionID } = request;
  // It lets requests by while its store says that it is disconnected.
  if (!session) throw new SessionError("STORE_UNAVAILABLE");
  if (sessionID !== found.id) throw unknown(backend, found.id);
  return { id: found.id, session };
}

function unknown(backend: SessionBackend, id: string): SessionError {
  return new SessionError(backend.endOf(id)?.code ?? "SESSION_UNKNOWN");
}

// --- HTTP ---

/** A cookie of a rotated session is worth nothing here: only a handshake is asked to come back with the new one. */
const statusOf: { readonly [Code in SessionCode]: number } = { ...handshakeStatusOf, SESSION_ROTATED: 401 };

/** The path below the one that the routes are mounted at. */
function pathOf({ url = "/" }: IncomingMessage): string {
  return url.split("?", 1)[0] || "/";
}

const longestBody = 8192;

/** The JSON body, read by the application's parser or here; empty where it is no JSON object. */
async function bodyOf(request: SessionRequest): Promise<{ ticket?: unknown }> {
  if (typeof request.body === "object" && request.body !== null) return request.body;
  let text = "";
  for await (const piece of request as AsyncIterable<Buffer>) {
    text += piece.toString("latin1");
    if (text.length > longestBody) return {};
  }
  try {
    return (JSON.parse(text) as object | null) ?? {};
  } catch {
    return {};
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  writeHead(response, status);
  response.end(JSON.stringify(body));
}

function writeHead(response: ServerResponse, status: number): void {
  response.setHeader("Content-Type", "application/json; charset=utf-8");
  response.setHeader("X-Content-Type-Options", "nosniff");
  response.writeHead(status);
}
