// One transport connection of Socket.IO, shared by all its namespaces: who it is, its sockets' session and view, and its
// end. Knows no server.
import type { ErrorCode, CloseReason } from "../../errors.js";
import type { ActiveSession } from "../../session/live-session.js";
import type { SocketSession } from "../../session/socket-session.js";
import type { SessionView } from "../../session/view.js";
import { type Awaitable, isPromise } from "../../internal/awaitable.js";
import { setHidden } from "../../internal/hidden.js";
import { safely } from "../../internal/safely.js";
import { canTicketHelp } from "../../handshake/admission.js";
import { type Attachment, SessionConnection } from "../session-connection.js";
import { pauseReading } from "../engine-pause.js";
import { helped, send } from "./client-helper.js";
import { roomOf } from "./room.js";
import { joinsAtConnect } from "./room-members.js";
import { Login, type LoginConnection, type Regenerate } from "./login.js";
import {
  type Auth,
  type Client,
  interceptPackets,
  type Packet,
  packetTypes,
  type RawSocket,
  readPacket,
  type Socket,
} from "./internals.js";
import { WaitingCount } from "../waiting-messages.js";

/** What one `attach()` call works with. */
export interface SocketIoAttachment extends Attachment {
  /** Gives a connection a new session. */
  readonly regenerate: Regenerate;
}

/** The connections of one attachment. */
export class Connections {
  readonly attachment: SocketIoAttachment;
  /** Whether all namespaces of a connection are ours, so that the transport can be closed with them. */
  readonly isWhole: boolean;
  /** Called with the connection that is closed as `this`. */
  readonly closed: (this: RawSocket) => void;
  /** Where a transport connection has its own: several may guard one, for different namespaces. */
  readonly #key = Symbol("socket-session");

  constructor(attachment: SocketIoAttachment, isWhole: boolean) {
    this.attachment = attachment;
    this.isWhole = isWhole;
    const key = this.#key;
    // One function for all connections: each finds its own through `this`. So is `gated`.
    this.closed = function closed() {
      (this as GuardedConn)[key]?.release();
    };
  }

