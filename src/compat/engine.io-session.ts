/**
 * The API of engine.io-session: each Engine.IO socket, of versions 1 to 6, is told its session by a `session` event.
 * Knows nothing of live sessions: those come with `sessions.attach()`.
 *
 * @module socket-session/compat/engine.io-session
 */
import type { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import session from "express-session";
import { SessionError } from "../errors.js";
import { fromCookie } from "../handshake/session-id.js";
import { ProxyTrust } from "../handshake/proxy-trust.js";
import { invalid } from "../internal/check-options.js";
import { issueSession, type Middleware } from "../http/middleware.js";
import { safely } from "../internal/safely.js";
import { canWait } from "../transports/engine-handshakes.js";
import { addCookie, type Headers } from "../transports/response-headers.js";
import { LiveStore } from "../store/live-store.js";
import { MemoryDriver } from "../store/drivers/memory.js";
import { type CookieParser, parseCookies } from "./shared/cookies.js";
import { answerWithCookie, type AnyEngine } from "./shared/engine-answers.js";
import { type AnyStore, loadSession, mergingStore, requireParts, type Session } from "./shared/sessions.js";

export type { CookieParser } from "./shared/cookies.js";
export type { AnyStore, Session } from "./shared/sessions.js";

/** Options of `eioSession()`: those of the application's session middleware. */
export interface EioSessionOptions {
  /** The application's cookie parser, with a secret or without: it fills in `socket.request.cookies`. */
  readonly cookieParser: CookieParser;
  readonly store: AnyStore;
  /** The session cookie's name. Default "connect.sid". */
  readonly key?: string;
  /** Of several the first signs. */
  readonly secret: string | string[];
}

/** A handler for the server's `connection` event. */
export interface EioSession {
  (socket: EventEmitter): void;
  /**
   * Instead of `server.on("connection", plugin)`: the answer to the handshake carries a new session's cookie.
   * @throws SessionError `SERVER_UNSUPPORTED` for what is no Engine.IO server, `OPTION_INVALID` the second time.
   */
  attach(server: EventEmitter): void;
}

/**
 * Tells Engine.IO sockets the session of their browser, by the events `session` of the server `(socket, session)` and
 * of the socket `(session)`. A client without one gets a new one, and its cookie: with `attach()` in the answer to its
 * handshake, else in that to one of its next polls, so that one that only uses WebSocket gets none.
 *
 * `session.save()` writes what was changed, and only if the session is still there. A failure (of the cookie parser,
 * or `STORE_UNAVAILABLE`) is an `error` event of the socket and of the server, `(error, socket)`; where nobody
 * listens to either, the socket is closed.
 *
 * @throws SessionError `OPTION_INVALID`, or `STORE_UNSUPPORTED` for a store without set or destroy.
 * @deprecated Use `createSessions()` and `sessions.attach(engineServer, { missing: "create" })`.
 * @example
 * ```ts
 * const server = engine.attach(httpServer);
 * eioSession({ cookieParser: cookieParser(), store, key: "sid", secret }).attach(server);
 * server.on("session", (socket, session) => socket.send(`Hello, ${session.user}`));
 * ```
 */
function eioSession(options: EioSessionOptions): EioSession {
  const find = finder(options ?? ({} as EioSessionOptions));
  const early = new WeakMap<IncomingMessage, Promise<Found>>();
  const seen = new WeakSet<EventEmitter>();

  const plugin = (emitter: EventEmitter): void => {
    const socket = emitter as Socket;
    if (seen.has(socket)) return;
    seen.add(socket);
    const { request, server, transport } = socket;
    // WebTransport has no request, so no cookie either.
    if (!request) return report(socket, new SessionError("SESSION_MISSING"));
    const tell = ({ session: found, setCookie }: Found): void => {
      if (setCookie !== undefined && !early.has(request)) {
        // Since Engine.IO 5 with the request that is answered.
        const add = (headers: Headers, poll = request): void => addCookie(headers, poll, setCookie);
        transport.once("headers", add);
      }
      if (socket.readyState === "closing" || socket.readyState === "closed") return;
      safely(() => server.emit("session", socket, found));
      safely(() => socket.emit("session", found));
    };
    // Never at once: a later "connection" handler may put its listener on the socket.
    (early.get(request) ?? find(request)).then(tell, (error: unknown) => report(socket, error));
  };

  const attach = (emitter: EventEmitter): void => {
    const server = emitter as AnyEngine;
    if (typeof server?.handleUpgrade !== "function" || !canWait(server)) throw new SessionError("SERVER_UNSUPPORTED");
    if (seen.has(server)) throw invalid("Sessions are attached to this server already.");
    seen.add(server);
    answerWithCookie(server, (request) => {
      const found = find(request);
      early.set(request, found);
      // What fails is told when there is a socket to tell it.
      return found.then(({ setCookie }) => setCookie).catch(() => undefined);
    });
    server.on("connection", plugin);
  };

  return Object.assign(plugin, { attach });
}

/** With the header for the client of a new session. */
type Found = { readonly session: Session; readonly setCookie?: string };

/** Finds the session of a handshake, or makes one. */
function finder({ cookieParser, store, key = "connect.sid", secret }: EioSessionOptions) {
  const secrets = Array.isArray(secret) ? secret : [secret];
  requireParts(store, cookieParser);
  if (typeof key !== "string" || key === "") throw invalid("key must be the session cookie's name.");
  if (!secrets[0] || secrets.some((one) => typeof one !== "string"))
    throw invalid("secret must be the session middleware's.");
  const live = mergingStore(store);
  if (!live) throw new SessionError("STORE_UNSUPPORTED", { detail: "It lacks get(), set() or destroy()." });
  const noProxy = new ProxyTrust(false);
  const findId = fromCookie(key, secrets);
  // Makes ids and cookies. The store is its own and stays empty: express-session puts its generator on it.
  const unused = new LiveStore(new MemoryDriver());
  const issuer = session({ name: key, secret, store: unused, resave: false, saveUninitialized: false }) as unknown;

  return async (request: IncomingMessage): Promise<Found> => {
    await promisify(parseCookies)(cookieParser, request);
    const id = findId(request);
    const known = "id" in id && (await promisify(loadSession)(live, id.id));
    if (known) return { session: known };
    const issued = await issueSession(issuer as Middleware, live, request, noProxy);
    const made = issued && (await promisify(loadSession)(live, issued.id));
    if (!made) throw new SessionError("STORE_UNAVAILABLE", { detail: "It did not keep a new session." });
    return { session: made, setCookie: issued.setCookie };
  };
}

function report(socket: Socket, error: unknown): void {
  const listening = [socket, socket.server].filter((emitter) => emitter.listenerCount("error") > 0);
  if (listening.length === 0) socket.close();
  for (const emitter of listening) safely(() => emitter.emit("error", error, socket));
}

interface Socket extends EventEmitter {
  readonly request: IncomingMessage | null;
  readonly server: AnyEngine;
  readonly readyState: string;
  readonly transport: EventEmitter;
  close(): void;
}

// oxlint-disable-next-line import/no-default-export -- what require() of the older module gave
export default eioSession;
export { eioSession as "module.exports" };
