// One transport connection of Socket.IO, shared by all its namespaces: who it is, its sockets' session and view, and its
// end. Knows no server.
import type { ErrorCode, CloseReason } from "../../errors.js";
import type { ActiveSession } from "../../session/live-session.js";
import type { SocketSession } from "../../session/socket-session.js";
import type { Shown } from "../../session/view.js";
import { setHidden } from "../../internal/hidden.js";
import { safely } from "../../internal/safely.js";
import { isCurable } from "../../handshake/admission.js";
import { type ServerParts, SessionConnection } from "../session-connection.js";
import { pauseReading } from "../engine-pause.js";
import { helped, send } from "./client-helper.js";
import { roomOf } from "./room.js";
import { Login, type LoginConnection, type Regenerate } from "./login.js";
import { type Auth, type Client, type EngineSocket, type Packet, packetTypes, type Socket } from "./internals.js";
import { WaitingCount } from "../waiting-messages.js";

/** What one `attach()` call works with. */
export interface SocketIoParts extends ServerParts {
  /** Gives a connection a new session. */
  readonly regenerate: Regenerate;
}

/** The connections of one attachment. */
export class Connections {
  readonly parts: SocketIoParts;
  /** Whether all namespaces of a connection are ours, so that the transport can be closed with them. */
  readonly isWhole: boolean;
  /** Called with the connection that is closed as `this`. */
  readonly closed: (this: EngineSocket) => void;
  readonly #byConn = new WeakMap<EngineSocket, SocketIoConnection>();

  constructor(parts: SocketIoParts, isWhole: boolean) {
    this.parts = parts;
    this.isWhole = isWhole;
    const byConn = this.#byConn;
    // One function for all connections: each finds its own through `this`. So is `gated`.
    this.closed = function closed() {
      byConn.get(this)?.release();
    };
  }

  of(conn: EngineSocket): SocketIoConnection {
    let connection = this.#byConn.get(conn);
    if (!connection) this.#byConn.set(conn, (connection = new SocketIoConnection(conn, this)));
    return connection;
  }
}

/** One transport connection, shared by all its namespaces. */
export class SocketIoConnection extends SessionConnection<Socket> implements LoginConnection {
  declare readonly parts: SocketIoParts;
  readonly #owner: Connections;
  /** Resolves when it is decided; `barred` then says why not. */
  decided: Promise<void> | undefined;
  #client: Client | undefined;
  /** The CONNECTs that wait for that. */
  #connecting: WaitingCount | undefined;
  /** Where tickets are taken: whose. */
  readonly #holders: readonly string[] | undefined;
  /** Whether nobody was told yet why the client is refused: a ticket may have come. */
  #isUnreported = false;
  /** Where the client is the helper. */
  #login: Login | undefined;

  constructor(conn: EngineSocket, owner: Connections) {
    super(owner.parts);
    this.#owner = owner;
    const { admission } = owner.parts;
    // The application may drop the request to save memory.
    if (admission.takesTickets) this.#holders = admission.holdersOf(conn.request);
    this.decide(conn);
    conn.on("close", owner.closed);
  }

  get room(): string | undefined {
    return this.live && roomOf(this.live.id);
  }

  decide(conn: EngineSocket): void {
    if (this.decided) return;
    this.release();
    this.live = undefined;
    this.barred = undefined;
    this.decided = this.#decide(conn);
  }

