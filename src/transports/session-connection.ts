// One transport connection of any kind of server: its session, why it was refused, and the gate for what its client
// sends. Knows no server: subclasses deliver the messages and close the connection.
import type { IncomingMessage } from "node:http";
import { type ErrorCode, type SessionError, type CloseReason, closeReason } from "../errors.js";
import { after, type Awaitable, isPromise, rescue } from "../internal/awaitable.js";
import { setHidden } from "../internal/hidden.js";
import { safely } from "../internal/safely.js";
import type { Cors } from "../handshake/cors.js";
import { warnOnce } from "../warnings.js";
import type { Connection } from "../session/connections.js";
import type { ActiveSession } from "../session/live-session.js";
import type { SocketSession } from "../session/socket-session.js";
import { type Admission, canTicketHelp } from "../handshake/admission.js";
import type { Permission } from "../handshake/permission.js";
import { setSession } from "./session-property.js";
import { WaitingMessages, type WaitingLimits } from "./waiting-messages.js";

/** What one `attach()` call works with. */
export interface Attachment {
  /** Whose sessions they are: a server takes those of one `createSessions()` alone. */
  readonly sessions: object;
  readonly admission: Admission;
  /** Asks who may be here; undefined where everybody may who was admitted. */
  readonly permission: Permission | undefined;
  /** What a socket without a session gets. */
  readonly anonymous: SocketSession;
  /** True where every client gets the view; otherwise only the client helper does. */
  readonly showsAll: boolean;
  /** How much of one connection may wait for its session. */
  readonly limits: WaitingLimits;
  /** Called with the handshake request when a socket gets its session. */
  onBound(request: object): void;
}

/** One transport connection; its messages are delivered to a `Receiver`, the socket. */
export abstract class SessionConnection<Receiver> implements Connection {
  readonly attachment: Attachment;
  live: ActiveSession | undefined;
  /** Why the client may not come in, or not any more: it was refused, or its session has ended. */
  refusalCode: ErrorCode | undefined;
  /** The session that was found to be allowed. */
  #permitted: SocketSession | undefined;
  /** Messages that wait for the session to be checked, in order. */
  #waiting: WaitingMessages<Receiver> | undefined;
  /** The close that waits behind the messages that wait. */
  #deferredClose: (() => void) | undefined;

  constructor(attachment: Attachment) {
    this.attachment = attachment;
  }

  get session(): SocketSession {
    return this.live?.data ?? this.attachment.anonymous;
  }

  /** Sets `live` (undefined for an anonymous client), or `refusalCode`: at once where nobody has to be waited for. */
  admit(request: IncomingMessage | null | undefined, cors: Cors | undefined, isTicketToCome = false): Awaitable<void> {
    this.#permitted = undefined;
    const admit = (): Awaitable<void> =>
      after(this.attachment.admission.admit(request, this, cors, isTicketToCome), (live) => {
        this.live = live;
      });
    return rescue(admit, (error) => {
      this.refusalCode = (error as SessionError).code;
    });
  }

  /**
   * Gives the client the session of its ticket, where it brought none; where it did, the ticket must be for that one.
   * Resolves with the code of a refusal. That sets no `refusalCode`: the next ticket may be better.
   */
  async redeemTicket(
    ticket: string,
    holders: readonly string[],
    request: IncomingMessage | null | undefined,
  ): Promise<ErrorCode | undefined> {
    if (this.refusalCode !== undefined && !canTicketHelp(this.refusalCode)) return this.refusalCode;
    try {
      const { live } = this;
      const found = await this.attachment.admission.redeemTicket(ticket, { connection: this, holders, live, request });
      if (found !== live && !(await this.#ask(found, request))) {
        found.remove(this);
        return "SESSION_FORBIDDEN";
      }
      // A login over this very connection may have moved it meanwhile.
      if (this.live === live) this.live = found;
      // It may have ended meanwhile.
      if (canTicketHelp(this.refusalCode)) this.refusalCode = undefined;
      return await this.permit(request);
    } catch (error) {
      return (error as SessionError).code;
    }
  }

  /**
   * Asks whether the session may be here that the client was admitted with, unless that is known: at once where the
   * answer is. Gives the code of a refusal.
   */
  permit(request: IncomingMessage | null | undefined): Awaitable<ErrorCode | undefined> {
    const code = this.check();
    if (code === undefined || this.refusalCode !== undefined || this.#isPermitted) return code;
    return after(this.#ask(this.live, request), (isAllowed) => {
      // It may have ended meanwhile.
      if (!isAllowed && this.refusalCode === undefined) {
        this.live?.remove(this);
        this.refusalCode = "SESSION_FORBIDDEN";
      }
      return this.refusalCode;
    });
  }

  /** Gives the code why the client may not be here, by what its session is now. */
  check(): ErrorCode | undefined {
    if (this.refusalCode !== undefined) return this.refusalCode;
    return this.#isPermitted && !this.#isForbiddenNow ? undefined : "SESSION_FORBIDDEN";
  }

  get #isPermitted(): boolean {
    const { permission, anonymous } = this.attachment;
    return !permission || this.#permitted === (this.live?.data ?? anonymous);
  }

