// The proxy that notices changes, at any depth. Knows nothing of stores.
import { isPlainObject } from "../store/merge.js";

/** Who owns the tracked data. */
export interface Owner {
  /** Called before the root is looked at: fills it on first use. */
  fill(): void;
  /** Called before a change; false leaves the data as it is. */
  allowsChange(): boolean;
  /** Called after a change. */
  changed(): void;
  /** Called when an object was put in that the application still holds itself: `const cart = (session.cart ??= [])`. */
  escaped(): void;
}

// Answered by the proxies themselves: a map from proxy to object would cost each session more than its proxy does.
const rawKey = Symbol("raw");
const ownerKey = Symbol("owner");

interface TrackedObject {
  readonly [rawKey]?: object;
  readonly [ownerKey]?: Owner;
}

/** The object behind a tracked one; anything else as it is. */
function rawOf<T>(value: T): T {
  return typeof value === "object" && value !== null ? (((value as TrackedObject)[rawKey] as T | undefined) ?? value) : value;
}

/** Whose data a tracked object is; undefined for any other object. */
export function ownerOf(value: object): Owner | undefined {
  return (value as TrackedObject)[ownerKey];
}

/** Tracks `root` for `owner`: reads and writes as if it were the object itself. */
export function track<T extends object>(root: T, owner: Owner): T {
  return new Tracker(root, owner).wrap(root);
}

class Tracker implements ProxyHandler<object> {
  readonly #root: object;
  readonly #owner: Owner;
  /** Made with the first nested object: many sessions are never looked into. */
  #proxies: WeakMap<object, object> | undefined;

  constructor(root: object, owner: Owner) {
    this.#root = root;
    this.#owner = owner;
  }

  wrap<T extends object>(target: T): T {
    return new Proxy<T>(target, this);
  }

  get(target: object, key: string | symbol, receiver: unknown): unknown {
    if (key === rawKey) return target;
    if (key === ownerKey) return this.#owner;
    this.#look(target);
    const value: unknown = Reflect.get(target, key, receiver);
    if (typeof value !== "object" || value === null || !isTracked(value)) return value;
    // Frozen data must be given back as it is; it cannot change anyway.
    if (Object.isFrozen(target)) return value;
    this.#proxies ??= new WeakMap();
    let proxy = this.#proxies.get(value);
    if (!proxy) this.#proxies.set(value, (proxy = this.wrap(value)));
    return proxy;
  }

  set(target: object, key: string | symbol, value: unknown): boolean {
    this.#look(target);
    if (!this.#owner.allowsChange()) return true;
    const raw = rawOf(value);
    if (Object.hasOwn(target, key) && Object.is((target as Record<PropertyKey, unknown>)[key], raw)) return true;
    const isSet = Reflect.set(target, key, raw);
    if (isSet) this.#owner.changed();
    if (typeof value === "object" && value !== null && raw === value) this.#owner.escaped();
    return isSet;
  }

  defineProperty(target: object, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    this.#look(target);
    if (!this.#owner.allowsChange()) return true;
    const plain = "value" in descriptor ? { value: rawOf<unknown>(descriptor.value) } : {};
    const isDefined = Reflect.defineProperty(target, key, { ...descriptor, ...plain, configurable: true });
    if (isDefined) this.#owner.changed();
    return isDefined;
  }

  deleteProperty(target: object, key: string | symbol): boolean {
    this.#look(target);
    if (!Object.hasOwn(target, key)) return true;
    if (!this.#owner.allowsChange()) return true;
    const isDeleted = Reflect.deleteProperty(target, key);
    if (isDeleted) this.#owner.changed();
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
    if (target === this.#root) this.#owner.fill();
  }
}

/** Plain data and the cookie are tracked; dates, maps and other class instances are given as they are. */
function isTracked(value: object): boolean {
  return Array.isArray(value) || isPlainObject(value) || "originalMaxAge" in value;
}
