// Session id → live session, for as long as connections here use it. Hears the store's notices for all of them.
import createDebug from "debug";
import { type EndCode, SessionError } from "../errors.js";
import { monotonicNow } from "../internal/monotonic.js";
import type { Notice, Subscriber } from "../store/cluster/change-bus.js";
import type { SessionBackend } from "../store/session-backend.js";
import { AbsentIds } from "./absent-ids.js";
import { Clock } from "./clock.js";
import { ActiveSession, type Connection, type Context, type LiveSession, type Lost } from "./live-session.js";
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

/** How many sessions are re-read with one command; and how many side by side where each is a command. */
const batchSize = 200;
const lanes = 10;
/** Sessions whose lease ends within this part of it are re-read with those whose lease has ended. */
const leaseSlack = 0.1;
/** How long no save has failed when an outage is over (ms): more than they wait before they try again. */
const outageMemory = 60_000;
/** How long after a sweep (ms) the next may begin. */
const sweepPause = 100;

export class Registry implements Subscriber {
  readonly #store: SessionBackend;
  readonly #events: RegistryEvents;
  readonly #context: Context;
  readonly #sessions = new Map<string, ActiveSession>();
  /** Sessions with changes to save that lost their connections, and their place to another live session. */
  readonly #leaving = new Set<ActiveSession>();
  /** Sessions without connections whose changes the store has not taken, the oldest first. */
  readonly #unsaved = new Set<ActiveSession>();
  readonly #absent = new AbsentIds();
  readonly #clock = new Clock((now, step) => this.#tick(now, step));
  readonly #unsubscribe: () => void;
  readonly #unreadable = new WeakSet<ActiveSession>();
  #isClosed = false;
  /** Which sessions are being re-read. */
  readonly #sweeping = new Set<ActiveSession["answer"]>();
  /** Until when saves that fail are of the outage that was told last, unless one goes well. */
  #toldUntil = 0;

