// The public Store: express-session's API over a backend, by callback or by promise. Knows nothing of sockets.
import session, { type SessionData } from "express-session";
import { checkNames, checkPositive, checkTimes, type NamesOf } from "../internal/check-options.js";
import { noop } from "../internal/noop.js";
import type { Driver, Notices } from "./drivers/driver.js";
import { SessionBackend } from "./session-backend.js";

/** Options of `liveStore()`. */
export interface LiveStoreOptions {
  /** How long the storage may take to answer one command, in ms, before it counts as unavailable. Default 5000. */
  timeout?: number | undefined;
  /** How many bytes (UTF-8) a session may take as it is stored; a save above it is `DATA_INVALID`. Default 1 MiB. */
  maxSessionSize?: number | undefined;
}

const optionNames: NamesOf<LiveStoreOptions> = { timeout: true, maxSessionSize: true };

/** Refuses wrong limits; a driver that listens to its client when it is made asks before. */
export function checkStoreLimits(timeout: number, maxSessionSize: number | undefined): void {
  checkTimes({ timeout });
  if (maxSessionSize !== undefined) checkPositive({ maxSessionSize });
}

type Callback<T = void> = (error?: unknown, value?: T) => void;

/** A promise for who gave no callback. */
type Answer<T> = Promise<T> | undefined;

interface GeneratingRequest {
  sessionID: string;
  session: object;
}

/** What stands behind a live store. Not exported by the package. */
export let backendOf: (store: LiveStore) => SessionBackend;

/** A session of {@link LiveStore.all}; a wrapped store may not tell the ids. */
export type ListedSession = SessionData & { readonly id: string };

/**
 * An express-session `Store` without its two holes: concurrent writers no longer overwrite each other (what changed is
 * merged with what is there), and a session that was destroyed or expired is never written again. Make one with
 * `memoryStore()` or `liveStore(store)`; use it with `createSessions({ store })`, or alone:
 *
 * @example
 * ```ts
 * app.use(session({ secret, resave: false, saveUninitialized: false, store: liveStore(new FileStore()) }));
 * ```
 *
 * A write to a session that has ended is dropped without an error, because express-session would report that error
 * after the response was sent. `sessions.update()` and the sessions on sockets do fail with a code.
 */
export class LiveStore extends session.Store {
  readonly #backend: SessionBackend;
  readonly #notices: Notices | undefined;

  /** @internal Use `memoryStore()`, `liveStore()`, `redisStore()` or `postgresStore()`. */
  constructor(driver: Driver, options: LiveStoreOptions = {}) {
    super();
    checkNames(options, optionNames, "liveStore()");
    const { timeout = 5000, maxSessionSize } = options;
    checkStoreLimits(timeout, maxSessionSize);
    this.#notices = driver.notices;
    this.#backend = new SessionBackend(driver, timeout, { maxSessionSize });
    // express-session puts its generator here; what it generates is new, and only what is new may be created.
    let generate: ((request: GeneratingRequest) => void) | undefined;
    Object.defineProperty(this, "generate", {
      configurable: true,
      get: () => generate,
      set: (original: (request: GeneratingRequest) => void) => {
        generate = (request) => {
          original(request);
          this.#backend.snapshots.generated(request.sessionID, request.session);
        };
      },
    });
  }

  static {
    backendOf = (store) => store.#backend;
  }

  /** True while the storage does not answer. */
  get isDown(): boolean {
    return this.#backend.isDown;
  }

  /** False while other nodes' notices are known to be missed. True, too, where the storage has none: see the lease. */
  get isHearing(): boolean {
    return this.#backend.isHearing;
  }

  /**
   * How this node hears of changes: of `"keys"` that it read, whoever writes them, or on `"channels"`, on which services
   * without this library say nothing. Undefined where the storage tells nothing, and before the first socket.
   *
   * @example
   * ```ts
   * if (store.hears === "channels") console.warn("old services are heard within the lease only");
   * ```
   */
  get hears(): "keys" | "channels" | undefined {
    return this.#notices?.hears;
  }

  // --- express-session's Store: with a callback as ever, without one each method returns a promise ---