  /** True where the data has changed in this turn of the event loop, and may close the connection after it. */
  get #isForbiddenNow(): boolean {
    const { live } = this;
    return live !== undefined && this.attachment.permission?.isDue(live) === true && !this.mayStay(live.data);
  }

  /** Resolves when it is known whether the client may stay; undefined where it may by what is known. */
  protected get pendingReview(): Promise<true> | undefined {
    return this.#isForbiddenNow ? this.attachment.permission?.untilReviewed() : undefined;
  }

  #ask(live: ActiveSession | undefined, request: IncomingMessage | null | undefined): Awaitable<boolean> {
    const { permission, anonymous, admission } = this.attachment;
    if (!permission) return true;
    const session = live?.data ?? anonymous;
    return after(permission.ask(live, session, request ?? undefined), (isAllowed) => {
      if (isAllowed) this.#permitted = session;
      else admission.report("SESSION_FORBIDDEN", request);
      return isAllowed;
    });
  }

  /** Goes on under another session, which is asked about with the next change of its data. */
  protected goOnUnder(live: ActiveSession): void {
    this.live = live;
    this.#permitted = live.data;
  }

  /** Puts the session where the application's handlers look for it: on the socket, and on what they reach from there. */
  bind(socket: object | undefined, ...holders: (object | null | undefined)[]): void {
    const { session } = this;
    if (socket) setSession(socket, session);
    for (const holder of holders) if (holder) setHidden(holder, "session", session);
  }

  /** Holds all messages until the client is admitted. */
  hold(pendingAdmission: Awaitable<void>): void {
    if (!isPromise(pendingAdmission)) return;
    const waiting = (this.#waiting = new WaitingMessages<Receiver>(this.attachment.limits));
    void pendingAdmission.then(() => this.#flush(waiting, this.refusalCode === undefined));
  }

  /** The connection is closed, or never came to be. */
  release(): void {
    this.live?.remove(this);
    this.#drop();
  }

  /** Runs what closes a connection, or tells of its close, behind the messages that wait; false where none does. */
  deferClose(close: () => void): boolean {
    if (!this.#waiting) return false;
    const before = this.#deferredClose;
    this.#deferredClose = before
      ? () => {
          safely(before);
          close();
        }
      : close;
    return true;
  }

  /** Delivers a message, or holds it until the session was read again. */
  receive(receiver: Receiver, message: unknown): void {
    if (this.#waiting) return this.#wait(this.#waiting, receiver, message);
    // Some transports still hand over what came before the other side has agreed to close.
    if (this.refusalCode !== undefined) return;
    const { live } = this;
    const mayRun = live ? live.beforeEvent() : true;
    if (mayRun === true) this.pass(receiver, message);
    // With another session now, what waited is not lost to the old one's end.
    else if (mayRun !== false) {
      const isLive = mayRun.then((isAllowed) => isAllowed || this.live !== live);
      this.#waitFor(isLive, receiver, message);
    }
  }

  /** Delivers a message that has passed the gate, unless it has to wait until it is known whether the client may stay. */
  protected pass(receiver: Receiver, message: unknown): void {
    // Of those that came together, an earlier one may have closed the connection.
    if (this.refusalCode !== undefined) return;
    if (this.#waiting) return this.#wait(this.#waiting, receiver, message);
    const review = this.attachment.permission && this.pendingReview;
    if (!review) return this.deliver(receiver, message);
    this.#waitFor(review, receiver, message);
  }

  #waitFor(mayRun: Promise<boolean>, receiver: Receiver, message: unknown): void {
    const waiting = (this.#waiting = new WaitingMessages<Receiver>(this.attachment.limits));
    this.#wait(waiting, receiver, message);
    waiting.resume = this.pause();
    void mayRun.then((isAllowed) => this.#flush(waiting, isAllowed));
  }

  /** Puts a message that needs no check behind those that wait; false where none does. */
  receiveUnchecked(receiver: Receiver, message: unknown): boolean {
    if (!this.#waiting) return false;
    this.#wait(this.#waiting, receiver, message);
    return true;
  }

  // --- Connection ---

  mayStay(data: SocketSession): boolean {
    const { permission } = this.attachment;
    // One that is being admitted is asked about there.
    return !permission || this.#permitted !== data || permission.isGiven(data);
  }

  end(reason: CloseReason): void {
    this.refusalCode = reason.code;
    this.#permitted = undefined;
    const { resume } = this.#waiting ?? {};
    this.#waiting = undefined;
    this.close(reason);
    // What still comes is read and dropped: else the client's answer to the close would never be read.
    resume?.();
    this.#closeDeferred();
  }

  /** Stops reading what the client sends, where the server can; the returned call reads on. */
  protected pause(): (() => void) | undefined {
    return undefined;
  }

  protected abstract deliver(receiver: Receiver, message: unknown): void;

  /** Tells the client the reason, then closes the connection. */
  protected abstract close(reason: CloseReason): void;

  #wait(waiting: WaitingMessages<Receiver>, receiver: Receiver, message: unknown): void {
    if (!waiting.add(receiver, message)) this.overflow();
  }

  /** More would wait of this connection than may. */
  protected overflow(): void {
    this.live?.remove(this);
    warnOnce("LIMIT_REACHED");
    this.end(closeReason("LIMIT_REACHED"));
  }

  #flush(waiting: WaitingMessages<Receiver>, isAllowed: boolean): void {
    // It has ended meanwhile.
    if (this.#waiting !== waiting) return;
    this.#drop();
    for (const { receiver, message } of isAllowed ? waiting : []) safely(() => this.pass(receiver, message));
    this.#closeDeferred();
  }

  /** From now on nothing waits, and the client may send again. */
  #drop(): void {
    const { resume } = this.#waiting ?? {};
    this.#waiting = undefined;
    resume?.();
  }

  #closeDeferred(): void {
    const close = this.#deferredClose;
    this.#deferredClose = undefined;
    if (close) safely(close);
  }
}
