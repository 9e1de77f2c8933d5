// What changed between two states of a session, and how a change is applied to a third.
// Plain objects merge by key at every depth; arrays and scalars are one value. Knows only JSON.
import { isDeepStrictEqual } from "node:util";

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
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * What a writer did, who read `base` and wants `next` stored; `undefined` when that is nothing.
 *
 * @example
 * ```ts
 * diff({ a: 1, b: { c: 2 } }, { a: 1, b: { c: 3 } }); // { into: { b: { set: { c: 3 } } } }
 * ```
 */
export function diff(base: JsonObject, next: JsonObject): Patch | undefined {
  const patch: Patch = {};
  let isEmpty = true;
  for (const key of Object.keys(next)) {
    // A key that would set the prototype of what it is applied to.
    if (key === "__proto__") continue;
    const before = Object.hasOwn(base, key) ? base[key] : undefined;
    const after = next[key] as Json;
    if (isPlainObject(after) && (before === undefined || isPlainObject(before))) {
      // An object that is new on both sides merges too, so it is compared with an empty one.
      const inner = diff(before ?? {}, after) ?? (before === undefined ? {} : undefined);
      if (!inner) continue;
      (patch.into ??= {})[key] = inner;
    } else {
      if (isDeepStrictEqual(before, after)) continue;
      (patch.set ??= {})[key] = after;
    }
    isEmpty = false;
  }
  for (const key of Object.keys(base)) {
    if (Object.hasOwn(next, key) || key === "__proto__") continue;
    (patch.unset ??= []).push(key);
    isEmpty = false;
  }
  return isEmpty ? undefined : patch;
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
  for (const key of patch.unset ?? []) delete target[key];
  if (patch.set) Object.assign(target, patch.set);
  for (const [key, inner] of Object.entries(patch.into ?? {})) {
    const there = Object.hasOwn(target, key) ? target[key] : undefined;
    target[key] = apply(isPlainObject(there) ? there : {}, inner);
  }
  return target;
}

/**
 * Makes `target` equal to `wanted`, in place: objects and arrays that are on both sides keep their identity, so that
 * a reference which somebody holds across an await stays part of the data.
 */
export function reconcile(target: JsonObject, wanted: JsonObject, seen = new Set<unknown>()): void {
  for (const key of Object.keys(target)) {
    if (!Object.hasOwn(wanted, key)) delete target[key];
  }
  for (const key of Object.keys(wanted)) {
    if (key !== "__proto__") target[key] = reconciled(target[key], wanted[key], seen) as Json;
  }
}

function reconciled(there: unknown, wanted: unknown, seen: Set<unknown>): unknown {
  if (typeof there !== "object" || there === null) return wanted;
  // One object in two places: after this they may differ.
  if (seen.has(there)) return wanted;
  seen.add(there);
  if (isPlainObject(there) && isPlainObject(wanted)) {
    reconcile(there, wanted, seen);
    return there;
  }
  if (Array.isArray(there) && Array.isArray(wanted)) {
    const elements = there as unknown[];
    // By place only where none came or went: an element that somebody holds must not become another one.
    const before =
      elements.length === wanted.length
        ? elements
        : wanted.map((value) => elements.find((one) => isDeepStrictEqual(one, value)));
    const next = wanted.map((value, index) => reconciled(before[index], value, seen));
    elements.splice(0, elements.length, ...next);
    return there;
  }
  // A Date whose text is the stored one, say, stays the Date that the application put there.
  return textOf(there) === JSON.stringify(wanted) ? there : wanted;
}

function textOf(value: object): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}
