// A session as it is stored: one JSON text with the fields, the cookie and our own marks, which are its creation time and
// its open tickets. The only place that knows this form.
import session, { type SessionData } from "express-session";
import { clearInvalidAttributes } from "./cookie-rules.js";
import { isTooDeep, unstorable } from "./size-limits.js";
import { apply, diff, isPlainObject, type JsonObject } from "./merge.js";

/** The stored cookie, as express-session's Cookie#toJSON writes it. */
export interface CookieRecord extends JsonObject {
  originalMaxAge: number | null;
  expires: string | null;
}

/** A stored session, parsed. */
export interface SessionRecord extends JsonObject {
  cookie: CookieRecord;
}

/** The field that holds when a session was created (ms since 1970). Never shown to the application. */
const created = "__created";

/** The field that holds the unused tickets: when each ends (ms since 1970), by its nonce. */
const tickets = "__tickets";

/** How many tickets of a session can be open at once; a further one replaces the oldest. */
const mostTickets = 16;

/** Parses a stored text. */
export function parse(text: string): SessionRecord {
  const record = JSON.parse(text) as JsonObject;
  if (!isPlainObject(record)) throw new TypeError("a stored session is not a JSON object");
  const { cookie } = record;
  if (isPlainObject(cookie)) {
    clearInvalidTimes(cookie);
    clearInvalidAttributes(cookie);
  } else record["cookie"] = { originalMaxAge: null, expires: null };
  return record as SessionRecord;
}

/** So many ms (30,000 years) can be added to any moment. */
const longestLife = 1e15;

/** Clears times that are none: express-session throws at them, where nobody catches it. */
function clearInvalidTimes(cookie: JsonObject): void {
  const { originalMaxAge, expires } = cookie;
  if (typeof originalMaxAge !== "number" || Math.abs(originalMaxAge) >= longestLife) cookie["originalMaxAge"] = null;
  const isNumber = typeof expires === "number" && Math.abs(expires) < longestLife;
  if (isNumber) cookie["expires"] = new Date(expires).toISOString();
  else if (moment(expires) === Number.POSITIVE_INFINITY) cookie["expires"] = null;
}

/** Parses a text that somebody else may have written; undefined where it is no session, or too deep to work with. */
export function tryParse(text: string): SessionRecord | undefined {
  try {
    return isTooDeep(text) ? undefined : parse(text);
  } catch {
    return undefined;
  }
}

/** Writes session data as text; throws `DATA_INVALID` for data that JSON cannot hold, or that is nested too deep. */
export function stringify(data: object): string {
  let text: string;
  try {
    text = JSON.stringify(data);
  } catch (cause) {
    throw unstorable(data, cause);
  }
  if (isTooDeep(text)) throw unstorable(data);
  return text;
}

/** The times of a stored session. */
export interface Times {
  /** How long it lives without activity, in ms; undefined where the cookie sets no limit. */
  readonly maxAge: number | undefined;
  /** When the cookie ends (ms since 1970), or Infinity. */
  readonly expires: number;
  /** When it was created (ms since 1970), where that was noted. */
  readonly createdAt: number | undefined;
}

