// createSessions(): ties a store, the live sessions, HTTP and the servers together. The only place that knows them all.
import type { SessionData } from "express-session";
import { SessionError } from "./errors.js";
import { Events, type SessionsEvents } from "./events.js";
import { Admission } from "./handshake/admission.js";
import { fromReader } from "./handshake/session-id.js";
import { OneTimeTickets, withoutSecret } from "./handshake/one-time-tickets.js";
import { type HttpHalf, setUpHttp } from "./http/http-half.js";
import { createEmpty, issueSession, type Middleware } from "./http/middleware.js";
import { createRoutes } from "./http/routes.js";
import { checkNames, invalid } from "./internal/check-options.js";
import {
  type AttachOptions,
  checkAttachOptions,
  checkOptions,
  type CreateOptions,
  type ExistingMiddlewareOptions,
} from "./options.js";
import { AnonymousSession } from "./session/anonymous.js";
import type { LiveSession } from "./session/live-session.js";
import { Registry } from "./session/registry.js";
import { changeSafely } from "./session/update-draft.js";
import { type ViewFunction, Views } from "./session/view.js";
import { backendOf, type LiveStore } from "./store/live-store.js";
import type { SessionBackend } from "./store/session-backend.js";
import {
  entriesOf,
  heldSession,
  idOf,
  liveBehind,
  requireId,
  type Target,
  userName,
  type UserSession,
} from "./target.js";
import { collectTimeout, regenerate } from "./transports/regeneration.js";
import { type AttachableServer, checkCookiePath, recognise } from "./transports/servers.js";
import { roomOf } from "./transports/socket.io/room.js";
import type { WaitingLimits } from "./transports/waiting-messages.js";
import { warnOnce } from "./warnings.js";

/**
 * One live session for HTTP and sockets. Make it with {@link createSessions}.
 *
 * @example
 * ```ts
 * const sessions = createSessions({ secret });
 * app.use(sessions.middleware);
 * sessions.attach(io);
 * ```
 */
export class Sessions<View = unknown> {
  /** The Express/Connect middleware: express-session itself. */
  readonly middleware: Middleware;
  /**
   * The session routes, Express/Connect middleware to be mounted at a path of your choice, before or after
   * {@link Sessions.middleware}. Every answer is JSON, `no-store`, and refused to pages of other origins:
   *
   * - `GET /`: `{ view, expiresIn }`, what the `view` option gives and the ms until the session ends (null: never).
   * - `POST /renew`: `{ expiresIn }`; counts as activity and sends the cookie anew.
   * - `POST /ticket`: `{ ticket, expiresIn }`; lets a page of this origin into this session once, see `attach({ tickets })`.
   * - `POST /collect`: `{ view, expiresIn }` and a cookie; for the client helper, after `socket.session.regenerate()`.
   * - Refusals are `{ code, retry }`, with status 401, 403 (`ORIGIN_REFUSED`) or 503 (`STORE_UNAVAILABLE`).
   *
   * @example
   * ```ts
   * app.use("/session", sessions.routes);
   * ```
   */
  readonly routes: Middleware;
  /** The `view` option. */
  readonly view: ViewFunction<View> | undefined;
  /** The store that HTTP and sockets share. */
  readonly store: LiveStore;

  readonly #backend: SessionBackend;
  /** Lets others give the store other policies. */
  readonly #release: () => void;
  readonly #registry: Registry;
  readonly #http: HttpHalf;
  /** Undefined where there is no secret for them. */
  readonly #tickets: OneTimeTickets | undefined;
  readonly #collectTickets: OneTimeTickets | undefined;
  readonly #anonymous = new AnonymousSession();
  readonly #events = new Events();
  readonly #limits: WaitingLimits;

  /** @internal Use {@link createSessions}. */
  constructor(options: CreateOptions<View> | ExistingMiddlewareOptions<View>) {
    const { lease, maxStale, maxUnsaved, limits, policies, view, routes, hosts, secrets } = checkOptions(options);
    this.#limits = limits;
    this.view = view;
    this.#http = setUpHttp(options, hosts, secrets, policies);
    this.middleware = this.#http.middleware;
    this.store = this.#http.store;
    this.#backend = backendOf(this.store);
    this.#release = this.#backend.claim(policies);
    this.#tickets = secrets && new OneTimeTickets(secrets, "ticket", this.#backend, routes.ticketLifetime);
    this.#collectTickets = secrets && new OneTimeTickets(secrets, "collect", this.#backend, collectTimeout);
    const views = new Views(view, this.#events.fail);
    this.routes = createRoutes({
      ...this.#http,
      backend: this.#backend,
      rules: { origins: routes.origins, requireOrigin: false },
      views,
      tickets: this.#tickets,
      collectTickets: this.#collectTickets,
      onError: this.#events.fail,
    });
    this.#registry = new Registry(
      this.#backend,
      { lease, maxStale, maxUnsaved, views },
      {
        change: (live) => this.#events.tell("change", live),
        end: (live, code) => this.#events.tell("end", live, code),
        lost: (live, what) => this.#events.tell("lost", live, what),
        error: this.#events.fail,
        wantsChanges: () => this.#events.listenerCount("change") > 0,
      },
    );
  }

