// The driver for any other express-session store. Has no compare-and-set, so that it is safe within one process only.
import session, { type SessionData, type Store } from "express-session";
import { SessionError } from "../../../errors.js";
import { warnOnce } from "../../../warnings.js";
import { StoreConnection } from "./store-connection.js";
import type { Driver, Listed, Listing } from "../driver.js";
import { LiveStore, type LiveStoreOptions } from "../../live-store.js";
import { KnownExpiries } from "./known-expiries.js";
import { isPlainObject } from "../../record/merge.js";
import { isTooDeep } from "../../record/size-limits.js";
import { inflate, mayEndSooner, parse, timesOf } from "../../record/session-record.js";
import { StoreTraits } from "./store-traits.js";

/**
 * Makes a live store of any express-session store. A live store is given back as it is.
 *
 * An express-session store has no compare-and-set and tells nobody of changes, so the promises hold **within one
 * process**: nothing written through this object is lost or brought back. Another process that writes the same
 * sessions can still overwrite a change made in the same few milliseconds, and its changes reach the sockets here
 * within the lease (default 30 s) instead of at once.
 *
 * @throws SessionError `STORE_UNSUPPORTED` for something that is not an express-session store.
 * @example
 * ```ts
 * const sessions = createSessions({ secret, store: liveStore(new FileStore({ path: "./sessions" })) });
 * ```
 */
export function liveStore(store: Store, options?: LiveStoreOptions): LiveStore {
  if (store instanceof LiveStore) return store;
  const candidate = store as Partial<Store> | null | undefined;
  for (const method of ["get", "set", "destroy"] as const) {
    if (typeof candidate?.[method] !== "function") {
      throw new SessionError("STORE_UNSUPPORTED", { detail: `It has no ${method}().` });
    }
  }
  if (store instanceof session.MemoryStore && process.env["NODE_ENV"] === "production") {
    warnOnce("MEMORY_STORE_IN_PRODUCTION");
  }
  const driver = new ExpressStoreDriver(store);
  const live = new LiveStore(driver, options);
  driver.connection = new StoreConnection(store, live);
  return live;
}

/** How many sessions' values are kept between a read and the write that follows it. */
const mostOriginals = 1000;
/** Stores keep expiries in whole seconds: a session may outlive what they were told by as much (ms). */
const rounding = 2000;
/** By how much the timer that tells of activity may be late (ms). */
const lateness = 200;

class ExpressStoreDriver implements Driver {
  readonly isShared = true;
  readonly isAtomic = false;
  /** What the store says of its connection. */
  connection: StoreConnection | undefined;
  readonly #store: Store;
  readonly #traits: StoreTraits;
  readonly #lives = new KnownExpiries();
  /** True where another process was seen to write or to prolong sessions: what was told from here is not all. */
  #hasOthers = false;
  readonly #since = Date.now();
  /** Values as the store gave them that JSON cannot hold, and its own fields: they go back with the next write. */
  readonly #originals = new Map<string, Record<string, unknown>>();

