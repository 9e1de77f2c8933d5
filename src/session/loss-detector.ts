// What the fields of a session were a moment ago: tells data that is older than what was known from data that is newer.
// Keeps hashes only; when there is reason to ask is not decided here.
import { isDeepStrictEqual } from "node:util";
import type { WriteId } from "../store/drivers/driver.js";
import { monotonicNow } from "../internal/monotonic.js";
import { isPlainObject, type Json, type JsonObject } from "../store/record/merge.js";
import { parse, strip, timesOf } from "../store/record/session-record.js";

/** For how long it is remembered (ms): storage that comes back has lost its last seconds, or all. */
const memory = 60_000;
/** How many values are remembered, of 8 bytes each. */
const mostValues = 128;
/** Of how many nodes the last write is remembered. */
const mostWriters = 8;
/** Objects are compared by field to this depth; what is below counts as one value. */
const deepest = 8;

/** A field that differs between two states. */
type Differs = (path: string, one: Json | undefined, other: Json | undefined) => boolean;

/** A confirmed write of a node, and until when it counts. */
interface Confirmed extends WriteId {
  readonly until: number;
}

/** Remembers what the fields of one session were. */
export class LossDetector {
  /** Hashes of a field with a value that it had. */
  #values: number[] = [];
  /** Hashes of fields that go back and forth by themselves: an earlier value of theirs says nothing. */
  #fickle: number[] = [];
  /** The last one of each node. */
  #writes: Confirmed[] = [];
  /** When none of it is needed any more, a moment of `monotonicNow()`. */
  until = 0;

  /** The store has `after` from now on, in place of `before`. */
  add(before: string, after: string, now: number): void {
    this.until = now + memory;
    someDifference(fieldsOf(before), fieldsOf(after), (path, was, is) => {
      if (this.#has(path, is)) keep(this.#fickle, hashOf(path));
      keep(this.#values, hashOf(path, was));
      return false;
    });
  }

  noteWrite({ node, number }: WriteId, now: number): void {
    this.until = now + memory;
    const known = this.#writes.findIndex((write) => write.node === node);
    if (known >= 0) this.#writes.splice(known, 1);
    this.#writes.push({ node, number, until: this.until });
    if (this.#writes.length > mostWriters) this.#writes.shift();
  }

  /**
   * Whether a change is lost, where fields {@link LossDetector.isBackIn | are as they were}: it is, where the storage
   * `misses` one of the confirmed writes. What was remembered until now has served its purpose then.
   */
  async hasLost(
    before: string,
    after: string,
    misses: (writes: readonly WriteId[]) => Promise<boolean>,
  ): Promise<boolean> {
    const [values, fickle, writes] = [this.#values, this.#fickle, this.#writes];
    [this.#values, this.#fickle, this.#writes] = [[], [], []];
    const now = monotonicNow();
    if (await misses(writes.filter(({ until }) => until > now))) return true;
    if (this.#values.length === 0 && this.#writes.length === 0) {
      [this.#values, this.#fickle, this.#writes] = [values, fickle, writes];
      this.add(before, after, monotonicNow());
    }
    return false;
  }

  #has(path: string, value: Json | undefined): boolean {
    const hashed = hashOf(path, value);
    return this.#values.some((one) => one === hashed);
  }

  /**
   * True where `found` has something else than `expected`, and has it as it was before: a change that had been stored
   * is undone. Whoever makes it undone by a write of the same value looks the same, where no expiry moved with it.
   */
  isBackIn(found: string, expected: string): boolean {
    // Whoever wrote it has prolonged it, too.
    if (isLater(timesOf(found).expires, timesOf(expected).expires)) return false;
    return someDifference(
      fieldsOf(found),
      fieldsOf(expected),
      (path, there) => this.#has(path, there) && !this.#fickle.includes(hashOf(path)),
    );
  }
}

function isLater(one: number, other: number): boolean {
  return one > other && Number.isFinite(one);
}

function keep(list: number[], value: number): void {
  if (Number.isNaN(value) || list.includes(value)) return;
  list.push(value);
  if (list.length > mostValues) list.shift();
}

/** Whether `differs` says so of any field, at any depth; it is asked of all until then. */
function someDifference(one: JsonObject, other: JsonObject, differs: Differs, path = "", depth = 0): boolean {
  const isOther = (key: string): boolean => {
    const [here, there] = [field(one, key), field(other, key)];
    if (here === there) return false;
    const below = `${path} ${JSON.stringify(key)}`;
    if (isPlainObject(here) && isPlainObject(there) && depth < deepest)
      return someDifference(here, there, differs, below, depth + 1);
    return !isEqual(here, there) && differs(below, here, there);
  };
  for (const key of Object.keys(one)) if (isOther(key)) return true;
  for (const key of Object.keys(other)) if (!Object.hasOwn(one, key) && isOther(key)) return true;
  return false;
}

function isEqual(one: unknown, other: unknown): boolean {
  // Two scalars that are not the same are not equal.
  if (typeof one !== "object" || typeof other !== "object") return false;
  try {
    return isDeepStrictEqual(one, other);
  } catch {
    // Nested too deeply.
    return false;
  }
}

function field(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** A field, or a field with a value, as one number; NaN for what is nested too deeply, which is like nothing. */
function hashOf(path: string, value?: Json): number {
  try {
    const isObject = typeof value === "object" && value !== null;
    return fingerprint(`${path}=${isObject ? JSON.stringify(value, sortedKeys) : JSON.stringify(value)}`);
  } catch {
    return Number.NaN;
  }
}

/**
 * A number that stands for a text. Each write makes some, so they are cheap, and keep nothing secret: who finds two texts
 * with one number gains nothing, as the numbers of writes decide in the end.
 */
function fingerprint(text: string): number {
  // FNV-1a (https://datatracker.ietf.org/doc/draft-eastlake-fnv/), twice with 32 bits: 53 of them are kept.
  let [low, high] = [0x811c9dc5, 0x01000193];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ code, 0x85ebca6b);
  }
  return (high >>> 11) * 0x1_0000_0000 + (low >>> 0);
}

/** A storage may keep the keys of objects in an order of its own. */
function sortedKeys(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

/** Without the cookie: its expiry moves with each request. */
function fieldsOf(text: string): JsonObject {
  const { cookie: _, ...fields } = strip(parse(text));
  return fields;
}