  /** Number of live sessions on this node. */
  get size(): number {
    return this.#registry.size;
  }

  /** Number of sessions with changes that the store has not taken yet: more than a few, for long, is an outage. */
  get pending(): number {
    return this.#registry.pending;
  }

  /**
   * Gives the sockets of a server their sessions: a Socket.IO `Server` (all namespaces, present and future) or one
   * `Namespace`, an Engine.IO `Server`, or a `WebSocketServer` of `ws`. Before or after the server is bound to a port.
   * Attach before your own `io.use()` or after, as you like.
   *
   * @throws SessionError `SERVER_UNSUPPORTED`, `OPTION_INVALID`
   * @example
   * ```ts
   * sessions.attach(io, { missing: "anonymous", origins: ["https://app.example.com"] });
   * ```
   */
  attach(server: AttachableServer, options: AttachOptions = {}): this {
    const { tickets, missing, origins, requireOrigin, sessionId } = checkAttachOptions(options);
    const known = recognise(server);
    if (tickets && !this.#tickets) throw withoutSecret();
    if (tickets && !known.takesTickets)
      throw invalid("Engine.IO clients cannot send a ticket: attach it without tickets.");
    checkCookiePath(this.#http.cookiePath, known.path);
    const findId = sessionId ? fromReader(sessionId, this.#http.findId) : this.#http.findId;
    const admission = new Admission(
      {
        registry: this.#registry,
        trust: this.#http.trust,
        exists: async (id) => this.#registry.get(id) !== undefined || this.#backend.has(id),
        issueSession: (request) => issueSession(this.middleware, this.store, request, this.#http.trust),
        onRefused: (refusal) => this.#events.tell("refused", refusal),
        onError: this.#events.fail,
      },
      { missing, origins, requireOrigin, findId, tickets: tickets ? this.#tickets : undefined },
    );
    known.attach({
      sessions: this,
      admission,
      anonymous: this.#anonymous.data,
      showsAll: this.view !== undefined,
      limits: this.#limits,
      onBound: ({ sessionStore }: { sessionStore?: unknown }) => {
        if (sessionStore !== undefined && sessionStore !== this.store) warnOnce("STORES_DIFFER");
      },
      regenerate: (connection, request) => {
        const context = { registry: this.#registry, store: this.#backend, tickets: this.#collectTickets };
        return regenerate(context, connection, () => createEmpty(this.store, request, this.#http.trust));
      },
    });
    return this;
  }

  /**
   * The live session of a socket, a request or an id; undefined where this node has no connection of it. That of a
   * socket is found after its end, too.
   *
   * @example
   * ```ts
   * const live = sessions.get(socket);
   * await fetch(url, { signal: live?.signal }); // stops when the user logs out
   * ```
   */
  get(target: Target): LiveSession | undefined {
    const behind = liveBehind(target);
    if (behind) return behind;
    const id = idOf(target);
    return id === undefined ? undefined : this.#registry.get(id);
  }

  /**
   * Changes a session atomically: increments are never lost. `change` gets the data as stored now, must be
   * synchronous, and may run again on newer data. Resolves with what it returned, when that is durable.
   *
   * @throws SessionError `TARGET_INVALID`, `SESSION_MISSING`, `SESSION_UNKNOWN` or the end's code,
   * `STORE_UNAVAILABLE`, `UPDATE_ASYNC`
   * @example
   * ```ts
   * const count = await sessions.update(socket, (session) => ++session.count);
   * ```
   */
  async update<T>(target: Target, change: (session: SessionData) => T): Promise<T> {
    if (typeof change !== "function")
      throw new SessionError("OPTION_INVALID", { detail: "The second argument of update() must be a function." });
    const live = liveBehind(target);
    if (live?.ended) throw new SessionError(live.ended);
    const id = requireId(target);
    const held = heldSession(target);
    // A request's own session object is updated with it.
    const onDraft = (data: SessionData): T => changeSafely(data, change, this.#events.fail);
    return held ? this.#backend.updateObject(id, held, onDraft) : this.#backend.update(id, onDraft);
  }

  /**
   * Ends a session everywhere (logout): removed from the store, its sockets told `SESSION_DESTROYED` and closed.
   * Resolves when it is removed; also where it was not there any more.
   *
   * @throws SessionError `TARGET_INVALID`, `SESSION_MISSING`, `STORE_UNAVAILABLE`
   * @example
   * ```ts
   * app.post("/logout", async (req, res) => {
   *   await sessions.destroy(req);
   *   res.redirect("/");
   * });
   * ```
   */
  async destroy(target: Target): Promise<void> {
    await this.#backend.end(requireId(target), "SESSION_DESTROYED");
    // As req.session.destroy() does: nothing is left for the end of the request to save.
    if (heldSession(target)) delete (target as { session?: unknown }).session;
  }

  /**
   * The sessions of a user, on all nodes, the oldest first: for a page "where you are logged in". Needs the option
   * `user`. Connections are counted now, by asking the nodes; those of a node that does not answer within 250 ms are
   * left out, and on PostgreSQL the answer takes as long.
   *
   * @throws SessionError `OPTION_INVALID`, `STORE_UNAVAILABLE`
   * @example
   * ```ts
   * app.get("/devices", async (req, res) => res.json(await sessions.ofUser(req.session.userId)));
   * ```
   */
  async ofUser(user: string | number): Promise<UserSession[]> {
    const stored = await this.#backend.sessionsOf(userName(user));
    return entriesOf(stored, (id) => this.#backend.connectionsOf(id));
  }

  /**
   * Ends all sessions of a user everywhere, but the one given as `except`; resolves with their number. A new password
   * needs exactly that. A login under way at the same moment may come after it.
   *
   * @throws SessionError `OPTION_INVALID`, `TARGET_INVALID`, `STORE_UNAVAILABLE`
   * @example
   * ```ts
   * await sessions.destroyUser(req.session.userId, { except: req });
   * ```
   */
  async destroyUser(user: string | number, options: { except?: Target | undefined } = {}): Promise<number> {
    checkNames(options, { except: true }, "destroyUser()");
    const spared = options.except === undefined ? undefined : requireId(options.except);
    return this.#backend.endSessionsOf(userName(user), spared);
  }

  /**
   * The room that holds every socket of this session, on all nodes: `io.to(sessions.room(req)).emit(…)`. Its name is
   * a hash of the id, which tells nothing about it.
   *
   * @throws SessionError `TARGET_INVALID`, `SESSION_MISSING`
   */
  room(target: Target): string {
    return roomOf(requireId(target));
  }

  /**
   * Listens: `"change"`, `"end"`, `"lost"`, `"refused"`, `"error"`. Without a listener an error is only logged
   * (`DEBUG=socket-session:*`), it never ends the process.
   *
   * @example
   * ```ts
   * sessions.on("refused", ({ code, origin }) => metrics.count("refused", { code, origin }));
   * ```
   */
  on<Event extends keyof SessionsEvents>(event: Event, listener: (...values: SessionsEvents[Event]) => void): this {
    this.#events.on(event, listener as never);
    return this;
  }

  /** Stops listening. */
  off<Event extends keyof SessionsEvents>(event: Event, listener: (...values: SessionsEvents[Event]) => void): this {
    this.#events.off(event, listener as never);
    return this;
  }

  /**
   * Saves what is pending, then stops timers and listening. Close the servers first. A store that was passed in stays
   * open. Rejects with `STORE_UNAVAILABLE` if something could not be saved.
   */
  async close(): Promise<void> {
    try {
      await this.#registry.close();
    } finally {
      this.#release();
      if (this.#http.ownsStore) this.store.close();
    }
  }
}

/**
 * Makes one live session for HTTP and sockets.
 *
 * @example
 * ```ts
 * const sessions = createSessions({ secret: process.env.SESSION_SECRET });
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
  return new Sessions(options);
}

/**
 * What pages see of a session, as the `view` option returns it.
 *
 * @example
 * ```ts
 * const sessions = createSessions({ secret, view: ({ user }) => ({ name: user?.name }) });
 * export type SessionView = ViewOf<typeof sessions>; // { name: string | undefined }
 * ```
 */
export type ViewOf<Of extends Sessions> = Of extends Sessions<infer View> ? View : never;
