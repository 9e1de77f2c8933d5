// Notices changes of session data, at any depth, by proxies. Knows nothing of stores.
import { SessionError } from "../errors.js";
import { isPlainObject } from "../store/record/merge.js";
import { quotedField } from "../store/record/size-limits.js";
import { harmless, harmlessConstructor, harmlessDate } from "./harmless.js";

// Answered by the proxies themselves: a map from proxy to object would cost each session more than its proxy does.
const rawKey = Symbol("raw");
const trackerKey = Symbol("tracker");

interface TrackedObject {
  readonly [rawKey]?: object;
  readonly [trackerKey]?: ChangeTracker;
}

/** The object behind a tracked one; anything else as it is. */
export function rawOf(value: unknown): unknown {
  return typeof value === "object" && value !== null ? ((value as TrackedObject)[rawKey] ?? value) : value;
}

type Search = (this: unknown, wanted: unknown, ...rest: unknown[]) => unknown;

/** What was put in is found again, although it is read as a tracked object. */
const searches = new Map<unknown, Search>(
  (["includes", "indexOf", "lastIndexOf"] as const).map((name) => {
    const search = Array.prototype[name] as Search;
    const searchRaw: Search = function (wanted, ...rest) {
      return Reflect.apply(search, rawOf(this), [rawOf(wanted), ...rest]);
    };
    return [search, searchRaw];
  }),
);

/** Who tracks an object; undefined for any other object. */
export function trackerOf(value: object): ChangeTracker | undefined {
  return (value as TrackedObject)[trackerKey];
}

/** Data whose changes are noticed. It is the handler of its own proxies: one object less for each session. */
export abstract class ChangeTracker implements ProxyHandler<object> {
  /** The data itself. */
  protected readonly root: object;
  /** Made with the first nested object: many sessions are never looked into. */
  #proxies: WeakMap<object, object> | undefined;

  constructor(root: object) {
    this.root = root;
  }

  /** Called before the root is looked at: fills it on first use. */
  protected fill(): void {}
  /** Called before a change; false leaves the data as it is. */
  protected abstract allowsChange(): boolean;
  /** Why a field of the root, or of its cookie, cannot be set; undefined where it can. */
  protected refusal(_field: string, _value: unknown, _isOfCookie: boolean): unknown {
    return undefined;
  }
  /** Called with what is wrong with a change. */
  protected report(_error: unknown): void {}
  /** Called after a change. */
  protected onChange(): void {}
  /** Called when an object was put in that the application still holds itself: `const cart = (session.cart ??= [])`. */
  protected onUntrackedReference(): void {}

  /** The data as others get it. */
  protected track<T extends object>(target: T): T {
    return new Proxy<T>(target, this);
  }

  // --- ProxyHandler ---

  get(target: object, key: string | symbol, receiver: unknown): unknown {
    if (key === rawKey) return target;
    if (key === trackerKey) return this;
    // What all sessions share must not be reached through one: `session[key][field] = value` with a hostile key.
    if (key === "__proto__") return undefined;
    this.#fillRoot(target);
    const value: unknown = Reflect.get(target, key, receiver);
    if (typeof value === "function") return inherited(target, key, value as () => unknown);
    if (typeof value !== "object" || value === null) return value;
    if (!isTracked(value)) return value instanceof Date ? harmlessDate(value) : value;
    this.#proxies ??= new WeakMap();
    let proxy = this.#proxies.get(value);
    if (!proxy) this.#proxies.set(value, (proxy = this.track(value)));
    return proxy;
  }

