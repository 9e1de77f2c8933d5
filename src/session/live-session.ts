// The one object on this node for a session that has connections here: its connections, the gate for their events,
// its time and its end. Knows nothing of which kind of server a connection is of.
import createDebug from "debug";
import { type EndCode, SessionError, type CloseReason, closeReason } from "../errors.js";
import { monotonicNow } from "../internal/monotonic.js";
import { safely } from "../internal/safely.js";
import { parse, strip, type Times, timesOf } from "../store/record/session-record.js";
import type { WriteId } from "../store/drivers/driver.js";
import { LossDetector } from "./loss-detector.js";
import { never, PersistentSession, type SaveContext } from "./persistence.js";
import type { SessionOperations, SocketSession } from "./socket-session.js";
import { type Shown, timeUntil, type Views } from "./view.js";
import { jittered } from "../internal/backoff.js";
import { noop } from "../internal/noop.js";

const debug = createDebug("socket-session:live-session");

/** A connection that uses a live session; its server's adapter tells and closes it. */
export interface Connection {
  /** Tells the client the reason, then closes the connection. */
  end(reason: CloseReason): void;
  /** Tells the client what it may see of the session, which has changed; for servers that have a way to say so. */
  show?(shown: Shown): void;
}

/** A session that has connections on this node, as `sessions.get(target)` gives it. */
export interface LiveSession {
  /** The session id. Keep it out of logs and payloads. */
  readonly id: string;
  /** The data: what `socket.session` is, too. */
  readonly data: SocketSession;
  /** Number of connections on this node. */
  readonly connections: number;
  /** Aborted when the session ends, with the `SessionError` as reason: pass it to what a handler waits for. */
  readonly signal: AbortSignal;
  /** Why the session ended; `undefined` while it lives. */
  readonly ended: EndCode | undefined;
}

/** What a storage lost: changes that it had stored, or the whole session. */
export type Lost = "changes" | "session";

/** What all live sessions of a registry share. */
export interface Context extends SaveContext {
  /** How long a session may be trusted without a look into a shared store, in ms. */
  readonly lease: number;
  /** How long handlers may go on while the store does not answer, in ms. */
  readonly maxStale: number;
  /** What pages may see. */
  readonly views: Views;
  /** Sessions whose record could not be read when it was last looked at: the store has answered. */
  readonly unreadable: WeakSet<ActiveSession>;
  onChange(live: LiveSession, isDataChanged: () => boolean): void;
  onEnd(live: LiveSession, code: EndCode): void;
  /** The storage came back from an outage without the session, or without changes that it had stored. */
  onLost(live: LiveSession, what: Lost): void;
  /** The session may have become unused. */
  releaseIfIdle(live: ActiveSession): void;
  /** A session that was unused changes again: a handler outlived its connection. */
  onRevived(live: ActiveSession): void;
}

const longestTouchInterval = 60_000;
/** How long after a touch that is under way or failed (ms) the next is made. */
const touchPause = 1000;
/** How long after a look without an answer (ms) the store is asked again, at most. */
const longestPause = 1500;
/** A store that has answered nobody for so long (ms) since it failed is away; before that, a part of it may be. */
const sureAfter = 1000;

/** A look into the store that is under way. */
interface Check {
  readonly done: Promise<boolean>;
  /** The doubts that it settles. */
  readonly invalidations: number;
  /** When it began. */
  readonly since: number;
  /** The look after it, for all who came with newer invalidations. */
  next: Promise<boolean> | undefined;
}

export class ActiveSession extends PersistentSession implements LiveSession, SessionOperations {
  readonly data: SocketSession;
  /** Connections that wait for the first read. */
  pending = 0;
  /** The first read, while it is under way. */
  loading: Promise<void> | undefined;
  /** True from when the registry let go of it until it is read again: notices may not have reached it. */
  isDetached = false;
  declare protected readonly context: Context;

  /** Nearly always there is one connection: only more of them get a set. */
  #first: Connection | undefined;
  #others: Set<Connection> | undefined;
  #controller: AbortController | undefined;

  /** The view that clients were shown last, as JSON; "" where it could not be made, undefined where nobody wants it. */
  #view: string | undefined;