  async #decide(conn: EngineSocket): Promise<void> {
    const { takesTickets } = this.parts.admission;
    await this.admit(conn.request, conn.server.opts.cors, takesTickets);
    this.#isUnreported = takesTickets && isCurable(this.barred);
    this.#settle(conn);
  }

  #settle(conn: EngineSocket): void {
    if (conn.readyState !== "open" && conn.readyState !== "opening") this.release();
    this.decided = undefined;
  }

  /** Judges one CONNECT: by its ticket, where it brings one. Answers with the code of a refusal. */
  async judge(conn: EngineSocket, ticket: string | undefined, auth: Auth): Promise<ErrorCode | undefined> {
    // Those of several namespaces come at once, and only one of them brings the connection its session.
    if (this.decided) {
      const waiting = (this.#connecting ??= new WaitingCount(this.parts.limits));
      if (!waiting.enter(auth)) this.overflow();
      else {
        while (this.decided !== undefined) await this.decided;
        waiting.leave(auth);
      }
    }
    if (this.barred === "LIMIT_REACHED") return this.barred;
    if (ticket === undefined || this.#holders === undefined) {
      if (this.barred !== undefined && this.#isUnreported) this.parts.admission.report(this.barred, conn.request);
      this.#isUnreported = false;
      return this.barred;
    }
    const { live } = this;
    let refused: ErrorCode | undefined;
    this.decided = this.redeem(ticket, this.#holders, conn.request).then((code) => {
      refused = code;
      this.#settle(conn);
    });
    await this.decided;
    // Those that are open were anonymous.
    if (this.live !== live) this.#rebind(undefined);
    return refused;
  }

  /** Notes that a socket's client is the helper. */
  help(socket: Socket): void {
    helped.add(socket);
    this.#login ??= new Login(this, this.parts.regenerate);
  }

  override get session(): SocketSession {
    return (this.live && this.#login?.sessionOf(this.live)) ?? super.session;
  }

  /** Gives a socket its session, before any middleware sees it. */
  bindSocket(socket: Socket): void {
    this.#client = socket.client;
    const { request } = socket.conn;
    if (request) this.parts.bound(request);
    this.bind(socket, socket.handshake, request);
    guard(socket, this);
  }

  /** Gives the open sockets the session that the connection has now. */
  #rebind(roomBefore: string | undefined): void {
    const { room } = this;
    for (const socket of this.sockets) {
      if (roomBefore !== undefined) socket.leave(roomBefore);
      if (room !== undefined) socket.join(room);
      this.bindSocket(socket);
      this.greet(socket);
    }
  }

  /** The open sockets that are ours. */
  get sockets(): Socket[] {
    const sockets = [...(this.#client?.sockets.values() ?? [])] as GuardedSocket[];
    return sockets.filter((socket) => socket[guardedBy] === this);
  }

  // --- the view ---

  /** Tells the client of a socket that has just connected what it may see. */
  greet(socket: Socket): void {
    if (!this.#isShown(socket)) return;
    const shown = this.live ? this.live.shown : { view: null, expiresIn: null };
    if (shown) send(socket, "session:view", shown);
  }

  show(shown: Shown): void {
    for (const socket of this.sockets) if (this.#isShown(socket)) send(socket, "session:view", shown);
  }

  #isShown(socket: Socket): boolean {
    return this.parts.showsAll || helped.has(socket);
  }

  // --- a login over the socket ---

  moveTo(live: ActiveSession, closed: readonly Socket[]): void {
    const { room } = this;
    this.live = live;
    for (const socket of closed) this.bind(socket, socket.handshake);
    this.#rebind(room);
    // It went away meanwhile.
    if (this.#client?.conn.readyState !== "open") this.release();
  }

  override end(said: CloseReason): void {
    if (!this.#login?.ended(said.code)) super.end(said);
  }

  override release(): void {
    super.release();
    this.#login?.closed();
  }

  protected override pause(): (() => void) | undefined {
    return this.#client && pauseReading(this.#client.conn);
  }

  protected deliver(socket: Socket, message: unknown): void {
    const packet = message as Packet;
    if (this.#login?.takeAnswer(socket, packet)) return;
    // Socket.IO runs handlers on the next tick, and none of a socket that has gone.
    if (packet.type === packetTypes.disconnect) process.nextTick(passOn, socket, packet);
    else passOn(socket, packet);
  }

  protected close(said: CloseReason): void {
    const client = this.#client;
    // Without a socket nobody can be told: the next CONNECT is turned down.
    if (!client) return;
    const sockets = this.sockets;
    for (const socket of sockets) safely(() => socket.emit("session:end", said));
    // A client that is disconnected by the server stays away; one whose transport closes comes back by itself.
    if (!said.retry) for (const socket of sockets) safely(() => socket.disconnect());
    const isFlooded = said.code === "LIMIT_REACHED";
    if (isFlooded || (sockets.length > 0 && (said.retry || this.#owner.isWhole))) client.conn.close();
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

/** Those that stand before the class's already: nearly no socket has one. */
const ownReaders = new WeakMap<Socket, Socket["_onpacket"]>();

/** Puts the gate where a socket's packets come in, once: what other code puts before it later stays there. */
function guard(socket: GuardedSocket, connection: SocketIoConnection): void {
  if (socket[guardedBy]) return;
  setHidden(socket, guardedBy, connection);
  if (Object.hasOwn(socket, "_onpacket")) ownReaders.set(socket, socket._onpacket);
  setHidden(socket, "_onpacket", gated);
}

/** Stands in for a socket's own `_onpacket`: one function for all sockets. */
function gated(this: GuardedSocket, packet: Packet): void {
  const connection = this[guardedBy] as SocketIoConnection;
  if (packet.type === packetTypes.event || packet.type === packetTypes.binaryEvent) connection.enter(this, packet);
  // A goodbye needs no check, but does not overtake what was sent before it.
  else if (packet.type !== packetTypes.disconnect || !connection.follow(this, packet)) passOn(this, packet);
}

/** The socket's own `_onpacket`. */
function passOn(socket: Socket, packet: Packet): void {
  const read = ownReaders.get(socket) ?? (Object.getPrototypeOf(socket) as Socket)._onpacket;
  read.call(socket, packet);
}