  of(conn: RawSocket): SocketIoConnection {
    const known = (conn as GuardedConn)[this.#key];
    if (known) return known;
    const connection = new SocketIoConnection(conn, this);
    setHidden(conn, this.#key, connection);
    return connection;
  }
}

interface GuardedConn extends RawSocket {
  readonly [key: symbol]: SocketIoConnection | undefined;
}

/** One transport connection, shared by all its namespaces. */
export class SocketIoConnection extends SessionConnection<Socket> implements LoginConnection {
  declare readonly attachment: SocketIoAttachment;
  readonly #connections: Connections;
  /** While the client is being admitted, where that takes time, or its ticket redeemed; `refusalCode` then says why it was not. */
  pendingAdmission: Promise<void> | undefined;
  #client: Client | undefined;
  /** The CONNECT packets that wait for it. */
  #connecting: WaitingCount | undefined;
  /** Where tickets are taken: whose. */
  readonly #holders: readonly string[] | undefined;
  /** Whether nobody was told yet why the client is refused: a ticket may have come. */
  #isUnreported = false;
  /** Where the client is the helper. */
  #login: Login | undefined;
  /** Where it is asked who may stay, while a packet is read: those that came in the same tick. */
  #unread: [Socket, Packet][] | undefined;

  constructor(conn: RawSocket, connections: Connections) {
    super(connections.attachment);
    this.#connections = connections;
    const { admission } = connections.attachment;
    // The application may drop the request to save memory.
    if (admission.takesTickets) this.#holders = admission.holdersOf(conn.request);
    this.startAdmission(conn);
    conn.on("close", connections.closed);
  }

  get room(): string | undefined {
    return this.live && roomOf(this.live.id);
  }

  /** Admits the client, unless that is under way. */
  startAdmission(conn: RawSocket): void {
    if (this.pendingAdmission) return;
    this.release();
    this.live = undefined;
    this.refusalCode = undefined;
    const { takesTickets } = this.attachment.admission;
    const finish = (): void => {
      this.#isUnreported = takesTickets && canTicketHelp(this.refusalCode);
      this.#finishAdmission(conn);
    };
    const admitting = this.admit(conn.request, conn.server.opts.cors, takesTickets);
    if (isPromise(admitting)) this.pendingAdmission = admitting.then(finish);
    else finish();
  }

  #finishAdmission(conn: RawSocket): void {
    if (conn.readyState !== "open" && conn.readyState !== "opening") this.release();
    this.pendingAdmission = undefined;
  }

  /** Admits one CONNECT, by its ticket where it brings one. Gives the code of a refusal. */
  admitConnect(conn: RawSocket, ticket: string | undefined, auth: Auth): Awaitable<ErrorCode | undefined> {
    // Those of several namespaces come at once, and only one of them brings the connection its session.
    if (this.pendingAdmission ?? this.pendingHandover) return this.#admitLater(conn, ticket, auth);
    return this.#admitNow(conn, ticket);
  }

  async #admitLater(conn: RawSocket, ticket: string | undefined, auth: Auth): Promise<ErrorCode | undefined> {
    const waiting = (this.#connecting ??= new WaitingCount(this.attachment.limits));
    if (!waiting.add(auth)) this.overflow();
    else {
      for (let pending; (pending = this.pendingAdmission ?? this.pendingHandover);) await pending;
      waiting.remove(auth);
    }
    return this.#admitNow(conn, ticket);
  }

  #admitNow(conn: RawSocket, ticket: string | undefined): Awaitable<ErrorCode | undefined> {
    if (this.refusalCode === "LIMIT_REACHED") return this.refusalCode;
    if (ticket !== undefined && this.#holders !== undefined) return this.#redeem(conn, ticket, this.#holders);
    if (this.refusalCode !== undefined && this.#isUnreported)
      this.attachment.admission.report(this.refusalCode, conn.request);
    this.#isUnreported = false;
    return this.#permit(conn);
  }

  #permit(conn: RawSocket): Awaitable<ErrorCode | undefined> {
    const permitting = this.permit(conn.request);
    if (!isPromise(permitting)) return permitting;
    this.pendingAdmission = permitting.then(() => this.#finishAdmission(conn));
    return permitting;
  }

  async #redeem(conn: RawSocket, ticket: string, holders: readonly string[]): Promise<ErrorCode | undefined> {
    const { live } = this;
    let refused: ErrorCode | undefined;
    this.pendingAdmission = this.redeemTicket(ticket, holders, conn.request).then((code) => {
      refused = code;
      this.#finishAdmission(conn);
    });
    await this.pendingAdmission;
    // Those that are open were anonymous.
    if (this.live !== live) this.#rebind(undefined);
    return refused;
  }

  /** Notes that a socket's client is the helper. */
  help(socket: Socket): void {
    helped.add(socket);
    this.#login ??= new Login(this, this.attachment.regenerate);
  }

  override get session(): SocketSession {
    return (this.live && this.#login?.sessionOf(this.live)) ?? super.session;
  }

  /** Gives a socket its session, before any middleware sees it. */
  bindSocket(socket: Socket): void {
    this.#client = socket.client;
    const { request } = socket.conn;
    if (request) this.attachment.onBound(request);
    this.bind(socket, socket.handshake, request);
    guard(socket, this);
  }

  /** Gives the open sockets the session that the connection has now. */
  #rebind(roomBefore: string | undefined): void {
    for (const socket of this.sockets) {
      if (roomBefore !== undefined) socket.leave(roomBefore);
      this.joinRoom(socket);
      this.bindSocket(socket);
      this.greet(socket);
    }
  }

  /** Puts a socket into its session's room, now or when such a room is first used. */
  joinRoom(socket: Socket): void {
    if (this.live && joinsAtConnect(socket.nsp, join)) join(socket);
  }

  /** The open sockets that are ours. */
  get sockets(): Socket[] {
    const sockets = [...(this.#client?.sockets.values() ?? [])] as GuardedSocket[];
    return sockets.filter((socket) => socket[guardedBy] === this);
  }

  // --- the view ---

  /** Sends the view to the client of a socket that has just connected. */
  greet(socket: Socket): void {
    if (!this.#getsView(socket)) return;
    const view = this.live ? this.live.sessionView : { view: null, expiresIn: null };
    if (view) send(socket, "session:view", view);
  }

  showView(view: SessionView): void {
    for (const socket of this.sockets) if (this.#getsView(socket)) send(socket, "session:view", view);
  }

  #getsView(socket: Socket): boolean {
    return this.attachment.showsAll || (this.#login !== undefined && helped.has(socket));
  }

  // --- a login over the socket ---

  moveTo(live: ActiveSession, closed: readonly Socket[]): void {
    const { room } = this;
    this.goOnUnder(live);
    for (const socket of closed) this.bind(socket, socket.handshake);
    this.#rebind(room);
    // It went away meanwhile, or was closed.
    if (this.#client?.conn.readyState !== "open" || this.refusalCode !== undefined) this.release();
  }

  onLoginOver(): void {
    if (this.live) this.attachment.permission?.reviewSoon(this.live);
  }

  /** Resolves when it is known who has logged in; undefined where nobody does. A new session is empty until then. */
  get pendingHandover(): Promise<true> | undefined {
    const { permission } = this.attachment;
    return permission && this.#login?.handover?.then(() => permission.untilReviewed());
  }

  protected override get pendingReview(): Promise<true> | undefined {
    return this.pendingHandover ?? super.pendingReview;
  }

  override mayStay(data: SocketSession): boolean {
    return this.#login?.handover !== undefined || super.mayStay(data);
  }

  override end(reason: CloseReason): void {
    if (!this.#login?.onEnd(reason.code)) super.end(reason);
  }

  override release(): void {
    super.release();
    this.#login?.onClose();
  }

  protected override pause(): (() => void) | undefined {
    return this.#client && pauseReading(this.#client.conn);
  }

  protected deliver(socket: Socket, message: unknown): void {
    const packet = message as Packet;
    if (!this.attachment.permission) this.#read(socket, packet);
    else if (!this.#unread) this.#readAlone(socket, packet);
    else if (this.#unread === none) this.#unread = [[socket, packet]];
    else this.#unread.push([socket, packet]);
  }

  /** Reads a packet, and the next one when its handlers have run: these may change who may stay. */
  #readAlone(socket: Socket, packet: Packet): void {
    this.#unread ??= none;
    try {
      this.#read(socket, packet);
    } finally {
      process.nextTick(readOn, this);
    }
  }

  /** The handlers of a packet have run. */
  readOn(): void {
    const unread = this.#unread;
    const next = unread === none || this.pendingReview ? undefined : unread?.shift();
    if (next) return this.#readAlone(...next);
    this.#unread = undefined;
    for (const each of unread ?? none) this.pass(...each);
  }

  #read(socket: Socket, packet: Packet): void {
    if (this.#login?.handlePacket(socket, packet)) return;
    // Socket.IO runs handlers on the next tick, and none of a socket that has gone.
    if (packet.type === packetTypes.disconnect) process.nextTick(readPacket, socket, packet);
    else readPacket(socket, packet);
  }

  protected close(reason: CloseReason): void {
    const client = this.#client;
    // Without a socket nobody can be told: the next CONNECT is turned down.
    if (!client) return;
    const sockets = this.sockets;
    for (const socket of sockets) safely(() => socket.emit("session:end", reason));
    // A client that is disconnected by the server stays away; one whose transport closes comes back by itself.
    if (!reason.retry) for (const socket of sockets) safely(() => socket.disconnect());
    const isFlooded = reason.code === "LIMIT_REACHED";
    // Another attach() may let the client stay in its namespaces.
    const isShared = reason.code === "SESSION_FORBIDDEN" && client.sockets.size > 0;
    const isOver = reason.retry || (this.#connections.isWhole && !isShared);
    if (isFlooded || (sockets.length > 0 && isOver)) client.conn.close();
  }
}

/**
 * Which connection guards a socket. Not told by its functions: other code (socketio-wildcard, tracers) wraps and
 * replaces these.
 */
const guardedBy = Symbol("socket-session");

interface GuardedSocket extends Socket {
  [guardedBy]?: SocketIoConnection;
}

/** In place of an array for each packet that comes alone. */
const none = Object.freeze([]) as unknown as [Socket, Packet][];

const readOn = (connection: SocketIoConnection): void => connection.readOn();

function join(socket: GuardedSocket): void {
  const room = socket[guardedBy]?.room;
  if (room !== undefined) socket.join(room);
}

/** Puts the gate where a socket's packets come in, once. */
function guard(socket: GuardedSocket, connection: SocketIoConnection): void {
  if (socket[guardedBy]) return;
  interceptPackets(socket, gated);
  setHidden(socket, guardedBy, connection);
}

/** The gate: one function for all sockets. */
function gated(this: GuardedSocket, packet: Packet): void {
  const connection = this[guardedBy] as SocketIoConnection;
  if (packet.type === packetTypes.event || packet.type === packetTypes.binaryEvent) connection.receive(this, packet);
  // A DISCONNECT needs no check, but does not overtake what was sent before it.
  else if (packet.type !== packetTypes.disconnect || !connection.receiveUnchecked(this, packet))
    readPacket(this, packet);
}