/** How express-session's sessions begin. */
const head = /^\{"cookie":\{"originalMaxAge":(null|\d{1,15}),"expires":(?:null|"([^"]+)")[,}]/;

/** The beginning that was read last: what a write has before it and after it mostly begin with the same cookie. */
let lastHead: { readonly text: string; readonly times: Times } | undefined;

/** Reads a session's times from its text: mostly from its first characters, as each connection and each write needs them. */
export function timesOf(text: string): Times {
  if (isMarked(text)) return timesOfRecord(tryParse(text));
  if (lastHead && text.startsWith(lastHead.text)) return lastHead.times;
  const match = head.exec(text);
  if (!match) return timesOfRecord(tryParse(text));
  const maxAge = match[1] === "null" ? undefined : Number(match[1]);
  const times = { maxAge, expires: moment(match[2]), createdAt: undefined };
  lastHead = { text: match[0], times };
  return times;
}

function timesOfRecord(record: SessionRecord | undefined): Times {
  if (!record) return { maxAge: undefined, expires: Number.POSITIVE_INFINITY, createdAt: undefined };
  return {
    maxAge: record.cookie.originalMaxAge ?? undefined,
    expires: expiryOf(record),
    createdAt: typeof record[created] === "number" ? record[created] : undefined,
  };
}

function moment(text: unknown): number {
  const at = typeof text === "string" ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? Number.POSITIVE_INFINITY : at;
}

/** When a session ends by itself (ms since 1970), or Infinity. */
export function expiryOf(record: SessionRecord): number {
  return moment(record.cookie.expires);
}

/** True where a text holds marks of ours. */
export function isMarked(text: string): boolean {
  // Their first characters are rare, and found without looking at each character: most texts have none.
  return text.includes("__") && (text.includes(`"${created}":`) || text.includes(`"${tickets}":`));
}

/** Notes when the session was created, once. */
export function stamp(record: SessionRecord, now: number): void {
  record[created] ??= now;
}

/** Removes our marks, which the application must not see. */
export function strip(record: SessionRecord): SessionRecord {
  delete record[created];
  delete record[tickets];
  return record;
}

/** The fields without the cookie, as text: what counts as a change of data. */
export function dataOf(text: string): string {
  const { cookie: _, ...fields } = strip(parse(text));
  return JSON.stringify(fields);
}

/** Our marks alone. */
export function marksOf(record: SessionRecord): JsonObject {
  const marks: JsonObject = {};
  for (const key of [created, tickets]) if (record[key] !== undefined) marks[key] = record[key];
  return marks;
}

/** Notes a new ticket, and forgets expired ones. */
export function addTicket(record: SessionRecord, nonce: string, expires: number, now: number): void {
  const open = Object.entries(ticketsOf(record)).filter(([, end]) => (end as number) > now);
  // The oldest first: a store may keep fields in an order of its own.
  open.sort(([, one], [, other]) => (one as number) - (other as number));
  record[tickets] = Object.fromEntries([...open.slice(1 - mostTickets), [nonce, expires]]);
}

/** Takes a ticket that was noted; false where it was not, or not any more. */
export function consumeTicket(record: SessionRecord, nonce: string): boolean {
  const { [nonce]: end, ...others } = ticketsOf(record);
  if (end === undefined) return false;
  if (Object.keys(others).length === 0) delete record[tickets];
  else record[tickets] = others;
  return true;
}

function ticketsOf(record: SessionRecord): JsonObject {
  const open = record[tickets];
  return isPlainObject(open) ? open : {};
}

/** Applies to `current` the changes of a writer that read `base` and wants `next`. */
export function mergeInto(current: SessionRecord, base: SessionRecord, next: SessionRecord): void {
  const cookie = mergeCookie(current.cookie, base.cookie, next.cookie);
  const patch = diff(strip({ ...base, cookie }), strip({ ...next, cookie }));
  if (patch) apply(current, patch);
  current.cookie = cookie;
}

/** `text`, with what `changed` has over `base`. */
export function rebaseText(text: string, base: string, changed: string): string {
  const next = parse(text);
  mergeInto(next, parse(base), parse(changed));
  return stringify(strip(next));
}

/**
 * Every request moves `expires`, so "the later commit wins" would let a slow request take back what a newer one
 * gave: without a new maxAge the later expiry stays, with a new maxAge the writer's own expiry goes with it.
 */
export function mergeCookie(current: CookieRecord, base: CookieRecord, next: CookieRecord): CookieRecord {
  const patch = diff(base, next);
  if (!patch) return current;
  const merged = apply({ ...current }, patch) as CookieRecord;
  if (isSameMaxAge(base.originalMaxAge, next.originalMaxAge)) {
    merged.originalMaxAge = current.originalMaxAge;
    const isOurs = isSameMaxAge(current.originalMaxAge, next.originalMaxAge);
    merged.expires = isOurs ? later(current.expires, next.expires) : current.expires;
  }
  return merged;
}

/**
 * Whether two values are the same maxAge. express-session computes it from two readings of the clock: a mere touch may
 * lose a few ms.
 */
export function isSameMaxAge(a: unknown, b: unknown): boolean {
  if (typeof a !== "number" || typeof b !== "number") return (a ?? null) === (b ?? null);
  return Math.abs(a - b) < 50;
}

/**
 * True where the writer of `text` may want the session to end sooner than it does in the storage: with another maxAge
 * than `before`, or with an earlier expiry, which no merge makes.
 */
export function mayEndSooner(text: string, before: string): boolean {
  const [next, known] = [timesOf(text), timesOf(before)];
  return !isSameMaxAge(known.maxAge, next.maxAge) || next.expires < known.expires;
}

/** Moves the expiry to a full maxAge from `now`, never backwards. */
export function prolong(record: SessionRecord, now: number): void {
  const { cookie } = record;
  if (typeof cookie.originalMaxAge !== "number") return;
  cookie.expires = later(cookie.expires, new Date(now + cookie.originalMaxAge).toISOString());
}

/** The second one where there are no two moments to compare. */
function later(a: string | null, b: string | null): string | null {
  return Date.parse(a as string) >= Date.parse(b as string) ? a : b;
}

/** express-session's types leave out what its constructor takes. */
const Cookie = session.Cookie as unknown as new (attributes: object) => session.Cookie;

/** Gives a parsed record the cookie object that express-session works with, as its Store#createSession makes it. */
export function inflate(record: SessionRecord): SessionData {
  const { expires, originalMaxAge } = record.cookie;
  const cookie = new Cookie(record.cookie);
  cookie.expires = expires === null ? null : new Date(expires);
  // The setter of `expires` has taken it for a maxAge.
  cookie.originalMaxAge = originalMaxAge;
  return Object.assign(record, { cookie }) as unknown as SessionData;
}
