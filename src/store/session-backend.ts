// Sessions as the library uses them behind a live store: read, committed, updated and ended each in its turn, watched,
// with their tickets, their users and the policies of createSessions(). Knows neither sockets nor express-session's API.
import type { SessionData } from "express-session";
import { type EndCode, SessionError } from "../errors.js";
import { type Awaitable, after, isThenable } from "../internal/awaitable.js";
import { noop } from "../internal/noop.js";
import { AllSessions } from "./all-sessions.js";
import { ChangeBus, type Subscriber } from "./cluster/change-bus.js";
import { CommandRunner } from "./commands/command-runner.js";
import type { Driver, End, WriteId } from "./drivers/driver.js";
import type { Reader, SavingWriter } from "./commands/lost-answers.js";
import { checkAgreement, type Policies } from "./policies.js";
import { ReadSnapshots } from "./read-snapshots.js";
import { inflate, marksOf, parse, stringify, strip } from "./record/session-record.js";
import { StoredSessions } from "./stored-sessions.js";
import { StoredTickets } from "./stored-tickets.js";
import { ConnectionCount } from "./users/connection-count.js";
import { type StoredSession, UserSessions } from "./users/user-sessions.js";

/** In place of no end (ms), where a moment is needed. */
const forGood = 100 * 365 * 86_400_000;

/** What stands behind one `LiveStore`; `backendOf(store)` gives it. */
export class SessionBackend {
  /** What express-session's objects were read from. */
  readonly snapshots: ReadSnapshots;
  /** What concerns all sessions at once. */
  readonly all: AllSessions;
  readonly tickets: StoredTickets;
  readonly #driver: Driver;
  readonly #runner: CommandRunner;
  readonly #bus: ChangeBus;
  readonly #connectionCount: ConnectionCount;
  readonly #sessions: StoredSessions;
  /** The policies of each createSessions() that is open. */
  readonly #open = new Set<Policies>();
  #userOf: Policies["user"];

