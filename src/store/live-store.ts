// The express-session Store that merges what is written, never brings a destroyed session back, and tells who
// listens. Works over a driver; knows nothing of sockets.
import session, { type SessionData } from "express-session";
import { type EndCode, SessionError } from "../errors.js";
import { checkNames, checkPositive, checkTimes, type NamesOf } from "../internal/check-options.js";
import { monotonicNow } from "../internal/monotonic.js";
import { ConnectionCount } from "./users/connection-count.js";
import { CommandRunner } from "./command-runner.js";
import type { Driver, End, Written } from "./drivers/driver.js";
import { ChangeBus, type Subscriber } from "./cluster/change-bus.js";
import { addTicket, inflate, marksOf, parse, stringify, strip, takeTicket, timesOf } from "./record/session-record.js";
import { ReadSnapshots } from "./read-snapshots.js";
import { StoredSessions } from "./stored-sessions.js";
import type { SavingWriter } from "./lost-answers.js";
import { type StoredSession, type UserOf, UserSessions } from "./users/user-sessions.js";
import { noop } from "../internal/noop.js";

/** Options of `liveStore()`. */
export interface LiveStoreOptions {
  /** How long the storage may take to answer one command, in ms, before it counts as unavailable. Default 5000. */
  timeout?: number | undefined;
  /** How many bytes (UTF-8) a session may take as it is stored; a save above it is `DATA_INVALID`. Default 1 MiB. */
  maxSessionSize?: number | undefined;
}

const optionNames: NamesOf<LiveStoreOptions> = { timeout: true, maxSessionSize: true };

/** In place of no end (ms), where a moment is needed. */
const forGood = 100 * 365 * 86_400_000;

type Callback<T = void> = (error?: unknown, value?: T) => void;

/** A promise for who gave no callback. */
type Answer<T> = Promise<T> | undefined;

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
 * after the response was sent. Promise-returning methods (`update`, and the sessions on sockets) do fail with a code.
 */
export class LiveStore extends session.Store {
  readonly #driver: Driver;
  readonly #runner: CommandRunner;
  readonly #bus: ChangeBus;
  readonly #connectionCount: ConnectionCount;
  readonly #sessions: StoredSessions;
  readonly #snapshots: ReadSnapshots;

