// What createSessions() returns: the sessions of an application, as it sees and changes them.
import type { SessionData } from "express-session";
import type { SessionCheck } from "./check/findings.js";
import type { CheckOptions } from "./check/set-up.js";
import { SessionError } from "./errors.js";
import { checkListener, type Events, type SessionsEvents } from "./events.js";
import type { Middleware } from "./http/middleware.js";
import { checkNames, invalid } from "./internal/check-options.js";
import type { AttachOptions, StreamOptions } from "./options.js";
import type { LiveSession } from "./session/live-session.js";
import type { PassportUsers } from "./session/passport-users.js";
import type { Registry } from "./session/registry.js";
import { changeSafely } from "./session/update-draft.js";
import type { ViewFunction } from "./session/view.js";
import type { LiveStore } from "./store/live-store.js";
import type { SessionBackend } from "./store/session-backend.js";
import {
  checkTarget,
  entriesOf,
  requestBehind,
  requireSession,
  resolve,
  type Target,
  userName,
  type UserSession,
} from "./target.js";
import type { AttachableServer } from "./transports/servers.js";
import { useRooms } from "./transports/socket.io/room-members.js";
import { roomOf } from "./transports/socket.io/room.js";
import type { SessionStream } from "./transports/stream/session-stream.js";
import type { HttpRequest, HttpResponse } from "./transports/stream/streams.js";

/** What createSessions() puts together. */
export interface Parts<View> {
  readonly middleware: Middleware;
  readonly routes: Middleware;
  readonly view: ViewFunction<View> | undefined;
  readonly store: LiveStore;
  readonly backend: SessionBackend;
  readonly registry: Registry;
  /** Undefined without the option `passport`. */
  readonly users: PassportUsers | undefined;
  readonly events: Events;
  attach(server: AttachableServer, options: AttachOptions): void;
  stream(request: HttpRequest, response: HttpResponse, options?: StreamOptions): SessionStream;
  check(options?: CheckOptions): Promise<SessionCheck>;
  close(): Promise<void>;
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

  readonly #parts: Parts<View>;

  /** @internal Use {@link createSessions}. */
  constructor(parts: Parts<View>) {
    this.#parts = parts;
    this.middleware = parts.middleware;
    this.routes = parts.routes;
    this.view = parts.view;
    this.store = parts.store;
  }

  /** Number of live sessions on this node. */
  get size(): number {
    return this.#parts.registry.size;
  }

  /** Number of sessions with changes that the store has not taken yet: more than a few, for long, is an outage. */
  get pending(): number {
    return this.#parts.registry.pending;
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
    this.#parts.attach(server, options);
    return this;
  }

  /**
   * Makes a streamed answer a connection of its session: Server-Sent Events with `stream.send()`, or what you write or
   * pipe to the response yourself. When the session ends, it is closed: events with `session:end` as the last one, any
   * other answer is cut. Behind the session middleware or without it; HTTP/1.1 and HTTP/2. Who has no session is answered
   * with 401, 403 or 503 and `{ code, retry }`, and the stream is over from the start. An open stream is no activity.
   *
   * @throws SessionError `OPTION_INVALID`
   * @example
   * ```ts
   * app.get("/events", (req, res) => {
   *   const stream = sessions.stream(req, res);
   *   stream.send("news", { id: 1 });
   *   bus.on("news", stream.listener("news")); // removed when it is over
   *   void answerFrom(model, { signal: stream.signal }); // aborted at logout, and when the client leaves
   * });
   * ```
   */
  stream(request: HttpRequest, response: HttpResponse, options?: StreamOptions): SessionStream {
    return this.#parts.stream(request, response, options);
  }

