// What stands for a session in the application's hands: a socket, a request, a session object, an entry of a user's list
// or an id. Finds the id and the live session behind it.
import { hash } from "node:crypto";
import type { SessionData } from "express-session";
import { SessionError } from "./errors.js";
import { inBatches } from "./internal/batches.js";
import { invalid, kindOf } from "./internal/check-options.js";
import { ActiveSession } from "./session/live-session.js";
import { operations } from "./session/socket-session.js";
import { timesOf } from "./store/record/session-record.js";
import type { StoredSession } from "./store/users/user-sessions.js";

/**
 * A socket, a request, a session object, an entry of `sessions.ofUser()`, or a session id. A request may be Node's,
 * Express's, Fastify's, Koa's or Hono's (with `@hono/node-server`), or the context of one of the last two.
 */
export type Target =
  | string
  | { readonly session?: unknown }
  // A request, whether its types know a session or not.
  | { readonly headers: object; readonly socket: object }
  | { readonly env: { readonly incoming: object } }
  // The web's request, which nothing else of a framework has in `raw`.
  | { readonly raw: { readonly headers: object; readonly signal: object } }
  | { readonly id: string; readonly save: unknown }
  | UserSession
  // A socket of ws: in a CommonJS module its type knows no session.
  | { readonly bufferedAmount: number };

/** A session of a user, as `sessions.ofUser()` gives it: to be shown to that user, and a {@link Target}. */
export interface UserSession {
  /** Tells the session from others, and nothing about its id. The same on all nodes, for as long as the session lives. */
  readonly handle: string;
  /** When it became this user's (ms since 1970). */
  readonly created: number;
  /** When it was last active, as far as the store was told (ms since 1970); undefined without `cookie.maxAge`. */
  readonly lastSeen: number | undefined;
  /** Number of its open connections, on all nodes. */
  readonly connections: number;
  /** The same for each node that has any, this one first. */
  readonly connectionsPerNode: readonly number[];
}

/** Whose id an entry of ofUser() stands for: it does not hold it, as it is made to be sent to a page. */
const idsOfEntries = new WeakMap<object, string>();

/** Of how many sessions the connections are asked for side by side: each question is a subscription. */
const askedTogether = 500;

/** Sessions of a user as entries of ofUser(), the oldest first; each is a target, too. */
export async function entriesOf(
  stored: readonly StoredSession[],
  connectionsOf: (id: string) => Promise<number[]>,
): Promise<UserSession[]> {
  const entries = await inBatches(stored, askedTogether, async (one) => entryOf(one, await connectionsOf(one.id)));
  return entries.toSorted((a, b) => a.created - b.created);
}

function entryOf({ id, created, text }: StoredSession, connectionsPerNode: readonly number[]): UserSession {
  const { maxAge, expires } = timesOf(text);
  const entry: UserSession = {
    handle: hash("sha256", `handle ${id}`, "base64url").slice(0, 22),
    created,
    lastSeen: maxAge === undefined ? undefined : expires - maxAge,
    connections: connectionsPerNode.reduce((sum, count) => sum + count, 0),
    connectionsPerNode,
  };
  idsOfEntries.set(entry, id);
  return entry;
}

/** What a target stands for, as far as it does. */
interface Resolved {
  readonly id?: string | undefined;
  /** The live session of an object that this library gave, after its end, too. */
  readonly live?: ActiveSession;
  /** The express-session object that a request holds. */
  readonly held?: SessionData;
  readonly isAnonymous?: boolean;
}

