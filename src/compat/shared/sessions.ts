// Sessions out of any express-session or Connect store, whose save() merges: it writes what was changed, and only if
// the session is still there.
import session, { type SessionData, type Store } from "express-session";
import { invalid } from "../../internal/check-options.js";
import { liveStore } from "../../store/drivers/express-store/express-store.js";
import { redact } from "../../store/commands/command-runner.js";
import type { LiveStore } from "../../store/live-store.js";
import { once } from "./once.js";

/** An express-session `Session`. */
export type Session = session.Session & SessionData;

/** A store as the older modules take it: `get` is enough to read, `get`, `set` and `destroy` to save. */
export type AnyStore =
  | Store
  | { load(id: never, done: (error: unknown, session?: never) => void): unknown }
  | { get(id: never, done: (error: unknown, session?: never) => void): unknown };

/** @throws SessionError `OPTION_INVALID` for a store that cannot be read, or a cookie parser that is no function. */
export function requireParts(store: AnyStore, parser: unknown): void {
  const { load, get } = (store ?? {}) as Methods;
  if (typeof load !== "function" && typeof get !== "function")
    throw invalid("The session store has neither load() nor get().");
  if (typeof parser !== "function") throw invalid("The cookie parser must be a function.");
}

interface Methods {
  load?(id: unknown, done: (error: unknown, session?: object | null) => void): unknown;
  get?(id: unknown, done: (error: unknown, session?: object | null) => void): unknown;
  set?: unknown;
  destroy?: unknown;
}

/** How long an application's store may take (ms): as long as a live store waits by default. */
export const patience = 5000;

/**
 * Reads a session through the store's `load()`, else its `get()`. Answers once: with the store's error, with
 * `STORE_UNAVAILABLE` where it does not answer, or with null where it has no such session.
 */
export function loadSession(
  store: AnyStore,
  id: unknown,
  done: (error: unknown, session: Session | null) => void,
): void {
  const reader = store as Methods;
  once<[found?: object | null]>(
    (error, found) => {
      // express-session takes ENOENT for "no such session": file stores answer so.
      if (error && (error as NodeJS.ErrnoException).code !== "ENOENT") return done(redact(error, nameable(id)), null);
      let read: Session | null;
      try {
        read = found && !error ? mergeOnSave(store, String(id), found) : null;
      } catch (broken) {
        return done(redact(broken, nameable(id)), null);
      }
      done(null, read);
    },
    (answer) => (hasOwnLoad(store) ? reader.load?.(id, answer) : reader.get?.(id, answer)),
    patience,
  );
}

/**
 * Whether a store has a load() of its own. express-session's is get() and createSession(), and throws for a record
 * without a cookie where nobody can catch it, in the store's callback.
 */
function hasOwnLoad(store: AnyStore): boolean {
  const { load } = store as Methods;
  return typeof load === "function" && (load !== session.Store.prototype.load || !mergingStore(store));
}

/** Short ids, of tests, are in any stack trace: those are not looked for. */
function nameable(id: unknown): string {
  return typeof id === "string" && id.length >= 16 ? id : "";
}

/** The same session as one whose save() merges. As it is where the store can only read. */
export function mergeOnSave(store: AnyStore, id: string, found: object): Session {
  // What is none (a broken record) is given as it is: there is nothing to save in it.
  if (typeof found !== "object") return found;
  const live = mergingStore(store);
  if (!live || (live === store && "save" in found)) return found as Session;
  return live.createSession({ sessionID: id, sessionStore: live } as never, copy(found));
}

type Generating = { generate?(request: object): void };

const merging = new WeakMap<object, LiveStore>();

/** The live store over this store: always the same one. Undefined where the store can only read. */
export function mergingStore(store: AnyStore): LiveStore | undefined {
  const { get, set, destroy } = store as Methods;
  if (typeof get !== "function" || typeof set !== "function" || typeof destroy !== "function") return undefined;
  let live = merging.get(store);
  if (!live) {
    live = liveStore(store as Store);
    // For regenerate(): express-session puts it on its own store, where it knows the cookie's options.
    if (live !== store) (live as Generating).generate = (request) => (store as Generating).generate?.(request);
    merging.set(store, live);
  }
  return live;
}

/** The data alone, with the cookie as it is stored. */
function copy(found: object): SessionData {
  const data = JSON.parse(JSON.stringify(found)) as SessionData;
  data.cookie ??= { originalMaxAge: null, expires: null } as never;
  return data;
}
