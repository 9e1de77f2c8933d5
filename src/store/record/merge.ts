// What changed between two states of a session, and how a change is applied to a third. Plain objects merge by key at
// every depth; arrays and scalars are one value. No recursion, and no comparing of each with each: clients shape the data.

/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | JsonObject;

/** A plain JSON object. */
export interface JsonObject {
  [key: string]: Json;
}

/** What changed: values set, keys removed, and plain objects to go into. */
export interface Patch {
  set?: JsonObject;
  unset?: string[];
  into?: { [key: string]: Patch };
}

/** True for objects that merge by key: `{}` literals and what JSON.parse makes of them. */
export function isPlainObject(value: unknown): value is JsonObject {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * The changes of a writer that read `base` and wants `next` stored; undefined where there are none.
 *
 * @example
 * ```ts
 * diff({ a: 1, b: { c: 2 } }, { a: 1, b: { c: 3 } }); // { into: { b: { set: { c: 3 } } } }
 * ```
 */
export function diff(base: JsonObject, next: JsonObject): Patch | undefined {
  const root: Compared = { base, next, patch: {}, outer: undefined, key: "", isPart: false };
  const waiting = [root];
  for (let one = waiting.pop(); one; one = waiting.pop()) compare(one, waiting);
  return root.isPart ? root.patch : undefined;
}

/** Two objects that are compared, and where their patch belongs if it says something. */
interface Compared {
  readonly base: JsonObject;
  readonly next: JsonObject;
  readonly patch: Patch;
  readonly outer: Compared | undefined;
  readonly key: string;
  isPart: boolean;
}

function compare(one: Compared, waiting: Compared[]): void {
  const { base, next, patch } = one;
  for (const key of Object.keys(next)) {
    // A key that would set the prototype of what it is applied to.
    if (key === "__proto__") continue;
    const before = Object.hasOwn(base, key) ? base[key] : undefined;
    const after = next[key] as Json;
    if (isPlainObject(after) && (before === undefined || isPlainObject(before))) {
      // An object that is new on both sides merges too, so it is compared with an empty one.
      const inner = { base: before ?? {}, next: after, patch: {}, outer: one, key, isPart: false };
      if (before === undefined) becomePart(inner);
      waiting.push(inner);
    } else if (!isEqual(before, after)) {
      (patch.set ??= {})[key] = after;
      becomePart(one);
    }
  }
  for (const key of Object.keys(base)) {
    if (Object.hasOwn(next, key) || key === "__proto__") continue;
    (patch.unset ??= []).push(key);
    becomePart(one);
  }
}

function becomePart(compared: Compared): void {
  for (let one = compared; !one.isPart; one = one.outer) {
    one.isPart = true;
    if (!one.outer) return;
    (one.outer.patch.into ??= {})[one.key] = one.patch;
  }
}

/** Whether two values are the same JSON; the order of keys does not count. */
export function isEqual(one: unknown, other: unknown): boolean {
  const waiting: unknown[] = [one, other];
  while (waiting.length > 0) {
    const b = waiting.pop();
    const a = waiting.pop();
    if (Object.is(a, b)) continue;
    if (Array.isArray(a) && Array.isArray(b)) {
      if (a.length !== b.length) return false;
      for (let index = 0; index < a.length; index++) {
        if (!Object.is(a[index], b[index])) waiting.push(a[index], b[index]);
      }
    } else if (isPlainObject(a) && isPlainObject(b)) {
      const keys = Object.keys(a);
      if (keys.length !== Object.keys(b).length) return false;
      for (const key of keys) {
        if (!Object.hasOwn(b, key)) return false;
        waiting.push(a[key], b[key]);
      }
    } else return false;
  }
  return true;
}

/**
 * Applies a patch to `target`, in place.
 *
 * @example
 * ```ts
 * apply({ a: 1, b: { c: 2, d: 4 } }, { into: { b: { set: { c: 3 } } } }); // { a: 1, b: { c: 3, d: 4 } }
 * ```
 */
export function apply(target: JsonObject, patch: Patch): JsonObject {
  const waiting: [target: JsonObject, patch: Patch][] = [[target, patch]];
  for (let one = waiting.pop(); one; one = waiting.pop()) {
    const [object, { set, unset, into }] = one;
    if (unset) for (const key of unset) delete object[key];
    Object.assign(object, set);
    for (const [key, inner] of Object.entries(into ?? {})) {
      const there = Object.hasOwn(object, key) ? object[key] : undefined;
      const changed = isPlainObject(there) ? there : {};
      object[key] = changed;
      waiting.push([changed, inner]);
    }
  }
  return target;
}

/**
 * Makes `target` equal to `wanted`, in place: objects and arrays that are on both sides keep their identity, so that
 * a reference which somebody holds across an await stays part of the data.
 */
export function reconcile(target: JsonObject, wanted: JsonObject): void {
  const seen = new Set<unknown>([target]);
  const waiting: [there: object, wanted: object][] = [[target, wanted]];
  /** What stands in the place of `there` from now on. */
  const reconciled = (there: unknown, value: unknown): unknown => {
    // One object in two places: after this they may differ.
    if (typeof there !== "object" || seen.has(there)) return value;
    seen.add(there);
    if ((isPlainObject(there) && isPlainObject(value)) || (Array.isArray(there) && Array.isArray(value))) {
      waiting.push([there, value]);
      return there;
    }
    // A Date whose text is the stored one, say, stays the Date that the application put there.
    return textOf(there) === JSON.stringify(value) ? there : value;
  };
  for (let one = waiting.pop(); one; one = waiting.pop()) {
    const [there, value] = one;
    if (Array.isArray(there)) reconcileArrays(there as unknown[], value as unknown[], reconciled);
    else reconcileObjects(there as JsonObject, value as JsonObject, reconciled);
  }
}

function reconcileObjects(target: JsonObject, wanted: JsonObject, reconciled: Reconciled): void {
  for (const key of Object.keys(target)) {
    if (!Object.hasOwn(wanted, key)) delete target[key];
  }
  for (const key of Object.keys(wanted)) {
    if (key !== "__proto__") target[key] = reconciled(target[key], wanted[key]) as Json;
  }
}

type Reconciled = (there: unknown, wanted: unknown) => unknown;

function reconcileArrays(elements: unknown[], wanted: readonly unknown[], reconciled: Reconciled): void {
  // By place only where none came or went: an element that somebody holds must not become another one.
  const before = elements.length === wanted.length ? elements : found(elements, wanted);
  for (let index = 0; index < wanted.length; index++) elements[index] = reconciled(before[index], wanted[index]);
  elements.length = wanted.length;
}

/** For each wanted value the object among the elements that says the same; each is found once. */
function found(elements: readonly unknown[], wanted: readonly unknown[]): unknown[] {
  const byText = new Map<string | undefined, unknown[]>();
  for (const element of elements) {
    const text = textOf(element);
    const same = byText.get(text);
    if (same) same.push(element);
    else byText.set(text, [element]);
  }
  for (const same of byText.values()) same.reverse();
  return wanted.map((value) => byText.get(textOf(value))?.pop());
}

/** Undefined for what JSON cannot hold, and for scalars, which have no identity to keep. */
function textOf(value: unknown): string | undefined {
  if (typeof value !== "object") return undefined;
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}
