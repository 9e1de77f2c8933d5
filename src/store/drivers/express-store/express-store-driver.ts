// The driver for any other express-session store. Has no compare-and-set, so that it is safe within one process only.
import type { SessionData, Store } from "express-session";
import { SessionError } from "../../../errors.js";
import { BoundedMap } from "../../../internal/bounded-map.js";
import { systemNow } from "../../../internal/system-time.js";
import { isPlainObject } from "../../record/merge.js";
import { inflate, isSameMaxAge, mayEndSooner, parse, timesOf } from "../../record/session-record.js";
import { isTooDeep } from "../../record/size-limits.js";
import type { Driver, Listed, Listing } from "../driver.js";
import type { StoreConnection } from "./store-connection.js";
import { StoreTraits } from "./store-traits.js";

/** How many sessions' values are kept between a read and the write that follows it. */
const mostOriginals = 1000;
/** Of how many sessions it is known what expiry the store was sent. */
const mostExpiries = 50_000;
/** Stores keep expiries in whole seconds: a session may outlive the expiry that they were sent by as much (ms). */
const rounding = 2000;
/** By how much the timer that sends activity to the store may be late (ms). */
const lateness = 200;

/** How long a session lives, as this process has sent it to the store. */
interface SentExpiry {
  /** When it ends, unless somebody else prolongs it (ms since 1970). */
  readonly expires: number;
  /** What the store was sent: not before `expires`, so as not to cut short what others prolonged (ms since 1970). */
  readonly sent: number;
  readonly maxAge: number;
}

/** Sessions in somebody else's store, as it keeps them. */
export class ExpressStoreDriver implements Driver {
  readonly isShared = true;
  readonly isAtomic = false;
  readonly #store: Store;
  readonly #connection: StoreConnection;
  readonly #traits: StoreTraits;
  /** Many stores move an expiry beside the data, where nobody can read it. */
  readonly #sentExpiries = new BoundedMap<string, SentExpiry>(mostExpiries);
  /** True once another process was seen to write or prolong sessions: the store knows more than this one has sent. */
  #hasOtherWriters = false;
  readonly #since = systemNow();
  /** Values as the store gave them that JSON cannot hold, and its own fields: they go back with the next write. */
  readonly #originals = new BoundedMap<string, Record<string, unknown>>(mostOriginals);

  constructor(store: Store, connection: StoreConnection) {
    this.#store = store;
    this.#connection = connection;
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
      if (isRecordError(error)) return "";
      throw error;
    }
    if (!data) return undefined;
    // The reader reports what makes no sense.
    if (typeof data !== "object" || Array.isArray(data)) return JSON.stringify(data);
    const text = textOf(await this.#keepOriginals(id, data));
    return text === "" ? "" : this.#withSentExpiry(id, text);
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
    await this.#traits.detect();
    const { returnsExpired, touchMovesData } = this.#traits;
    // Where only the data shows that a session is over, the data has to say how long it lives.
    if (returnsExpired && !touchMovesData) return this.#write(id, text, false);
    const data = this.#toSessionData(id, text, this.#hasOtherWriters ? this.#fullExpiry(text) : 0);
    await this.#touch(id, data);
    return true;
  }

