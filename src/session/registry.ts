// Session id → live session, for as long as connections here use it. Hears the store's notices for all of them.
import createDebug from "debug";
import { type EndCode, SessionError } from "../errors.js";
import { after, type Awaitable, isPromise, rescue } from "../internal/awaitable.js";
import { monotonicNow } from "../internal/monotonic.js";
import type { Notice, Subscriber } from "../store/cluster/change-bus.js";
import type { SessionBackend } from "../store/session-backend.js";
import { AbsentIds } from "./absent-ids.js";
import type { Connection } from "./connections.js";
import { ActiveSession, type LiveSession } from "./live-session.js";
import { Reviews } from "./reviews.js";
import { SaveErrors } from "./save-errors.js";
import { Schedule } from "./schedule.js";
import type { Lost, SessionHost } from "./session-host.js";
import { Views } from "./view.js";

const debug = createDebug("socket-session:registry");

/** What a registry tells. */
export interface RegistryEvents {
  change(live: LiveSession): void;
  end(live: LiveSession, code: EndCode): void;
  lost(live: LiveSession, what: Lost): void;
  error(error: unknown): void;
  /** True where anybody listens for changes: comparing costs. */
  wantsChanges(): boolean;
}

/** The limits of a registry, in ms where they are times. */
export interface RegistryOptions {
  readonly lease: number;
  readonly maxStale: number;
  /** How many sessions without connections may wait to be saved. */
  readonly maxUnsaved: number;
  /** Default: pages see nothing. */
  readonly views?: Views;
}

/** How long after a rotation (ms) its old id is turned down with "come back", not with "unknown". */
const rotationGrace = 10_000;

/** The live sessions of a node that share one store. */
export class Registry implements Subscriber, SessionHost<ActiveSession> {
  readonly store: SessionBackend;
  readonly lease: number;
  readonly maxStale: number;
  readonly views: Views;
  readonly #maxUnsaved: number;
  readonly #events: RegistryEvents;
  readonly #sessions = new Map<string, ActiveSession>();
  /** Sessions with changes to save that lost their connections, and their place to another live session. */
  readonly #leaving = new Set<ActiveSession>();
  /** Sessions without connections whose changes the store has not taken, the oldest first. */
  readonly #unsaved = new Set<ActiveSession>();
  readonly #absent = new AbsentIds();
  readonly #schedule: Schedule;
  readonly #unsubscribe: () => void;
  /** Which sessions have changed since their connections were asked whether they may stay. */
  readonly reviews = new Reviews();
  #isClosed = false;
  readonly #saveErrors: SaveErrors;

  constructor(store: SessionBackend, options: RegistryOptions, events: RegistryEvents) {
    this.store = store;
    this.lease = options.lease;
    this.maxStale = options.maxStale;
    this.views = options.views ?? new Views(undefined, (error) => events.error(error));
    this.#maxUnsaved = options.maxUnsaved;
    this.#events = events;
    this.#saveErrors = new SaveErrors((error) => events.error(error));
    // What other nodes did while the machine slept is not known.
    this.#schedule = new Schedule(this, () => store.isShared && this.#invalidateAll());
    this.#unsubscribe = store.subscribe(this);
  }

