// Session data as text and as the object that handlers see: how one comes into the other. Knows no store.
import { diff, type JsonObject, reconcile } from "../store/record/merge.js";
import { inflate, mergeInto, parse, stringify, strip } from "../store/record/session-record.js";
import { withoutMethods } from "./socket-session.js";

/** Puts what is stored on an empty root. */
export function fillRoot(root: object, text: string): void {
  Object.assign(root, inflate(withoutMethods(strip(parse(text)))));
}

/**
 * Brings `text` into the root, whose objects stay the same. What the root has over `base` stays on top; without a base it
 * has nothing. Throws where the root cannot be written.
 */
export function rebaseRoot(root: { cookie?: unknown }, text: string, base: string | undefined): void {
  const wanted = parse(text);
  if (base !== undefined) mergeInto(wanted, parse(base), parse(stringify(root)));
  const { cookie, ...fields } = withoutMethods(strip(wanted));
  // The cookie is an object of a class: its fields are set, the rest is plain data.
  const inflated = inflate({ cookie }).cookie;
  const own = root.cookie;
  delete root.cookie;
  reconcile(root as JsonObject, fields);
  root.cookie = typeof own === "object" && own !== null ? Object.assign(own, inflated) : inflated;
}

/** Whether the root is other than what is stored. Throws where the root cannot be written. */
export function isOther(root: object, text: string): boolean {
  return diff(strip(parse(text)), parse(stringify(root))) !== undefined;
}

/** A root without a cookie gets the stored one: the session would never expire. */
export function keepCookie(root: { cookie?: unknown }, text: string): void {
  root.cookie ??= inflate(parse(text)).cookie;
}