/** The id that a target stands for, and what is behind it on this node. */
export function resolve(target: Target): Resolved {
  if (typeof target === "string") return { id: target || undefined };
  if (typeof target !== "object" || target === null) return {};
  const listed = idsOfEntries.get(target);
  if (listed !== undefined) return { id: listed };
  const direct = operations(target);
  const of = direct ? target : requestBehind(target);
  const { session } = of as { session?: { id?: unknown } | null };
  const held = typeof session === "object" && session !== null ? session : undefined;
  const behind = direct ?? (held && operations(held));
  if (behind instanceof ActiveSession) return { id: behind.id, live: behind };
  if (behind) return { isAnonymous: true };
  const { sessionID, id: own, save } = of as { sessionID?: unknown; id?: unknown; save?: unknown };
  const id = sessionID ?? fastifyId(held ?? of) ?? session?.id ?? (typeof save === "function" ? own : undefined);
  return {
    id: typeof id === "string" && id !== "" ? id : undefined,
    ...(held && typeof sessionID === "string" && { held: held as SessionData }),
  };
}

/**
 * Node's request behind that of a framework: Fastify has it in `raw`, Koa's context in `req`, Hono's in `env.incoming`.
 * Hono's request has the web's one in `raw`, and there `@hono/node-server` keeps Node's by a symbol.
 */
export function requestBehind(target: object): object {
  const { raw, req, env, save } = target as {
    raw?: unknown;
    req?: unknown;
    env?: { incoming?: unknown };
    save?: unknown;
  };
  // express-session's own session object has a `req`, too, which may have another session by now.
  if (typeof save === "function") return target;
  if (hasSession(raw)) return raw;
  if (hasSession(req)) return req;
  if (hasSession(env?.incoming)) return env.incoming;
  return keptBySymbol(raw) ?? target;
}

function keptBySymbol(value: unknown): object | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const kept = Object.getOwnPropertySymbols(value).map((symbol): unknown => Reflect.get(value, symbol));
  return kept.find(hasSession);
}

/** True for a request of Node with a session: what clients may have put into one holds no functions. */
function hasSession(value: unknown): value is object {
  const { sessionID, on } = (value ?? {}) as { sessionID?: unknown; on?: unknown };
  return typeof sessionID === "string" && typeof on === "function";
}

/** The id of a session object of `@fastify/session`: a getter of its class, which no field of a session can be. */
function fastifyId(session: object): unknown {
  return Object.hasOwn(session, "sessionId") ? undefined : (session as { sessionId?: unknown }).sessionId;
}

/** Refuses what can be no target, whatever it has passed. @throws SessionError `TARGET_INVALID` */
export function checkTarget(target: unknown): void {
  const canBe = typeof target === "string" ? target !== "" : typeof target === "object" && target !== null;
  if (!canBe) throw new SessionError("TARGET_INVALID", { detail: givenAs(target) });
}

/** As {@link resolve}. @throws SessionError `TARGET_INVALID`, `SESSION_MISSING` for an anonymous socket */
export function requireSession(target: Target): Resolved & { readonly id: string } {
  const resolved = resolve(target);
  if (resolved.isAnonymous) throw new SessionError("SESSION_MISSING");
  const { id } = resolved;
  if (id === undefined) throw new SessionError("TARGET_INVALID", { detail: givenAs(target) });
  return { ...resolved, id };
}

/** What a target is that stands for no session, and the line to write. */
function givenAs(target: unknown): string {
  const { nsp, handshake, headers } = Object(target) as {
    nsp?: { name?: unknown };
    handshake?: object;
    headers?: object;
  };
  if (handshake && nsp)
    return `It is a socket of the namespace ${JSON.stringify(nsp.name)}, to which no sessions are attached. Write sessions.attach(io) before clients connect.`;
  if (headers) return "It is a request without a session. Write app.use(sessions.middleware) before the route.";
  return `It is ${kindOf(target)}.`;
}

/** A user as `sessions.ofUser()` is given it, as the index of users has it. @throws SessionError `OPTION_INVALID` */
export function userName(user: string | number): string {
  const canBe = typeof user === "string" ? user !== "" : typeof user === "number" && !Number.isNaN(user);
  if (!canBe)
    throw invalid(`A user must be a number or a string that is not empty, not ${kindOf(user)}. Is anybody logged in?`);
  return String(user);
}
