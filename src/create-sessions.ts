// createSessions(): ties a store, the live sessions, HTTP and the servers together. The only place that knows them all.
import { hash } from "node:crypto";
import { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import createDebug from "debug";
import type { SessionData, SessionOptions, Store } from "express-session";
import { type EndCode, SessionError } from "./errors.js";
import { safely } from "./internal/safely.js";
import { fromCookie, fromReader, type FindId } from "./handshake/session-id.js";
import { ownHosts } from "./handshake/hosts.js";
import type { AllowedOrigins } from "./handshake/origin.js";
import { canBeOrigin, ProxyTrust } from "./handshake/proxy-trust.js";
import { Tickets, withoutSecret } from "./handshake/ticket.js";
import { createEmpty, createMiddleware, inspectMiddleware, issueSession, type Middleware } from "./http/middleware.js";
import { cookieNameOf, httpNames, type Secrets, secretsOf } from "./http/session-options.js";
import { createRoutes } from "./http/routes.js";
import { AnonymousSession } from "./session/anonymous.js";
import { changeSafely } from "./session/update-draft.js";
import { ActiveSession, type LiveSession } from "./session/live-session.js";
import { Registry } from "./session/registry.js";
import { operations } from "./session/socket-session.js";
import { type ViewFunction, Views } from "./session/view.js";
import { Admission, type Missing, type Refusal } from "./handshake/admission.js";
import { type ServerParts } from "./transports/session-connection.js";
import { collectTimeout, type Mover, regenerate } from "./transports/regeneration.js";
import { attachEngineServer, isEngineServer } from "./transports/engine.io/attach.js";
import { attachSocketIo, isNamespace, isServer, roomPrefix } from "./transports/socket.io/attach.js";
import type { WaitingLimits } from "./transports/waiting-messages.js";
import { attachWebSocketServer, isWebSocketServer } from "./transports/ws/attach.js";
import { inBatches } from "./internal/batches.js";
import { liveStore } from "./store/drivers/express-store/express-store.js";
import { backendOf, type LiveStore } from "./store/live-store.js";
import { memoryStore } from "./store/drivers/memory.js";
import { timesOf } from "./store/record/session-record.js";
import type { SessionBackend } from "./store/session-backend.js";
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
import { warnOnce } from "./warnings.js";

const debug = createDebug("socket-session:sessions");

/** Of how many sessions of a user the connections are asked for side by side: each question is a subscription. */
const askedTogether = 500;

/** Options of {@link Sessions.routes}. */
export interface RoutesOptions {
  /** Origins whose pages may use the routes besides the server's own. Default: none. */
  origins?: AllowedOrigins | undefined;
  /** How long a ticket may be used, in ms, at most 2,147,483,647. Default 30,000. */
  ticketLifetime?: number | undefined;
}

/** Options of {@link createSessions} beside express-session's own. */
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
   * with `LIMIT_REACHED`. Default 10,000: more than one read from a WebSocket brings.
   */
  maxWaitingEvents?: number | undefined;
  /** The same in bytes: with more than so many, nothing more is taken. Default 2 MiB. */
  maxWaitingBytes?: number | undefined;
  /**
   * Whose session it is, by its data: lets {@link Sessions.ofUser} and {@link Sessions.destroyUser} find all sessions
   * of a user, on all nodes. Undefined, null or "" for nobody's; anything but a string or a number is `DATA_INVALID` when
   * the session is saved. Called often, so it has to be quick.
   */
  user?: ((session: SessionData) => string | number | null | undefined) | undefined;
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
  /** What concerns {@link Sessions.routes}. */
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
  /** The older word for `name`, as express-session takes it. */
  key?: string | undefined;
  /** A live store, or any express-session `Store`, which is then wrapped by `liveStore()`. Default: `memoryStore()`. */
  store?: Store | undefined;
  middleware?: undefined;
}

/** For an application that configures express-session elsewhere: the middleware, whose store is a live store. */
export interface ExistingMiddlewareOptions<View = unknown> extends LiveOptions<View> {
  /** What `session({ store: liveStore(…), … })` gave. */
  middleware: (request: never, response: never, next: (error?: unknown) => void) => void;
  /** Whether X-Forwarded headers of handshakes are trusted. Default false. */
  proxy?: boolean | undefined;
  /** What tickets are sealed with; needed only for these. May be the middleware's, or a list whose first seals. */
  secret?: SessionOptions["secret"] | undefined;
}

