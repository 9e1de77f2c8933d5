// One transport connection of any kind of server: its session, whether it is barred, and the gate for what its client
// sends. Knows no server: how a message is delivered and how a connection is closed is its adapter's.
import type { IncomingMessage } from "node:http";
import { type ErrorCode, type SessionError, type CloseReason, closeReason } from "../errors.js";
import { setHidden } from "../internal/hidden.js";
import { safely } from "../internal/safely.js";
import type { Cors } from "../handshake/cors.js";
import { warnOnce } from "../warnings.js";
import type { ActiveSession, Connection } from "../session/live-session.js";
import type { SocketSession } from "../session/socket-session.js";
import { type Admission, isCurable } from "../handshake/admission.js";
import { WaitingMessages, type WaitingLimits } from "./waiting-messages.js";

/** What one `attach()` call works with. */
export interface ServerParts {
  /** The sessions that attach: a server has those of one alone. */
  readonly owner: object;
  readonly admission: Admission;
  /** What a socket without a session gets. */
  readonly anonymous: SocketSession;
  /** Whether every client is shown the session's view: there is one. Others ask for it. */
  readonly showsAll: boolean;
  /** How much of one connection may wait for its session. */
  readonly limits: WaitingLimits;
  /** Called with the handshake request when a socket gets its session. */
  bound(request: object): void;
}

export abstract class SessionConnection<Receiver> implements Connection {
  readonly parts: ServerParts;
  live: ActiveSession | undefined;
  /** Why nobody may come in: the handshake was refused, or the session has ended. */
  barred: ErrorCode | undefined;
  /** Messages that wait for the session to be checked, in order. */
  #waiting: WaitingMessages<Receiver> | undefined;
  /** The client's goodbye, behind the messages that wait. */
  #goodbye: (() => void) | undefined;

  constructor(parts: ServerParts) {
    this.parts = parts;
  }

  get session(): SocketSession {
    return this.live?.data ?? this.parts.anonymous;
  }

  /** Asks who this is; afterwards there is a session (or none, for an anonymous one), or the connection is barred. */
  async admit(
    request: IncomingMessage | null | undefined,
    cors: Cors | undefined,
    isTicketToCome = false,
  ): Promise<void> {
    try {
      this.live = await this.parts.admission.admit(request, this, cors, isTicketToCome);
    } catch (error) {
      this.barred = (error as SessionError).code;
    }
  }

  /**
   * Lets the client in by a ticket, where it brought no session; where it did, the ticket must be for that one. Answers
   * with the code of a refusal, which bars nobody: the next ticket may be better.
   */
  async redeem(
    ticket: string,
    holders: readonly string[],
    request: IncomingMessage | null | undefined,
  ): Promise<ErrorCode | undefined> {
    if (this.barred !== undefined && !isCurable(this.barred)) return this.barred;
    try {
      const { live } = this;
      const found = await this.parts.admission.redeem(ticket, { connection: this, holders, live, request });
      // A login over this very connection may have moved it meanwhile.
      if (this.live === live) this.live = found;
      // It may have ended meanwhile.
      if (isCurable(this.barred)) this.barred = undefined;
      return this.barred;
    } catch (error) {
      return (error as SessionError).code;
    }
  }

  /** Puts the session where handlers look for it. */
  bind(...holders: (object | null | undefined)[]): void {
    const { session } = this;
    for (const holder of holders) if (holder) setHidden(holder, "session", session);
  }

  /** Holds all messages until it is decided who this is. */
  hold(decided: Promise<void>): void {
    const waiting = (this.#waiting = new WaitingMessages<Receiver>(this.parts.limits));
    void decided.then(() => this.#flush(waiting, this.barred === undefined));
  }

  /** The connection is closed, or never came to be. */
  release(): void {
    this.live?.remove(this);
    this.#drop();
  }

  /** Puts what closes a connection, or tells of its close, behind the messages that wait; false where none does. */
  defer(goodbye: () => void): boolean {
    if (!this.#waiting) return false;
    const before = this.#goodbye;
    this.#goodbye = before
      ? () => {
          safely(before);
          goodbye();
        }
      : goodbye;
    return true;
  }

  /** Lets a message through to its handlers, or holds it until the session was checked. */
  enter(receiver: Receiver, message: unknown): void {
    if (this.#waiting) return this.#wait(this.#waiting, receiver, message);
    // Some transports still hand over what came before the other side has agreed to close.
    if (this.barred !== undefined) return;
    const { live } = this;
    const mayEnter = live ? live.beforeEvent() : true;
    if (mayEnter === true) this.deliver(receiver, message);
    else if (mayEnter !== false) {
      const waiting = (this.#waiting = new WaitingMessages<Receiver>(this.parts.limits));
      this.#wait(waiting, receiver, message);
      waiting.resume = this.pause();
      // With another session now, what waited is not lost to the old one's end.
      void mayEnter.then((isChecked) => this.#flush(waiting, isChecked || this.live !== live));
    }
  }

  /** Puts what needs no check behind the messages that wait; false where none does. */
  follow(receiver: Receiver, message: unknown): boolean {
    if (!this.#waiting) return false;
    this.#wait(this.#waiting, receiver, message);
    return true;
  }

  // --- Connection ---

  end(said: CloseReason): void {
    this.barred = said.code;
    const { resume } = this.#waiting ?? {};
    this.#waiting = undefined;
    this.close(said);
    // What still comes is read and dropped: else the client's answer to the close would not be seen.
    resume?.();
    this.#leave();
  }

  /** While messages wait, the client should send no more, where a server can ask for that: the call that ends it. */
  protected pause(): (() => void) | undefined {
    return undefined;
  }

  protected abstract deliver(receiver: Receiver, message: unknown): void;

  /** Tells the client, then closes the connection. */
  protected abstract close(said: CloseReason): void;

  #wait(waiting: WaitingMessages<Receiver>, receiver: Receiver, message: unknown): void {
    if (!waiting.add(receiver, message)) this.overflow();
  }

  /** More would wait of this connection than may. */
  protected overflow(): void {
    this.live?.remove(this);
    warnOnce("LIMIT_REACHED");
    this.end(closeReason("LIMIT_REACHED"));
  }

  #flush(waiting: WaitingMessages<Receiver>, isChecked: boolean): void {
    // It has ended meanwhile.
    if (this.#waiting !== waiting) return;
    this.#drop();
    if (isChecked) for (const { receiver, message } of waiting) safely(() => this.deliver(receiver, message));
    this.#leave();
  }

  /** From now on nothing waits, and the client may send again. */
  #drop(): void {
    const { resume } = this.#waiting ?? {};
    this.#waiting = undefined;
    resume?.();
  }

  #leave(): void {
    const goodbye = this.#goodbye;
    this.#goodbye = undefined;
    if (goodbye) safely(goodbye);
  }
}