  constructor(store: SessionBackend, options: RegistryOptions, events: RegistryEvents) {
    this.#store = store;
    this.#events = events;
    this.#context = {
      store,
      lease: options.lease,
      maxStale: options.maxStale,
      views: options.views ?? new Views(undefined, (error) => events.error(error)),
      unreadable: this.#unreadable,
      wakeAt: (at) => {
        if (!this.#isClosed) this.#clock.wakeAt(at);
      },
      onChange: (live, isDataChanged) => {
        // Another may have its place, and tell of the same change.
        if (this.#sessions.get(live.id) !== live) return;
        if (events.wantsChanges() && isDataChanged()) events.change(live);
      },
      onEnd: (live, code) => {
        this.#forget(live as ActiveSession);
        events.end(live, code);
      },
      onLost: (live, what) => {
        debug("the storage lost what it had: %s", what);
        events.lost(live, what);
      },
      releaseIfIdle: (live) => this.#releaseIfIdle(live, options.maxUnsaved, events),
      onRevived: (live) => {
        if (this.#isClosed || live.ended || this.#sessions.get(live.id) === live) return;
        if (this.#sessions.has(live.id)) {
          this.#leaving.add(live);
          return;
        }
        this.#sessions.set(live.id, live);
        void store.watch(live.id);
      },
      onSaveError: (error) => {
        // The store has told of it, once.
        if ((error as SessionError).code === "RECORD_INVALID") return;
        // An outage is told once, not by each save that is tried again. It may be one of writes alone: a store that is
        // full, or a standby, answers reads.
        if ((error as SessionError).code === "STORE_UNAVAILABLE") {
          const isKnown = monotonicNow() < this.#toldUntil;
          this.#toldUntil = monotonicNow() + outageMemory;
          if (isKnown) return;
        }
        events.error(error);
      },
      onSaved: () => void (this.#toldUntil = 0),
    };
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
   * The live session for a new connection: shared with all others here, read from the store once. Rejects with
   * `SESSION_UNKNOWN`, `SESSION_ROTATED` (a moment ago) or `STORE_UNAVAILABLE`. The session is let go of by
   * `live.remove(connection)`.
   */
  async acquire(id: string, connection: Connection): Promise<ActiveSession> {
    if (this.#isClosed) throw new SessionError("SESSIONS_CLOSED");
    let live = this.#sessions.get(id);
    if (!live && this.#absent.has(id)) {
      // A look first, without a subscription: most cookies that were dead a moment ago still are.
      if (!(await this.#absent.look(id, (asked) => this.#store.has(asked)))) throw this.#unknown(id);
      if (this.#isClosed) throw new SessionError("SESSIONS_CLOSED");
      live = this.#sessions.get(id);
    }
    if (!live) {
      // In the map before the read starts: a notice that comes meanwhile finds it.
      // The id is a piece of the cookie header, which would stay in memory as long as the piece.
      const own = Buffer.from(id).toString();
      live = new ActiveSession(own, this.#context);
      this.#sessions.set(own, live);
      live.loading = this.#load(live);
    }
    live.pending++;
    this.#unsaved.delete(live);
    try {
      if (live.loading) await live.loading;
      else {
        // It was let go of meanwhile: what other nodes did is heard again before it is read.
        if (live.isDetached) await this.#store.watch(id);
        await live.ready();
      }
      if (live.ended) throw new SessionError(live.ended);
      live.isDetached = false;
      live.add(connection);
      return live;
    } catch (error) {
      // It lets nobody in; who is in already stays, as one odd answer is no end.
      throw (error as SessionError).code === "RECORD_INVALID" ? this.#unknown(id) : error;
    } finally {
      live.pending--;
      this.#context.releaseIfIdle(live);
    }
  }

  // --- Subscriber ---

  onNotice(notice: Notice): void {
    if (notice.kind === "unreadable") {
      this.#events.error(new SessionError("RECORD_INVALID"));
      return;
    }
    if (notice.kind === "cleared") {
      for (const live of this.#sessions.values()) {
        this.#store.recordEnd(live.id, "SESSION_DESTROYED");
        live.end("SESSION_DESTROYED");
      }
      return;
    }
    if (notice.kind === "changed" && notice.id === undefined) {
      for (const live of this.#sessions.values()) live.invalidate();
      this.#context.wakeAt(monotonicNow());
      return;
    }
    const live = this.#sessions.get(notice.id as string);
    if (!live) return;
    if (notice.kind === "changed") {
      live.invalidate();
      if (notice.write) live.noteWrite(notice.write);
      if (!live.loading) void live.revalidate();
      return;
    }
    if (notice.kind === "ended") live.end(notice.code);
    else if (!live.loading) {
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

  /** Saves what is pending, then stops listening and all timers. Rejects if something could not be saved. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#clock.stop();
    const held = [...this.#sessions.values(), ...this.#leaving].filter((live) => !live.loading && !live.ended);
    const results = await Promise.allSettled(held.map((live) => live.save()));
    const ids = [...this.#sessions.keys()];
    this.#sessions.clear();
    // Another registry may go on with the same store.
    for (const id of ids) this.#store.unwatch(id);
    this.#unsubscribe();
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
  }

  async #load(live: ActiveSession): Promise<void> {
    try {
      // Watched first, then read: nothing that another node does slips between.
      const watching = this.#store.watch(live.id);
      if (watching) await watching;
      const { invalidations } = live;
      const since = monotonicNow();
      const isKnown = await this.#store.read(live.id, (text) => {
        // An unknown one stays "loading" until nobody can find it any more.
        if (text === undefined) {
          this.#absent.add(live.id);
          return false;
        }
        live.loading = undefined;
        if (live.ended) return true;
        live.applyStored(text);
        live.markVerified(invalidations, since);
        return true;
      });
      if (!isKnown) throw this.#unknown(live.id);
      // A notice that came meanwhile may tell of something newer than what was read.
      if (!live.ended && live.invalidations !== invalidations) void live.revalidate();
    } catch (error) {
      live.loading = undefined;
      this.#forget(live);
      throw error;
    }
  }

  #unknown(id: string): SessionError {
    const end = this.#store.endOf(id);
    const isRotated = end?.code === "SESSION_ROTATED" && monotonicNow() - end.at < rotationGrace;
    return new SessionError(isRotated ? "SESSION_ROTATED" : "SESSION_UNKNOWN");
  }

  #releaseIfIdle(live: ActiveSession, maxUnsaved: number, events: RegistryEvents): void {
    // One that has ended waits for nothing, though its last save may be under way.
    if (live.ended || live.isIdle) this.#forget(live);
    else if (live.connections === 0 && live.pending === 0) this.#unsaved.add(live);
    if (this.#unsaved.size <= maxUnsaved) return;
    // Those with connections are as many as there are clients; those without would grow as long as the outage lasts.
    const oldest = this.#unsaved.values().next().value as ActiveSession;
    oldest.abandon();
    this.#forget(oldest);
    this.#leaving.delete(oldest);
    const detail = `The changes of a session without connections were given up: more than ${maxUnsaved} waited.`;
    events.error(new SessionError("STORE_UNAVAILABLE", { detail }));
  }

  #forget(live: ActiveSession): void {
    this.#unsaved.delete(live);
    if (this.#sessions.get(live.id) !== live) return;
    this.#sessions.delete(live.id);
    live.isDetached = true;
    this.#store.unwatch(live.id);
  }

  #tick(now: number, step: number): number {
    // The machine may have slept: what other nodes did meanwhile is not known.
    if (step > 0) for (const live of this.#sessions.values()) live.invalidate();
    let next = Number.POSITIVE_INFINITY;
    const revalidateAt = { answered: Number.POSITIVE_INFINITY, unanswered: Number.POSITIVE_INFINITY };
    for (const live of this.#sessions.values()) {
      next = Math.min(next, live.tick(now));
      revalidateAt[live.answer] = Math.min(revalidateAt[live.answer], live.revalidateAt);
    }
    for (const live of this.#leaving) {
      if (live.ended || live.isSaved) this.#leaving.delete(live);
      else next = Math.min(next, live.tick(now));
    }
    for (const answer of ["answered", "unanswered"] as const) {
      if (this.#sweeping.has(answer)) continue;
      if (revalidateAt[answer] > now) next = Math.min(next, revalidateAt[answer]);
      else void this.#sweep(answer, now + this.#context.lease * leaseSlack);
    }
    return next;
  }

  /**
   * Re-reads all sessions whose lease ends before `until`, silent ones too. Those for which the store does not answer are
   * asked for by themselves: they may take their time, and nobody else's.
   */
  async #sweep(answer: ActiveSession["answer"], until: number): Promise<void> {
    this.#sweeping.add(answer);
    const parts = new Map<string, ActiveSession[]>();
    for (const live of this.#sessions.values()) {
      if (live.answer !== answer || live.revalidateAt > until) continue;
      const part = this.#store.partOf(live.id);
      const due = parts.get(part);
      if (due) due.push(live);
      else parts.set(part, [live]);
    }
    const { canReadMany } = this.#store;
    await Promise.all(
      [...parts.values()].map((due) => (canReadMany ? this.#checkTogether(due, until) : this.#checkEach(due, until))),
    );
    this.#sweeping.delete(answer);
    this.#context.wakeAt(monotonicNow() + sweepPause);
  }

  /** The sessions of one part of the storage, a few at a time. */
  async #checkEach(due: readonly ActiveSession[], until: number): Promise<void> {
    // In another order each time: those that are not answered for must not keep others from being asked.
    const waiting = shuffled(due).values();
    let failures = 0;
    const lane = async (): Promise<void> => {
      for (const live of waiting) {
        if (this.#isClosed) return;
        if (live.revalidateAt > until) continue;
        // So many questions without an answer are enough.
        if (failures >= lanes) {
          live.onUnanswered();
          continue;
        }
        this.#unreadable.delete(live);
        await live.revalidate();
        // A record that is none says nothing of the others.
        if (live.ended || live.answer === "answered" || this.#unreadable.has(live)) failures = 0;
        else failures++;
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
  }

  /** The sessions of one part of the storage, a batch after the other. */
  async #checkTogether(due: readonly ActiveSession[], until: number): Promise<void> {
    for (let index = 0; index < due.length && !this.#isClosed; index += batchSize) {
      const batch = due.slice(index, index + batchSize).filter((live) => live.revalidateAt <= until);
      if (await this.#checkBatch(batch)) continue;
      // One question is enough for a part that does not answer.
      for (const live of due.slice(index + batchSize)) live.onUnanswered();
      return;
    }
  }

  /** Answers whether the storage did. */
  async #checkBatch(batch: readonly ActiveSession[]): Promise<boolean> {
    if (batch.length === 0) return true;
    const since = monotonicNow();
    const invalidations = batch.map((live) => live.invalidations);
    let texts: (string | undefined)[];
    try {
      texts = await this.#store.readMany(batch.map(({ id }) => id));
    } catch {
      for (const live of batch) live.onUnanswered();
      return false;
    }
    // What is not as known here is read again in its turn, between the session's own writes.
    const others = batch.filter((live, index) => !live.verify(texts[index], invalidations[index] as number, since));
    await Promise.all(others.map((live) => live.revalidate()));
    return true;
  }
}

function shuffled<T>(list: readonly T[]): T[] {
  return list
    .map((value) => [Math.random(), value] as const)
    .toSorted(([one], [other]) => one - other)
    .map(([, value]) => value);
}
