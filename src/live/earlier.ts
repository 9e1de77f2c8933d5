// What the store had of a session a moment ago: tells data that is older than what was known from data that is newer.
// Knows only texts; when there is reason to ask is not decided here.
import { isDeepStrictEqual } from "node:util";
import { isPlainObject, type Json, type JsonObject } from "../store/merge.js";
import { parse, strip } from "../store/record.js";

/** For how long a text is remembered (ms): storage that comes back has lost its last seconds, or all. */
const memory = 60_000;
const mostTexts = 16;

export class Earlier {
  #texts: string[] = [];
  /** When none of it is needed any more, a moment of `monotonicNow()`. */
  until = 0;

  /** The store has other data from now on. */
  add(text: string, now: number): void {
    this.#texts.push(text);
    if (this.#texts.length > mostTexts) this.#texts.shift();
    this.until = now + memory;
  }

  /**
   * True where `found` has something else than `expected`, and has it as it was before: a change that had been stored
   * is undone. Whoever makes it undone by a write of the same value looks the same.
   */
  isBackIn(found: string, expected: string): boolean {
    const before = this.#texts.map(fieldsOf);
    return isUndone(fieldsOf(found), fieldsOf(expected), before);
  }
}

/** Whether a field differs from what is expected, and is as it was in one of the states before. */
function isUndone(found: JsonObject, expected: JsonObject, before: readonly JsonObject[]): boolean {
  for (const key of new Set([...Object.keys(found), ...Object.keys(expected)])) {
    const [there, wanted] = [field(found, key), field(expected, key)];
    if (isDeepStrictEqual(there, wanted)) continue;
    const earlier = before.map((one) => field(one, key));
    if (isPlainObject(there) && isPlainObject(wanted)) {
      if (isUndone(there, wanted, earlier.filter(isPlainObject))) return true;
    } else if (earlier.some((value) => isDeepStrictEqual(value, there))) return true;
  }
  return false;
}

function field(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Without the cookie: its expiry moves with each request. */
function fieldsOf(text: string): JsonObject {
  const { cookie: _, ...fields } = strip(parse(text));
  return fields;
}
