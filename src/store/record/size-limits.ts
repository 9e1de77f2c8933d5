// How deep a session's values may be nested, and how many bytes its text may have. Looks at texts: recursion into data
// could overflow the stack, since clients shape the data.
import { SessionError } from "../../errors.js";

/**
 * How many arrays and objects may stand in one another in a field. What others do with a session (express-session,
 * JSON.stringify, Lua, PostgreSQL) goes into it by recursion, and copes with little more than this.
 */
const mostLevels = 1000;

/** How many bytes a session's text may have where nothing else is said. */
export const defaultMaxSize = 1 << 20;

const quote = 34;
const backslash = 92;
const [openArray, closeArray, openObject, closeObject] = [91, 93, 123, 125];

/** True for the JSON text of a session with a field that is nested too deep. */
export function isTooDeep(text: string): boolean {
  return hasLevels(text, mostLevels + 2);
}

/** Whether a JSON text has so many arrays and objects in one another. */
function hasLevels(text: string, levels: number): boolean {
  // Each takes a character to open and one to close it.
  if (text.length < 2 * levels) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === quote) at = endOfString(text, at);
    else if (character === openArray || character === openObject) {
      if (++depth >= levels) return true;
    } else if (character === closeArray || character === closeObject) depth--;
  }
  return false;
}

function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let escapes = 0;
    while (text.charCodeAt(at - 1 - escapes) === backslash) escapes++;
    if (escapes % 2 === 0) return at;
  }
  return text.length;
}

/** Why session data cannot be written as JSON that others can read; names the field. */
export function unstorable(data: object, cause?: unknown): SessionError {
  for (const [name, value] of Object.entries(data)) {
    try {
      const text = JSON.stringify(value) as string | undefined;
      if (text !== undefined && hasLevels(text, mostLevels + 1)) return tooDeep(name);
    } catch (error) {
      if (error instanceof RangeError) return tooDeep(name);
      return new SessionError("DATA_INVALID", { detail: `It is in the field ${quotedField(name)}.`, cause: error });
    }
  }
  return new SessionError("DATA_INVALID", { cause });
}

function tooDeep(name: string): SessionError {
  const detail = `The field ${quotedField(name)} is nested deeper than ${mostLevels} levels.`;
  return new SessionError("DATA_INVALID", { detail });
}

/** Throws `DATA_INVALID` for a session's text of more bytes than `most`. */
export function checkSize(text: string, most: number): void {
  // No character takes more than three bytes of UTF-8 for each unit of a string's length.
  if (text.length * 3 <= most) return;
  const bytes = Buffer.byteLength(text);
  if (bytes <= most) return;
  const [name, size] = largestField(text);
  const detail = `It would take ${bytes} bytes, and maxSessionSize is ${most}. The largest field is ${quotedField(name)} with ${size} bytes.`;
  throw new SessionError("DATA_INVALID", { detail });
}

function largestField(text: string): [name: string, bytes: number] {
  let largest: [string, number] = ["", 0];
  for (const [name, value] of Object.entries(JSON.parse(text) as object)) {
    const bytes = Buffer.byteLength(JSON.stringify(value));
    if (bytes > largest[1]) largest = [name, bytes];
  }
  return largest;
}

/** A field's name for an error's text: it may be a client's. */
export function quotedField(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}
