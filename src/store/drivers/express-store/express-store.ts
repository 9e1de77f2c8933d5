// The live store over any other express-session store.
import session, { type Store } from "express-session";
import { SessionError } from "../../../errors.js";
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
      throw new SessionError("STORE_UNSUPPORTED", { detail: `It has no ${method}().` });
    }
  }
  if (store instanceof session.MemoryStore && process.env["NODE_ENV"] === "production") {
    warnOnce("MEMORY_STORE_IN_PRODUCTION");
  }
  const connection = new StoreConnection(store);
  const live = new LiveStore(new ExpressStoreDriver(store, connection), options);
  connection.reportTo(live);
  return live;
}

/** True for what an application implements itself: no express-session store compares and replaces. */
function isDriver(store: Store | Driver): store is Driver {
  const driver = store as Partial<Driver & Store> | null | undefined;
  return typeof driver?.read === "function" && typeof driver.replace === "function" && typeof driver.get !== "function";
}
