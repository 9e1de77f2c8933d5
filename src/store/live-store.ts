// The express-session Store that merges what is written, never brings a destroyed session back, and tells who
// listens. Works over a driver; knows nothing of sockets.
import { setTimeout as delay } from "node:timers/promises";
import { inspect } from "node:util";
import createDebug from "debug";
import session, { type SessionData } from "express-session";
import { type EndCode, endCodeOf, SessionError } from "../errors.js";
import { type Driver, type End, endMemory } from "./driver.js";
import { reconcile } from "./merge.js";
import { KeyedQueue } from "./queue.js";
import { UserIndex } from "./users.js";
import {
  addTicket,
  expiryOf,
  inflate,
  isMarked,
  marksOf,
  mergeInto,
  parse,
  prolong,
  type SessionRecord,
  stamp,
  stringify,
  strip,
  takeTicket,
  timesOf,
} from "./record.js";

const debug = createDebug("socket-session:live-store");

/** What a live store tells: a session has other data now, may have, has ended, or all have. */
export type Notice =
  | {
      readonly kind: "changed";
      readonly id: string;
      readonly text: string;
      /** Who committed it, where that matters to the receiver. */
      readonly source: object | undefined;
    }
  /** Another node changed it, or may have: what is known of it no longer counts. Without an id: of all sessions. */
  | { readonly kind: "stale"; readonly id: string | undefined }
  | { readonly kind: "ended"; readonly id: string; readonly code: EndCode }
  | { readonly kind: "cleared" };

/** Who wants to hear of changes, and may hold changes that the store has not seen yet. */
export interface Subscriber {
  /** Called within the session's queue, right after the commit, or when another node's notice comes. Must not throw. */
  onNotice(notice: Notice): void;
  /** Saves what is held back for this session; `undefined` when nothing is. */
  flush(id: string): Promise<void> | undefined;
  /** Whether it still wants to hear of this session. */
  watches(id: string): boolean;
}

/** Says whose session this is; undefined, null and "" for nobody's. */
export type UserOf = (session: SessionData) => string | number | null | undefined;

/** A session of a user, as it is stored. */
export interface StoredSession {
  readonly id: string;
  readonly text: string;
  /** When it became the user's (ms since 1970). */
  readonly created: number;
}

/** Options of `liveStore()`. */
export interface LiveStoreOptions {
  /** How long the storage may take to answer one command, in ms, before it counts as unavailable. Default 5000. */
  timeout?: number;
}

/** What is known of a session object in the application's hands. */
interface Origin {
  readonly id: string;
  /** The text it was read from; `undefined` for a session that is new and not stored yet. */
  base: string | undefined;
}

interface Draft {
  readonly text: string;
  readonly expires: number;
}

interface Late {
  /** Writes that may still arrive. */
  count: number;
  /** What was written since the first of them was given up; `text` is undefined where the session was removed. */
  known: { readonly text: string | undefined } | undefined;
}

type Callback<T = void> = (error?: unknown, value?: T) => void;