  /**
   * The live session of a socket, a request or an id; undefined where this node has no connection of it. That of a
   * socket is found after its end, too.
   *
   * @throws SessionError `TARGET_INVALID` for what can be none, such as undefined
   * @example
   * ```ts
   * const live = sessions.get(socket);
   * if (live) await fetch(url, { signal: live.signal }); // stops when the user logs out
   * ```
   */
  get(target: Target): LiveSession | undefined {
    checkTarget(target);
    const { live, id } = resolve(target);
    return live ?? (id === undefined ? undefined : this.#parts.registry.get(id));
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
    if (typeof change !== "function") throw invalid("The second argument of update() must be a function.");
    const { id, live, held } = requireSession(target);
    if (live?.ended) throw new SessionError(live.ended);
    // A request's own session object is updated with it.
    const onDraft = (data: SessionData): T => changeSafely(data, change, this.#parts.events.fail);
    return this.#parts.backend.update(id, onDraft, held);
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
    await this.#parts.backend.end(requireSession(target).id, "SESSION_DESTROYED");
    // As req.session.destroy() does: nothing is left for the end of the request to save.
    if (resolve(target).held) delete (requestBehind(target as object) as { session?: unknown }).session;
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
    const stored = await this.#parts.backend.sessionsOf(userName(user));
    return entriesOf(stored, (id) => this.#parts.backend.connectionsOf(id));
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
    const spared = options.except === undefined ? undefined : requireSession(options.except).id;
    return this.#parts.backend.endSessionsOf(userName(user), spared);
  }

  /**
   * Passport's user of a socket or a request: what the function given to `passport.deserializeUser()` makes of the
   * session. Derived once for all sockets of a session on this node, and anew when the session has changed. Undefined
   * where nobody is logged in, or the user is gone. After the end of a session the last one is still known. Needs the
   * option `passport`.
   *
   * @throws SessionError `OPTION_INVALID`, `TARGET_INVALID`, `USER_UNAVAILABLE`
   * @example
   * ```ts
   * socket.on("rename", async (name) => {
   *   const user = await sessions.userOf(socket);
   *   if (user) await rename(user, name);
   * });
   * ```
   */
  async userOf(target: Target): Promise<Express.User | undefined> {
    const { users, registry } = this.#parts;
    if (!users) throw invalid("userOf() needs Passport: createSessions({ passport }).");
    const { live, held, id, isAnonymous } = resolve(target);
    if (isAnonymous) return undefined;
    const data = live?.data ?? held ?? (id === undefined ? undefined : registry.get(id)?.data);
    if (!data) throw new SessionError("TARGET_INVALID");
    const request = held ? requestBehind(target as object) : (target as { request?: unknown }).request;
    return users.of(data, request);
  }

  /**
   * The room that holds every socket of this session, on all nodes: `io.to(sessions.room(req)).emit(…)`. Its name is
   * a hash of the id, which tells nothing about it.
   *
   * @throws SessionError `TARGET_INVALID`, `SESSION_MISSING`
   */
  room(target: Target): string {
    useRooms();
    return roomOf(requireSession(target).id);
  }

  /**
   * Listens: `"change"`, `"end"`, `"lost"`, `"refused"`, `"error"`. Without a listener each kind of error is printed once,
   * as a warning of Node; it never ends the process.
   *
   * @throws SessionError `OPTION_INVALID` for another event, and for what is no function
   * @example
   * ```ts
   * sessions.on("refused", ({ code, origin }) => metrics.count("refused", { code, origin }));
   * ```
   */
  on<Event extends keyof SessionsEvents>(event: Event, listener: (...values: SessionsEvents[Event]) => void): this {
    checkListener(event, listener);
    this.#parts.events.on(event, listener as never);
    return this;
  }

  /**
   * Stops listening.
   *
   * @throws SessionError as {@link Sessions.on}
   */
  off<Event extends keyof SessionsEvents>(event: Event, listener: (...values: SessionsEvents[Event]) => void): this {
    checkListener(event, listener);
    this.#parts.events.off(event, listener as never);
    return this;
  }

  /**
   * Looks at the set-up: the secret, the cookie, proxies, the store, the routes, namespaces and origins. Resolves with what
   * is wrong, what may be, and what is fine, in sentences with the line to write. For development, and for a test of the
   * production set-up; it costs one read of the store.
   *
   * @throws SessionError `OPTION_INVALID`
   * @example
   * ```ts
   * server.listen(3000, async () => {
   *   console.log(String(await sessions.check({ url: "http://localhost:3000" })));
   * });
   * ```
   */
  check(options?: CheckOptions): Promise<SessionCheck> {
    return this.#parts.check(options);
  }

  /**
   * Saves what is pending, then stops timers and listening. Close the servers first. A store that was passed in stays
   * open. Rejects with `STORE_UNAVAILABLE` if something could not be saved.
   */
  close(): Promise<void> {
    return this.#parts.close();
  }
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
