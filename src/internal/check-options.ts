// Checks options when they are given: an unknown name or a value of a wrong kind is OPTION_INVALID. Knows no option
// itself.
import { SessionError } from "../errors.js";

/** All names of an options type: the compiler reports a forgotten one. */
export type NamesOf<Options> = { readonly [Name in keyof Required<Options>]: true };

/** The error for a wrong option. */
export function invalid(detail: string, cause?: unknown): SessionError {
  return new SessionError("OPTION_INVALID", { detail, cause });
}

/**
 * Refuses unknown names, and says where one belongs that is known `elsewhere`, or suggests the nearest known one.
 *
 * @throws SessionError `OPTION_INVALID`
 */
export function checkNames(
  options: unknown,
  known: Readonly<Record<string, true>>,
  where: string,
  elsewhere: (name: string) => string | undefined = () => undefined,
): void {
  if (options === undefined) return;
  // Arrays, dates, maps and promises are objects, too, but without names. A module is fine.
  if (!["[object Object]", "[object Module]"].includes(Object.prototype.toString.call(options))) {
    throw invalid(`The options of ${where} must be an object, not ${kindOf(options)}.`);
  }
  for (const name of Object.keys(options as object)) {
    if (Object.hasOwn(known, name)) continue;
    const place = elsewhere(name);
    const hint = place === undefined ? suggestion(name, Object.keys(known)) : ` It belongs elsewhere: ${place}.`;
    // A server, a store or an application in the place of the options that hold it.
    const kind = kindOf(options);
    const given = kind === "an object" ? "" : ` Its options are ${kind}: pass an object with names.`;
    throw invalid(`${where} has no option ${JSON.stringify(name)}.${hint}${given}`);
  }
}

/** " Did you mean …?" for a name that is nearly a known one; else "". */
export function suggestion(name: string, known: readonly string[]): string {
  const nearest = nearestOf(name, known);
  return nearest === undefined ? "" : ` Did you mean ${nearest}?`;
}

/** Refuses values that are no functions; undefined is fine. */
export function checkFunctions(values: Values): void {
  refuse(values, "a function", (value) => value === undefined || typeof value === "function");
}

/** Refuses values that are neither true nor false; undefined is fine. */
export function checkBooleans(values: Values): void {
  refuse(values, "true or false", (value) => value === undefined || typeof value === "boolean");
}

/** Refuses values that are no numbers above 0. */
export function checkPositive(values: Values): void {
  refuse(values, "a number above 0", (value) => typeof value === "number" && value > 0);
}

/** Refuses values that are no finite numbers above 0. */
export function checkFinite(values: Values): void {
  checkPositive(values);
  refuse(values, "a finite number", Number.isFinite);
}

/** The longest delay of Node's timers, in ms: 24.8 days. A longer one fires at once. */
const longestTimer = 2 ** 31 - 1;

/** Refuses values that are no delays of a timer, in ms. */
export function checkTimes(values: Values): void {
  checkPositive(values);
  for (const [name, value] of Object.entries(values)) {
    if ((value as number) > longestTimer)
      throw invalid(`${name} must be at most ${longestTimer} ms, not ${String(value)}.`);
  }
}

type Values = Readonly<Record<string, unknown>>;

function refuse(values: Values, what: string, isGood: (value: unknown) => boolean): void {
  for (const [name, value] of Object.entries(values)) {
    if (!isGood(value)) throw invalid(`${name} must be ${what}, not ${kindOf(value)}.`);
  }
}

/** The kind of a value in words, never the value: it may be secret. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (value === "") return "an empty string";
  if (Array.isArray(value)) return "an array";
  if (value instanceof Date) return Number.isNaN(value.valueOf()) ? "an invalid Date" : "a Date";
  if (typeof value === "number") {
    if (!Number.isFinite(value)) return String(value);
    return value < 0 ? "a negative number" : "a number";
  }
  if (typeof value !== "object") return `a ${typeof value}`;
  const { constructor } = value as { constructor?: { name?: unknown } };
  const name = typeof constructor?.name === "string" ? constructor.name : "Object";
  return name === "Object" || name === "" ? "an object" : `a ${name}`;
}

/** As {@link kindOf}, with the text of a string: for values that are no secrets. */
export function shown(value: unknown): string {
  return typeof value === "string" && value !== ""
    ? `a string (${JSON.stringify(value.slice(0, 100))})`
    : kindOf(value);
}

/** The known name that is probably meant. */
function nearestOf(name: string, known: readonly string[]): string | undefined {
  const asked = name.toLowerCase();
  // Two of three letters make another word.
  const farthest = name.length > 3 ? Math.max(2, Math.floor(name.length / 3)) : 1;
  const ranked = known.map((one) => {
    const candidate = one.toLowerCase();
    const isPart = asked.length > 2 && (asked.includes(candidate) || candidate.includes(asked));
    return { one, distance: isPart ? 1 : distanceOf(asked, candidate) };
  });
  const [best] = ranked.toSorted((a, b) => a.distance - b.distance);
  return best && best.distance <= farthest ? best.one : undefined;
}

/** How many letters somebody has to change, add or leave out (Levenshtein). */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
