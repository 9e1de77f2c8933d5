// The one object on this node for a session that has connections here: its connections, the gate for their events,
// its activity and its end. Knows nothing of which kind of server a connection is of.
import createDebug from "debug";
import { type EndCode, type SessionCode, SessionError, closeReason } from "../errors.js";
import { after, type Awaitable } from "../internal/awaitable.js";
import { monotonicNow, never } from "../internal/monotonic.js";
import { safely } from "../internal/safely.js";
import { systemNow } from "../internal/system-time.js";
import { dataOf, timesOf } from "../store/record/session-record.js";
import type { WriteId } from "../store/drivers/driver.js";
import { type Active, noteActivity, touchPause, noteTimes, reportActivity, tickActivity } from "./activity.js";
import { type Connection, type Connections, countOf, listOf, withOne, withoutOne } from "./connections.js";
import type { Timed } from "./due-times.js";
import { Freshness, type Revalidated } from "./freshness.js";
import { absoluteEndOf, deadlineOf, mayHaveExpired, touchIntervalOf } from "./lifetime.js";
import { LossDetector } from "./loss-detector.js";
import { PersistentSession } from "./persistence.js";
import type { SessionHost } from "./session-host.js";
import type { SessionOperations, SocketSession } from "./socket-session.js";
import { type SessionView, timeUntil } from "./view.js";

const debug = createDebug("socket-session:live-session");

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

/** A store that has answered nobody for so long (ms) since it failed is away; before that, a part of it may be. */
const sureAfter = 1000;

