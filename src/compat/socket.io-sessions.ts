/**
 * The API of socket.io-sessions: `sconnection` with the session that the page's script brought a ticket for.
 * Works with each version of Socket.IO: it uses only what all of them share.
 *
 * @module socket-session/compat/socket.io-sessions
 */
import { EventEmitter } from "node:events";
import type { Server as HttpServer } from "node:http";
import { promisify } from "node:util";
import createDebug from "debug";
import { invalid } from "../internal/check-options.js";
import { safely } from "../internal/safely.js";
import { KeyedQueue } from "../internal/keyed-queue.js";
import type { Handshake } from "./shared/cookies.js";
import { holdEvents, waitingCount } from "./shared/hold-events.js";
import { savable } from "./shared/plain-store.js";
import { acknowledgeMessages, holdMessages } from "./shared/session-messages.js";
import { serveScript } from "./shared/session-script.js";
import { type TicketOptions, ScriptTickets } from "./shared/script-tickets.js";
import { type AnyStore, loadSession, requireParts, type Session } from "./shared/sessions.js";

export type { CookieParser } from "./shared/cookies.js";
export type { AnyStore, Session } from "./shared/sessions.js";

const debug = createDebug("socket-session:socket.io-sessions");

/** A Socket.IO server of any version that is attached to an HTTP server: `new Server(http)`, `io.listen(app)`. */
export interface SocketServer {
  on(event: "connection", listener: (client: never) => void): unknown;
}

/** A connection's socket, in what all versions of Socket.IO share. */
export interface SessionClient {
  readonly id: string;
  on(event: "smessage", listener: (message: unknown, session: Session) => void): unknown;
  on(event: string, listener: (...values: never[]) => void): unknown;
  emit(event: string, ...values: unknown[]): unknown;
  send(message: unknown): unknown;
  disconnect(): unknown;
}

/** The socket's own type, where the server's says it. */
export type ClientOf<Server> = Server extends { sockets: { sockets: ReadonlyMap<string, infer Own> } }
  ? Own
  : SessionClient;

/** What `enable()` adds to the Socket.IO server. */
export interface SessionEvents<Socket = SessionClient> {
  /** A page has connected, and its session is there (`per_message`: it comes with each message instead). */
  on(event: "sconnection", listener: (client: Socket, session: Session) => void): this;
  /** The session is not in the store, the store failed, or the page has none. */
  on(event: "sinvalid", listener: (client: Socket) => void): this;
}

/** What `enable()` takes: `socket`, `store`, and `parser` or `cutter`. */
export interface EnableOptions<Server extends SocketServer = SocketServer> extends TicketOptions {
  readonly socket: Server;
  /** The store of the session middleware. */
  readonly store: AnyStore;
  /** True reloads the session for each message, and saves it after the `smessage` callback. Default false. */
  readonly per_message?: boolean;
}

// The parts of any Socket.IO that are used.
interface AnyServer {
  readonly httpServer?: HttpServer;
  /** The HTTP server of Socket.IO 0.9. */
  readonly server?: HttpServer;
  path?(): string;
  get?(setting: "resource"): string;
  on(event: "connection", listener: (client: Client) => void): unknown;
  rawListeners(event: string): Listener[];
}

type Listener = (...values: unknown[]) => unknown;

interface Client extends EventEmitter {
  readonly handshake: Handshake & { readonly secure?: unknown };
  disconnect(isTransportToo: boolean): unknown;
}

/**
 * Tells of each page that calls `io.connectWithSession()`, with its session: listen for `sconnection` and `sinvalid` on
 * what is returned, the Socket.IO server. Serves the client script at `/socket.io/socket.io-sessions.js`.
 *
 * @throws SessionError `OPTION_INVALID` without `socket`, `store`, or `parser` and `cutter`.
 * @deprecated Use `createSessions()` and `sessions.attach(io)`: each socket then has `socket.session`, no script needed.
 * @example
 * ```ts
 * const socket = sio.enable({ socket: io, store, parser: cookieParser(secret) });
 * socket.on("sconnection", (client, session) => {
 *   session.visits = (session.visits ?? 0) + 1; // saved after the disconnect callbacks
 * });
 * ```
 */
function enable<Server extends SocketServer>(options: EnableOptions<Server>): SessionEvents<ClientOf<Server>> & Server {
  const { io, http } = required(options);
  const store = savable(options.store);
  const tickets = new ScriptTickets(options);
  const messages = new KeyedQueue();
  const tell = (event: "sconnection" | "sinvalid", ...values: unknown[]): void =>
    // Not emit(), which is for the clients.
    io.rawListeners(event).forEach((listener) => safely(() => listener.apply(io, values)));

  /** Adds the listener for messages with a session. */
  const reload = (client: Client, id: string): void => {
    const waiting = waitingCount();
    client.on("message", (message: unknown) => {
      if (!waiting.add(message)) return void client.disconnect(true);
      // One after the other, over all connections of the session: so counters add up.
      void messages.run(id, async () => {
        const session = await load(store, id);
        waiting.remove(message);
        if (session === null) return tell("sinvalid", client);
        safely(() => EventEmitter.prototype.emit.call(client, "smessage", message, session));
        await save(session);
      });
    });
  };

  const link = async (client: Client, ticket: unknown): Promise<void> => {
    let isConnected = true;
    client.once("disconnect", () => (isConnected = false));
    const release = holdEvents(client);
    const replay = holdMessages(client);
    const id = await tickets.idOf(client.handshake, ticket);
    const session = id === undefined ? null : await load(store, id);
    if (!isConnected) return;
    acknowledgeMessages(client);
    if (id === undefined || session === null) tell("sinvalid", client);
    else if (options.per_message === true) {
      reload(client, id);
      tell("sconnection", client);
    } else {
      // On the next tick: after the application's disconnect callbacks.
      client.once("disconnect", () => process.nextTick(() => void save(session)));
      tell("sconnection", client, session);
    }
    replay();
    release();
  };

  serveScript(http, () => io.path?.() ?? io.get?.("resource") ?? "/socket.io", tickets);
  io.on("connection", (client) => {
    client.once("connect_with_session", (payload: unknown) => {
      void link(client, (payload as { __sid?: unknown } | null | undefined)?.__sid);
    });
  });
  return options.socket as SessionEvents<ClientOf<Server>> & Server;
}

/** The older module, to be imported or required in its place. */
const socketIoSessions = {
  enable,
  /** The version of the older module whose interface this is. */
  version: "0.6.1",
};

// oxlint-disable-next-line import/no-default-export -- what require("socket.io-sessions") gave
export default socketIoSessions;
export { socketIoSessions as "module.exports" };

/** What cannot be done without. */
function required(options: EnableOptions): { io: AnyServer; http: HttpServer } {
  const io = (options as EnableOptions | undefined)?.socket as AnyServer | undefined;
  const http = io?.httpServer ?? io?.server;
  if (!io || typeof http?.emit !== "function") {
    throw invalid("socket must be a Socket.IO server that is attached to an HTTP server.");
  }
  requireParts(options.store, options.parser ?? options.cutter);
  return { io, http };
}

/** The session; null where there is none, or where the store failed. */
function load(store: AnyStore, id: string): Promise<Session | null> {
  return promisify(loadSession)(store, id).catch(() => {
    debug("the store could not be read");
    return null;
  });
}

/** Where the store cannot write, there is nothing to do. */
function save(session: Partial<Session>): Promise<void> {
  return new Promise((resolve) => {
    if (!session.save) return resolve();
    session.save((error: unknown) => {
      if (error) debug("a session could not be saved");
      resolve();
    });
  });
}