/** Options of {@link Sessions.attach}. */
export interface AttachOptions {
  /**
   * What happens with a socket that has no session: `"reject"` it (default), let it in `"anonymous"`, or `"create"`
   * a session, stored, its cookie set by the handshake response.
   */
  missing?: Missing | undefined;
  /** Origins that may connect besides the server's own. Default: none but those in the server's `cors.origin`. */
  origins?: AllowedOrigins | undefined;
  /** True also refuses requests without an Origin header (native clients). Default false. */
  requireOrigin?: boolean | undefined;
  /** Another way than the cookie to find the id; where it gives none, the cookie counts. */
  sessionId?: ((request: IncomingMessage) => string | undefined) | undefined;
  /**
   * Whether a ticket of the session routes lets in a client that cannot send its cookie: with Socket.IO in `auth`, put
   * there by the client helper, with `ws` as a subprotocol. Default false.
   */
  tickets?: boolean | undefined;
}

/** A socket, a request, a session object, an entry of {@link Sessions.ofUser}, or a session id. */
export type Target =
  | string
  | { readonly session?: unknown }
  | { readonly id: string; readonly save: unknown }
  | UserSession
  // A socket of ws: in a CommonJS module its type knows no session.
  | { readonly bufferedAmount: number };

/** A session of a user, as {@link Sessions.ofUser} gives it: to be shown to that user, and a {@link Target}. */
export interface UserSession {
  /** Tells the session from others, and nothing about its id. The same on all nodes, for as long as the session lives. */
  readonly handle: string;
  /** When it became this user's (ms since 1970). */
  readonly created: number;
  /** When it was last active, as far as the store was told (ms since 1970); undefined without `cookie.maxAge`. */
  readonly lastSeen: number | undefined;
  /** Number of its open connections, on all nodes. */
  readonly connections: number;
  /** The same for each node that has any, this one first. */
  readonly connectionsPerNode: readonly number[];
}