/** A session in use on this node. */
export class ActiveSession
  extends PersistentSession
  implements LiveSession, SessionOperations, Revalidated, Active, Timed
{
  readonly data: SocketSession;
  /** Connections that wait for the first read. */
  pending = 0;
  /** The first read, while it is under way. */
  loading: Promise<void> | undefined;
  /** True from when the registry let go of it until it is read again: notices may not have reached it. */
  isDetached = false;
  maxAge: number | undefined;
  expires = never;
  createdAt: number | undefined;
  activeAt = 0;
  reportedAt = 0;
  isReporting = false;
  dueIndex = -1;
  declare protected readonly host: SessionHost<ActiveSession>;

  #connections: Connections;
  #controller: AbortController | undefined;
  /** The view that clients saw last, as JSON; "" where it could not be made, undefined where nobody wants it. */
  #view: string | undefined;
  #freshness: Freshness | undefined;
  /** What fields a shared store had before, where it had something else a moment ago. */
  #losses: LossDetector | undefined;

  constructor(id: string, host: SessionHost<ActiveSession>) {
    super(id, host);
    this.data = this.track(this.root) as SocketSession;
  }

  /** Needed where others write the store, too; elsewhere only when the session's time is over. */
  get freshness(): Freshness {
    return (this.#freshness ??= new Freshness());
  }

  // --- connections ---

  get connections(): number {
    return countOf(this.#connections);
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
    this.#connections = withOne(this.#connections, connection);
  }

  remove(connection: Connection): void {
    this.#connections = withoutOne(this.#connections, connection);
    if (this.connections === 0) this.host.releaseIfIdle(this);
  }

  /** The data has changed: closes the connections whose clients may not stay. */
  review(): void {
    const leaving = listOf(this.#connections).filter((one) => one.mayStay?.(this.data) === false);
    this.#disconnect("SESSION_FORBIDDEN", leaving);
  }

  // --- the view ---

  /** What a client that connects now gets; undefined where the view cannot be made. */
  get sessionView(): SessionView | undefined {
    this.#view ??= this.host.views.of(this.stored) ?? "";
    return this.#view === "" ? undefined : this.#sessionViewOf(this.#view);
  }

  /** Sends the view to the clients where it has changed. */
  #updateView(text: string): void {
    const view = this.host.views.of(text) ?? "";
    if (view === this.#view) return;
    this.#view = view;
    if (view === "") return;
    const sessionView = this.#sessionViewOf(view);
    for (const connection of listOf(this.#connections)) safely(() => connection.showView?.(sessionView));
  }

  #sessionViewOf(view: string): SessionView {
    const now = monotonicNow();
    return this.host.views.tell(view, timeUntil(this.#deadline(now), now));
  }

  // --- PersistentSession ---

  protected onStoredText(before: string, text: string, expected: string): void {
    if (this.host.store.isShared) {
      if (before !== "" && text !== before) this.#compare(before, text, expected);
      const now = monotonicNow();
      this.freshness.onAnswer(now);
      this.host.wakeAt(this, now + this.host.lease);
    }
    if (text === before) return;
    noteTimes(this, timesOf(text), this.host.store.isShared);
    this.host.wakeAt(this, this.#deadline(monotonicNow()));
    if (before === "") return;
    this.host.onChange(this, () => dataOf(before) !== dataOf(text), text !== expected);
    if (this.#view !== undefined && this.host.views.isSet) this.#updateView(text);
  }

  protected onMissing(): void {
    const { absoluteTimeout } = this.host.store;
    const isOver = mayHaveExpired(this, this.reportedAt, absoluteTimeout, monotonicNow(), systemNow());
    if (!isOver && this.#isAfterTrouble) this.host.onLost(this, "session");
    this.end(isOver ? "SESSION_EXPIRED" : "SESSION_DESTROYED");
  }

  // --- what a shared store may have lost ---

  /** Tells where the storage came back with older data than it had. */
  #compare(before: string, text: string, expected: string): void {
    const losses = (this.#losses ??= new LossDetector());
    if (!this.#isAfterTrouble || !losses.isBackIn(text, expected)) return losses.add(before, text, monotonicNow());
    const isLost = losses.hasLost(before, text, (writes) => this.host.store.hasLost(this.id, writes));
    void isLost.then((isSure) => isSure && !this.ended && this.host.onLost(this, "changes"));
  }

  /** The storage has confirmed a change of this session, by whichever node. */
  noteWrite(write: WriteId): void {
    if (this.host.store.isShared) (this.#losses ??= new LossDetector()).noteWrite(write, monotonicNow());
  }

  /** True where the storage may have lost what it had since it was last read. */
  get #isAfterTrouble(): boolean {
    const { outageUntil } = this.host.store;
    return outageUntil > 0 && outageUntil >= this.freshness.verifiedAt;
  }

  // --- other operations of the session object ---

  async reload(): Promise<void> {
    await this.save();
    await this.read();
    if (this.ended) throw new SessionError(this.ended);
  }

  async touch(): Promise<void> {
    if (this.ended) throw new SessionError(this.ended);
    await reportActivity(this, monotonicNow());
  }

  destroy(): Promise<void> {
    if (this.ended) return Promise.reject(new SessionError(this.ended));
    return this.host.store.end(this.id, "SESSION_DESTROYED");
  }

  // --- the gate: may a handler run now? ---

  /**
   * Called for each event from the client. True: run the handler. A promise: the store is being read; false at its end:
   * do not run it, the connection is being closed.
   */
  beforeEvent(): boolean | Promise<boolean> {
    if (this.ended) return false;
    const { store } = this.host;
    const now = monotonicNow();
    const isOver = now >= this.#deadline(now);
    if (!isOver) this.#noteActivity(now);
    this.findUntrackedChangesSoon();
    // While other nodes are not heard, only a read that begins now tells what they did.
    if (!store.isHearing) this.freshness.invalidations++;
    if (isOver) {
      return this.revalidate().then((mayGoOn) => {
        // It was kept alive elsewhere, in a way that its text does not show: then this was activity, too.
        if (mayGoOn) this.#noteActivity(now);
        return mayGoOn;
      });
    }
    if (this.#isFresh(now)) return true;
    // Nobody waits for a store that is known not to answer, for this session or for any: it is asked again in the
    // background.
    const { unansweredSince, retryAt } = this.freshness;
    const { downSince = now } = store;
    if (unansweredSince === 0 && now - downSince <= sureAfter) return this.revalidate();
    if (now >= retryAt) void this.revalidate();
    return this.#mayGoOn(now);
  }

  /** For a new connection: reads the store unless what is known is fresh. Throws or rejects where the store does not answer. */
  ready(): Awaitable<void> {
    const since = monotonicNow();
    // The clock that ends sessions may be late by a moment; who comes in is not.
    const isOver = since >= this.#deadline(since);
    if (!this.isDetached && !this.host.store.isDown && !isOver && this.#isFresh(since)) return undefined;
    const { invalidations } = this.freshness;
    return after(this.read(), () => this.freshness.markVerified(invalidations, since));
  }

  #isFresh(now: number): boolean {
    const { store, lease } = this.host;
    return !store.isShared || (store.isHearing && this.freshness.isFresh(now, lease));
  }

  /**
   * True if the store has not failed to answer for too long; else closes the connections. Each session counts for
   * itself: a part of the storage may be away while others answer.
   */
  #mayGoOn(now: number): boolean {
    if (this.ended) return false;
    const since = this.#freshness?.unansweredSince || now;
    if (now - since < this.host.maxStale && now < this.#deadline(now)) return true;
    this.#disconnect("STORE_UNAVAILABLE");
    return false;
  }

  // --- what the store has ---

  /** Reads the store, once for all who ask meanwhile; resolves with whether handlers may go on. */
  revalidate(): Promise<boolean> {
    return this.freshness.revalidate(this, this.host.lease);
  }

  onUnanswered(error?: unknown): boolean {
    const now = monotonicNow();
    this.freshness.onUnanswered(now, (error as SessionError | undefined)?.code === "RECORD_INVALID");
    this.host.wakeAt(this, this.freshness.retryAt);
    return this.#mayGoOn(now);
  }

  // --- time ---

  /** When the session is over, if nothing happens until then and the system's clock is not set. */
  #deadline(now: number): number {
    return deadlineOf(this, this.activeAt, this.host.store.absoluteTimeout, systemNow() - now);
  }

  #noteActivity(now: number): void {
    // A store of express-session may have an expiry of its own, whatever the cookie says.
    if (this.maxAge !== undefined || this.host.store.isShared) this.host.wakeAt(this, noteActivity(this, now));
  }

  async prolong(at: number): Promise<void> {
    try {
      await this.host.store.prolong(this.id, at, this);
    } catch (error) {
      this.throwIfOver(error);
      this.host.wakeAt(this, monotonicNow() + touchPause);
      throw error;
    }
  }

  /** Does what is due; answers when something will be. */
  tick(now: number): number {
    if (this.ended || this.loading) return never;
    if (this.#losses && now >= this.#losses.until) this.#losses = undefined;
    const { unansweredSince = 0, retryAt = 0 } = this.#freshness ?? {};
    let closeAt = never;
    if (unansweredSince > 0 && this.connections > 0) {
      closeAt = unansweredSince + this.host.maxStale;
      if (now >= closeAt) this.#mayGoOn(now);
    }
    const deadline = this.#deadline(now);
    if (now >= deadline && now >= retryAt) return this.#expire(now);
    const touchAt = tickActivity(this, now);
    return Math.min(Math.max(deadline, retryAt), touchAt, closeAt, this.tickSaving(now));
  }

  /** Ends the session, or asks the store whether it has ended; answers when to ask again. */
  #expire(now: number): number {
    const { store, lease } = this.host;
    const { freshness } = this;
    // A store that others write may have been told of activity elsewhere; it is asked, at most once a second.
    const again = now + Math.max(1000, Math.min(touchIntervalOf(this), lease));
    freshness.retryAt = again;
    const isCertain = !store.isShared || systemNow() >= absoluteEndOf(this, store.absoluteTimeout);
    const ending = isCertain ? store.end(this.id, "SESSION_EXPIRED") : this.read();
    ending.then(
      () => {
        // Still there although its time is over: somebody keeps it alive in a way that its text does not show.
        freshness.retryAt = again;
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
    this.host.onEnd(this, code);
    this.#disconnect(code);
  }

  #disconnect(code: SessionCode, connections = listOf(this.#connections)): void {
    if (connections.length === 0) return;
    for (const connection of connections) this.#connections = withoutOne(this.#connections, connection);
    const reason = closeReason(code);
    for (const connection of connections) safely(() => connection.end(reason));
    this.host.releaseIfIdle(this);
  }
}