  /** Number of live sessions on this node. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Number of sessions with changes that the store has not taken yet. */
  get pending(): number {
    let count = 0;
    for (const sessions of [this.#sessions.values(), this.#leaving]) {
      for (const live of sessions) if (live.isPending) count++;
    }
    return count;
  }

  /** The live session with this id, if this node has one. */
  get(id: string): ActiveSession | undefined {
    const live = this.#sessions.get(id);
    return live?.loading ? undefined : live;
  }

  /**
   * The live session for a new connection: shared with all others here, read from the store once. At once where the
   * store answers at once, or is not asked. Throws or rejects with `SESSION_UNKNOWN`, `SESSION_ROTATED` (a moment ago)
   * or `STORE_UNAVAILABLE`. The session is let go of by `live.remove(connection)`.
   */
  acquire(id: string, connection: Connection): Awaitable<ActiveSession> {
    if (this.#isClosed) throw new SessionError("SESSIONS_CLOSED");
    const live = this.#sessions.get(id);
    if (!live && this.#absent.has(id)) return this.#search(id, connection);
    return this.#join(id, live, connection);
  }

  /** A search first, without a subscription: most cookies that were dead a moment ago still are. */
  async #search(id: string, connection: Connection): Promise<ActiveSession> {
    if (!(await this.#absent.search(id, (asked) => this.store.has(asked)))) throw this.#unknown(id);
    if (this.#isClosed) throw new SessionError("SESSIONS_CLOSED");
    return this.#join(id, this.#sessions.get(id), connection);
  }

  /** Lets a connection into the session that is known here, or else into the one that the store has. */
  #join(id: string, known: ActiveSession | undefined, connection: Connection): Awaitable<ActiveSession> {
    const live = known ?? this.#create(id);
    live.pending++;
    this.#unsaved.delete(live);
    return rescue(
      () => after(known ? this.#makeReady(known) : this.#startLoading(live), () => this.#letIn(live, connection)),
      (error) => {
        this.#stopWaiting(live);
        // It lets nobody in; who is in already stays, as one odd answer is no end.
        throw (error as SessionError).code === "RECORD_INVALID" ? this.#unknown(id) : error;
      },
    );
  }

  #letIn(live: ActiveSession, connection: Connection): ActiveSession {
    if (live.ended) throw new SessionError(live.ended);
    live.isDetached = false;
    live.add(connection);
    this.#stopWaiting(live);
    return live;
  }

  #stopWaiting(live: ActiveSession): void {
    live.pending--;
    this.releaseIfIdle(live);
  }

  // --- Subscriber ---

  onNotice(notice: Notice): void {
    if (notice.kind === "unreadable") {
      this.#events.error(new SessionError("RECORD_INVALID"));
      return;
    }
    if (notice.kind === "cleared") {
      for (const live of this.#sessions.values()) {
        this.store.recordEnd(live.id, "SESSION_DESTROYED");
        live.end("SESSION_DESTROYED");
      }
      return;
    }
    if (notice.kind === "changed" && notice.id === undefined) {
      this.#invalidateAll();
      return;
    }
    const live = this.#sessions.get(notice.id as string);
    if (!live) return;
    if (notice.kind === "ended") live.end(notice.code);
    else if (notice.kind === "written") live.noteWrite(notice.write);
    else if (notice.kind === "changed") {
      live.freshness.invalidate();
      if (notice.write) live.noteWrite(notice.write);
      if (!live.loading) void live.revalidate();
    } else if (!live.loading) {
      if (live !== notice.writer) live.applyStored(notice.text);
      if (notice.write) live.noteWrite(notice.write);
    }
  }

  flush(id: string): Promise<void> | undefined {
    const live = this.#sessions.get(id);
    return live && !live.loading && !live.ended && !live.isAtRest ? live.save() : undefined;
  }

  watches(id: string): boolean {
    return this.#sessions.has(id);
  }

  connectionsOf(id: string): number {
    return this.#sessions.get(id)?.connections ?? 0;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Saves what is pending, then stops listening and all timers. Rejects if something could not be saved. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#schedule.stop();
    const held = [...this.#sessions.values(), ...this.#leaving].filter((live) => !live.loading && !live.ended);
    const results = await Promise.allSettled(held.map((live) => live.save()));
    const ids = [...this.#sessions.keys()];
    this.#sessions.clear();
    // Another registry may go on with the same store.
    for (const id of ids) this.store.unwatch(id);
    this.#unsubscribe();
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
  }

  /** A live session that is in the map before its read starts: a notice that comes meanwhile finds it. */
  #create(id: string): ActiveSession {
    // The id is a piece of the cookie header, which would stay in memory as long as the piece.
    const live = new ActiveSession(Buffer.from(id).toString(), this);
    this.#sessions.set(live.id, live);
    return live;
  }

  /** Makes sure that a live session may be trusted: one that was let go of meanwhile is heard of again before it is read. */
  #makeReady(live: ActiveSession): Awaitable<void> {
    if (live.loading) return live.loading;
    return after(live.isDetached ? this.store.watch(live.id) : undefined, () => live.ready());
  }

  #startLoading(live: ActiveSession): Awaitable<void> {
    const loading = rescue(
      // Watched first, then read: nothing that another node does slips between.
      () => after(this.store.watch(live.id), () => this.#load(live)),
      (error) => {
        live.loading = undefined;
        this.#forget(live);
        throw error;
      },
    );
    if (isPromise(loading)) live.loading = loading;
    return loading;
  }

  #load(live: ActiveSession): Awaitable<void> {
    const freshness = this.store.isShared ? live.freshness : undefined;
    const invalidations = freshness?.invalidations ?? 0;
    const since = monotonicNow();
    const reading = this.store.read(live.id, (text) => {
      // An unknown one stays "loading" until nobody can find it any more.
      if (text === undefined) {
        this.#absent.add(live.id);
        return false;
      }
      live.loading = undefined;
      if (live.ended) return true;
      live.applyStored(text);
      freshness?.markVerified(invalidations, since);
      return true;
    });
    return after(reading, (isKnown) => {
      if (!isKnown) throw this.#unknown(live.id);
      // A notice that came meanwhile may tell of something newer than what was read.
      if (!live.ended && freshness && freshness.invalidations !== invalidations) void live.revalidate();
    });
  }

  #unknown(id: string): SessionError {
    const end = this.store.endOf(id);
    const isRotated = end?.code === "SESSION_ROTATED" && monotonicNow() - end.at < rotationGrace;
    return new SessionError(isRotated ? "SESSION_ROTATED" : "SESSION_UNKNOWN");
  }

  // --- SessionHost ---

  wakeAt(live: ActiveSession, at: number): void {
    // Handlers may hold one that was let go of: the clock is no reason to keep it.
    const isHeld = this.#schedule.has(live) || this.#sessions.get(live.id) === live || this.#leaving.has(live);
    if (isHeld) this.#schedule.wakeAt(live, at);
  }

  onChange(live: ActiveSession, isDataChanged: () => boolean, isNews: boolean): void {
    this.reviews.onMerged(live, isNews);
    // Another may have its place, and tell of the same change. One that was let go of tells by itself.
    const current = this.#sessions.get(live.id);
    if (current && current !== live) return;
    if (this.#events.wantsChanges() && isDataChanged()) this.#events.change(live);
  }

  onEnd(live: ActiveSession, code: EndCode): void {
    this.#forget(live);
    this.#events.end(live, code);
  }

  onLost(live: ActiveSession, what: Lost): void {
    debug("the storage lost what it had: %s", what);
    this.#events.lost(live, what);
  }

  releaseIfIdle(live: ActiveSession): void {
    // One that has ended waits for nothing, though its last save may be under way.
    if (live.ended || live.isIdle) this.#forget(live);
    else if (live.connections === 0 && live.pending === 0) this.#unsaved.add(live);
    if (this.#unsaved.size <= this.#maxUnsaved) return;
    // Those with connections are as many as there are clients; those without would grow as long as the outage lasts.
    const oldest = this.#unsaved.values().next().value as ActiveSession;
    oldest.abandon();
    this.#forget(oldest);
    const detail = `The changes of a session without connections were given up: more than maxUnsaved (${this.#maxUnsaved}) waited.`;
    this.#events.error(new SessionError("STORE_UNAVAILABLE", { detail }));
  }

  onDirty(live: ActiveSession): void {
    this.reviews.add(live);
    // One that was let go of changes again: a handler has outlived its connection.
    if (!live.isDetached) return;
    const current = this.#sessions.get(live.id);
    if (this.#isClosed || live.ended || current === live) return;
    if (current) this.#leaving.add(live);
    else {
      this.#sessions.set(live.id, live);
      void this.store.watch(live.id);
    }
    this.wakeAt(live, monotonicNow());
  }

  onSaveError(error: unknown): void {
    this.#saveErrors.report(error);
  }

  onUnmerged(live: ActiveSession, text: string): void {
    this.reviews.onUnmerged(live, text);
  }

  onSaved(): void {
    this.#saveErrors.onSaved();
  }

  // --- inside ---

  #forget(live: ActiveSession): void {
    this.#unsaved.delete(live);
    this.#leaving.delete(live);
    this.#schedule.drop(live);
    if (this.#sessions.get(live.id) !== live) return;
    this.#sessions.delete(live.id);
    live.isDetached = true;
    this.store.unwatch(live.id);
  }

  #invalidateAll(): void {
    for (const live of this.#sessions.values()) live.freshness.invalidate();
    this.#schedule.wakeAll();
  }
}
