// What a handler gets as `socket.session`: express-session's Session, with promises. The methods live on a prototype,
// the data on the object, so that JSON, spread and Object.keys see the data alone.
import { inspect } from "node:util";
import session, { type SessionData } from "express-session";
import { SessionError } from "../errors.js";
import { isPlainObject } from "../store/record/merge.js";
import { wrongInCookie } from "../store/record/cookie-rules.js";
import { quotedField } from "../store/record/size-limits.js";
import { type ChangeTracker, trackerOf } from "./change-tracker.js";

/** Called when an operation is done, with its error if there was one. */
export type SessionCallback = (error?: unknown) => void;

/**
 * The session on a socket: your fields (typed by augmenting express-session's `SessionData`) and express-session's
 * methods, each with a promise, or with a callback as in express-session.
 *
 * @example
 * ```ts
 * socket.session.cart.push("apple"); // saved by itself
 * await socket.session.save();       // when you want to know that it is durable
 * ```
 */
export interface SocketSessionMethods {
  /** The session id. Keep it out of logs and payloads. `undefined` for an anonymous socket. */
  readonly id: string;
  /** As in express-session; a change of `maxAge` is saved like any other. */
  cookie: session.Cookie;
  /** Resolves when every change made so far is durable. Rejects with the end's code, or `STORE_UNAVAILABLE`. */
  save(): Promise<void>;
  save(callback: SessionCallback): this;
  /** Saves what is pending, then reads the store. Seldom needed: handlers already see the newest data. */
  reload(): Promise<void>;
  reload(callback: SessionCallback): this;
  /** Counts as activity: moves the expiry to a full `cookie.maxAge` (ms) from now. Messages from the client do that already. */
  touch(): Promise<void>;
  touch(callback: SessionCallback): this;
  /** Sets `cookie.maxAge` (ms) back to what it was originally. */
  resetMaxAge(): this;
  /** Ends the session everywhere: every socket of it is told `SESSION_DESTROYED` and closed. */
  destroy(): Promise<void>;
  destroy(callback: SessionCallback): this;
  /**
   * For a login over the socket: a new session, empty and with a new id, in place of this one. The connection of this
   * very socket goes on under it, all others of the old session are told `SESSION_ROTATED`. Resolves when the browser
   * has collected its cookie; then `socket.session` is the new session. Rejects with `REGENERATE_NEEDS_HTTP` where no
   * client helper does that, which leaves the session as it is, and with `SESSION_MISSING` on an anonymous socket.
   *
   * @example
   * ```ts
   * socket.on("login", async (name, password, done) => {
   *   if (!(await isRight(name, password))) return done("wrong");
   *   await socket.session.regenerate();
   *   socket.session.user = name; // the new session
   *   done("welcome");
   * });
   * ```
   */
  regenerate(): Promise<void>;
  regenerate(callback: SessionCallback): this;
}

/** {@link SocketSessionMethods} with the fields of express-session's `SessionData`. */
export type SocketSession = SocketSessionMethods & SessionData;

/** Takes out fields that would hide a method, as express-session does. */
export function withoutMethods<T extends object>(fields: T): T {
  for (const key of Object.keys(fields)) {
    if (key in prototype) delete (fields as Record<string, unknown>)[key];
  }
  return fields;
}

/**
 * Why a field of a session cannot be set; undefined where it can. Names may be a client's: a method must stay what it
 * is, and without a cookie of express-session's the session would never expire. With `isOfCookie`, a field of its cookie.
 */
export function refusalOf(field: string, value: unknown, isOfCookie = false): SessionError | undefined {
  if (isOfCookie) return cookieRefusalOf(field, value);
  const isCookieLost = field === "cookie" && value !== undefined && value !== null && !isCookie(value);
  if (!(field in prototype) && !isCookieLost) return undefined;
  const why = isCookieLost ? "the value is no Cookie" : "all sessions have a method or property of that name";
  return new SessionError("DATA_INVALID", { detail: `The field ${quotedField(field)} was not set: ${why}.` });
}

function cookieRefusalOf(field: string, value: unknown): SessionError | undefined {
  const why = wrongInCookie(field, value, session.Cookie.prototype);
  if (why === undefined) return undefined;
  return new SessionError("DATA_INVALID", { detail: `cookie[${quotedField(field)}] was not set: ${why}.` });
}

function isCookie(value: unknown): boolean {
  return typeof value === "object" && value !== null && !isPlainObject(value) && "originalMaxAge" in value;
}

/** What stands behind a session object: a live session, or nothing for an anonymous one. */
export interface SessionOperations {
  readonly id: string | undefined;
  save(): Promise<void>;
  reload(): Promise<void>;
  touch(): Promise<void>;
  destroy(): Promise<void>;
}

const regenerateKey = Symbol("regenerate");

interface Regenerable {
  readonly [regenerateKey]?: () => Promise<void>;
}

/** The same session, as one connection has it whose browser can collect a new cookie. */
export function regenerable(data: SocketSession, regenerate: () => Promise<void>): SocketSession {
  return new Proxy(data, {
    get: (target, key) => (key === regenerateKey ? regenerate : (Reflect.get(target, key) as unknown)),
  });
}

/** Makes the object that data is put on. */
export function createRoot(): object {
  return new (Root as unknown as new () => object)();
}

/** What stands behind a session object, for `sessions.get(socket.session)`; undefined for any other object. */
export function operations(face: object): SessionOperations | undefined {
  return trackerOf(face) as (ChangeTracker & SessionOperations) | undefined;
}

function method(run: (behind: SessionOperations, face: object) => Promise<void>): PropertyDescriptor {
  return {
    value(this: object, callback?: SessionCallback): unknown {
      const result = run(operations(this) as SessionOperations, this);
      if (typeof callback !== "function") {
        // A save that nobody waits for must not end the process when it fails.
        result.catch(() => undefined);
        return result;
      }
      result.then(
        () => process.nextTick(callback, null),
        (error: unknown) => process.nextTick(callback, error),
      );
      return this;
    },
  };
}

const prototype = Object.create(Object.prototype, {
  id: {
    get(this: object): string | undefined {
      return operations(this)?.id;
    },
  },
  save: method((live) => live.save()),
  reload: method((live) => live.reload()),
  touch: method((live) => live.touch()),
  destroy: method((live) => live.destroy()),
  regenerate: method((behind, face) => {
    if (behind.id === undefined) return Promise.reject(new SessionError("SESSION_MISSING"));
    return (face as Regenerable)[regenerateKey]?.() ?? Promise.reject(new SessionError("REGENERATE_NEEDS_HTTP"));
  }),
  resetMaxAge: {
    value(this: SocketSession): SocketSession {
      const { cookie } = this;
      if (cookie.originalMaxAge !== null) cookie.maxAge = cookie.originalMaxAge;
      return this;
    },
  },
  // console.log() looks behind the proxy, where data may not have been filled in yet.
  [inspect.custom]: {
    value(this: object): object {
      return { ...this };
    },
  },
}) as object;
Object.freeze(prototype);

/** A constructor, because what it makes is smaller than what Object.create() makes. */
function Root(this: { cookie: unknown }): void {
  this.cookie = undefined;
}
Root.prototype = prototype;
