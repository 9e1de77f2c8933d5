// Session id → live session, for as long as connections here use it. Hears the store's notices for all of them.
import { type EndCode, SessionError } from "../errors.js";
import type { LiveStore, Notice, Subscriber } from "../store/live-store.js";
import { Clock } from "./clock.js";
import { ActiveSession, type Connection, type Context, type LiveSession } from "./live-session.js";
import { Views } from "./view.js";

/** What a registry tells. */
export interface RegistryEvents {
  change(live: LiveSession): void;
  end(live: LiveSession, code: EndCode): void;
  error(error: unknown): void;
  /** True where anybody listens for changes: comparing costs. */
  wantsChanges(): boolean;
}

export interface RegistryOptions {
  readonly lease: number;
  readonly maxStale: number;
  /** Default: pages see nothing. */
  readonly views?: Views;
}

/** How long after a rotation (ms) its old id is turned down with "come back", not with "unknown". */
const rotationGrace = 10_000;

export class Registry implements Subscriber {
  readonly #store: LiveStore;
  readonly #context: Context;
  readonly #sessions = new Map<string, ActiveSession>();
  /** Sessions with changes to save that lost their connections, and their place to another live session. */
  readonly #leaving = new Set<ActiveSession>();
  readonly #clock = new Clock((now) => this.#tick(now));
  readonly #unsubscribe: () => void;
  #isClosed = false;

  constructor(store: LiveStore, options: RegistryOptions, events: RegistryEvents) {
    this.#store = store;
    this.#context = {
      store,
      lease: options.lease,
      maxStale: options.maxStale,
      views: options.views ?? new Views(undefined, (error) => events.error(error)),
      wakeAt: (at) => {
        if (!this.#isClosed) this.#clock.wakeAt(at);
      },
      changed: (live, isDataChanged) => {
        if (events.wantsChanges() && isDataChanged()) events.change(live);
      },
      ended: (live, code) => {
        this.#forget(live as ActiveSession);
        events.end(live, code);
      },
      settled: (live) => {
        if (live.isIdle) this.#forget(live);
      },
      revived: (live) => {
        if (this.#isClosed || live.ended || this.#sessions.get(live.id) === live) return;
        if (this.#sessions.has(live.id)) this.#leaving.add(live);
        else this.#sessions.set(live.id, live);
      },
      failed: (error) => events.error(error),
    };
    this.#unsubscribe = store.subscribe(this);
  }

  /** Number of live sessions on this node. */
  get size(): number {
    return this.#sessions.size;
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
    if (!live) {
      // In the map before the read starts: a notice that comes meanwhile finds it.
      // The id is a piece of the cookie header, which would stay in memory as long as the piece.
      const own = Buffer.from(id).toString();
      live = new ActiveSession(own, this.#context);
      this.#sessions.set(own, live);
      live.loading = this.#load(live);
    }
    live.pending++;
    try {
      if (live.loading) await live.loading;
      else await live.ready();
      if (live.ended) throw new SessionError(live.ended);
      live.isDetached = false;
      live.add(connection);
      return live;
    } finally {
      live.pending--;
      if (live.isIdle) this.#forget(live);
    }
  }

  // --- Subscriber ---

  onNotice(notice: Notice): void {
    if (notice.kind === "cleared") {
      for (const live of this.#sessions.values()) live.end("SESSION_DESTROYED");
      return;
    }
    const live = this.#sessions.get(notice.id);
    if (!live) return;
    if (notice.kind === "ended") live.end(notice.code);
    else if (!live.loading) live.take(notice.text, notice.source);
  }

  flush(id: string): Promise<void> | undefined {
    const live = this.#sessions.get(id);
    return live && !live.loading && !live.ended && !live.isSaved ? live.save() : undefined;
  }

  /** Saves what is pending, then stops listening and all timers. Rejects if something could not be saved. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#clock.stop();
    const held = [...this.#sessions.values(), ...this.#leaving].filter((live) => !live.loading && !live.ended);
    const results = await Promise.allSettled(held.map((live) => live.save()));
    this.#unsubscribe();
    this.#sessions.clear();
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
  }

  async #load(live: ActiveSession): Promise<void> {
    try {
      const isKnown = await this.#store.read(live.id, (text) => {
        // An unknown one stays "loading" until nobody can find it any more.
        if (text === undefined) return false;
        live.loading = undefined;
        live.take(text);
        return true;
      });
      if (!isKnown) throw this.#unknown(live.id);
    } catch (error) {
      live.loading = undefined;
      this.#forget(live);
      throw error;
    }
  }

  #unknown(id: string): SessionError {
    const end = this.#store.endOf(id);
    const isRotated = end?.code === "SESSION_ROTATED" && Date.now() - end.at < rotationGrace;
    return new SessionError(isRotated ? "SESSION_ROTATED" : "SESSION_UNKNOWN");
  }

  #forget(live: ActiveSession): void {
    if (this.#sessions.get(live.id) !== live) return;
    this.#sessions.delete(live.id);
    live.isDetached = true;
  }

  #tick(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const live of this.#sessions.values()) next = Math.min(next, live.tick(now));
    for (const live of this.#leaving) {
      if (live.ended || live.isSaved) this.#leaving.delete(live);
      else next = Math.min(next, live.tick(now));
    }
    return next;
  }
}
