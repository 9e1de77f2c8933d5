// createSessions(): ties a store, the live sessions, HTTP and the servers together. The only place that knows them all.
import type { IncomingMessage } from "node:http";
import { type AttachedServer, checkSetUp } from "./check/set-up.js";
import { SessionError } from "./errors.js";
import { Events } from "./events.js";
import { Admission, type AdmissionHost } from "./handshake/admission.js";
import { allowedByAny, type OriginSource } from "./handshake/origin.js";
import { OneTimeTickets, withoutSecret } from "./handshake/one-time-tickets.js";
import { type Allow, Permission } from "./handshake/permission.js";
import { type FindId, fromReader } from "./handshake/session-id.js";
import { setUpHttp } from "./http/http-half.js";
import { cookieFor, createEmpty, issueSession } from "./http/middleware.js";
import { createRoutes } from "./http/routes.js";
import { invalid } from "./internal/check-options.js";
import { RequestSessions } from "./http/request-session.js";
import {
  checkAttachOptions,
  checkOptions,
  checkStreamOptions,
  type CreateOptions,
  type ExistingMiddlewareOptions,
} from "./options.js";
import { AnonymousSession } from "./session/anonymous.js";
import { PassportUsers } from "./session/passport-users.js";
import { Registry } from "./session/registry.js";
import { Views } from "./session/view.js";
import { Sessions } from "./sessions.js";
import { backendOf } from "./store/live-store.js";
import { collectTimeout, regenerate } from "./transports/regeneration.js";
import { checkCookiePath, recognise, warnIfForgotten } from "./transports/servers.js";
import type { SocketIoAttachment } from "./transports/socket.io/connection.js";
import { Streams } from "./transports/stream/streams.js";
import { warnOnce } from "./warnings.js";

/**
 * Makes one live session for HTTP and sockets.
 *
 * @example
 * ```ts
 * const sessions = createSessions({ secret: process.env.SESSION_SECRET ?? "for development only" });
 * app.use(sessions.middleware);
 * sessions.attach(io);
 * io.on("connection", (socket) => {
 *   socket.on("add", (item) => socket.session.cart.push(item));
 * });
 * ```
 * @throws SessionError `OPTION_INVALID`, `STORE_UNSUPPORTED`, `STORE_NOT_LIVE`
 */
export function createSessions<View = unknown>(
  options: CreateOptions<View> | ExistingMiddlewareOptions<View>,
): Sessions<View> {
  const { lease, maxStale, maxUnsaved, limits, policies, passport, view, routes, hosts, secrets } =
    checkOptions(options);
  const http = setUpHttp(options, hosts, secrets, policies);
  const { middleware, store, findId, trust, cookiePath } = http;
  const backend = backendOf(store);
  const release = backend.claim(policies);
  const events = new Events();
  const views = new Views(view, events.fail);
  // Undefined where there is no secret for them.
  const tickets = secrets && new OneTimeTickets(secrets, "ticket", backend, routes.ticketLifetime);
  const collectTickets = secrets && new OneTimeTickets(secrets, "collect", backend, collectTimeout);
  const registry = new Registry(
    backend,
    { lease, maxStale, maxUnsaved, views },
    {
      change: (live) => events.tell("change", live),
      end: (live, code) => events.tell("end", live, code),
      lost: (live, what) => events.tell("lost", live, what),
      error: events.fail,
      wantsChanges: () => events.listenerCount("change") > 0,
    },
  );
  const admissionHost: AdmissionHost = {
    registry,
    trust,
    exists: async (id) => registry.get(id) !== undefined || backend.has(id),
    issueSession: (request) => issueSession(middleware, store, request, trust),
    onRefused: (refusal) => events.tell("refused", refusal),
    onError: events.fail,
  };
  const permissionOf = (allow: Allow | undefined): Permission | undefined =>
    allow && new Permission(allow, registry.reviews, events.fail);
  const attachment: Omit<SocketIoAttachment, "admission" | "permission"> = {
    sessions: registry,
    anonymous: new AnonymousSession().data,
    showsAll: view !== undefined,
    limits,
    onBound: ({ sessionStore }: { sessionStore?: unknown }) => {
      if (sessionStore !== undefined && sessionStore !== store) warnOnce("STORES_DIFFER");
    },
    regenerate: (connection, request) =>
      regenerate({ registry, store: backend, tickets: collectTickets }, connection, () =>
        createEmpty(store, request, trust),
      ),
  };
  const requestSessions = new RequestSessions(store, events.fail);
  const streams = new Streams(requestSessions, (streamOptions) => {
    const { keepAlive, maxBufferedBytes, sessionId, allow, ...rules } = checkStreamOptions(streamOptions);
    const findHeld: FindId = (request) => {
      const id = requestSessions.idOf(request);
      return id === undefined ? findId(request) : { id };
    };
    const admission = new Admission(admissionHost, {
      ...rules,
      takesVisits: true,
      findId: sessionId ? fromReader(sessionId, findHeld) : findHeld,
      tickets: undefined,
    });
    const permission = permissionOf(allow);
    return { ...attachment, admission, permission, keepAlive, maxBufferedBytes, onError: events.fail };
  });
  const pages: OriginSource[] = [{ origins: routes.origins }];
  const attached: AttachedServer[] = [];
  let areRoutesMounted = false;
  let hasStreams = false;
  return new Sessions({
    middleware,
    routes: createRoutes(
      {
        ...http,
        backend,
        // A page that may connect may renew its session, too.
        rules: { origins: allowedByAny(pages), requireOrigin: false },
        views,
        tickets,
        collectTickets,
        onError: events.fail,
      },
      (request) => {
        areRoutesMounted = true;
        if (request && attached.length === 0 && !hasStreams) warnIfForgotten(request);
      },
    ),
    view,
    store,
    backend,
    registry,
    users: passport && new PassportUsers(passport, events.fail),
    events,
    attach(server, attachOptions) {
      if (registry.isClosed) throw new SessionError("SESSIONS_CLOSED");
      const rules = checkAttachOptions(attachOptions);
      const known = recognise(server);
      if (rules.tickets && !tickets) throw withoutSecret();
      if (rules.tickets && !known.takesTickets)
        throw invalid("Engine.IO clients cannot send a ticket: attach it without tickets.");
      checkCookiePath(cookiePath, known.path);
      const admission = new Admission(admissionHost, {
        ...rules,
        findId: rules.sessionId ? fromReader(rules.sessionId, findId) : findId,
        tickets: rules.tickets ? tickets : undefined,
      });
      pages.push({ origins: rules.origins, cors: known.cors });
      known.attach({ ...attachment, admission, permission: permissionOf(rules.allow) });
      attached.push({ ...known, origins: rules.origins });
    },
    check(asked = {}) {
      const cookieOf = (request: IncomingMessage): string | undefined => cookieFor(middleware, request, trust);
      const setUp = { secrets, store, backend, trust, attached, areRoutesMounted, cookieFor: cookieOf };
      return checkSetUp(setUp, asked);
    },
    stream(request, response, streamOptions) {
      hasStreams = true;
      return streams.open(request, response, streamOptions);
    },
    async close() {
      streams.leave();
      try {
        await registry.close();
      } finally {
        release();
        if (http.ownsStore) store.close();
      }
    },
  });
}
