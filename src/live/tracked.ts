// Notices changes of session data, at any depth, by proxies. Knows nothing of stores.
import { isPlainObject } from "../store/merge.js";

// Answered by the proxies themselves: a map from proxy to object would cost each session more than its proxy does.
const rawKey = Symbol("raw");
const trackerKey = Symbol("tracker");

interface TrackedObject {
  readonly [rawKey]?: object;
  readonly [trackerKey]?: Tracked;
}

/** The object behind a tracked one; anything else as it is. */
function rawOf<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  return ((value as TrackedObject)[rawKey] as T | undefined) ?? value;
}

/** Who tracks an object; undefined for any other object. */
export function trackerOf(value: object): Tracked | undefined {
  return (value as TrackedObject)[trackerKey];
}

/** Data whose changes are noticed. It is the handler of its own proxies: one object less for each session. */
export abstract class Tracked implements ProxyHandler<object> {
  /** The data itself. */
  protected readonly root: object;
  /** Made with the first nested object: many sessions are never looked into. */
  #proxies: WeakMap<object, object> | undefined;

  constructor(root: object) {
    this.root = root;
  }

  /** Called before the root is looked at: fills it on first use. */
  protected abstract fill(): void;
  /** Called before a change; false leaves the data as it is. */
  protected abstract allowsChange(): boolean;
  /** Called after a change. */
  protected abstract changed(): void;
  /** Called when an object was put in that the application still holds itself: `const cart = (session.cart ??= [])`. */
  protected abstract escaped(): void;

  /** The data as others get it. */
  protected track<T extends object>(target: T): T {
    return new Proxy<T>(target, this);
  }

  // --- ProxyHandler ---

  get(target: object, key: string | symbol, receiver: unknown): unknown {
    if (key === rawKey) return target;
    if (key === trackerKey) return this;
    this.#look(target);
    const value: unknown = Reflect.get(target, key, receiver);
    if (typeof value !== "object" || value === null || !isTracked(value)) return value;
    // Frozen data must be given back as it is; it cannot change anyway.
    if (Object.isFrozen(target)) return value;
    this.#proxies ??= new WeakMap();
    let proxy = this.#proxies.get(value);
    if (!proxy) this.#proxies.set(value, (proxy = this.track(value)));
    return proxy;
  }

  set(target: object, key: string | symbol, value: unknown): boolean {
    this.#look(target);
    if (!this.allowsChange()) return true;
    const raw = rawOf(value);
    if (Object.hasOwn(target, key) && Object.is((target as Record<PropertyKey, unknown>)[key], raw)) return true;
    const isSet = Reflect.set(target, key, raw);
    if (isSet) this.changed();
    if (typeof value === "object" && value !== null && raw === value) this.escaped();
    return isSet;
  }

  defineProperty(target: object, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    this.#look(target);
    if (!this.allowsChange()) return true;
    const plain = "value" in descriptor ? { value: rawOf<unknown>(descriptor.value) } : {};
    const isDefined = Reflect.defineProperty(target, key, { ...descriptor, ...plain, configurable: true });
    if (isDefined) this.changed();
    return isDefined;
  }

  deleteProperty(target: object, key: string | symbol): boolean {
    this.#look(target);
    if (!Object.hasOwn(target, key)) return true;
    if (!this.allowsChange()) return true;
    const isDeleted = Reflect.deleteProperty(target, key);
    if (isDeleted) this.changed();
    return isDeleted;
  }

  has(target: object, key: string | symbol): boolean {
    this.#look(target);
    return Reflect.has(target, key);
  }

  ownKeys(target: object): (string | symbol)[] {
    this.#look(target);
    return Reflect.ownKeys(target);
  }

  getOwnPropertyDescriptor(target: object, key: string | symbol): PropertyDescriptor | undefined {
    this.#look(target);
    return Reflect.getOwnPropertyDescriptor(target, key);
  }

  /** Session data stays open: changes from elsewhere come into these very objects. */
  preventExtensions(): boolean {
    return false;
  }

  #look(target: object): void {
    if (target === this.root) this.fill();
  }
}

/** Plain data and the cookie are tracked; dates, maps and other class instances are given as they are. */
function isTracked(value: object): boolean {
  return Array.isArray(value) || isPlainObject(value) || "originalMaxAge" in value;
}