  constructor(store: Store) {
    this.#store = store;
    this.#traits = new StoreTraits({
      get: (id) => this.#get(id),
      set: (id, data) => call<void>((done) => store.set(id, data, done)),
      touch: typeof store.touch === "function" ? (id, data) => this.#touch(id, data) : undefined,
      destroy: (id) => this.remove(id),
    });
  }

  async read(id: string): Promise<string | undefined> {
    let data: SessionData | null | undefined;
    try {
      data = await this.#get(id);
    } catch (error) {
      if (isOfRecord(error)) return "";
      throw error;
    }
    if (!data) return undefined;
    // What makes no sense is for the reader to tell.
    if (typeof data !== "object" || Array.isArray(data)) return JSON.stringify(data);
    const text = textOf(await this.#withoutOriginals(id, data));
    return text === "" ? "" : this.#current(id, text);
  }

  async create(id: string, text: string): Promise<boolean> {
    return this.#write(id, text, true);
  }

  async replace(id: string, text: string, _expires: number | undefined, expected: string): Promise<boolean> {
    return this.#write(id, text, expected !== "" && mayEndSooner(text, expected));
  }

  async touch(id: string, text: string, _expires: number, expected: string): Promise<boolean> {
    // Many stores' touch would leave a new maxAge out.
    if (mayEndSooner(text, expected)) return this.#write(id, text, true);
    if (typeof this.#store.touch !== "function") return this.#write(id, text, false);
    await this.#traits.known();
    const { returnsExpired, touchMovesData } = this.#traits;
    // Where only the data tells that a session is over, the data has to tell how long it lives.
    if (returnsExpired && !touchMovesData) return this.#write(id, text, false);
    const data = this.#outgoing(id, text, this.#hasOthers ? this.#full(text) : 0);
    await this.#touch(id, data);
    return true;
  }

  async remove(id: string): Promise<void> {
    try {
      await call<void>((done) => this.#store.destroy(id, done));
    } catch (error) {
      if ((error as NodeJS.ErrnoException | undefined)?.code !== "ENOENT") throw error;
    }
    this.#lives.forget(id);
    this.#originals.delete(id);
  }

  async all(): Promise<Listing> {
    let sessions: unknown;
    try {
      sessions = await this.#optional("all");
    } catch (error) {
      // As stores stumble over a record that is null, say.
      if (!isOfRecord(error) && !(error instanceof TypeError)) throw error;
      if (typeof (this.#store as ListingStore).ids === "function") return this.#each(await this.ids());
      throw isOfRecord(error) ? new SessionError("RECORD_INVALID", { cause: error }) : error;
    }
    if (typeof sessions !== "object" || sessions === null) return new Map();
    if (Array.isArray(sessions)) return this.#alive(sessions.map(listed));
    const byId = Object.entries(sessions).map(([id, data]) => ({ id, data: data as unknown }));
    return new Map((await this.#alive(byId)).map(({ id, text }) => [id as string, text]));
  }

  async ids(): Promise<string[]> {
    const { ids } = this.#store as ListingStore;
    if (typeof ids === "function") return call<string[]>((done) => ids.call(this.#store, done));
    const sessions = await this.all();
    const known: (string | undefined)[] =
      sessions instanceof Map
        ? [...(sessions as ReadonlyMap<string, string>).keys()]
        : (sessions as readonly Listed[]).map(({ id }) => id);
    if (known.every((id) => id !== undefined)) return known;
    throw this.#unsupported("ids");
  }

  count(): Promise<number> {
    return this.#optional("length") as Promise<number>;
  }

  async clear(): Promise<void> {
    await this.#optional("clear");
  }

  close(): void {
    this.connection?.close();
  }

  async #get(id: string): Promise<SessionData | null | undefined> {
    try {
      return await call<SessionData | null | undefined>((done) => this.#store.get(id, done));
    } catch (error) {
      // express-session takes ENOENT for "no such session": file stores answer so.
      if ((error as NodeJS.ErrnoException | undefined)?.code === "ENOENT") return undefined;
      throw error;
    }
  }

  #touch(id: string, data: SessionData): Promise<void> {
    return call<void>((done) => this.#store.touch?.(id, data, done));
  }

  async #write(id: string, text: string, isExact: boolean): Promise<boolean> {
    const { returnsExpired, touchMovesData } = this.#traits;
    // How long others made it live cannot be read, but it is no longer than a whole maxAge.
    const data = this.#outgoing(id, text, isExact || returnsExpired || touchMovesData ? 0 : this.#full(text));
    await call<void>((done) => this.#store.set(id, data, done));
    return true;
  }

  /** What the store listed, as it would have been read one by one: many stores list what is over, too. */
  async #alive(sessions: readonly Entry[]): Promise<readonly Listed[]> {
    // What it adds to data of its own is known then.
    if (sessions.length > 0) await this.#traits.known();
    const alive: Listed[] = [];
    for (const { id, data } of sessions) {
      const text = textOf(isPlainObject(data) ? this.#withoutOwn(data) : data);
      const current = id === undefined || text === "" ? text : await this.#current(id, text);
      if (current !== undefined) alive.push({ id, text: current });
    }
    return alive;
  }

  /** One after the other, where not all can be read. */
  async #each(ids: readonly string[]): Promise<readonly Listed[]> {
    const sessions: Listed[] = [];
    for (const id of ids) {
      const text = await this.read(id);
      if (text !== undefined) sessions.push({ id, text });
    }
    return sessions;
  }

  #unsupported(method: string): SessionError {
    return new SessionError("STORE_UNSUPPORTED", { detail: `${this.#store.constructor.name} has no ${method}().` });
  }

  /** When a session ends that is used now (ms since 1970); 0 where its cookie sets no limit. */
  #full(text: string): number {
    const { maxAge } = timesOf(text);
    return maxAge === undefined ? 0 : Date.now() + maxAge;
  }

  /**
   * The session as the store gets it, which takes its own expiry from the cookie: not before `least`. What the store
   * gave, and nobody changed, goes back as it was.
   */
  #outgoing(id: string, text: string, least: number): SessionData {
    const { expires, maxAge } = timesOf(text);
    const record = parse(text);
    const given = Math.max(expires, least);
    if (maxAge === undefined || expires === Infinity) this.#lives.forget(id);
    else {
      // Where it is not known how long it lives, it lives as long as the store is told.
      const isKnown = expires > Date.now() && this.#lives.of(id, maxAge) && !this.#hasOthers;
      // Before the store has it: it may be told although it does not answer.
      this.#lives.keep(id, { until: isKnown ? expires : given, given, maxAge });
      record.cookie.expires = new Date(given).toISOString();
    }
    // With express-session's own cookie object: stores read maxAge and expires from it.
    const data = inflate(record) as SessionData & Record<string, unknown>;
    for (const [key, value] of Object.entries(this.#originals.get(id) ?? {})) {
      const isUnchanged = JSON.stringify(data[key]) === JSON.stringify(value);
      if (isUnchanged || this.#traits.ownFields.has(key)) data[key] = value;
    }
    return data;
  }

  /** What the store gave, with the expiry that is known here; undefined for a session that is over. */
  async #current(id: string, text: string): Promise<string | undefined> {
    const { expires, maxAge } = timesOf(text);
    const now = Date.now();
    const life = maxAge === undefined ? undefined : this.#lives.of(id, maxAge);
    const isOver = (end: number): boolean => end <= now;
    if (isOver(life?.until ?? expires)) await this.#traits.known();
    const { returnsExpired } = this.#traits;
    // Another process wrote it, as the data shows; or prolonged it, as it is there after all that was told from here.
    const isWritten = life ? expires > life.given : expires - (maxAge ?? Infinity) > this.#since;
    if (isWritten || (life && !returnsExpired && isOver(life.given + rounding))) this.#hasOthers = true;
    const isAlone = life && !this.#hasOthers;
    const end = isAlone ? life.until : Math.max(expires, life?.until ?? 0);
    if (isOver(end)) {
      if (returnsExpired) return undefined;
      // Nothing keeps it there but writes from here, which were no activity.
      if (isAlone && life.given - life.until > activityInterval(life.maxAge)) return undefined;
    }
    if (end === expires) return text;
    const record = parse(text);
    record.cookie.expires = new Date(end).toISOString();
    return JSON.stringify(record);
  }

  /** The data without fields of the store's own; these, and values that JSON changes, are kept for the next write. */
  async #withoutOriginals(id: string, data: SessionData): Promise<object> {
    const entries = Object.entries(data).filter(([key]) => key !== "cookie");
    if (entries.some(([key, value]) => key.startsWith("_") || isObjectOfClass(value))) await this.#traits.known();
    const { ownFields } = this.#traits;
    const originals = entries.filter(([key, value]) => ownFields.has(key) || isObjectOfClass(value));
    if (originals.length === 0) return data;
    this.#originals.delete(id);
    this.#originals.set(id, Object.fromEntries(originals));
    if (this.#originals.size > mostOriginals) this.#originals.delete(this.#originals.keys().next().value as string);
    return this.#withoutOwn(data);
  }

  #withoutOwn(data: object): object {
    return Object.fromEntries(Object.entries(data).filter(([key]) => !this.#traits.ownFields.has(key)));
  }

  async #optional(method: "all" | "length" | "clear"): Promise<unknown> {
    const operation = this.#store[method] as ((done: Done<unknown>) => void) | undefined;
    if (typeof operation !== "function") throw this.#unsupported(method);
    return call((done) => operation.call(this.#store, done));
  }
}

/** As connect-redis has it. */
interface ListingStore {
  ids?(done: Done<string[]>): unknown;
}

/** What a store lists: a session, with an id where it says so. */
interface Entry {
  readonly id: string | undefined;
  readonly data: unknown;
}

function listed(one: unknown): Entry {
  const { id, ...data } = (one ?? {}) as { id?: unknown };
  if (typeof id !== "string") return { id: undefined, data: one };
  return { id, data: Array.isArray(one) ? one : data };
}

/** What a store gave, as text; "" for what is no JSON, or is nested too deep. */
function textOf(data: unknown): string {
  try {
    const text = JSON.stringify(data) ?? "";
    return isTooDeep(text) ? "" : text;
  } catch {
    return "";
  }
}

/** True where an error tells of one record, not of the storage: its text is no JSON, or it is of another kind. */
function isOfRecord(error: unknown): boolean {
  return error instanceof SyntaxError || (error instanceof Error && error.message.startsWith("WRONGTYPE"));
}

type Done<T> = (error?: unknown, value?: T) => void;

function call<T>(operation: (done: Done<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    const returned = operation((error, value) => {
      if (!error) resolve(value as T);
      else reject(error instanceof Error ? error : new Error("the store failed", { cause: error }));
    });
    // A method that is async besides: what it rejects with must not be nobody's.
    if (returned instanceof Promise) returned.catch(reject);
  });
}

/** Activity is told as late as this (ms): a write that it caused may be as much later than what was told of it. */
function activityInterval(maxAge: number): number {
  return Math.min(maxAge / 10, 60_000) + lateness;
}

/** A Date, say: no object that JSON gives back as it was. */
function isObjectOfClass(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isPlainObject(value);
}