/** The events of {@link Sessions.on}. */
export interface SessionsEvents {
  /** The data of a live session changed, wherever that was done. */
  change: [live: LiveSession];
  /** A live session ended. */
  end: [live: LiveSession, code: EndCode];
  /**
   * The store came back from an outage without what it had stored: `"changes"` of a live session, which has older data
   * now, or the whole `"session"`, which then ends with `SESSION_DESTROYED`.
   */
  lost: [live: LiveSession, what: "changes" | "session"];
  /** A handshake was refused. */
  refused: [refusal: Refusal];
  /** A background save failed (it is tried again), a change came too late, or `origins` or `sessionId` threw. */
  error: [error: unknown];
}

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
  readonly #trust: ProxyTrust;
  readonly #findId: FindId;
  /** Undefined where there is no secret for them. */
  readonly #tickets: Tickets | undefined;
  readonly #collectTickets: Tickets | undefined;
  readonly #cookiePath: string | undefined;
  readonly #ownsStore: boolean;
  readonly #anonymous = new AnonymousSession();
  readonly #emitter = new EventEmitter();
  readonly #limits: WaitingLimits;
  /** @internal Use {@link createSessions}. */
  constructor(options: CreateOptions<View> | ExistingMiddlewareOptions<View>) {
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
      view,
      routes = {},
    } = options;
    checkPositive({ lease, maxStale, maxUnsaved, maxWaitingEvents, maxWaitingBytes });
    this.#limits = { events: maxWaitingEvents, bytes: maxWaitingBytes };
    if (absoluteTimeout !== undefined) checkPositive({ absoluteTimeout });
    if (maxSessionSize !== undefined) checkPositive({ maxSessionSize });
    checkNames(routes, routesNames, "routes");
    const { ticketLifetime = 30_000 } = routes;
    checkTimes({ "routes.ticketLifetime": ticketLifetime });
    checkFunctions({ view, user, middleware: options.middleware });
    this.view = view;
    const origins = originsOf(routes.origins, "routes.origins");
    const hosts = ownHosts(options.hosts);
    const secrets = options.middleware && options.secret === undefined ? undefined : secretsOf(options.secret);
    if (options.middleware) {
      checkBooleans({ proxy: options.proxy });
      // Requests do not pass through here, so that Express's setting cannot be learned.
      this.#trust = new ProxyTrust(options.proxy ?? false, hosts);
      const known = inspectMiddleware(options.middleware as Middleware, this.#trust);
      this.middleware = options.middleware as Middleware;
      this.store = known.store;
      this.#findId = known.findId;
      this.#cookiePath = undefined;
      this.#ownsStore = false;
    } else {
      const { store, cookie } = options;
      this.#trust = new ProxyTrust(options.proxy ?? undefined, hosts);
      // What express-session would take for no store may be a mistake of an `&&`.
      this.store = store === undefined || store === null ? memoryStore() : liveStore(store);
      this.#ownsStore = this.store !== store;
      this.middleware = createMiddleware(options, this.store, this.#trust);
      this.#findId = fromCookie(cookieNameOf(options), secrets as Secrets);
      this.#cookiePath = typeof cookie === "object" ? cookie?.path : undefined;
    }
    this.#backend = backendOf(this.store);
    this.#release = this.#backend.claim({ absoluteTimeout, maxSessionSize, user });
    this.#tickets = secrets && new Tickets(secrets, "ticket", this.#backend, ticketLifetime);
    this.#collectTickets = secrets && new Tickets(secrets, "collect", this.#backend, collectTimeout);
    const views = new Views(view, (error) => this.#fail(error));
    this.routes = createRoutes({
      middleware: this.middleware,
      findId: this.#findId,
      store: this.store,
      backend: this.#backend,
      trust: this.#trust,
      rules: { origins, requireOrigin: false },
      views,
      tickets: this.#tickets,
      collectTickets: this.#collectTickets,
      failed: (error) => this.#fail(error),
    });
    this.#registry = new Registry(
      this.#backend,
      { lease, maxStale, maxUnsaved, views },
      {
        change: (live) => this.#emit("change", live),
        end: (live, code) => this.#emit("end", live, code),
        lost: (live, what) => this.#emit("lost", live, what),
        error: (error) => this.#fail(error),
        wantsChanges: () => this.#emitter.listenerCount("change") > 0,
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
  attach(server: object, options: AttachOptions = {}): this {
    checkNames(options, attachNames, "attach()");
    const { missing = "reject", requireOrigin = false, sessionId, tickets = false } = options;
    if (missing !== "reject" && missing !== "anonymous" && missing !== "create") {
      throw invalid(`missing is "reject", "anonymous" or "create", not ${shown(missing)}.`);
    }
    const origins = originsOf(options.origins, "origins");
    checkFunctions({ sessionId });
    checkBooleans({ requireOrigin, tickets });
    if (tickets) this.#checkTickets(server, missing);
    const attachTo = this.#adapterFor(server);
    const findId = sessionId ? fromReader(sessionId, this.#findId) : this.#findId;
    const admission = new Admission(
      {
        registry: this.#registry,
        trust: this.#trust,
        exists: async (id) => this.#registry.get(id) !== undefined || this.#backend.has(id),
        issue: (request) => issueSession(this.middleware, this.store, request, this.#trust),
        refused: (refusal) => this.#emit("refused", refusal),
        failed: (error) => this.#fail(error),
      },
      { missing, origins, requireOrigin, findId, tickets: tickets ? this.#tickets : undefined },
    );
    attachTo({
      owner: this,
      admission,
      anonymous: this.#anonymous.data,
      showsAll: this.view !== undefined,
      limits: this.#limits,
      bound: (request: { sessionStore?: unknown }) => {
        const { sessionStore } = request;
        if (sessionStore !== undefined && sessionStore !== this.store) warnOnce("STORES_DIFFER");
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
    const behind = this.#liveBehind(target);
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
    if (typeof change !== "function") throw new SessionError("OPTION_INVALID", { detail: "change is a function." });
    const live = this.#liveBehind(target);
    if (live?.ended) throw new SessionError(live.ended);
    const id = this.#requireId(target);
    const held = heldSession(target);
    // A request's own session object is updated with it.
    const onDraft = (data: SessionData): T => changeSafely(data, change, (error) => this.#fail(error));
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
    const id = this.#requireId(target);
    await this.#backend.end(id, "SESSION_DESTROYED");
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
    const entries = await inBatches(stored, askedTogether, async ({ id, created, text }) => {
      const { maxAge, expires } = timesOf(text);
      const connectionsPerNode = await this.#backend.connectionsOf(id);
      const entry: UserSession = {
        handle: hash("sha256", `handle ${id}`, "base64url").slice(0, 22),
        created,
        lastSeen: maxAge === undefined ? undefined : expires - maxAge,
        connections: connectionsPerNode.reduce((sum, count) => sum + count, 0),
        connectionsPerNode,
      };
      idsOfEntries.set(entry, id);
      return entry;
    });
    return entries.toSorted((a, b) => a.created - b.created);
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
    const spared = options.except === undefined ? undefined : this.#requireId(options.except);
    return this.#backend.endSessionsOf(userName(user), spared);
  }

  /**
   * The room that holds every socket of this session, on all nodes: `io.to(sessions.room(req)).emit(…)`. Its name is
   * a hash of the id, which tells nothing about it.
   *
   * @throws SessionError `TARGET_INVALID`, `SESSION_MISSING`
   */
  room(target: Target): string {
    return roomOf(this.#requireId(target));
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
    this.#emitter.on(event, listener as never);
    return this;
  }

  /** Stops listening. */
  off<Event extends keyof SessionsEvents>(event: Event, listener: (...values: SessionsEvents[Event]) => void): this {
    this.#emitter.off(event, listener as never);
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
      if (this.#ownsStore) this.store.close();
    }
  }

  #checkTickets(server: object, missing: Missing): void {
    if (!this.#tickets) throw withoutSecret();
    if (missing === "create") {
      const detail = 'With missing: "create" every client has a session before its ticket is seen.';
      throw new SessionError("OPTION_INVALID", { detail });
    }
    if (!isServer(server) && !isNamespace(server) && !isWebSocketServer(server)) {
      throw new SessionError("OPTION_INVALID", { detail: "Engine.IO has no place for a ticket." });
    }
  }

  /** Recognises a server: what attaches to it, after a look at whether the cookie reaches it. */
  #adapterFor(server: object): (parts: ServerParts) => void {
    if (isServer(server) || isNamespace(server)) {
      this.#checkPath(isServer(server) ? server.path() : server.server.path());
      return (parts) =>
        attachSocketIo(server, { ...parts, roomOf, regenerate: (mover, request) => this.#regenerate(mover, request) });
    }
    if (isWebSocketServer(server)) {
      this.#checkPath(server.options.path);
      return (parts) => attachWebSocketServer(server, parts);
    }
    if (!isEngineServer(server)) throw new SessionError("SERVER_UNSUPPORTED");
    this.#checkPath(server.opts.path);
    return (parts) => attachEngineServer(server, parts);
  }

  #regenerate(mover: Mover, request: IncomingMessage | null | undefined): Promise<void> {
    const parts = { registry: this.#registry, store: this.#backend, tickets: this.#collectTickets };
    return regenerate(parts, mover, () => createEmpty(this.store, request, this.#trust));
  }

  #checkPath(path: string | null | undefined): void {
    if (this.#cookiePath === undefined || !path || `${path}/`.startsWith(this.#cookiePath)) return;
    const detail = `cookie.path is ${this.#cookiePath}, the server's is ${path}.`;
    warnOnce("COOKIE_PATH_EXCLUDES_SOCKETS", path, detail);
  }

  #liveBehind(target: Target): ActiveSession | undefined {
    if (typeof target === "string") return undefined;
    const live = behindOf(target);
    return live instanceof ActiveSession ? live : undefined;
  }

  #requireId(target: Target): string {
    if (typeof target !== "string" && behindOf(target) && !this.#liveBehind(target)) {
      throw new SessionError("SESSION_MISSING");
    }
    const id = idOf(target);
    if (id === undefined) throw new SessionError("TARGET_INVALID");
    return id;
  }

  #fail(error: unknown): void {
    debug("%s", error);
    this.#emit("error", error);
  }

  #emit<Event extends keyof SessionsEvents>(event: Event, ...values: SessionsEvents[Event]): void {
    if (this.#emitter.listenerCount(event) > 0) safely(() => this.#emitter.emit(event, ...values));
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

function roomOf(id: string): string {
  const name = roomPrefix + hash("sha256", id, "base64url").slice(0, 22);
  // One flat string: as a key that stays, its pieces would take twice the memory.
  return Buffer.from(name, "latin1").toString("latin1");
}

/** The session object in a target, where it is one that this library gave. */
function behindOf(target: object | null | undefined): ReturnType<typeof operations> {
  if (typeof target !== "object" || target === null) return undefined;
  const { session } = target as { session?: unknown };
  return operations(target) ?? (typeof session === "object" && session !== null ? operations(session) : undefined);
}

/** Whose id an entry of ofUser() stands for: it does not hold it, as it is made to be sent to a page. */
const idsOfEntries = new WeakMap<object, string>();

function userName(user: string | number): string {
  const isName = typeof user === "number" || (typeof user === "string" && user !== "");
  if (!isName)
    throw new SessionError("OPTION_INVALID", { detail: "A user is a number or a string that is not empty." });
  return String(user);
}

function idOf(target: Target): string | undefined {
  if (typeof target === "string") return target || undefined;
  if (typeof target !== "object" || target === null) return undefined;
  const listed = idsOfEntries.get(target);
  if (listed !== undefined) return listed;
  const behind = behindOf(target);
  if (behind) return behind.id;
  const {
    sessionID,
    session,
    id: own,
    save,
  } = target as Record<"sessionID" | "id" | "save", unknown> & {
    session?: { id?: unknown };
  };
  const id = sessionID ?? session?.id ?? (typeof save === "function" ? own : undefined);
  return typeof id === "string" && id !== "" ? id : undefined;
}

/** The express-session object that a request holds. */
function heldSession(target: Target): SessionData | undefined {
  if (typeof target === "string" || behindOf(target)) return undefined;
  const { session, sessionID } = target as { session?: unknown; sessionID?: unknown };
  return typeof session === "object" && session !== null && typeof sessionID === "string"
    ? (session as SessionData)
    : undefined;
}

const liveNames: NamesOf<LiveOptions> = {
  lease: true,
  maxStale: true,
  absoluteTimeout: true,
  maxUnsaved: true,
  maxSessionSize: true,
  maxWaitingEvents: true,
  maxWaitingBytes: true,
  user: true,
  view: true,
  routes: true,
  hosts: true,
};
const routesNames: NamesOf<RoutesOptions> = { origins: true, ticketLifetime: true };
const attachNames: NamesOf<AttachOptions> = {
  missing: true,
  origins: true,
  requireOrigin: true,
  sessionId: true,
  tickets: true,
};

function checkCreateNames(options: CreateOptions | ExistingMiddlewareOptions): void {
  if (options === undefined) throw invalid("createSessions() needs options, a secret at least.");
  const ownNames = { ...liveNames, middleware: true, proxy: true, secret: true } as const;
  const allNames = { ...ownNames, ...httpNames, store: true } as const;
  checkNames(options, allNames, "createSessions()");
  if (!options.middleware) return;
  const elsewhere = Object.keys(options).find((name) => !Object.hasOwn(ownNames, name));
  if (elsewhere !== undefined)
    throw invalid(`Beside a middleware ${elsewhere} is an option of session(), which made it.`);
}

function originsOf(origins: AllowedOrigins = [], name: string): AllowedOrigins {
  if (typeof origins === "function") return origins;
  if (!Array.isArray(origins)) throw invalid(`${name} is a list or a function, not ${shown(origins)}.`);
  const wrong = origins.findIndex((one: unknown) => typeof one !== "string" && !(one instanceof RegExp));
  if (wrong !== -1) throw invalid(`${name} has strings and regular expressions, not ${kindOf(origins[wrong])}.`);
  const idle = origins.find((one: unknown) => typeof one === "string" && !canBeOrigin(one)) as string | undefined;
  if (idle !== undefined) {
    const detail = `${name} has origins such as "https://app.example.com", and no browser sends ${JSON.stringify(idle)}. For many at once, give a regular expression or a function.`;
    throw invalid(detail);
  }
  return origins as AllowedOrigins;
}