const attempts = 100;
/** How many commands that were given up may be under way: beyond, what needs the storage fails at once. */
const mostUnanswered = 1000;
/** From which attempt on (and for at most how many ms) a writer waits before it tries again. */
const patience = 3;
const longestWait = 20;
const emptyBase = `{"cookie":{}}`;

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
  /** Milliseconds a session may live since it was created, whatever its activity. Set by `createSessions`. */
  absoluteTimeout: number | undefined;

  #userOf: UserOf | undefined;
  #users: UserIndex | undefined;

  /** Since when the storage does not answer (ms since 1970); undefined while it does. */
  downSince: number | undefined;

  /** How often a write was tried again because another node was quicker. */
  retries = 0;

  readonly #driver: Driver;
  readonly #timeout: number;
  readonly #queue = new KeyedQueue();
  readonly #origins = new WeakMap<object, Origin>();
  readonly #subscribers = new Set<Subscriber>();
  /** Sessions with writes that were given up and may still arrive, and what was written after them. */
  readonly #late = new Map<string, Late>();
  readonly #ended = new Map<string, End>();
  /** Commands that were given up and are still under way. */
  #unanswered = 0;
  #isHearing: boolean;

  constructor(driver: Driver, options: LiveStoreOptions = {}) {
    super();
    const { timeout = 5000 } = options;
    if (!(timeout > 0)) throw new SessionError("OPTION_INVALID", { detail: "timeout is a number of ms above 0." });
    this.#driver = driver;
    this.#timeout = timeout;
    this.#isHearing = !driver.notices;
    driver.notices?.listen({
      heard: (id, kind) => {
        if (kind === "changed") this.#notify({ kind: "stale", id });
        else this.#remember(id, kind);
      },
      hearing: (isHearing) => {
        this.#isHearing = isHearing;
        // What happened while nothing was heard is not known.
        if (isHearing) this.#notify({ kind: "stale", id: undefined });
      },
    });
    // express-session puts its generator here; what it generates is new, and only what is new may be created.
    let generate: ((request: GeneratingRequest) => void) | undefined;
    Object.defineProperty(this, "generate", {
      configurable: true,
      get: () => generate,
      set: (original: (request: GeneratingRequest) => void) => {
        generate = (request) => {
          original(request);
          this.#origins.set(request.session, { id: request.sessionID, base: undefined });
        };
      },
    });
  }

  /** Whose a session is: from now on the sessions of each user are known. Set by `createSessions`. */
  set userOf(userOf: UserOf) {
    const { notes } = this.#driver;
    if (!notes) throw new SessionError("STORE_UNSUPPORTED", { detail: "It cannot keep which sessions a user has." });
    this.#userOf = userOf;
    this.#users = new UserIndex({
      read: (name) => this.#ask("", () => notes.read(name)),
      create: (name, text, expires) => this.#ask("", () => notes.create(name, text, expires)),
      touch: (name, text, expires, expected) => this.#ask("", () => notes.touch(name, text, expires, expected)),
    });
  }

  /** True while the storage does not answer. */
  get isDown(): boolean {
    return this.downSince !== undefined;
  }

  /** True where other processes can write the same sessions. */
  get isShared(): boolean {
    return this.#driver.isShared;
  }

  /** False while other nodes' notices are known to be missed. True, too, where the storage has none: see the lease. */
  get isHearing(): boolean {
    return this.#isHearing;
  }

  /** True where {@link LiveStore.readMany} is one command. */
  get canReadMany(): boolean {
    return this.#driver.readMany !== undefined;
  }

  // --- express-session's Store ---

  override get(id: string, callback: (error: unknown, session?: SessionData | null) => void): void {
    settle(this.#get(id), callback as Callback<SessionData | undefined>);
  }

  override set(id: string, data: SessionData, callback?: Callback): void {
    settle(this.#set(id, data), callback);
  }

  override touch(id: string, data: SessionData, callback?: () => void): void {
    settle(this.#touch(id, data), callback);
  }

  override destroy(id: string, callback?: Callback): void {
    settle(this.end(id, "SESSION_DESTROYED"), callback);
  }

  override regenerate(request: GeneratingRequest, callback: Callback): void {
    const next = (error?: unknown): void => {
      (this as unknown as { generate(request: GeneratingRequest): void }).generate(request);
      callback(error);
    };
    settle(this.end(request.sessionID, "SESSION_ROTATED"), next);
  }

  override createSession(request: never, data: SessionData): session.Session & SessionData {
    const { sessionID } = request as GeneratingRequest;
    // Data that did not come from get() is taken as read from the store now: it can update, never create.
    const origin = this.#origins.get(data) ?? { id: sessionID, base: stringify(data) };
    const created = super.createSession(request, data);
    this.#origins.set(created, { ...origin });
    return created;
  }

  override all(callback: (error: unknown, sessions?: never) => void): void {
    settle(this.#ask("", () => this.#driver.all()).then(withoutMarks), callback as Callback<unknown>);
  }

  override length(callback: (error: unknown, length?: number) => void): void {
    settle(
      this.#ask("", () => this.#driver.count()),
      callback as Callback<number>,
    );
  }

  override clear(callback?: Callback): void {
    const clearing = this.#queue.runAlone(async () => {
      await this.#ask("", () => this.#driver.clear());
      this.#notify({ kind: "cleared" });
    });
    settle(clearing, callback);
  }

  // --- for the live sessions ---

  /** Hears of every change made through this store, until the returned function is called. */
  subscribe(subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber);
    return () => {
      this.#subscribers.delete(subscriber);
      if (this.#subscribers.size === 0) this.#driver.notices?.close();
    };
  }

  /**
   * Asks for the notices of other nodes about this session: when it resolves, what they write from then on is heard
   * of. Undefined where the storage has no notices. Never rejects, see {@link LiveStore.isHearing}.
   */
  watch(id: string): Promise<void> | undefined {
    return this.#driver.notices?.watch(id);
  }

  /** The notices of this session are not needed any more, unless another subscriber watches it. */
  unwatch(id: string): void {
    for (const subscriber of this.#subscribers) if (subscriber.watches(id)) return;
    this.#driver.notices?.unwatch(id);
  }

  /**
   * Reads several sessions at once, outside of their queues: an answer may be older than what is known here, and only
   * one that is the same as what is known says something.
   */
  readMany(ids: readonly string[]): Promise<(string | undefined)[]> {
    return this.#ask("", () => (this.#driver.readMany as NonNullable<Driver["readMany"]>)(ids));
  }

  /**
   * Reads what is stored now. `use` runs within the session's queue, so that it sees the state before any later
   * notice and after all earlier ones.
   */
  read<T>(id: string, use: (text: string | undefined) => T): Promise<T> {
    return this.#queue.run(id, async () => use(await this.#current(id)));
  }

  /** Applies what changed from `base` to `next`; rejects with the end's code where there is nothing to update. */
  commit(id: string, base: string, next: string, source?: object): Promise<void> {
    return this.#queue.run(id, async () => {
      await this.#rewrite(id, (text) => this.#merged(text, base, next), source);
    });
  }

  /** Moves the expiry to a full maxAge from `at`; rejects with the end's code where there is no session. */
  prolong(id: string, at: number): Promise<void> {
    return this.#queue.run(id, async () => {
      await this.#rewrite(id, (text) => this.#prolonged(text, at), undefined, true);
    });
  }

  /**
   * Changes a session atomically: `change` gets the data as stored now and may run again on newer data. Resolves with
   * what `change` returned, when it is durable.
   */
  async update<T>(id: string, change: (data: SessionData) => T): Promise<T> {
    await this.#flush(id);
    return this.#queue.run(id, async () => {
      let result: T | undefined;
      await this.#rewrite(id, (text) => {
        const record = parse(text);
        const marks = marksOf(record);
        const data = inflate(strip(record));
        result = change(data);
        if (isPromise(result)) {
          Promise.resolve(result).catch(() => undefined);
          throw new SessionError("UPDATE_ASYNC");
        }
        const next = strip(parse(stringify(data)));
        return this.#draft(Object.assign(next, marks));
      });
      return result as T;
    });
  }

  /** Notes a ticket of this session until `expires` (ms since 1970); rejects with the end's code. */
  addTicket(id: string, nonce: string, expires: number): Promise<void> {
    return this.#queue.run(id, () =>
      this.#rewrite(id, (text) => {
        const record = parse(text);
        addTicket(record, nonce, expires, Date.now());
        return this.#draft(record);
      }),
    );
  }

  /** True for the first who takes this ticket, on whichever node; rejects with the end's code. */
  async takeTicket(id: string, nonce: string): Promise<boolean> {
    let isTaken = false;
    await this.#queue.run(id, () =>
      this.#rewrite(id, (text) => {
        const record = parse(text);
        isTaken = takeTicket(record, nonce);
        return isTaken ? this.#draft(record) : { text, expires: timesOf(text).expires };
      }),
    );
    return isTaken;
  }

  /** Creates a session from an object that `generate` made: resolves when it is stored. */
  create(id: string, data: SessionData): Promise<void> {
    return this.#set(id, data);
  }

  /** Removes a session and tells everyone why. Also right where it is not stored (any more). */
  end(id: string, code: EndCode): Promise<void> {
    return this.#queue.run(id, async () => {
      // Best effort: what stays in the index is dropped when it is next read.
      const text = this.#users && (await this.#stored(id).catch(() => undefined));
      const user = text === undefined ? undefined : this.#userIn(text);
      if (user !== undefined) this.#users?.remove(user, [id]).catch(ignore);
      await this.#write(id, undefined, () => this.#driver.remove(id, code));
      this.#remember(id, code);
    });
  }

  /** Why this session ended, and when, if that was within the last minute and is known here. */
  endOf(id: string): End | undefined {
    return this.#ended.get(id);
  }

  /** The sessions of a user that are stored now, on whichever node they were made. */
  async sessionsOf(user: string): Promise<StoredSession[]> {
    const users = this.#users;
    if (!users) throw new SessionError("OPTION_INVALID", { detail: "createSessions() was given no option user." });
    const found: StoredSession[] = [];
    const gone: string[] = [];
    for (const { id, created } of await users.entries(user)) {
      const text = await this.read(id, (stored) => stored);
      if (text !== undefined && this.#userIn(text) === user) found.push({ id, created, text });
      else if (text === undefined || created < Date.now() - endMemory) gone.push(id);
    }
    // One that was noted a moment ago may be about to be stored.
    users.remove(user, gone).catch(ignore);
    return found;
  }

  /**
   * As {@link LiveStore.update}, for a request's session object: its own changes are saved first, and it reflects
   * the update afterwards.
   */
  async updateObject<T>(id: string, data: SessionData, change: (data: SessionData) => T): Promise<T> {
    await this.#set(id, data);
    const result = await this.update(id, change);
    const origin = this.#origins.get(data);
    await this.read(id, (text) => {
      if (text === undefined || !origin) return;
      const record = parse(text);
      mergeInto(record, parse(origin.base ?? text), parse(stringify(data)));
      const { cookie } = data;
      reconcile(data as never, { ...strip(record), cookie: {} });
      data.cookie = cookie;
      origin.base = text;
    });
    return result;
  }

  /**
   * Takes a session object that the wrapped store made: as read from there now, or as a new one. Only what is new may
   * be created.
   */
  adopt(object: session.Session & Partial<SessionData>, isNew: boolean): void {
    this.#origins.set(object, { id: object.id, base: isNew ? undefined : stringify(object) });
  }

  /** Stops timers. The wrapped store or client stays open: it belongs to who made it. */
  close(): void {
    this.#driver.close();
  }

  // --- inside ---

  /** Whose session this text is. */
  #userIn(text: string): string | undefined {
    const user = this.#userOf?.(inflate(strip(parse(text))));
    return user === undefined || user === null || user === "" ? undefined : String(user);
  }

  /** Notes whose session it is, before it is written as such. */
  async #note(id: string, { text, expires }: Draft): Promise<void> {
    const user = this.#userIn(text);
    if (user !== undefined) await this.#users?.add(user, id, expires);
  }

  async #get(id: string): Promise<SessionData | undefined> {
    // What a socket of this process changed a moment ago is part of what HTTP reads.
    await this.#flush(id)?.catch(() => undefined);
    const text = await this.#stored(id);
    if (text === undefined) return undefined;
    if (this.absoluteTimeout !== undefined && this.#isTooOld(text)) {
      await this.end(id, "SESSION_EXPIRED");
      return undefined;
    }
    const data = strip(parse(text)) as unknown as SessionData;
    this.#origins.set(data, { id, base: text });
    return data;
  }

  async #set(id: string, data: SessionData): Promise<void> {
    // The text is taken now: the object may change before its turn comes.
    const next = stringify(data);
    const known = this.#origins.get(data);
    const origin = known?.id === id ? known : undefined;
    return this.#queue.run(id, async () => {
      const isNew = origin !== undefined && origin.base === undefined;
      if (!(isNew && (await this.#create(id, next)))) {
        try {
          // What an object of unknown origin lacks is no deletion: its base is empty.
          await this.#rewrite(id, (text) => this.#merged(text, origin?.base ?? emptyBase, next));
        } catch (error) {
          if (!endCodeOf(error)) throw error;
          if (origin || this.#ended.has(id)) debug("write to an ended session dropped");
          else await this.#create(id, next);
        }
      }
      if (origin) origin.base = next;
    });
  }

  async #touch(id: string, data: SessionData): Promise<void> {
    const next = stringify({ cookie: data.cookie });
    const origin = this.#origins.get(data);
    // Only the cookie of `data` counts here: other changes are written by set.
    const base = origin?.base ? stringify({ cookie: parse(origin.base).cookie }) : next;
    return this.#queue.run(id, async () => {
      try {
        await this.#rewrite(id, (text) => this.#merged(text, base, next), undefined, true);
      } catch (error) {
        if (!endCodeOf(error)) throw error;
      }
    });
  }

  /** Creates; false where the id is taken. */
  async #create(id: string, text: string): Promise<boolean> {
    const draft = this.#draft(strip(parse(text)));
    if (this.#users) await this.#note(id, draft);
    if (!(await this.#write(id, draft.text, () => this.#driver.create(id, draft.text, draft.expires)))) return false;
    this.#ended.delete(id);
    return true;
  }

  /** Compare-and-set until it holds: `change` makes the new text from the current one. */
  async #rewrite(id: string, change: (text: string) => Draft, source?: object, isTouch = false): Promise<void> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const text = await this.#current(id);
      if (text === undefined) throw this.#gone(id);
      const next = change(text);
      const isChanged = next.text !== text;
      // A store that is not ours may have an expiry of its own: a touch reaches it also where the cookie has none.
      if (isChanged || (isTouch && this.#driver.isShared)) {
        if (this.#users) await this.#note(id, next);
        // Who did not move the expiry leaves it: another service may have moved it beside the text.
        const isKept = Number.isFinite(next.expires) && next.expires === timesOf(text).expires;
        const written = await this.#write(id, next.text, () =>
          isTouch
            ? this.#driver.touch(id, next.text, next.expires, text)
            : this.#driver.replace(id, next.text, isKept ? undefined : next.expires, text),
        );
        if (!written) {
          this.retries++;
          // Among many writers, those who keep losing make room.
          if (attempt >= patience) await delay(Math.random() * Math.min(attempt, longestWait));
          continue;
        }
      }
      if (isChanged || source) this.#notify({ kind: "changed", id, text: next.text, source });
      return;
    }
    throw new SessionError("STORE_UNAVAILABLE", { detail: "Too many writers change this session at once." });
  }

  #merged(text: string, base: string, next: string): Draft {
    // Nobody else wrote: what the writer has is what is stored.
    if (text === base && this.absoluteTimeout === undefined && !isMarked(text) && !isMarked(next)) {
      return { text: next, expires: timesOf(next).expires };
    }
    const current = parse(text);
    mergeInto(current, parse(base), parse(next));
    return this.#draft(current);
  }

  #prolonged(text: string, at: number): Draft {
    const record = parse(text);
    prolong(record, at);
    return this.#draft(record);
  }

  /** What is to be stored for this record. */
  #draft(record: SessionRecord): Draft {
    if (this.absoluteTimeout !== undefined) stamp(record, Date.now());
    return { text: stringify(record), expires: expiryOf(record) };
  }

  /** What is stored, unless it is over its absolute lifetime. Runs within the queue. */
  async #current(id: string): Promise<string | undefined> {
    const text = await this.#stored(id);
    if (text === undefined) {
      await this.#learnEnd(id);
      return undefined;
    }
    if (this.absoluteTimeout === undefined || !this.#isTooOld(text)) return text;
    await this.#write(id, undefined, () => this.#driver.remove(id, "SESSION_EXPIRED"));
    this.#remember(id, "SESSION_EXPIRED");
    return undefined;
  }

  /** Asks the storage why a session is not there, where this node has not heard. */
  async #learnEnd(id: string): Promise<void> {
    const { endOf } = this.#driver;
    if (!endOf || this.#ended.has(id)) return;
    const end = await this.#ask(id, () => endOf.call(this.#driver, id));
    if (end) this.#keepEnd(id, end);
  }

  #isTooOld(text: string): boolean {
    const since = timesOf(text).createdAt;
    return this.absoluteTimeout !== undefined && since !== undefined && since + this.absoluteTimeout <= Date.now();
  }

  #gone(id: string): SessionError {
    return new SessionError(this.#ended.get(id)?.code ?? "SESSION_UNKNOWN");
  }

  #remember(id: string, code: EndCode): void {
    this.#keepEnd(id, { code, at: Date.now() });
    this.#notify({ kind: "ended", id, code });
  }

  #keepEnd(id: string, end: End): void {
    for (const [old, { at }] of this.#ended) {
      if (at > Date.now() - endMemory) break;
      this.#ended.delete(old);
    }
    // The first reason stands: an id that was rotated and is destroyed again was rotated.
    if (!this.#ended.has(id)) this.#ended.set(id, end);
  }

  #notify(notice: Notice): void {
    for (const subscriber of this.#subscribers) subscriber.onNotice(notice);
  }

  #flush(id: string): Promise<void> | undefined {
    let pending: Promise<void>[] | undefined;
    for (const subscriber of this.#subscribers) {
      const flushing = subscriber.flush(id);
      if (flushing) (pending ??= []).push(flushing);
    }
    return pending && Promise.all(pending).then(() => undefined);
  }

  /** What is stored; while a late write may still arrive, what was written after it. */
  #stored(id: string): Promise<string | undefined> {
    const known = this.#late.get(id)?.known;
    return known ? Promise.resolve(known.text) : this.#ask(id, () => this.#driver.read(id));
  }

  /**
   * Asks for a write. Without compare-and-set, one that was given up may arrive after a newer one, or after the end:
   * then the newer state is written again.
   */
  async #write<T>(id: string, text: string | undefined, command: () => Promise<T>): Promise<T> {
    let running: Promise<T> | undefined;
    try {
      const written = await this.#ask(id, () => (running = command()));
      const late = this.#late.get(id);
      if (late && written !== false) late.known = { text };
      return written;
    } catch (error) {
      if (running && !this.#driver.isAtomic) this.#follow(id, running);
      throw error;
    }
  }

  /** Waits for a write that was given up, for as long as ends are remembered. */
  #follow(id: string, running: Promise<unknown>): void {
    const late = this.#late.get(id) ?? { count: 0, known: undefined };
    this.#late.set(id, late);
    late.count++;
    let isOver = false;
    const forget = (): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      if (--late.count === 0) this.#late.delete(id);
    };
    const timer = setTimeout(forget, endMemory).unref();
    const rewrite = (): Promise<void> =>
      this.#queue.run(id, async () => {
        const { known } = late;
        if (!known || isOver) return;
        if (known.text === undefined) await this.#driver.remove(id, this.#ended.get(id)?.code ?? "SESSION_DESTROYED");
        else await this.#driver.replace(id, known.text, timesOf(known.text).expires, "");
      });
    // One that failed has arrived nowhere.
    running.then(rewrite).then(forget, forget);
  }

  /** Asks the storage; whatever goes wrong there is `STORE_UNAVAILABLE`, without the id in the cause. */
  #ask<T>(id: string, command: () => Promise<T>): Promise<T> {
    return this.#driver.isShared ? this.#askShared(id, command) : command();
  }

  async #askShared<T>(id: string, command: () => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    try {
      // Clients queue what they cannot send: an outage must not fill the memory with questions.
      if (this.#unanswered >= mostUnanswered) throw new Error("too many commands wait for an answer");
      const running = command();
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          this.#unanswered++;
          const answered = (): void => void this.#unanswered--;
          running.then(answered, answered);
          reject(new Error(`no answer within ${this.#timeout} ms`));
        }, this.#timeout);
      });
      const answer = await Promise.race([running, late]);
      if (this.downSince !== undefined) debug("the storage answers again, after %d ms", Date.now() - this.downSince);
      this.downSince = undefined;
      return answer;
    } catch (cause) {
      if (cause instanceof SessionError && cause.code === "STORE_UNSUPPORTED") throw cause;
      const error = redact(cause, id);
      if (this.downSince === undefined) debug("the storage does not answer: %s", error);
      this.downSince ??= Date.now();
      // What the application has to mend is told as such.
      const detail = cause instanceof SessionError ? `${cause.code}: ${cause.message}` : "";
      throw new SessionError("STORE_UNAVAILABLE", { detail, cause: error });
    } finally {
      clearTimeout(timer);
    }
  }
}