  constructor(driver: Driver, options: LiveStoreOptions = {}) {
    super();
    checkNames(options, optionNames, "liveStore()");
    const { timeout = 5000, maxSessionSize } = options;
    checkTimes({ timeout });
    this.#driver = driver;
    this.#runner = new CommandRunner(driver.isShared, timeout, () => driver.trouble);
    this.#bus = new ChangeBus(driver.notices, {
      heard: (id, kind, write) => {
        if (kind === "changed") this.#bus.notify({ kind, id, write });
        else this.#sessions.hasEnded(id, kind);
      },
      told: (id, node, word) => this.#connectionCount.heard(id, node, word),
    });
    this.#connectionCount = new ConnectionCount(driver.tell?.bind(driver), this.#bus);
    this.#sessions = new StoredSessions(driver, this.#runner, this.#bus);
    this.#snapshots = new ReadSnapshots(this.#sessions);
    if (maxSessionSize !== undefined) this.maxSessionSize = maxSessionSize;
    // express-session puts its generator here; what it generates is new, and only what is new may be created.
    let generate: ((request: GeneratingRequest) => void) | undefined;
    Object.defineProperty(this, "generate", {
      configurable: true,
      get: () => generate,
      set: (original: (request: GeneratingRequest) => void) => {
        generate = (request) => {
          original(request);
          this.#snapshots.generated(request.sessionID, request.session);
        };
      },
    });
  }

  /** Milliseconds a session may live since it was created, whatever its activity. Set by `createSessions`. */
  get absoluteTimeout(): number | undefined {
    return this.#sessions.records.absoluteTimeout;
  }

  set absoluteTimeout(ms: number | undefined) {
    this.#sessions.records.absoluteTimeout = ms;
  }

  /** How many bytes (UTF-8) a session may take as it is stored. Set by `createSessions` where it is given there. */
  get maxSessionSize(): number {
    return this.#sessions.records.maxSize;
  }

  set maxSessionSize(bytes: number) {
    checkPositive({ maxSessionSize: bytes });
    this.#sessions.records.maxSize = bytes;
  }

  /** Whose a session is: from now on the sessions of each user are known. Set by `createSessions`. */
  set userOf(userOf: UserOf) {
    const { notes } = this.#driver;
    if (!notes) throw new SessionError("STORE_UNSUPPORTED", { detail: "It cannot keep which sessions a user has." });
    this.#sessions.users = new UserSessions(
      userOf,
      {
        read: (name) => this.#runner.ask("", () => notes.read(name)),
        create: (name, text, expires) => this.#runner.ask("", () => notes.create(name, text, expires)),
        touch: (name, text, expires, expected) =>
          this.#runner.ask("", () => notes.touch(name, text, expires, expected)),
      },
      this.#driver.ttl ?? forGood,
    );
  }

  /** Since when the storage does not answer (ms, a moment of `monotonicNow()`); undefined while it does. */
  get downSince(): number | undefined {
    return this.#runner.downSince;
  }

  /** True while the storage does not answer. */
  get isDown(): boolean {
    return this.downSince !== undefined;
  }

  /**
   * Until when the storage did not answer or notices were missed, the last time that this was so (ms, a moment of
   * `monotonicNow()`); 0 for never. A storage that came back may have lost what it had.
   */
  get troubledUntil(): number {
    return Math.max(this.#runner.troubledUntil, this.#bus.troubledUntil);
  }

  /** How often a write was tried again because another node was quicker. */
  get retries(): number {
    return this.#sessions.retries;
  }

  /** True where other processes can write the same sessions. */
  get isShared(): boolean {
    return this.#driver.isShared;
  }

  /** False while other nodes' notices are known to be missed. True, too, where the storage has none: see the lease. */
  get isHearing(): boolean {
    return this.#bus.isHearing;
  }

  /** True where {@link LiveStore.readMany} is one command. */
  get canReadMany(): boolean {
    return this.#driver.readMany !== undefined;
  }

  // --- express-session's Store: with a callback as ever, without one each method returns a promise ---

  /** Reads a session: what was asked for before on this node is done by then. */
  override get(id: string): Promise<SessionData | undefined>;
  override get(id: string, callback: (error: unknown, session?: SessionData | null) => void): void;
  override get(id: string, callback?: Callback<SessionData | undefined>): Answer<SessionData | undefined> {
    return settle(this.#get(id), callback);
  }

  /**
   * Writes a session. What `get()`, `all()` or express-session gave is merged: what was changed in it goes on top of what
   * is stored. Any other object replaces what is stored, with all its fields; one without a cookie leaves the expiry, one
   * whose cookie has a past `expires` ends the session. What has ended within the last minute stays so: such a write is dropped.
   *
   * @example
   * ```ts
   * const { role, ...rest } = await store.get(id);
   * await store.set(id, rest); // the role is gone
   * ```
   */
  override set(id: string, data: SessionData): Promise<void>;
  override set(id: string, data: SessionData, callback: Callback | undefined): void;
  override set(id: string, data: SessionData, callback?: Callback): Answer<void> {
    return settle(this.#snapshots.write(id, data), callback);
  }

  /** Moves the expiry as the cookie of what `get()` gave was moved, or to that of any other object's cookie. */
  override touch(id: string, data: SessionData): Promise<void>;
  override touch(id: string, data: SessionData, callback: (() => void) | undefined): void;
  override touch(id: string, data: SessionData, callback?: () => void): Answer<void> {
    return settle(this.#snapshots.touch(id, data), callback);
  }

  /** Ends a session everywhere, as {@link LiveStore.end} with `SESSION_DESTROYED`. */
  override destroy(id: string): Promise<void>;
  override destroy(id: string, callback: Callback | undefined): void;
  override destroy(id: string, callback?: Callback): Answer<void> {
    return settle(this.end(id, "SESSION_DESTROYED"), callback);
  }

  override regenerate(request: GeneratingRequest): Promise<void>;
  override regenerate(request: GeneratingRequest, callback: Callback): void;
  override regenerate(request: GeneratingRequest, callback?: Callback): Answer<void> {
    const ended = this.end(request.sessionID, "SESSION_ROTATED");
    // A new one in any case: what could not be ended must not go on in this request.
    const generate = (): void => (this as unknown as { generate(from: GeneratingRequest): void }).generate(request);
    return settle(ended.finally(generate), callback);
  }

  override load(id: string): Promise<(session.Session & SessionData) | undefined>;
  override load(id: string, callback: (error: unknown, session?: SessionData) => void): void;
  override load(id: string, callback?: Callback<SessionData>): Answer<SessionData | undefined> {
    const loading = this.#get(id).then(
      (data) => data && this.createSession({ sessionID: id, sessionStore: this } as never, data),
    );
    return settle(loading, callback as Callback<SessionData | undefined>);
  }

  override createSession(request: never, data: SessionData): session.Session & SessionData {
    const { sessionID } = request as GeneratingRequest;
    return this.#snapshots.inflated(sessionID, data, () => super.createSession(request, data));
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
    return settle(this.#all(typeof callback !== "function"), callback);
  }

  /** The ids of all sessions. @throws SessionError `STORE_UNSUPPORTED`, `STORE_UNAVAILABLE` */
  ids(): Promise<string[]>;
  ids(callback: (error: unknown, ids?: string[]) => void): void;
  ids(callback?: Callback<string[]>): Answer<string[]> {
    return settle(
      this.#afterAll(() => this.#driver.ids()),
      callback,
    );
  }

  override length(): Promise<number>;
  override length(callback: (error: unknown, length?: number) => void): void;
  override length(callback?: Callback<number>): Answer<number> {
    return settle(
      this.#afterAll(() => this.#driver.count()),
      callback,
    );
  }

  override clear(): Promise<void>;
  override clear(callback: Callback | undefined): void;
  override clear(callback?: Callback): Answer<void> {
    const clearing = this.#sessions.queue.runAlone(async () => {
      try {
        await this.#runner.ask("", () => this.#driver.clear());
      } catch (error) {
        // It may have been carried out: this node does not hear its own notices.
        this.#bus.notify({ kind: "changed", id: undefined });
        throw error;
      }
      this.#bus.notify({ kind: "cleared" });
    });
    return settle(clearing, callback);
  }

  // --- for the live sessions ---

  /** Hears of every change made through this store, until the returned function is called. */
  subscribe(subscriber: Subscriber): () => void {
    return this.#bus.subscribe(subscriber);
  }

  /**
   * Asks for the notices of other nodes about this session: when it resolves, what they write from then on is heard
   * of. Undefined where the storage has no notices. Never rejects, see {@link LiveStore.isHearing}.
   */
  watch(id: string): Promise<void> | undefined {
    return this.#bus.watch(id);
  }

  /** The notices of this session are not needed any more, unless another subscriber watches it. */
  unwatch(id: string): void {
    this.#bus.unwatch(id);
  }

  /** The part of the storage that has this session: sessions of one part are answered together, or none of them is. */
  partOf(id: string): string {
    return this.#driver.partOf?.(id) ?? "";
  }

  /**
   * Reads several sessions of one part at once, outside of their queues: an answer may be older than what is known here, and only
   * one that is the same as what is known says something.
   */
  readMany(ids: readonly string[]): Promise<(string | undefined)[]> {
    return this.#runner.ask("", () => (this.#driver.readMany as NonNullable<Driver["readMany"]>)(ids));
  }

  /** Whether the storage has lost one of these writes; true where it cannot tell, false where it does not answer. */
  misses(id: string, writes: readonly Written[]): Promise<boolean> {
    return this.#sessions.misses(id, writes);
  }

  /**
   * Reads what is stored now. `use` runs within the session's queue, so that it sees the state before any later
   * notice and after all earlier ones. Rejects with `RECORD_INVALID` for what is no session.
   */
  read<T>(id: string, use: (text: string | undefined) => T): Promise<T> {
    return this.#sessions.queue.run(id, async () => {
      const text = await this.#sessions.current(id);
      // What this process alone writes need not be looked at.
      if (text !== undefined && this.isShared && !this.#sessions.readable(id, text)) {
        throw new SessionError("RECORD_INVALID");
      }
      return use(text);
    });
  }

  /** Whether a session is stored. */
  async has(id: string): Promise<boolean> {
    try {
      return await this.read(id, (text) => text !== undefined);
    } catch (error) {
      if ((error as SessionError).code === "RECORD_INVALID") return false;
      throw error;
    }
  }

  /**
   * Applies what changed from `base()` to `next`; rejects with the end's code where there is nothing to update. Where
   * the storage does not answer, `source` is told by `applyConfirmed()` when that turns out to be stored.
   */
  commit(id: string, base: () => string, next: string, source: SavingWriter): Promise<void> {
    return this.#sessions.queue.run(id, () => this.#sessions.merge(id, base, next, { source }));
  }

  /** Moves the expiry to a full maxAge from `at`; rejects with the end's code where there is no session. */
  prolong(id: string, at: number): Promise<void> {
    const { queue, records } = this.#sessions;
    return queue.run(id, () => this.#sessions.rewrite(id, (text) => records.prolonged(text, at), { isTouch: true }));
  }

  /**
   * Changes a session atomically: `change` gets the data as stored now and may run again on newer data. Resolves with
   * what `change` returned, when it is durable.
   */
  async update<T>(id: string, change: (data: SessionData) => T): Promise<T> {
    const flushing = this.#bus.flush(id);
    if (flushing) await flushing;
    return this.#sessions.queue.run(id, () => this.#update(id, change));
  }

  /** Notes a ticket of this session until `expires` (ms since 1970); rejects with the end's code. */
  addTicket(id: string, nonce: string, expires: number): Promise<void> {
    return this.#sessions.queue.run(id, () =>
      this.#sessions.rewrite(id, (text) => {
        const record = parse(text);
        // A clock that is set forward ends no ticket of this node.
        addTicket(record, nonce, expires, Math.min(Date.now(), monotonicNow()));
        return this.#sessions.records.of(record);
      }),
    );
  }

  /** True for the first who takes this ticket, on whichever node; rejects with the end's code. */
  async takeTicket(id: string, nonce: string): Promise<boolean> {
    let isTaken = false;
    await this.#sessions.queue.run(id, () =>
      this.#sessions.rewrite(id, (text) => {
        const record = parse(text);
        isTaken = takeTicket(record, nonce);
        return isTaken ? this.#sessions.records.ofAnySize(record) : { text, expires: timesOf(text).expires };
      }),
    );
    return isTaken;
  }

  /** Creates a session from an object that `generate` made: resolves when it is stored. */
  create(id: string, data: SessionData): Promise<void> {
    return this.#snapshots.write(id, data);
  }

  /** Removes a session and tells everyone why. Also right where it is not stored (any more). */
  end(id: string, code: EndCode): Promise<void> {
    return this.#sessions.end(id, code);
  }

  /**
   * Why this session ended, and when (ms, a moment of `monotonicNow()`), if that was within the last minute and is known
   * here.
   */
  endOf(id: string): End | undefined {
    return this.#sessions.ends.of(id);
  }

  /** Remembers that a session has ended, as all have. */
  noteEnd(id: string, code: EndCode): void {
    this.#sessions.ends.keep(id, code);
  }

  /** The sessions of a user that are stored now, on whichever node they were made. */
  async sessionsOf(user: string): Promise<StoredSession[]> {
    const { users } = this.#sessions;
    if (!users) throw new SessionError("OPTION_INVALID", { detail: "createSessions() was given no option user." });
    return users.of(user, (ids) => this.#sessions.several(ids));
  }

  /** Ends all sessions of a user but the one that is spared; resolves with their number. */
  async endSessionsOf(user: string, spared?: string): Promise<number> {
    const sessions = (await this.sessionsOf(user)).filter(({ id }) => id !== spared);
    return this.#sessions.endOfUser(user, sessions);
  }

  /** Number of connections of a session on each node that has any, this one first; see {@link ConnectionCount}. */
  connectionsOf(id: string): Promise<number[]> {
    return this.#connectionCount.connectionsOf(id);
  }

  /**
   * As {@link LiveStore.update}, for a request's session object: its own changes are saved first, and it reflects
   * the update afterwards.
   */
  async updateObject<T>(id: string, data: SessionData, change: (data: SessionData) => T): Promise<T> {
    const write = this.#snapshots.writing(id, data);
    const flushing = this.#bus.flush(id);
    if (flushing) await flushing;
    return this.#sessions.queue.run(id, async () => {
      await write();
      const result = await this.#update(id, change);
      await this.#snapshots.refresh(id, data);
      return result;
    });
  }

  /**
   * Takes a session object that the wrapped store made: as read from there now, or as a new one. Only what is new may
   * be created.
   */
  adopt(object: session.Session & Partial<SessionData>, isNew: boolean): void {
    this.#snapshots.adopt(object, isNew);
  }

  /** Stops timers. The wrapped store or client stays open: it belongs to who made it. */
  close(): void {
    this.#driver.close();
  }

  // --- inside ---

  async #get(id: string): Promise<SessionData | undefined> {
    // What a socket of this process changed a moment ago is part of what HTTP reads.
    const flushing = this.#bus.flush(id);
    if (flushing) await flushing.catch(noop);
    return this.#snapshots.read(id);
  }

  async #all(isList: boolean): Promise<SessionData[] | Record<string, SessionData>> {
    const stored = await this.#afterAll(() => this.#driver.all());
    const sessions = this.#snapshots.listed(stored);
    if (isList || !(stored instanceof Map)) {
      return sessions.map(({ id, data }) => (id === undefined ? data : Object.assign(data, { id })));
    }
    const byId = Object.create(null) as Record<string, SessionData>;
    for (const { id, data } of sessions) byId[id as string] = data;
    return byId;
  }

  /** Asks the storage about all sessions, when what was asked for before is done. */
  #afterAll<T>(command: () => Promise<T>): Promise<T> {
    const { queue } = this.#sessions;
    const ask = (): Promise<T> => this.#runner.ask("", command);
    // In this process's memory it takes no time; elsewhere nobody's work waits for a list of all.
    return this.isShared ? queue.runAfter(ask) : queue.runAlone(ask);
  }

  async #update<T>(id: string, change: (data: SessionData) => T): Promise<T> {
    let result: T | undefined;
    await this.#sessions.rewrite(id, (text) => {
      const record = parse(text);
      const marks = marksOf(record);
      const data = inflate(strip(record));
      result = change(data);
      if (isPromise(result)) {
        Promise.resolve(result).catch(noop);
        throw new SessionError("UPDATE_ASYNC");
      }
      const next = strip(parse(stringify(data)));
      return this.#sessions.records.of(Object.assign(next, marks));
    });
    return result as T;
  }
}

interface GeneratingRequest {
  sessionID: string;
  session: object;
}

function settle<T>(promise: Promise<T>, callback: Callback<T> | undefined): Answer<T> {
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

function isPromise(value: unknown): boolean {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}
