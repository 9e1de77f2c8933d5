/**
 * The API of session.socket.io: connection handlers get `(err, socket, session)`.
 * Works with each version of Socket.IO: it uses only what all of them share.
 *
 * @module socket-session/compat/session.socket.io
 */
import { type CookieParser, findId, type Handshake, parseCookies } from "./shared/cookies.js";
import { holdEvents } from "./shared/hold-events.js";
import { type AnyStore, loadSession, requireParts, type Session } from "./shared/sessions.js";

/** A Socket.IO server of any version. */
export interface SocketServer {
  readonly sockets: object;
  of(namespace: string): object;
}

/** A socket of any version of Socket.IO. */
export interface AnySocket {
  readonly handshake?: object;
  readonly disconnected?: boolean;
}

/** The type of the server's sockets, where it says so. */
export type SocketOf<Io> = Io extends { sockets: { sockets: ReadonlyMap<string, infer Socket extends object> } }
  ? Socket
  : AnySocket;

/** Gets the cookie parser's or the store's error, or null; the socket as Socket.IO gave it; the session, or null. */
export type SessionListener<Socket> = (err: Error | null, socket: Socket, session: Session | null) => void;

interface Namespace {
  on(event: string, listener: (socket: AnySocket) => void): unknown;
}

/**
 * Gives connection handlers the session of the browser behind a socket.
 *
 * The session is the one that was stored when the socket connected. `session.save()` writes what was changed in it
 * since, and only if it is still stored: what HTTP wrote meanwhile stays, and a logout stays one. Events that the
 * client sends before its session was read wait for the handler.
 *
 * @deprecated Use `createSessions()` and `sessions.attach(io)`: `socket.session` is always current, is saved by itself,
 * and its sockets are closed when it ends.
 * @example
 * ```ts
 * const SessionSockets = require("socket-session/compat/session.socket.io");
 * const sessionSockets = new SessionSockets(io, sessionStore, cookieParser);
 * sessionSockets.on("connection", (err, socket, session) => {
 *   if (err) return socket.disconnect();
 *   session.foo = "bar";
 *   session.save();
 * });
 * ```
 */
class SessionSockets<Io extends SocketServer = SocketServer> {
  /** The Socket.IO server that was passed in. */
  readonly io: Io;
  readonly #store: AnyStore;
  readonly #parser: CookieParser;
  readonly #key: string;

  /**
   * @param io a Socket.IO server
   * @param sessionStore the store of the session middleware, the same instance
   * @param cookieParser a cookie parser with the secret of the session middleware; need not be the same instance
   * @param key the session cookie's name, by default "connect.sid"
   * @throws SessionError `OPTION_INVALID` for a store that cannot be read or a parser that is no function
   */
  constructor(io: Io, sessionStore: AnyStore, cookieParser: CookieParser, key = "connect.sid") {
    requireParts(sessionStore, cookieParser);
    this.io = io;
    this.#store = sessionStore;
    this.#parser = cookieParser;
    this.#key = key;
  }

  /** Listens to "connection" of the main namespace, with the session. */
  readonly on = (event: string, listener: SessionListener<SocketOf<Io>>): void => {
    this.#bind(this.io.sockets, event, listener);
  };

  /** The same for a namespace: `of("/chat").on("connection", …)`. */
  readonly of = (namespace: string): { on(event: string, listener: SessionListener<SocketOf<Io>>): void } => ({
    on: (event, listener) => this.#bind(this.io.of(namespace), event, listener),
  });

  /** Reads the session of any connected socket as it is stored now: `(err, session, socket)`, one of the first two null. */
  readonly getSession = <Socket extends AnySocket>(
    socket: Socket,
    callback: (err: Error | null, session: Session | null, socket: Socket) => void,
  ): void => {
    const handshake = socket.handshake as Handshake;
    parseCookies(this.#parser, handshake, (parserError) => {
      // The store is asked without an id, too: what it says to that is the answer.
      if (parserError) return callback(parserError as Error, null, socket);
      const id = findId(handshake, this.#key);
      loadSession(this.#store, id, (storeError, found) => {
        // Stores that leave out a condition without a value answer with the first session they have: somebody else's.
        const session = id === undefined && handshake?.headers ? null : found;
        if (storeError) callback(storeError as Error, null, socket);
        else if (session) callback(null, session, socket);
        else callback(new Error(`Could not lookup session by key: ${this.#key}`), null, socket);
      });
    });
  };

  #bind(namespace: object, event: string, listener: SessionListener<SocketOf<Io>>): void {
    (namespace as Namespace).on(event, (socket) => {
      const release = holdEvents(socket);
      this.getSession(socket, (err, session) => {
        // Who has left meanwhile has said so already: what the listener would keep for this socket it would keep forever.
        if (socket.disconnected === true) return release();
        try {
          listener(err, socket as SocketOf<Io>, session);
        } finally {
          release();
        }
      });
    });
  }
}

// oxlint-disable-next-line import/no-default-export -- what require() of the older module gave
export default SessionSockets;
export { SessionSockets as "module.exports" };
