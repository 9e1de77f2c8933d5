// The live store over any other express-session store.
import session, { type Store } from "express-session";
import { SessionError } from "../../../errors.js";
import { kindOf } from "../../../internal/check-options.js";
import { warnOnce } from "../../../warnings.js";
import type { Driver } from "../driver.js";
import { LiveStore, type LiveStoreOptions } from "../../live-store.js";
import { ExpressStoreDriver } from "./express-store-driver.js";
import { StoreConnection } from "./store-connection.js";

/**
 * Makes a live store of any express-session store, or of a driver of your own. A live store is given back as it is.
 *
 * An express-session store has no compare-and-set and no notices, so the promises hold **within one
 * process**: nothing written through this object is lost or brought back. Another process that writes the same
 * sessions can still overwrite a change made in the same few milliseconds, and its changes reach the sockets here
 * within the lease (default 30 s) instead of at once.
 *
 * @throws SessionError `STORE_UNSUPPORTED` for something that is neither, `OPTION_INVALID`
 * @example
 * ```ts
 * const sessions = createSessions({ secret, store: liveStore(new FileStore({ path: "./sessions" })) });
 * ```
 */
export function liveStore(store: Store | Driver, options?: LiveStoreOptions): LiveStore {
  if (store instanceof LiveStore) return store;
  if (isDriver(store)) return new LiveStore(store, options);
  const candidate = store as Partial<Store> | null | undefined;
  for (const method of ["get", "set", "destroy"] as const) {
    if (typeof candidate?.[method] !== "function") {
      throw new SessionError("STORE_UNSUPPORTED", { detail: `It has no ${method}(). ${hintFor(store)}`.trim() });
    }
  }
  if (isClient(store)) throw new SessionError("STORE_UNSUPPORTED", { detail: hintFor(store) });
  if (store instanceof session.MemoryStore && process.env["NODE_ENV"] === "production") {
    warnOnce("MEMORY_STORE_IN_PRODUCTION");
  }
  const connection = new StoreConnection(store);
  const live = new LiveStore(new ExpressStoreDriver(store, connection), options);
  connection.reportTo(live);
  return live;
}

/** True for a client of Redis, which has methods of the same names as a store. */
function isClient(value: unknown): boolean {
  const { sendCommand, call, duplicate } = (value ?? {}) as Partial<Record<string, unknown>>;
  return typeof duplicate === "function" && (typeof sendCommand === "function" || typeof call === "function");
}

/** What was probably meant by something that is no store. */
function hintFor(value: unknown): string {
  const { connect, query, then } = (value ?? {}) as Partial<Record<string, unknown>>;
  if (isClient(value))
    return "It is a client of Redis. Write store: redisStore({ client }), from socket-session/redis.";
  if (typeof connect === "function" && typeof query === "function")
    return "It is a pool of PostgreSQL. Write store: postgresStore({ pool }), from socket-session/postgres.";
  if (typeof then === "function") return "It is a promise: await it first.";
  if (typeof value === "function") return "It is a class or a function: pass what new or a call of it gives.";
  return `It is ${kindOf(value)}. Write store: memoryStore(), or liveStore() of an express-session store.`;
}

/** True for what an application implements itself: no express-session store compares and replaces. */
function isDriver(store: Store | Driver): store is Driver {
  const driver = store as Partial<Driver & Store> | null | undefined;
  return typeof driver?.read === "function" && typeof driver.replace === "function" && typeof driver.get !== "function";
}