interface GeneratingRequest {
  sessionID: string;
  session: object;
}

function settle<T>(promise: Promise<T>, callback: Callback<T> | undefined): void {
  // On the next tick, outside of the promise: what the callback throws is the application's, as with any store.
  promise.then(
    (value) => callback && process.nextTick(callback, null, value),
    (error: unknown) => callback && process.nextTick(callback, error),
  );
}

/** What a store gave for all its sessions, a list or an object of them, as the application may see it. */
function withoutMarks(sessions: unknown): unknown {
  const strippedCopy = (one: unknown): unknown => strip({ ...(one as SessionRecord) });
  if (Array.isArray(sessions)) return sessions.map(strippedCopy);
  if (typeof sessions !== "object" || sessions === null) return sessions;
  return Object.fromEntries(Object.entries(sessions).map(([id, one]) => [id, strippedCopy(one)]));
}

function isPromise(value: unknown): boolean {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

/** The error without the session id, which stores like to put into theirs. */
export function redact(error: unknown, id: string): unknown {
  if (id === "" || !inspect(error, { depth: 10, maxArrayLength: null, maxStringLength: null }).includes(id))
    return error;
  const message =
    error instanceof Error ? error.message.replaceAll(id, "(session id)") : "details contain the session id";
  return new Error(message);
}

function ignore(): void {}
