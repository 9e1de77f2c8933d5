// Adapts a store that is not Connect's or express-session's: it may keep sessions without cookies, and lack destroy().
import type { AnyStore } from "./sessions.js";

type Data = Record<string, unknown>;
type Done = (error?: unknown, data?: Data | null) => void;

interface PlainStore {
  get?(id: string, done: Done): unknown;
  set?(id: string, data: Data, done: Done): unknown;
  destroy?(id: string, done: Done): unknown;
  createSession?: unknown;
}

/** The store as one whose sessions can be saved. As it is where it is of one of the two. */
export function savable(store: AnyStore): AnyStore {
  const plain = store as unknown as PlainStore;
  if (typeof plain.createSession === "function" || !plain.get || !plain.set) return store;
  const adapted: PlainStore = {
    get: (id, done) => plain.get?.(id, done),
    set: (id, data, done) => plain.set?.(id, withoutEmptyCookie(data), done),
    destroy: (id, done) => (plain.destroy ? plain.destroy(id, done) : done()),
  };
  return adapted as unknown as AnyStore;
}

/** Sessions are given a cookie while they are in use. */
function withoutEmptyCookie(data: Data): Data {
  const { cookie, ...fields } = data;
  const { originalMaxAge } = (cookie ?? {}) as { originalMaxAge?: number | null };
  return originalMaxAge === undefined || originalMaxAge === null ? fields : data;
}