  #maxAge: number | undefined;
  #expires = never;
  #absoluteEnd: number | undefined;
  // Durations are measured with monotonicNow(): all moments below are its.
  /** When the client last sent something. */
  #activeAt = 0;
  /** Of which activity the store was told, by whomever. */
  #reportedAt = 0;
  /** Whether the store is being told of activity. */
  #isReporting = false;
  /** When a shared store was last seen to have this data. */
  #verifiedAt = 0;
  /** Since when the store does not answer for this session, whatever it does for others; 0 while it does. */
  #unansweredSince = 0;
  /** How often there was reason to look again, and how often there had been when the last look began. */
  #invalidations = 0;
  #verifiedInvalidations = 0;
  #revalidation: Check | undefined;
  /** What fields a shared store had before, where it had something else a moment ago. */
  #losses: LossDetector | undefined;
  /** Not to be checked again before this moment; undefined where the last check went well. */
  #retryAt: number | undefined;

  constructor(id: string, context: Context) {
    super(id, context);
    this.data = this.track(this.root) as SocketSession;
  }

  // --- connections ---

  get connections(): number {
    return (this.#first ? 1 : 0) + (this.#others?.size ?? 0);
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.ended && !this.#controller.signal.aborted) this.#controller.abort(new SessionError(this.ended));
    return this.#controller.signal;
  }

  /** True where nothing holds this live session on the node any more. */
  get isIdle(): boolean {
    return this.connections === 0 && this.pending === 0 && this.isAtRest;
  }

  add(connection: Connection): void {
    if (this.#first) (this.#others ??= new Set()).add(connection);
    else this.#first = connection;
  }

  remove(connection: Connection): void {
    if (this.#first === connection) this.#first = undefined;
    else this.#others?.delete(connection);
    if (this.connections === 0) this.context.releaseIfIdle(this);
  }

  // --- the view ---

  /** What a client that connects now is shown; undefined where the view cannot be made. */
  get shown(): Shown | undefined {
    this.#view ??= this.context.views.of(this.stored) ?? "";
    return this.#view === "" ? undefined : this.#shownAs(this.#view);
  }

  /** Shows the clients what they may see, where that is new. */
  #show(text: string): void {
    const view = this.context.views.of(text) ?? "";
    if (view === this.#view) return;
    this.#view = view;
    if (view === "") return;
    const shown = this.#shownAs(view);
    for (const connection of [this.#first, ...(this.#others ?? [])]) safely(() => connection?.show?.(shown));
  }

  #shownAs(view: string): Shown {
    const now = monotonicNow();
    return { view: JSON.parse(view) as unknown, expiresIn: timeUntil(this.#deadline(now), now) };
  }

  // --- PersistentSession ---

  protected onStoredText(before: string, text: string, expected: string): void {
    if (this.context.store.isShared) {
      if (before !== "" && text !== before) this.#compare(before, text, expected);
      this.#verifiedAt = monotonicNow();
      this.context.wakeAt(this.#verifiedAt + this.context.lease);
    }
    this.#unansweredSince = 0;
    this.#retryAt = undefined;
    if (text === before) return;
    this.#noteTimes(timesOf(text));
    if (before === "") return;
    this.context.onChange(this, () => dataOf(before) !== dataOf(text));
    if (this.#view !== undefined && this.context.views.isSet) this.#show(text);
  }

  /** Tells where the storage came back with older data than it had. */
  #compare(before: string, text: string, expected: string): void {
    const earlier = this.#losses;
    if (this.#isAfterTrouble && earlier?.isBackIn(text, expected)) {
      this.#losses = undefined;
      void this.#judge(earlier, before, text);
    } else (this.#losses ??= new LossDetector()).add(before, text, monotonicNow());
  }

  /** Fields are as they were before: that is a loss where the storage has not the writes that had changed them. */
  async #judge(earlier: LossDetector, before: string, text: string): Promise<void> {
    const { store } = this.context;
    if (await store.hasLost(this.id, earlier.writes(monotonicNow()))) {
      if (!this.ended) this.context.onLost(this, "changes");
    } else if (!this.#losses) {
      this.#losses = earlier;
      earlier.add(before, text, monotonicNow());
    }
  }

  /** The storage has confirmed a change of this session, by whichever node. */
  noteWrite(write: WriteId): void {
    if (this.context.store.isShared) (this.#losses ??= new LossDetector()).noteWrite(write, monotonicNow());
  }

  /** True where the storage may have lost what it had since it was last looked at. */
  get #isAfterTrouble(): boolean {
    const { outageUntil } = this.context.store;
    return outageUntil > 0 && outageUntil >= this.#verifiedAt;
  }

  protected onMissing(): void {
    if (this.#isAfterTrouble && this.goneCode === "SESSION_DESTROYED") this.context.onLost(this, "session");
  }

  protected get goneCode(): EndCode {
    // The store gave it no more time than it was told of: not all activity reaches it, in an outage say.
    const end = Math.min(this.#expires, this.#absoluteEnd ?? never);
    return Date.now() >= end || this.#mayBeOver ? "SESSION_EXPIRED" : "SESSION_DESTROYED";
  }

  /**
   * Whether its life may be over although its expiry is in the future here: clocks were set, or differ, and the storage
   * goes by its own. So it may where the last activity that the store was told of is a life ago, or, where more than a life
   * is left, as this clock has it.
   */
  get #mayBeOver(): boolean {
    if (this.#maxAge === undefined) return false;
    return monotonicNow() >= this.#reportedAt + this.#maxAge || this.#expires - Date.now() > this.#maxAge;
  }

  protected onDirty(): void {
    if (this.isDetached) this.context.onRevived(this);
  }

  protected onSaveFinished(): void {
    this.context.releaseIfIdle(this);
  }

  // --- other operations of the session object ---

  async reload(): Promise<void> {
    await this.save();
    await this.#read();
    if (this.ended) throw new SessionError(this.ended);
  }

  async touch(): Promise<void> {
    if (this.ended) throw new SessionError(this.ended);
    this.#activeAt = monotonicNow();
    await this.#reportActivity();
  }

  destroy(): Promise<void> {
    if (this.ended) return Promise.reject(new SessionError(this.ended));
    return this.context.store.end(this.id, "SESSION_DESTROYED");
  }

  // --- the gate: may a handler run now? ---

  /**
   * Called for each event from the client. True: run the handler. A promise: the session is being checked; false at
   * its end: do not run it, the connection is being closed.
   */
  beforeEvent(): boolean | Promise<boolean> {
    if (this.ended) return false;
    const now = monotonicNow();
    const deadline = this.#deadline(now);
    const isOver = now >= deadline;
    this.#noteActivity(now, !isOver);
    this.findUntrackedChangesSoon();
    // While other nodes are not heard, only a look that begins now tells what they did.
    if (!this.context.store.isHearing) this.#invalidations++;
    if (!isOver && this.#isFresh(now)) return true;
    // Nobody waits for a store that is known not to answer, for this session or for any: it is asked again in the
    // background.
    const { downSince = now } = this.context.store;
    if (!isOver && (this.#unansweredSince > 0 || now - downSince > sureAfter)) {
      if (now >= (this.#retryAt ?? 0)) void this.revalidate();
      return this.#mayGoOn(now);
    }
    return this.revalidate().then((mayGoOn) => {
      // It was kept alive elsewhere, in a way that its text does not show: then this was activity, too.
      if (mayGoOn && isOver) this.#noteActivity(now, true);
      return mayGoOn;
    });
  }

  /** For a new connection: reads the store unless what is known is fresh. Rejects where the store does not answer. */
  async ready(): Promise<void> {
    const since = monotonicNow();
    // The clock that ends sessions may be late by a moment; who comes in is not.
    const isOver = since >= this.#deadline(since);
    if (!this.isDetached && !this.context.store.isDown && !isOver && this.#isFresh(since)) return;
    const invalidations = this.#invalidations;
    await this.#read();
    this.markVerified(invalidations, since);
  }

  #isFresh(now: number): boolean {
    const { store, lease } = this.context;
    return !store.isShared || (store.isHearing && this.#isVerified && now - this.#verifiedAt < lease);
  }

  get #isVerified(): boolean {
    return this.#verifiedInvalidations === this.#invalidations;
  }

  /** What is known here no longer counts: another node changed it, or may have. */
  invalidate(): void {
    this.#invalidations++;
    this.#retryAt = undefined;
  }

  /** When the session is to be looked at again, whether somebody uses it or not. */
  get revalidateAt(): number {
    const { store, lease } = this.context;
    if (!store.isShared || this.ended || this.loading || this.#revalidation) return never;
    return Math.max(this.#isVerified ? this.#verifiedAt + lease : 0, this.#retryAt ?? 0);
  }

  /** To be taken before a look begins, and given to {@link ActiveSession.markVerified} after it. */
  get invalidations(): number {
    return this.#invalidations;
  }

  /** A look that began at `since`, with these invalidations, found what is known here. */
  markVerified(invalidations: number, since: number): void {
    this.#verifiedInvalidations = invalidations;
    this.#verifiedAt = Math.max(this.#verifiedAt, since);
    this.#unansweredSince = 0;
    this.#retryAt = undefined;
  }

  /** A look that began at `since` found `text`. True where that is what is known here: nothing else is to be done. */
  verify(text: string | undefined, invalidations: number, since: number): boolean {
    if (text === undefined || !this.isKnown(text)) return false;
    this.markVerified(invalidations, since);
    return true;
  }

  /** Whether the store answered when it was last asked for this session. */
  get answer(): "answered" | "unanswered" {
    return this.#unansweredSince === 0 ? "answered" : "unanswered";
  }

  /** The store did not answer. Closes the connections where that was so for too long. */
  onUnanswered(): boolean {
    const now = monotonicNow();
    this.#unansweredSince ||= now;
    this.#retryAt = now + jittered(longestPause);
    this.context.wakeAt(this.#retryAt);
    return this.#mayGoOn(now);
  }

  /**
   * Re-reads the store, once for all who ask meanwhile; one who comes with a newer doubt, or a lease after it began,
   * waits for the look after it. Resolves with whether handlers may go on.
   */
  revalidate(): Promise<boolean> {
    const under = this.#revalidation;
    const since = monotonicNow();
    if (under) {
      if (under.invalidations === this.#invalidations && since - under.since < this.context.lease) return under.done;
      under.next ??= under.done.then(() => this.revalidate());
      return under.next;
    }
    const invalidations = this.#invalidations;
    const done = this.#read().then(
      () => {
        this.#revalidation = undefined;
        if (!this.ended) this.markVerified(invalidations, since);
        return !this.ended;
      },
      (error: unknown) => {
        this.#revalidation = undefined;
        if ((error as SessionError).code === "RECORD_INVALID") this.context.unreadable.add(this);
        return this.onUnanswered();
      },
    );
    this.#revalidation = { done, invalidations, since, next: undefined };
    return done;
  }

  /**
   * True if the store has not failed to answer for too long; else closes the connections. Each session counts for
   * itself: a part of the storage may be away while others answer.
   */
  #mayGoOn(now: number): boolean {
    if (this.ended) return false;
    const since = this.#unansweredSince || now;
    if (now - since < this.context.maxStale && now < this.#deadline(now)) return true;
    this.#disconnect("STORE_UNAVAILABLE");
    return false;
  }

  async #read(): Promise<void> {
    if (this.ended) throw new SessionError(this.ended);
    const isKnown = await this.context.store.read(this.id, (text) => {
      if (text === undefined) return false;
      this.applyStored(text);
      return true;
    });
    if (isKnown || this.ended) return;
    const code = this.context.store.endOf(this.id)?.code;
    if (!code) this.onMissing();
    this.end(code ?? this.goneCode);
  }

  // --- time ---

  /** When the session is over, if nothing happens until then and the system's clock is not set. */
  #deadline(now: number): number {
    let end = this.#expires;
    // Expiries are by the system's clock, which may have been set since the last look at it.
    const ahead = end === never && this.#absoluteEnd === undefined ? 0 : Date.now() - now;
    end -= ahead;
    if (this.#maxAge !== undefined) end = Math.max(end, this.#activeAt + this.#maxAge);
    return this.#absoluteEnd === undefined ? end : Math.min(end, this.#absoluteEnd - ahead);
  }

  get #touchInterval(): number {
    return Math.min((this.#maxAge ?? never) / 10, longestTouchInterval);
  }

  #noteTimes({ maxAge, expires, createdAt }: Times): void {
    const now = monotonicNow();
    const { isShared, absoluteTimeout } = this.context.store;
    if (maxAge === undefined) {
      // Nobody can see when the store was told: it counts from the first read.
      if (isShared) this.#reportedAt ||= now;
    } else if (expires !== this.#expires || maxAge !== this.#maxAge) {
      // Somebody prolonged it, in the future perhaps: clocks differ, and are set.
      const usedAt = now - Math.max(Date.now() - (expires - maxAge), 0);
      this.#reportedAt = Math.max(this.#reportedAt, usedAt);
      // Or cut it short, by hand: what was done before does not count, and what is done now is told at once.
      if (maxAge === this.#maxAge && expires < this.#expires) {
        this.#reportedAt = usedAt;
        this.#activeAt = Math.min(this.#activeAt, usedAt);
      }
    }
    this.#maxAge = maxAge;
    this.#expires = expires;
    const isLimited = absoluteTimeout !== undefined && createdAt !== undefined;
    this.#absoluteEnd = isLimited ? createdAt + absoluteTimeout : undefined;
    this.context.wakeAt(this.#deadline(now));
  }

  #noteActivity(now: number, isAlive: boolean): void {
    // A store that is not ours may have an expiry of its own, whatever the cookie says.
    if (!isAlive || (this.#maxAge === undefined && !this.context.store.isShared)) return;
    this.#activeAt = now;
    const due = this.#reportedAt + this.#touchInterval;
    if (now < due) this.context.wakeAt(due);
    else if (!this.#isReporting) this.#reportActivity().catch(noop);
    // One at a time: in an outage an event would wait behind all of them.
    else this.context.wakeAt(now + touchPause);
  }

  /** Tells the store of the last activity. */
  async #reportActivity(): Promise<void> {
    const before = this.#reportedAt;
    const at = this.#activeAt;
    this.#reportedAt = at;
    this.#isReporting = true;
    try {
      // When that was by the system's clock as it is now.
      await this.context.store.prolong(this.id, Math.round(Date.now() - (monotonicNow() - at)));
    } catch (error) {
      if (!this.endIfGone(error)) this.#reportedAt = before;
      throw error;
    } finally {
      this.#isReporting = false;
    }
  }

  /** Does what is due; answers when something will be. */
  tick(now: number): number {
    if (this.ended || this.loading) return never;
    if (this.#losses && now >= this.#losses.until) this.#losses = undefined;
    let next = never;
    if (this.#unansweredSince > 0 && this.connections > 0) {
      next = this.#unansweredSince + this.context.maxStale;
      if (now >= next) this.#mayGoOn(now);
    }
    const deadline = this.#deadline(now);
    if (now >= deadline && now >= (this.#retryAt ?? 0)) return this.#expire(now);
    const toldAt = this.#reportedAt;
    let touchAt = this.#activeAt > toldAt ? toldAt + this.#touchInterval : never;
    if (now >= touchAt) {
      touchAt = now + Math.max(this.#touchInterval, touchPause);
      if (!this.#isReporting) this.#reportActivity().catch(noop);
    }
    return Math.min(Math.max(deadline, this.#retryAt ?? 0), touchAt, next, this.tickSaving(now));
  }

  /** Ends the session, or asks the store whether it has ended; answers when to ask again. */
  #expire(now: number): number {
    // A store that others write may have been told of activity elsewhere; it is asked, at most once a second.
    const again = now + Math.max(1000, Math.min(this.#touchInterval, this.context.lease));
    this.#retryAt = again;
    const { store } = this.context;
    const isCertain = !store.isShared || (this.#absoluteEnd !== undefined && Date.now() >= this.#absoluteEnd);
    const ending = isCertain ? store.end(this.id, "SESSION_EXPIRED") : this.#read();
    ending.then(
      () => {
        // Still there although its time is over: somebody keeps it alive in a way that its text does not show.
        this.#retryAt = again;
      },
      () => {
        debug("cannot tell whether a session expired: the store does not answer");
        this.#disconnect("STORE_UNAVAILABLE");
      },
    );
    return again;
  }

  // --- the end ---

  /** Ends the session on this node: aborts its signal, tells and closes its connections. Its data stays readable. */
  end(code: EndCode): void {
    if (this.ended) return;
    this.ended = code;
    this.dropChanges();
    this.#controller?.abort(new SessionError(code));
    this.context.onEnd(this, code);
    this.#disconnect(code);
  }

  #disconnect(code: EndCode | "STORE_UNAVAILABLE"): void {
    const connections = [this.#first, ...(this.#others ?? [])];
    if (this.connections === 0) return;
    this.#first = undefined;
    this.#others = undefined;
    const reason = closeReason(code);
    for (const connection of connections) safely(() => connection?.end(reason));
    this.context.releaseIfIdle(this);
  }
}

/** The fields without the cookie, as text: what counts as a change of data. */
function dataOf(text: string): string {
  const { cookie: _, ...fields } = strip(parse(text));
  return JSON.stringify(fields);
}
