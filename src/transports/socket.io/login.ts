// A login over a socket, as far as Socket.IO has a part in it: the session object that can be regenerated, the question
// to the page, and the move of the connection to its new session. The order of things is regeneration.ts's.
import type { IncomingMessage } from "node:http";
import { type SessionCode, SessionError } from "../../errors.js";
import type { Connection } from "../../session/connections.js";
import type { ActiveSession } from "../../session/live-session.js";
import { regenerable, type SocketSession } from "../../session/socket-session.js";
import { collectTimeout, type RegeneratingConnection } from "../regeneration.js";
import { acknowledge, helped, send } from "./client-helper.js";
import type { Packet, Socket } from "./internals.js";
import { noop } from "../../internal/noop.js";
import { withTimeout } from "../../internal/timeout.js";

/** A connection that may get a new session. */
export interface LoginConnection extends Connection {
  readonly live: ActiveSession | undefined;
  /** The open sockets. */
  readonly sockets: readonly Socket[];
  /** Puts another session in place of the one that it has, on its open sockets and on those that have closed lately. */
  moveTo(live: ActiveSession, closed: readonly Socket[]): void;
  /** The handler that asked for the new session goes on. */
  onLoginOver(): void;
}

/** Gives a connection a new session: `regenerate()` of regeneration.ts. */
export type Regenerate = (
  connection: RegeneratingConnection,
  request: IncomingMessage | null | undefined,
) => Promise<void>;

/** Logs in a connection whose client is the helper. */
export class Login implements RegeneratingConnection {
  readonly connection: LoginConnection;
  readonly #regenerate: Regenerate;
  #ownSession: { readonly live: ActiveSession; readonly session: SocketSession } | undefined;
  /** What is under way, and for which session it was asked. */
  #running: { readonly done: Promise<void>; readonly from: ActiveSession } | undefined;
  /** Called when the page says that it has collected its cookie, or goes. */
  #stopWaiting: (() => void) | undefined;
  /** The sockets that were open when their page was asked: a handler goes on with one that has closed, too. */
  #askedSockets: readonly Socket[] = [];
  #successor: ActiveSession | undefined;

  constructor(connection: LoginConnection, regenerate: Regenerate) {
    this.connection = connection;
    this.#regenerate = regenerate;
  }

  /**
   * Resolves when the handler goes on that asked for the session that the connection has: until then it is empty.
   * Undefined where nobody is waited for.
   */
  get handover(): Promise<void> | undefined {
    return this.#running?.from === this.live ? undefined : this.#running?.done.catch(noop);
  }

  /** The session object of this connection alone: its `regenerate()` knows which connection asks. */
  sessionOf(live: ActiveSession): SocketSession {
    if (this.#ownSession?.live !== live)
      this.#ownSession = { live, session: regenerable(live.data, () => this.#start(live)) };
    return this.#ownSession.session;
  }

  #start(live: ActiveSession): Promise<void> {
    // Somebody has kept the session that was.
    if (live !== this.live) return Promise.reject(new SessionError(live.ended ?? "SESSION_ROTATED"));
    if (this.#running) return this.#running.done;
    const regenerating = this.#regenerate(this, this.connection.sockets[0]?.conn.request);
    const done = regenerating.finally(() => {
      this.#running = undefined;
      this.#askedSockets = [];
      this.connection.onLoginOver();
    });
    this.#running = { from: live, done };
    return done;
  }

  // --- RegeneratingConnection ---

  get live(): ActiveSession | undefined {
    return this.connection.live;
  }

  async sendTicket(ticket: string): Promise<void> {
    this.#askedSockets = this.connection.sockets;
    const socket = this.#askedSockets.find((one) => helped.has(one));
    if (!socket) return;
    const answered = new Promise<void>((resolve) => (this.#stopWaiting = resolve));
    send(socket, "session:collect", { ticket });
    await withTimeout(answered, collectTimeout, noop);
    this.#stopWaiting = undefined;
  }

  setSuccessor(successor: ActiveSession): void {
    this.#successor = successor;
  }

  cancelSuccessor(): void {
    this.#successor?.remove(this.connection);
    this.#successor = undefined;
  }

  moveToSuccessor(): void {
    const successor = this.#successor;
    if (!successor) return;
    this.#successor = undefined;
    const { sockets } = this.connection;
    this.connection.moveTo(
      successor,
      this.#askedSockets.filter((socket) => !sockets.includes(socket)),
    );
  }

  // --- what the connection hears ---

  /** The session has ended. True where that was expected: the connection has moved to the next. */
  onEnd(code: SessionCode): boolean {
    if (code !== "SESSION_ROTATED" || !this.#successor || this.#successor.ended) return false;
    this.moveToSuccessor();
    return true;
  }

  /** The connection is closed. */
  onClose(): void {
    this.#successor?.remove(this.connection);
    this.#stopWaiting?.();
  }

  /** Handles a packet that the helper sends to us, and not to the application; false for anything else. */
  handlePacket(socket: Socket, packet: Packet): boolean {
    if ((packet.data as unknown[] | undefined)?.[0] !== "session:collected" || !helped.has(socket)) return false;
    this.#stopWaiting?.();
    // When it is certain under which session the socket goes on.
    const done = (): void => acknowledge(socket, packet);
    void (this.#running?.done ?? Promise.resolve()).then(done, done);
    return true;
  }
}
