// Copies of what holds session data, without its proxies: for who clones. Knows neither stores nor servers.
import { trackerOf } from "./change-tracker.js";

/**
 * A copy of arrays and plain objects, at every depth, in which the data of sessions is plain; what is of another kind
 * (dates, buffers, maps) is taken as it is. Undefined where there is no data of a session in it.
 */
export function untracked<T>(value: T): T | undefined {
  let isFound = false;
  const copies = new Map<object, object>();
  const copied: [from: object, to: object][] = [];
  const copyOf = (one: unknown): unknown => {
    if (typeof one !== "object" || one === null) return one;
    const known = copies.get(one);
    if (known) return known;
    const isTracked = trackerOf(one) !== undefined;
    isFound ||= isTracked;
    const { toJSON } = isTracked ? (one as { toJSON?: () => unknown }) : {};
    // The cookie.
    if (typeof toJSON === "function") return copyOf(toJSON.call(one));
    if (!Array.isArray(one) && !(isTracked || Object.prototype.toString.call(one) === "[object Object]")) return one;
    const copy = Array.isArray(one) ? [] : {};
    copies.set(one, copy);
    copied.push([one, copy]);
    return copy;
  };
  const result = copyOf(value);
  // Not by recursion: a client may have nested what it sent as deep as it likes.
  for (let next = copied.pop(); next; next = copied.pop()) {
    const [from, to] = next;
    for (const key of Object.keys(from)) {
      const field = copyOf((from as Record<string, unknown>)[key]);
      if (key !== "__proto__") (to as Record<string, unknown>)[key] = field;
    }
  }
  return isFound ? (result as T) : undefined;
}
