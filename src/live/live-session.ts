// The one object on this node for a session that has connections here: its data, its save loop, its end.
// Knows nothing of which kind of server a connection is of.
import createDebug from "debug";
import { type EndCode, safely, SessionError, type Verdict, verdict } from "../errors.js";
import type { LiveStore } from "../store/live-store.js";
import { diff, type JsonObject, reconcile } from "../store/merge.js";
import {
  createdAt,
  expiryOf,
  inflate,
  mergeInto,
  parse,
  type SessionRecord,
  stringify,
  strip,
} from "../store/record.js";
import { createRoot, createSessionObject, type SessionOwner, type SocketSession } from "./session-object.js";

const debug = createDebug("socket-session:live-session");

/** A connection that uses a live session; its server's adapter tells and closes it. */
export interface Connection {
  /** Tells the client the verdict, then closes the connection. */
  end(verdict: Verdict): void;
}

/** A session that has connections on this node, as `sessions.get(target)` gives it. */
export interface LiveSession {
  /** The session id. Keep it out of logs and payloads. */
  readonly id: string;
  /** The data, the same object as `socket.session`. */
  readonly data: SocketSession;
  /** Number of connections on this node. */
  readonly connections: number;
  /** Aborted when the session ends, with the `SessionError` as reason: pass it to what a handler waits for. */
  readonly signal: AbortSignal;
  /** Why the session ended; `undefined` while it lives. */
  readonly ended: EndCode | undefined;
}

/** What all live sessions of a registry share. */
export interface Context {
  readonly store: LiveStore;
  /** How long a session may be trusted without a look into a shared store, in ms. */
  readonly lease: number;
  /** How long handlers may go on while the store does not answer, in ms. */
  readonly maxStale: number;
  wakeAt(at: number): void;
  changed(live: LiveSession, isDataChanged: () => boolean): void;
  ended(live: LiveSession, code: EndCode): void;
  /** The session may have become unused. */
  settled(live: ActiveSession): void;
  /** A session that was unused changes again: a handler outlived its connection. */
  revived(live: ActiveSession): void;
  failed(error: unknown): void;
}

const none: Connection[] = [];
const never = Number.POSITIVE_INFINITY;
const longestTouchInterval = 60_000;
const shortestRetry = 100;
const longestRetry = 5_000;
const firstLook = 100;
const lastLook = 60_000;

interface Escaped {
  /** When it was put in (ms since 1970). */
  readonly at: number;
  /** When to look for changes made behind the proxy. */
  lookAt: number;
}

interface Failed {
  times: number;
  /** When to try again (ms since 1970); never where trying again cannot help. */
  retryAt: number;
}

export class ActiveSession implements LiveSession, SessionOwner {
  readonly id: string;
  readonly data: SocketSession;
  /** Connections that wait for the first read. */
  pending = 0;
  /** The first read, while it is under way. */
  loading: Promise<void> | undefined;
  ended: EndCode | undefined;
  /** True while the registry does not have it, so that notices do not reach it. */
  isDetached = false;

  readonly #context: Context;
  readonly #root = createRoot();
  #connections: Connection[] = none;
  #controller: AbortController | undefined;

  /** What is stored, as far as known; with what the root differs, it has unsaved changes. */
  #base = "";
  #isFilled = false;
  #isDirty = false;
  #isScheduled = false;
  #saving: Promise<void> | undefined;
  #queued: Promise<void> | undefined;
  /** What the save under way asked for. */
  #sent: string | undefined;
  /** Set while the application holds an object of the data that is not tracked. */
  #escaped: Escaped | undefined;
  /** Set while changes could not be saved. */
  #failed: Failed | undefined;

  #maxAge: number | undefined;
  #expires = never;
  #absoluteEnd: number | undefined;
  #activeAt = 0;
  #prolongedAt = 0;
  #checkedAt = 0;
  #checking: Promise<boolean> | undefined;
  /** Not to be checked again before this moment; undefined where the last check went well. */
  #checkAgainAt: number | undefined;

