// The driver for any other express-session store. Has no compare-and-set, so that it is safe within one process only.
import session, { type SessionData, type Store } from "express-session";
import { SessionError } from "../errors.js";
import { warnOnce } from "../warnings.js";
import type { Driver, Listed, Listing } from "./driver.js";
import { LiveStore, type LiveStoreOptions } from "./live-store.js";
import { inflate, parse } from "./record.js";

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
  const live = new LiveStore(new ForeignDriver(store), options);
  // express-session passes requests by without a session while a store says that it is disconnected.
  for (const event of ["connect", "disconnect"]) store.on?.(event, () => live.emit(event));
  return live;
}

class ForeignDriver implements Driver {
  readonly isShared = true;
  readonly isAtomic = false;
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async read(id: string): Promise<string | undefined> {
    try {
      const data = await call<SessionData | null | undefined>((done) => this.#store.get(id, done));
      return data ? JSON.stringify(data) : undefined;
    } catch (error) {
      // express-session takes ENOENT for "no such session": file stores answer so.
      if ((error as NodeJS.ErrnoException | undefined)?.code === "ENOENT") return undefined;
      if (isOfRecord(error)) return "";
      throw error;
    }
  }

  async create(id: string, text: string): Promise<boolean> {
    return this.#write(id, text);
  }

  async replace(id: string, text: string): Promise<boolean> {
    return this.#write(id, text);
  }

  async touch(id: string, text: string): Promise<boolean> {
    const { touch } = this.#store;
    if (typeof touch !== "function") return this.#write(id, text);
    await call<void>((done) => touch.call(this.#store, id, inflate(parse(text)), done));
    return true;
  }

  async remove(id: string): Promise<void> {
    try {
      await call<void>((done) => this.#store.destroy(id, done));
    } catch (error) {
      if ((error as NodeJS.ErrnoException | undefined)?.code !== "ENOENT") throw error;
    }
  }

  async all(): Promise<Listing> {
    let sessions: unknown;
    try {
      sessions = await this.#optional("all");
    } catch (error) {
      if (!isOfRecord(error)) throw error;
      if (typeof (this.#store as ListingStore).ids === "function") return this.#each(await this.ids());
      throw new SessionError("RECORD_INVALID", { cause: error });
    }
    if (typeof sessions !== "object" || sessions === null) return new Map();
    const texts = (key: string): string => JSON.stringify((sessions as Record<string, unknown>)[key]);
    if (!Array.isArray(sessions)) return new Map(Object.keys(sessions).map((id) => [id, texts(id)]));
    return sessions.map((one: unknown) => {
      const { id, ...data } = (one ?? {}) as { id?: unknown };
      return typeof id === "string" ? { id, text: JSON.stringify(data) } : { id: undefined, text: JSON.stringify(one) };
    });
  }

  async ids(): Promise<string[]> {
    const { ids } = this.#store as ListingStore;
    if (typeof ids === "function") return call<string[]>((done) => ids.call(this.#store, done));
    const sessions = await this.all();
    const known: (string | undefined)[] =
      sessions instanceof Map
        ? [...(sessions as ReadonlyMap<string, string>).keys()]
        : (sessions as readonly Listed[]).map(({ id }) => id);
    if (known.every((id) => id !== undefined)) return known as string[];
    throw this.#unsupported("ids");
  }

  count(): Promise<number> {
    return this.#optional("length") as Promise<number>;
  }

  async clear(): Promise<void> {
    await this.#optional("clear");
  }

  close(): void {}

  async #write(id: string, text: string): Promise<boolean> {
    // With express-session's own cookie object: stores read maxAge and expires from it.
    await call<void>((done) => this.#store.set(id, inflate(parse(text)), done));
    return true;
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