  /** `timeout`: how long the storage may take to answer one command, in ms. */
  constructor(driver: Driver, timeout: number, policies: Policies) {
    this.#driver = driver;
    this.#runner = new CommandRunner(driver.isShared, timeout, () => driver.connectionError);
    this.#bus = new ChangeBus(driver.notices);
    this.#connectionCount = new ConnectionCount(driver.publish?.bind(driver), this.#bus);
    this.#sessions = new StoredSessions(driver, this.#runner, this.#bus);
    this.snapshots = new ReadSnapshots(this.#sessions);
    this.tickets = new StoredTickets(this.#sessions);
    this.all = new AllSessions(driver, this.#runner, this.#bus, this.#sessions, this.snapshots);
    driver.notices?.listen({
      onNotice: (id, kind, write) => {
        if (kind === "changed") this.#bus.notify({ kind, id, write });
        else this.#sessions.recordEnd(id, kind);
      },
      onWrite: (id, write) => this.#bus.notify({ kind: "written", id, write }),
      onMessage: (id, node, message) => this.#connectionCount.onMessage(id, node, message),
      onHearing: (isHearing) => this.#bus.onHearing(isHearing),
    });
    this.#setPolicies(policies);
  }

  // --- policies ---

  /**
   * Sets what a createSessions() asks of all sessions here. Until the returned function is called another may ask for
   * the same only.
   *
   * @throws SessionError `OPTION_INVALID`, `STORE_UNSUPPORTED`
   */
  claim(policies: Policies): () => void {
    this.checkClaim(policies);
    this.#setPolicies(policies);
    this.#open.add(policies);
    return () => void this.#open.delete(policies);
  }

  /** Throws what {@link SessionBackend.claim} would throw, and sets nothing. */
  checkClaim(policies: Policies): void {
    checkAgreement(policies, this.#open);
    if (policies.user && !this.#driver.notes)
      throw new SessionError("STORE_UNSUPPORTED", { detail: "The option user asks for redisStore() or the like." });
  }

  #setPolicies({ absoluteTimeout, maxSessionSize, user }: Policies): void {
    const { recordWriter } = this.#sessions;
    const { notes, ttl = forGood } = this.#driver;
    if (user && notes && user !== this.#userOf) this.#sessions.users = new UserSessions(user, notes, this.#runner, ttl);
    this.#userOf = user ?? this.#userOf;
    recordWriter.absoluteTimeout = absoluteTimeout ?? recordWriter.absoluteTimeout;
    recordWriter.maxSize = maxSessionSize ?? recordWriter.maxSize;
  }

  /** Milliseconds a session may live since it was created, whatever its activity. */
  get absoluteTimeout(): number | undefined {
    return this.#sessions.recordWriter.absoluteTimeout;
  }

  /** How many bytes (UTF-8) a session may take as it is stored. */
  get maxSessionSize(): number {
    return this.#sessions.recordWriter.maxSize;
  }

  // --- the storage ---

  /** What the storage is asked by. */
  get driver(): Driver {
    return this.#driver;
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
  get outageUntil(): number {
    return Math.max(this.#runner.outageUntil, this.#bus.outageUntil);
  }

  /** How often a write was tried again because another node was quicker. */
  get retries(): number {
    return this.#sessions.retries;
  }

  /** True while a session is being read or written here. */
  get isBusy(): boolean {
    return this.#sessions.queue.isAnyBusy;
  }

  /** True where other processes can write the same sessions. */
  get isShared(): boolean {
    return this.#driver.isShared;
  }

  /** False while other nodes' notices are known to be missed. True, too, where the storage has none: see the lease. */
  get isHearing(): boolean {
    return this.#bus.isHearing;
  }

  /** True where {@link SessionBackend.readMany} is one command. */
  get canReadMany(): boolean {
    return this.#sessions.storage.canReadMany;
  }

  // --- sessions ---

  /** Hears of every change made through this store, until the returned function is called. */
  subscribe(subscriber: Subscriber): () => void {
    return this.#bus.subscribe(subscriber);
  }

  /**
   * Asks for the notices of other nodes about this session: when it resolves, what they write from then on is heard
   * of. Undefined where the storage has no notices, or where that is so at once. Never rejects, see {@link SessionBackend.isHearing}.
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
    return this.#sessions.storage.readMany(ids);
  }

  /** Whether the storage has lost one of these writes; true where it cannot tell, false where it does not answer. */
  hasLost(id: string, writes: readonly WriteId[]): Promise<boolean> {
    return this.#sessions.storage.hasLost(id, writes);
  }

  /**
   * Reads what is stored now. `use` runs within the session's queue, so that it sees the state before any later
   * notice and after all earlier ones: at once, where the storage answers at once. `RECORD_INVALID` for what is no session.
   */
  read<T>(id: string, use: (text: string | undefined) => T): Awaitable<T> {
    return this.#sessions.queue.run(id, () =>
      after(this.#sessions.readCurrent(id), (text) => {
        // What this process alone writes need not be looked at.
        if (text !== undefined && this.isShared && !this.#sessions.parseOrReport(id, text)) {
          throw new SessionError("RECORD_INVALID");
        }
        return use(text);
      }),
    );
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
  commit(id: string, base: () => string, next: string, source: SavingWriter): Awaitable<void> {
    return this.#sessions.queue.run(id, () => this.#sessions.merge(id, base, next, { source, known: source }));
  }

  /**
   * Moves the expiry to a full maxAge from `at`; rejects with the end's code where there is no session. Touches of one
   * turn go out together: clients of storages send what they got in a turn in one piece.
   */
  prolong(id: string, at: number, known?: Reader): Awaitable<void> {
    const { queue, recordWriter } = this.#sessions;
    const options = { isTouch: true, known };
    return queue.run(id, () => this.#sessions.rewrite(id, (text) => recordWriter.prolong(text, at), options));
  }

  /**
   * Changes a session atomically: `change` gets the data as stored now and may run again on newer data. Resolves with
   * what `change` returned, when it is durable. With a request's session object, its own changes are saved first, and it
   * reflects the update afterwards.
   */
  async update<T>(id: string, change: (data: SessionData) => T, object?: SessionData): Promise<T> {
    const flushing = this.#bus.flush(id);
    if (flushing) await flushing;
    // Not before: of two writes of one object, the one with the later text must have the later turn.
    const write = object && this.snapshots.writing(id, object);
    return this.#sessions.queue.run(id, async () => {
      await write?.();
      const result = await this.#update(id, change);
      if (object) await this.snapshots.refresh(id, object);
      return result;
    });
  }

  /** Creates a session from an object that `generate` made: resolves when it is stored. */
  create(id: string, data: SessionData): Promise<void> {
    return this.snapshots.write(id, data);
  }

  /** Removes a session and tells everyone why. Also right where it is not stored (any more). */
  end(id: string, code: EndCode): Promise<void> {
    return this.#sessions.end(id, code);
  }

  /** Why this session ended, and when (a moment of `monotonicNow()`), if this node knows of an end within a minute. */
  endOf(id: string): End | undefined {
    return this.#sessions.ends.get(id);
  }

  /** Remembers that a session has ended, as all have. */
  recordEnd(id: string, code: EndCode): void {
    this.#sessions.ends.record(id, code);
  }

  /** The sessions of a user that are stored now, on whichever node they were made. */
  async sessionsOf(user: string): Promise<StoredSession[]> {
    const { users } = this.#sessions;
    if (!users) throw new SessionError("OPTION_INVALID", { detail: "Pass the option user to createSessions()." });
    return users.find(user, (ids) => this.#sessions.readMany(ids));
  }

  /** Ends all sessions of a user but the one that is spared; resolves with their number. */
  async endSessionsOf(user: string, spared?: string): Promise<number> {
    const sessions = (await this.sessionsOf(user)).filter(({ id }) => id !== spared);
    return this.#sessions.endSessionsOf(user, sessions);
  }

  /** Number of connections of a session on each node that has any, this one first; see {@link ConnectionCount}. */
  connectionsOf(id: string): Promise<number[]> {
    return this.#connectionCount.connectionsOf(id);
  }

  /** What HTTP reads: what a socket of this process changed a moment ago is part of it. */
  async get(id: string): Promise<SessionData | undefined> {
    const flushing = this.#bus.flush(id);
    if (flushing) await flushing.catch(noop);
    return this.snapshots.read(id);
  }

  /** Stops timers. The wrapped store or client stays open: it belongs to who made it. */
  close(): void {
    this.#driver.close();
  }

  async #update<T>(id: string, change: (data: SessionData) => T): Promise<T> {
    let result: T | undefined;
    await this.#sessions.rewrite(id, (text) => {
      const record = parse(text);
      const marks = marksOf(record);
      const data = inflate(strip(record));
      result = change(data);
      if (isThenable(result)) {
        Promise.resolve(result).catch(noop);
        throw new SessionError("UPDATE_ASYNC");
      }
      const next = strip(parse(stringify(data)));
      return this.#sessions.recordWriter.serialize(Object.assign(next, marks));
    });
    return result as T;
  }
}
