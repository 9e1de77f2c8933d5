// One transport connection of Socket.IO, shared by all its namespaces: who it is, its sockets' session and view, and its
// end. Knows no server.
import type { ErrorCode, Verdict } from "../errors.js";
import type { ActiveSession } from "../live/live-session.js";
import type { SocketSession } from "../live/session-object.js";
import type { Shown } from "../live/view.js";
import { safely } from "../safely.js";
import { isCurable } from "./admission.js";
import { type ServerParts, SessionConnection } from "./connection.js";
import { type EventPacket, helped, send } from "./socket.io-helper.js";
import { Login, type LoginConnection, type Regenerate } from "./socket.io-login.js";
import type { Client, EngineSocket, Socket } from "./socket.io-parts.js";

/** What one `attach()` call works with. */
export interface SocketIoParts extends ServerParts {
  /** The room of a session: a hash of its id. */
  roomOf(id: string): string;
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
  /** Stands in for a socket's own `onevent`. */
  readonly gated: (this: Socket, packet: unknown) => void;
  readonly #byConn = new WeakMap<EngineSocket, SocketIoConnection>();

  constructor(parts: SocketIoParts, isWhole: boolean) {
    this.parts = parts;
    this.isWhole = isWhole;
    const byConn = this.#byConn;
    // One function for all connections: each finds its own through `this`.
    this.closed = function closed() {
      byConn.get(this)?.release();
    };
    this.gated = function gated(packet) {
      byConn.get(this.conn)?.enter(this, packet);
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
    return this.live && this.parts.roomOf(this.live.id);
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
  async judge(conn: EngineSocket, ticket: string | undefined): Promise<ErrorCode | undefined> {
    // Those of several namespaces come at once, and only one of them brings the connection its session.
    while (this.decided) await this.decided;
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
    socket.onevent = this.#owner.gated;
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
    const sockets = [...(this.#client?.sockets.values() ?? [])];
    return sockets.filter(({ onevent }) => onevent === this.#owner.gated);
  }

  // --- the view ---

  /** Tells the client of a socket that has just connected what it may see. */
  greet(socket: Socket): void {
    if (!this.#isShown(socket)) return;
    const shown = this.live ? this.live.shown : { view: null, in: null };
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

  override end(said: Verdict): void {
    if (!this.#login?.ended(said.code)) super.end(said);
  }

  override release(): void {
    super.release();
    this.#login?.closed();
  }

  protected deliver(socket: Socket, packet: unknown): void {
    if (this.#login?.takeAnswer(socket, packet as EventPacket)) return;
    (Object.getPrototypeOf(socket) as Socket).onevent.call(socket, packet);
  }

  protected close(said: Verdict): void {
    const client = this.#client;
    // Without a socket nobody can be told: the next CONNECT is turned down.
    if (!client) return;
    const sockets = this.sockets;
    for (const socket of sockets) safely(() => socket.emit("session:end", said));
    // A client that is disconnected by the server stays away; one whose transport closes comes back by itself.
    if (!said.retry) for (const socket of sockets) safely(() => socket.disconnect());
    if (sockets.length > 0 && (said.retry || this.#owner.isWhole)) client.conn.close();
  }
}