  constructor(id: string, context: Context) {
    this.id = id;
    this.#context = context;
    this.data = createSessionObject(this.#root, this);
  }

  // --- connections ---

  get connections(): number {
    return this.#connections.length;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.ended && !this.#controller.signal.aborted) this.#controller.abort(new SessionError(this.ended));
    return this.#controller.signal;
  }

  /** True where nothing holds this live session on the node any more. */
  get isIdle(): boolean {
    if (this.#connections.length > 0 || this.pending > 0) return false;
    // What JSON cannot hold never gets into the store: it is not waited for.
    return this.isSaved || this.#failed?.retryAt === never;
  }

  /** True where the store has every change made here. */
  get isSaved(): boolean {
    this.look();
    return !this.#isDirty && !this.#saving;
  }

  add(connection: Connection): void {
    // Nearly always one: a list that starts empty and is pushed to would be given room for seventeen.
    if (this.#connections.length === 0) this.#connections = [connection];
    else this.#connections.push(connection);
  }

  remove(connection: Connection): void {
    const index = this.#connections.indexOf(connection);
    if (index !== -1) this.#connections.splice(index, 1);
    if (this.#connections.length === 0) this.#context.settled(this);
  }

  // --- data from the store ---

  /** Takes what the store has. Runs within the session's queue, so that it never goes back in time. */
  take(text: string, source?: object): void {
    const before = this.#base;
    if (source === this) {
      this.#rebase(text, this.#sent ?? before);
      this.#sent = undefined;
    } else {
      // What the save under way asked for now stands on the newer text.
      if (this.#sent !== undefined && text !== before) {
        const sent = parse(text);
        mergeInto(sent, parse(before), parse(this.#sent));
        this.#rebase(text, before);
        this.#sent = stringify(strip(sent));
      } else this.#rebase(text, before);
    }
    this.#base = text;
    this.#checkedAt = Date.now();
    this.#checkAgainAt = undefined;
    if (text === before) return;
    this.#noteExpiry(parse(text));
    if (before === "") return;
    this.#context.changed(this, () => dataOf(before) !== dataOf(text));
  }

  /** Brings `text` into the root; what the root has over `localBase` stays on top. */
  #rebase(text: string, localBase: string): void {
    if (!this.#isFilled || text === localBase) return;
    const wanted = parse(text);
    if (this.#isDirty || this.#saving || this.#escaped) {
      try {
        mergeInto(wanted, parse(localBase), parse(stringify(this.#root)));
      } catch (error) {
        this.#context.failed(error);
      }
    }
    const { cookie, ...fields } = strip(wanted);
    const root = this.#root as { cookie?: unknown };
    // The cookie is an object of a class: its fields are set, the rest is plain data.
    const inflated = inflate({ cookie }).cookie;
    const own = root.cookie;
    delete root.cookie;
    reconcile(root as JsonObject, fields);
    root.cookie = typeof own === "object" && own !== null ? Object.assign(own, inflated) : inflated;
  }

  #noteExpiry(record: SessionRecord): void {
    const maxAge = record.cookie.originalMaxAge;
    this.#maxAge = typeof maxAge === "number" ? maxAge : undefined;
    this.#expires = expiryOf(record);
    // When the store was last told of activity, by whomever.
    if (this.#maxAge !== undefined) this.#prolongedAt = Math.max(this.#prolongedAt, this.#expires - this.#maxAge);
    const since = createdAt(record);
    const { absoluteTimeout } = this.#context.store;
    this.#absoluteEnd = absoluteTimeout === undefined || since === undefined ? undefined : since + absoluteTimeout;
    this.#context.wakeAt(this.#deadline);
  }

  // --- Owner: the tracked data ---

  fill(): void {
    if (this.#isFilled || this.#base === "") return;
    this.#isFilled = true;
    Object.assign(this.#root, inflate(strip(parse(this.#base))));
  }

  allowsChange(): boolean {
    if (!this.ended) return true;
    this.#context.failed(new SessionError(this.ended, { detail: "A later change to it was dropped." }));
    return false;
  }

  changed(): void {
    this.#isDirty = true;
    if (!this.#isRetrying) this.#failed = undefined;
    if (this.isDetached) this.#context.revived(this);
    if (this.#isScheduled || this.#saving) return;
    this.#isScheduled = true;
    // After this turn of the event loop: all handlers of one batch of packets are saved together.
    setImmediate(saveScheduled, this);
  }

  /**
   * `session.cart ??= []` gives the application the very array, whose later changes no proxy sees. They are found by
   * comparing: after events, before reads, and at growing distances for a minute.
   */
  escaped(): void {
    const at = Date.now();
    this.#escaped = { at, lookAt: at + firstLook };
    this.#context.wakeAt(this.#escaped.lookAt);
  }

  /** Looks for changes that were made behind the proxy. */
  look(): void {
    if (!this.#escaped || this.#isDirty || this.#saving || this.ended) return;
    try {
      const stored = strip(parse(this.#base));
      if (diff(stored, parse(stringify(this.#root)))) this.changed();
    } catch {
      // What cannot be written is told where it is saved.
      this.changed();
    }
  }

  // --- saving ---

  saveScheduled(): void {
    this.#isScheduled = false;
    if (this.#isDirty && !this.ended && !this.#isRetrying) this.save().catch(ignore);
  }

  /** Resolves when every change made so far is durable. */
  save(): Promise<void> {
    if (this.ended) return Promise.reject(new SessionError(this.ended));
    this.look();
    if (this.#saving) {
      if (!this.#isDirty) return this.#saving;
      // The save under way has taken its text: what changed since goes with the next, once for all who wait.
      this.#queued ??= this.#saving.then(ignore, ignore).then(() => {
        this.#queued = undefined;
        return this.save();
      });
      return this.#queued;
    }
    if (!this.#isDirty) return Promise.resolve();
    this.#saving = this.#commit().finally(() => {
      this.#saving = undefined;
      if (this.ended) return;
      if (this.#isDirty && !this.#failed) this.changed();
      this.#context.settled(this);
    });
    return this.#saving;
  }

  async #commit(): Promise<void> {
    let text: string;
    try {
      text = stringify(this.#root);
    } catch (error) {
      // To try again is no use before something is changed; nor to keep the session for it.
      this.#failed = { times: 1, retryAt: never };
      this.#context.failed(error);
      throw error;
    }
    this.#isDirty = false;
    this.#sent = text;
    try {
      await this.#context.store.commit(this.id, this.#base, text, this);
      // Without the notice (another live session took this one's place), what was sent is what is known.
      this.#base = this.#sent ?? this.#base;
      this.#sent = undefined;
      this.#failed = undefined;
    } catch (error) {
      this.#sent = undefined;
      if (this.ended) throw new SessionError(this.ended);
      if ((error as SessionError).code !== "STORE_UNAVAILABLE") {
        this.end(endCodeOf(error));
        throw error;
      }
      this.#isDirty = true;
      this.#retryLater();
      this.#context.failed(error);
      throw error;
    }
  }

  #retryLater(): void {
    const times = (this.#failed?.times ?? 0) + 1;
    const delay = Math.min(shortestRetry * 2 ** times, longestRetry);
    // Half fixed, half random: sessions that failed together do not come back together.
    const retryAt = Date.now() + delay / 2 + (Math.random() * delay) / 2;
    this.#failed = { times: Math.min(times, 16), retryAt };
    this.#context.wakeAt(retryAt);
  }

  /** True where the store is tried again later, by the clock. */
  get #isRetrying(): boolean {
    return this.#failed !== undefined && this.#failed.retryAt !== never;
  }

  // --- other operations of the session object ---

  async reload(): Promise<void> {
    await this.save();
    await this.#read();
  }

  async touch(): Promise<void> {
    if (this.ended) throw new SessionError(this.ended);
    this.#activeAt = Date.now();
    await this.#prolong();
  }

  destroy(): Promise<void> {
    if (this.ended) return Promise.reject(new SessionError(this.ended));
    return this.#context.store.end(this.id, "SESSION_DESTROYED");
  }

  // --- the gate: may a handler run now? ---

  /**
   * Called for each event from the client. True: run the handler. A promise: the session is being checked; false at
   * its end: do not run it, the connection is being closed.
   */
  enter(): boolean | Promise<boolean> {
    if (this.ended) return false;
    const now = Date.now();
    this.#noteActivity(now);
    if (this.#escaped) setImmediate(lookAgain, this);
    if (this.#isFresh(now)) return true;
    // Nobody waits for a store that is known not to answer: it is asked again in the background.
    if (this.#context.store.isDown && now < this.#deadline) {
      if (now >= (this.#checkAgainAt ?? 0)) void this.#check();
      return this.#mayGoOn(now);
    }
    return this.#check();
  }

  /** For a new connection: reads the store unless what is known is fresh. Rejects where the store does not answer. */
  async ready(): Promise<void> {
    if (this.isDetached || this.#context.store.isDown || !this.#isFresh(Date.now())) await this.#read();
  }

  #isFresh(now: number): boolean {
    const { store, lease } = this.#context;
    // The clock that ends sessions may be late by a moment; a handler is not.
    return (!store.isShared || now - this.#checkedAt < lease) && now < this.#deadline;
  }

  /** Re-reads the store. Resolves with whether handlers may go on. */
  #check(): Promise<boolean> {
    this.#checking ??= this.#read()
      .then(
        () => !this.ended,
        () => {
          const now = Date.now();
          this.#checkAgainAt = now + 1000;
          return this.#mayGoOn(now);
        },
      )
      .finally(() => {
        this.#checking = undefined;
      });
    return this.#checking;
  }

  /** True if the last look into the store is not too long ago; else closes the connections. */
  #mayGoOn(now: number): boolean {
    if (this.ended) return false;
    if (now - this.#checkedAt < this.#context.maxStale && now < this.#deadline) return true;
    this.#disconnect("STORE_UNAVAILABLE");
    return false;
  }

  async #read(): Promise<void> {
    if (this.ended) throw new SessionError(this.ended);
    const isKnown = await this.#context.store.read(this.id, (text) => {
      if (text === undefined) return false;
      this.take(text);
      return true;
    });
    if (isKnown || this.ended) return;
    const isExpired = Date.now() >= this.#deadline;
    this.end(this.#context.store.endOf(this.id)?.code ?? (isExpired ? "SESSION_EXPIRED" : "SESSION_DESTROYED"));
  }

  // --- time ---

  /** When the session is over, if nothing happens until then (ms since 1970). */
  get #deadline(): number {
    const idleEnd = this.#maxAge === undefined ? this.#expires : Math.max(this.#expires, this.#activeAt + this.#maxAge);
    return this.#absoluteEnd === undefined ? idleEnd : Math.min(idleEnd, this.#absoluteEnd);
  }

  get #touchInterval(): number {
    return Math.min((this.#maxAge ?? never) / 10, longestTouchInterval);
  }

  #noteActivity(now: number): void {
    if (this.#maxAge === undefined || now >= this.#deadline) return;
    this.#activeAt = now;
    const due = this.#prolongedAt + this.#touchInterval;
    if (now >= due) this.#prolong().catch(ignore);
    else this.#context.wakeAt(due);
  }

  /** Tells the store of the last activity. */
  async #prolong(): Promise<void> {
    const before = this.#prolongedAt;
    const at = this.#activeAt;
    this.#prolongedAt = at;
    try {
      await this.#context.store.prolong(this.id, at);
    } catch (error) {
      if ((error as SessionError).code === "STORE_UNAVAILABLE") this.#prolongedAt = before;
      else this.end(endCodeOf(error));
      throw error;
    }
  }

  /** Does what is due; answers when something will be (ms since 1970). */
  tick(now: number): number {
    if (this.ended || this.loading) return never;
    if (now >= this.#deadline && now >= (this.#checkAgainAt ?? 0)) return this.#expire(now);
    const isTouchPending = this.#activeAt > this.#prolongedAt;
    let touchAt = isTouchPending ? this.#prolongedAt + this.#touchInterval : never;
    if (now >= touchAt) {
      touchAt = now + Math.max(this.#touchInterval, 1000);
      this.#prolong().catch(ignore);
    }
    if (this.#failed && now >= this.#failed.retryAt) this.save().catch(ignore);
    const escaped = this.#escaped;
    if (escaped && now >= escaped.lookAt) {
      this.look();
      escaped.lookAt = now + (now - escaped.at);
      if (now - escaped.at > lastLook) this.#escaped = undefined;
    }
    return Math.min(
      Math.max(this.#deadline, this.#checkAgainAt ?? 0),
      touchAt,
      this.#failed?.retryAt ?? never,
      this.#escaped?.lookAt ?? never,
    );
  }

  /** Ends the session, or asks the store whether it has ended; answers when to ask again (ms since 1970). */
  #expire(now: number): number {
    // A store that others write may have been told of activity elsewhere; it is asked, at most once a second.
    const again = now + Math.max(1000, Math.min(this.#touchInterval, this.#context.lease));
    this.#checkAgainAt = again;
    const { store } = this.#context;
    const isCertain = !store.isShared || (this.#absoluteEnd !== undefined && now >= this.#absoluteEnd);
    const ending = isCertain ? store.end(this.id, "SESSION_EXPIRED") : this.#read();
    ending.then(
      () => {
        // Still there although its time is over: somebody keeps it alive in a way that its text does not show.
        this.#checkAgainAt = again;
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
    this.#isDirty = false;
    this.#failed = undefined;
    this.#escaped = undefined;
    this.#controller?.abort(new SessionError(code));
    this.#context.ended(this, code);
    this.#disconnect(code);
  }

  #disconnect(code: EndCode | "STORE_UNAVAILABLE"): void {
    const connections = this.#connections;
    if (connections.length === 0) return;
    this.#connections = none;
    const said = verdict(code);
    for (const connection of connections) safely(() => connection.end(said));
    this.#context.settled(this);
  }
}

function lookAgain(live: ActiveSession): void {
  live.look();
}

function saveScheduled(live: ActiveSession): void {
  live.saveScheduled();
}

function endCodeOf(error: unknown): EndCode {
  const { code } = error as SessionError;
  return code === "SESSION_EXPIRED" || code === "SESSION_ROTATED" ? code : "SESSION_DESTROYED";
}

/** The fields without the cookie, as text: what counts as a change of data. */
function dataOf(text: string): string {
  const { cookie: _, ...fields } = strip(parse(text));
  return JSON.stringify(fields);
}

function ignore(): void {}