  async remove(id: string): Promise<void> {
    try {
      await call<void>((done) => this.#store.destroy(id, done));
    } catch (error) {
      if ((error as NodeJS.ErrnoException | undefined)?.code !== "ENOENT") throw error;
    }
    this.#sentExpiries.delete(id);
    this.#originals.delete(id);
  }

  async all(): Promise<Listing> {
    let sessions: unknown;
    try {
      sessions = await this.#callOptional("all");
    } catch (error) {
      // Stores stumble over a record that is null, say.
      if (!isRecordError(error) && !(error instanceof TypeError)) throw error;
      if (typeof (this.#store as ListingStore).ids === "function") return this.#readEach(await this.ids());
      throw isRecordError(error) ? new SessionError("RECORD_INVALID", { cause: error }) : error;
    }
    if (typeof sessions !== "object" || sessions === null) return new Map();
    if (Array.isArray(sessions)) return this.#readListed(sessions.map(listed));
    const byId = Object.entries(sessions).map(([id, data]) => ({ id, data: data as unknown }));
    return new Map((await this.#readListed(byId)).map(({ id, text }) => [id as string, text]));
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
    return this.#callOptional("length") as Promise<number>;
  }

  async clear(): Promise<void> {
    await this.#callOptional("clear");
  }

  close(): void {
    this.#connection.close();
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
    const data = this.#toSessionData(
      id,
      text,
      isExact || returnsExpired || touchMovesData ? 0 : this.#fullExpiry(text),
    );
    await call<void>((done) => this.#store.set(id, data, done));
    return true;
  }

  /** What the store listed, as it would have been read one by one: many stores list what is over, too. */
  async #readListed(sessions: readonly ListedEntry[]): Promise<readonly Listed[]> {
    // Then its own fields in the data are known.
    if (sessions.length > 0) await this.#traits.detect();
    const alive: Listed[] = [];
    for (const { id, data } of sessions) {
      const text = textOf(isPlainObject(data) ? this.#withoutOwnFields(data) : data);
      const current = id === undefined || text === "" ? text : await this.#withSentExpiry(id, text);
      if (current !== undefined) alive.push({ id, text: current });
    }
    return alive;
  }

  /** Reads one after the other, where not all can be read at once. */
  async #readEach(ids: readonly string[]): Promise<readonly Listed[]> {
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
  #fullExpiry(text: string): number {
    const { maxAge } = timesOf(text);
    return maxAge === undefined ? 0 : systemNow() + maxAge;
  }

  /**
   * The session as the store gets it, which takes its own expiry from the cookie: not before `least`. What the store
   * gave, and nobody changed, goes back as it was.
   */
  #toSessionData(id: string, text: string, least: number): SessionData {
    const { expires, maxAge } = timesOf(text);
    const record = parse(text);
    const sent = Math.max(expires, least);
    if (maxAge === undefined || expires === Infinity) this.#sentExpiries.delete(id);
    else {
      // Where nobody knows how long it lives, it lives as long as the store keeps it.
      const isKnown = expires > systemNow() && this.#sentExpiry(id, maxAge) && !this.#hasOtherWriters;
      // Before the store has it: a store that does not answer may have taken it.
      this.#sentExpiries.set(id, { expires: isKnown ? expires : sent, sent, maxAge });
      record.cookie.expires = new Date(sent).toISOString();
    }
    // With express-session's own cookie object: stores read maxAge and expires from it.
    const data = inflate(record) as SessionData & Record<string, unknown>;
    for (const [key, value] of Object.entries(this.#originals.get(id) ?? {})) {
      const isUnchanged = JSON.stringify(data[key]) === JSON.stringify(value);
      if (isUnchanged || this.#traits.ownFields.has(key)) data[key] = value;
    }
    return data;
  }

  /** What the store was sent for this session, unless it has another maxAge since. */
  #sentExpiry(id: string, maxAge: number): SentExpiry | undefined {
    const known = this.#sentExpiries.get(id);
    return known && isSameMaxAge(known.maxAge, maxAge) ? known : undefined;
  }

  /** What the store gave, with the expiry that is known here; undefined for a session that is over. */
  async #withSentExpiry(id: string, text: string): Promise<string | undefined> {
    const { expires, maxAge } = timesOf(text);
    const now = systemNow();
    const known = maxAge === undefined ? undefined : this.#sentExpiry(id, maxAge);
    const isOver = (end: number): boolean => end <= now;
    if (isOver(known?.expires ?? expires)) await this.#traits.detect();
    const { returnsExpired } = this.#traits;
    // Another process wrote it, as the data shows; or prolonged it, as it is there after all that was sent from here.
    const isWritten = known ? expires > known.sent : expires - (maxAge ?? Infinity) > this.#since;
    if (isWritten || (known && !returnsExpired && isOver(known.sent + rounding))) this.#hasOtherWriters = true;
    const isAlone = known && !this.#hasOtherWriters;
    const end = isAlone ? known.expires : Math.max(expires, known?.expires ?? 0);
    if (isOver(end)) {
      if (returnsExpired) return undefined;
      // Only writes from here keep it there, and they were no activity.
      if (isAlone && known.sent - known.expires > activityInterval(known.maxAge)) return undefined;
    }
    if (end === expires) return text;
    const record = parse(text);
    record.cookie.expires = new Date(end).toISOString();
    return JSON.stringify(record);
  }

  /** Leaves the store's own fields out, and keeps them for the next write, with values that JSON would change. */
  async #keepOriginals(id: string, data: SessionData): Promise<object> {
    const entries = Object.entries(data).filter(([key]) => key !== "cookie");
    if (entries.some(([key, value]) => key.startsWith("_") || isObjectOfClass(value))) await this.#traits.detect();
    const { ownFields } = this.#traits;
    const originals = entries.filter(([key, value]) => ownFields.has(key) || isObjectOfClass(value));
    if (originals.length === 0) return data;
    this.#originals.set(id, Object.fromEntries(originals));
    return this.#withoutOwnFields(data);
  }

  #withoutOwnFields(data: object): object {
    return Object.fromEntries(Object.entries(data).filter(([key]) => !this.#traits.ownFields.has(key)));
  }

  async #callOptional(method: "all" | "length" | "clear"): Promise<unknown> {
    const operation = this.#store[method] as ((done: Done<unknown>) => void) | undefined;
    if (typeof operation !== "function") throw this.#unsupported(method);
    return call((done) => operation.call(this.#store, done));
  }
}

/** As connect-redis has it. */
interface ListingStore {
  ids?(done: Done<string[]>): unknown;
}

/** A session as a store lists it, with an id where it has one. */
interface ListedEntry {
  readonly id: string | undefined;
  readonly data: unknown;
}

function listed(one: unknown): ListedEntry {
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

/** True where an error is about one record, not the storage: its text is no JSON, or it is of another kind. */
function isRecordError(error: unknown): boolean {
  return error instanceof SyntaxError || (error instanceof Error && error.message.startsWith("WRONGTYPE"));
}

type Done<T> = (error?: unknown, value?: T) => void;

function call<T>(operation: (done: Done<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    const returned = operation((error, value) => {
      if (!error) resolve(value as T);
      else reject(error instanceof Error ? error : new Error("the store failed", { cause: error }));
    });
    // A method may be async besides: somebody has to catch what it rejects with.
    if (returned instanceof Promise) returned.catch(reject);
  });
}

/** The store gets activity as late as this (ms): a write that it caused may be as much later than the expiry sent with it. */
function activityInterval(maxAge: number): number {
  return Math.min(maxAge / 10, 60_000) + lateness;
}

/** A Date, say: no object that JSON gives back as it was. */
function isObjectOfClass(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isPlainObject(value);
}