  /** Reads a session: what was asked for before on this node is done by then. */
  override get(id: string): Promise<SessionData | undefined>;
  override get(id: string, callback: (error: unknown, session?: SessionData | null) => void): void;
  override get(id: string, callback?: Callback<SessionData | undefined>): Answer<SessionData | undefined> {
    return toCallback(this.#backend.get(id), callback);
  }

  /**
   * Writes a session. What `get()`, `all()` or express-session gave is merged: what was changed in it goes on top of what
   * is stored. Any other object replaces what is stored, with all its fields; one without a cookie leaves the expiry, one
   * whose cookie has a past `expires` ends the session. What has ended within the last minute stays so: such a write is dropped.
   *
   * @example
   * ```ts
   * const data = await store.get(id);
   * if (data) await store.set(id, { ...data, cart: [] }); // a new object: it takes the place of what is stored
   * ```
   */
  override set(id: string, data: SessionData): Promise<void>;
  override set(id: string, data: SessionData, callback: Callback | undefined): void;
  override set(id: string, data: SessionData, callback?: Callback): Answer<void> {
    return toCallback(this.#backend.snapshots.write(id, data), callback);
  }

  /** Moves the expiry as the cookie of what `get()` gave was moved, or to that of any other object's cookie. */
  override touch(id: string, data: SessionData): Promise<void>;
  override touch(id: string, data: SessionData, callback: (() => void) | undefined): void;
  override touch(id: string, data: SessionData, callback?: () => void): Answer<void> {
    return toCallback(this.#backend.snapshots.touch(id, data), callback);
  }

  /** Ends a session everywhere, with `SESSION_DESTROYED`. */
  override destroy(id: string): Promise<void>;
  override destroy(id: string, callback: Callback | undefined): void;
  override destroy(id: string, callback?: Callback): Answer<void> {
    return toCallback(this.#backend.end(id, "SESSION_DESTROYED"), callback);
  }

  /** Ends the request's session with `SESSION_ROTATED`, and gives the request a new one. */
  override regenerate(request: GeneratingRequest): Promise<void>;
  override regenerate(request: GeneratingRequest, callback: Callback): void;
  override regenerate(request: GeneratingRequest, callback?: Callback): Answer<void> {
    const ended = this.#backend.end(request.sessionID, "SESSION_ROTATED");
    // A new one in any case: what could not be ended must not go on in this request.
    const generate = (): void => (this as unknown as { generate(from: GeneratingRequest): void }).generate(request);
    return toCallback(ended.finally(generate), callback);
  }

  /** Reads a session as an object with express-session's methods, which is bound to no request. */
  override load(id: string): Promise<(session.Session & SessionData) | undefined>;
  override load(id: string, callback: (error: unknown, session?: SessionData) => void): void;
  override load(id: string, callback?: Callback<SessionData>): Answer<SessionData | undefined> {
    const loading = this.#backend
      .get(id)
      .then((data) => data && this.createSession({ sessionID: id, sessionStore: this } as never, data));
    return toCallback(loading, callback as Callback<SessionData | undefined>);
  }

  /** Makes such an object of data, and puts it on the request. */
  override createSession(request: never, data: SessionData): session.Session & SessionData {
    const { sessionID } = request as GeneratingRequest;
    return this.#backend.snapshots.inflated(sessionID, data, () => super.createSession(request, data));
  }

  /**
   * All sessions. The promise is of a list of them, each with its `id`, as connect-redis gives it. A callback gets what
   * express-session's MemoryStore gives, an object of them by id; that of a wrapped store, what this store gives. Records
   * that are no sessions are left out.
   *
   * @throws SessionError `STORE_UNSUPPORTED`, `STORE_UNAVAILABLE`
   * @example
   * ```ts
   * for (const { id, user } of await store.all()) console.log(user);
   * ```
   */
  override all(): Promise<ListedSession[]>;
  override all(callback: (error: unknown, sessions?: SessionData[] | Record<string, SessionData> | null) => void): void;
  override all(callback?: Callback<SessionData[] | Record<string, SessionData>>): Answer<unknown> {
    return toCallback(this.#backend.all.list(typeof callback !== "function"), callback);
  }

  /** The ids of all sessions. @throws SessionError `STORE_UNSUPPORTED`, `STORE_UNAVAILABLE` */
  ids(): Promise<string[]>;
  ids(callback: (error: unknown, ids?: string[]) => void): void;
  ids(callback?: Callback<string[]>): Answer<string[]> {
    return toCallback(this.#backend.all.ids(), callback);
  }

  /** The number of sessions. @throws SessionError `STORE_UNSUPPORTED`, `STORE_UNAVAILABLE` */
  override length(): Promise<number>;
  override length(callback: (error: unknown, length?: number) => void): void;
  override length(callback?: Callback<number>): Answer<number> {
    return toCallback(this.#backend.all.count(), callback);
  }

  /** Ends all sessions, everywhere. @throws SessionError `STORE_UNSUPPORTED`, `STORE_UNAVAILABLE` */
  override clear(): Promise<void>;
  override clear(callback: Callback | undefined): void;
  override clear(callback?: Callback): Answer<void> {
    return toCallback(this.#backend.all.clear(), callback);
  }

  /** Stops timers. The wrapped store or client stays open: it belongs to who made it. */
  close(): void {
    this.#backend.close();
  }
}

/** Gives a promise to who passed no callback, and its result to the callback otherwise. */
function toCallback<T>(promise: Promise<T>, callback: Callback<T> | undefined): Answer<T> {
  if (typeof callback !== "function") {
    // Who does not wait for it (express-session neither) does not want the process to end by it.
    promise.catch(noop);
    return promise;
  }
  // On the next tick, outside of the promise: what the callback throws is the application's, as with any store.
  promise.then(
    (value) => process.nextTick(callback, null, value),
    (error: unknown) => process.nextTick(callback, error),
  );
  return undefined;
}