  set(target: object, key: string | symbol, value: unknown): boolean {
    this.#fillRoot(target);
    if (!this.allowsChange() || this.#refuses(target, key, value)) return true;
    const raw = this.#adopt(value);
    this.#reportLoss(key, raw);
    if (Object.hasOwn(target, key) && Object.is((target as Record<PropertyKey, unknown>)[key], raw)) return true;
    const isSet = Reflect.set(target, key, raw);
    if (isSet) this.onChange();
    if (typeof raw === "object" && raw !== null && raw === value) this.onUntrackedReference();
    return isSet;
  }

  defineProperty(target: object, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    this.#fillRoot(target);
    if (!this.allowsChange() || this.#refuses(target, key, descriptor.value)) return true;
    const plain = "value" in descriptor ? { value: this.#adopt(descriptor.value) } : {};
    const isDefined = Reflect.defineProperty(target, key, { ...descriptor, ...plain, configurable: true });
    if (isDefined) this.onChange();
    return isDefined;
  }

  deleteProperty(target: object, key: string | symbol): boolean {
    this.#fillRoot(target);
    if (!Object.hasOwn(target, key)) return true;
    if (!this.allowsChange()) return true;
    const isDeleted = Reflect.deleteProperty(target, key);
    if (isDeleted) this.onChange();
    return isDeleted;
  }

  has(target: object, key: string | symbol): boolean {
    this.#fillRoot(target);
    return Reflect.has(target, key);
  }

  ownKeys(target: object): (string | symbol)[] {
    this.#fillRoot(target);
    return Reflect.ownKeys(target);
  }

  getOwnPropertyDescriptor(target: object, key: string | symbol): PropertyDescriptor | undefined {
    this.#fillRoot(target);
    return Reflect.getOwnPropertyDescriptor(target, key);
  }

  /** Session data stays open: changes from elsewhere come into these very objects. */
  preventExtensions(): boolean {
    return false;
  }

  /**
   * What is put in, without proxies: tracked objects of this session as themselves, those of another as a copy (two
   * sessions share nothing). What cannot be changed is copied, too: changes from elsewhere come into it. Not by
   * recursion: a client may have nested it deeper than the stack, which is told where it is saved.
   */
  #adopt(value: unknown): unknown {
    if (typeof value !== "object" || value === null) return value;
    const adopted = new Map<object, unknown>();
    const waiting: object[] = [];
    const adopt = (one: object): unknown => {
      if (adopted.has(one)) return adopted.get(one);
      const own = this.#own(one);
      adopted.set(one, own).set(own, own);
      if (trackerOf(one) !== this) waiting.push(own);
      return own;
    };
    const first = adopt(value);
    for (let one = waiting.pop(); one; one = waiting.pop()) {
      if (Array.isArray(one) || isPlainObject(one)) adoptElements(one, adopt);
    }
    return first;
  }

  /** What stands for an object in this session, not looking into it. */
  #own(value: object): object {
    const tracker = trackerOf(value);
    if (tracker === this) return rawOf(value) as object;
    if (!Array.isArray(value) && !isPlainObject(value)) return tracker ? (jsonOf(value) as object) : value;
    if (!tracker && Object.isExtensible(value)) return value;
    const copy: object = Array.isArray(value) ? [...(value as unknown[])] : { ...value };
    if (tracker) adoptElements(copy as Record<string, unknown>, (one) => (trackerOf(one) ? one : jsonOf(one)));
    return copy;
  }

  /**
   * Whether a name is none for data: that of a method or of what all objects have at the root, `__proto__` anywhere; or a
   * value none for the cookie.
   */
  #refuses(target: object, key: string | symbol, value: unknown): boolean {
    if (typeof key === "symbol") return false;
    const isOfRoot = target === this.root || key === "__proto__";
    const refusal = isOfRoot || isCookie(target) ? this.refusal(key, value, !isOfRoot) : undefined;
    if (refusal) this.report(refusal);
    return refusal !== undefined;
  }

  /** Says what JSON does not keep, and does not refuse either: it is gone when the session is read again. */
  #reportLoss(key: string | symbol, value: unknown): void {
    const loss = lossInJson(value);
    if (loss === undefined) return;
    const detail = `The field ${quotedField(String(key))} is ${loss}.`;
    this.report(new SessionError("DATA_INVALID", { detail }));
  }

  #fillRoot(target: object): void {
    if (target === this.root) this.fill();
  }
}

/** Puts what `adopt` makes of them in the place of all elements or fields. */
function adoptElements(container: unknown[] | Record<string, unknown>, adopt: (value: object) => unknown): void {
  const put = (key: number | string): void => {
    const fields = container as Record<number | string, unknown>;
    const value = fields[key];
    if (typeof value !== "object" || value === null) return;
    const adopted = adopt(value);
    if (adopted !== value) fields[key] = adopted;
  };
  if (Array.isArray(container)) for (let index = 0; index < container.length; index++) put(index);
  else for (const key of Object.keys(container)) put(key);
}

/** A class instance as it is stored. */
function jsonOf(instance: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(instance)) as unknown;
  } catch {
    // Told where it is saved.
    return instance;
  }
}

/** A function that was read: a field's own as it is, what all share so that nothing can be written to it. */
function inherited(target: object, key: string | symbol, value: () => unknown): unknown {
  if (typeof key === "symbol" || Object.hasOwn(target, key)) return value;
  return key === "constructor" ? harmlessConstructor(value) : harmless(searches.get(value) ?? value);
}

/** What a value is that JSON does not keep, and as what it stores that; undefined for one that it keeps, or refuses. */
function lossInJson(value: unknown): string | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? undefined : `${value}: it is stored as null`;
  if (typeof value === "function") return "a function: it is stored as nothing";
  if (typeof value === "symbol") return "a symbol: it is stored as nothing";
  if (value instanceof Map) return "a Map: it is stored as {}";
  return value instanceof Set ? "a Set: it is stored as {}" : undefined;
}

/** Plain data and the cookie are tracked; dates, maps and other class instances are given as they are. */
function isTracked(value: object): boolean {
  return Array.isArray(value) || isPlainObject(value) || isCookie(value);
}

/** An object of express-session's Cookie; not told by its class, of which there may be several. */
function isCookie(value: object): boolean {
  return "originalMaxAge" in value && !Array.isArray(value) && !isPlainObject(value);
}
