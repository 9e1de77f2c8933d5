// Sessions for a Socket.IO server: admits connections, gives each socket its session, gates its events, closes it at
// the end. Recognises the server by shape; Socket.IO itself is a peer that the application brings.
import type { IncomingMessage } from "node:http";
import { type ErrorCode, help, type SessionCode, SessionError, type Verdict, verdict } from "../errors.js";
import { safely } from "../safely.js";
import type { CorsOptions } from "../handshake/origin.js";
import type { ActiveSession } from "../live/live-session.js";
import { regenerable, type SocketSession } from "../live/session-object.js";
import type { Shown } from "../live/view.js";
import { type Admission, isCurable } from "./admission.js";
import { type ServerParts, SessionConnection } from "./connection.js";
import { addCookie, type Headers } from "./headers.js";
import { collectTimeout, type Mover } from "./regeneration.js";

// The parts of Socket.IO 4 that are used. Those with an underscore are not documented, but have been the same since
// 4.6; attach() checks that they are there.

interface EngineSocket {
  readonly request: (IncomingMessage & { session?: unknown; sessionStore?: unknown }) | null | undefined;
  readonly server: { readonly opts: { readonly cors?: CorsOptions | false } };
  readonly readyState: string;
  readonly protocol: number;
  on(event: "close", listener: (this: EngineSocket) => void): unknown;
  close(): void;
}

interface Client {
  readonly conn: EngineSocket;
  readonly sockets: Map<string, Socket>;
  _packet(packet: object): void;
}

interface Socket {
  readonly conn: EngineSocket;
  readonly client: Client;
  readonly handshake: object;
  readonly nsp: Namespace;
  readonly session?: SocketSession;
  onevent(packet: unknown): void;
  emit(event: string, ...values: unknown[]): unknown;
  join(room: string): unknown;
  leave(room: string): unknown;
  disconnect(close?: boolean): unknown;
  _cleanup(): void;
}

interface Auth {
  readonly pid?: unknown;
  readonly offset?: unknown;
  readonly session?: unknown;
}

type Restored = { readonly rooms?: Iterable<string> } | null | undefined;

interface Adapter {
  restoreSession?(pid: string, offset: string): Promise<Restored> | null;
}

/** A Socket.IO namespace, as far as it is used here. */
export interface Namespace {
  readonly name: string;
  readonly server: Server;
  readonly adapter: Adapter;
  /** Of a dynamic namespace: those that clients asked for. */
  readonly children?: ReadonlySet<Namespace>;
  _add(client: Client, auth: Auth, done: Done): Promise<void>;
  _createSocket(client: Client, auth: Auth): Promise<Socket>;
  _doConnect(socket: Socket, done: Done): void;
}

type Done = ((socket: Socket) => void) | undefined;

interface Engine {
  readonly opts: { allowRequest?: AllowRequest; readonly cors?: CorsOptions | false };
  prependListener(event: "connection", listener: (conn: EngineSocket) => void): unknown;
  on(event: "initial_headers", listener: (headers: Headers, request: IncomingMessage) => void): unknown;
}

type AllowRequest = (request: IncomingMessage, done: (message: unknown, success: boolean) => void) => void;

/** A Socket.IO server, as far as it is used here. */
export interface Server {
  readonly _nsps: Map<string, Namespace>;
  readonly engine?: Engine;
  bind(engine: Engine): unknown;
  path(): string;
  on(event: "new_namespace", listener: (namespace: Namespace) => void): unknown;
}

/** What one `attach()` call works with. */
export interface SocketIoParts extends ServerParts {
  /** The room of a session: a hash of its id. */
  roomOf(id: string): string;
  /** Gives a connection a new session. */
  regenerate(mover: Mover, request: IncomingMessage | null | undefined): Promise<void>;
}

/** True for a Socket.IO Server. */
export function isServer(value: unknown): value is Server {
  const server = value as Partial<Server> | null | undefined;
  return server?._nsps instanceof Map && typeof server.bind === "function" && typeof server.path === "function";
}

/** True for a namespace of a Socket.IO server. */
export function isNamespace(value: unknown): value is Namespace {
  const namespace = value as Partial<Namespace> | null | undefined;
  return isServer(namespace?.server) && typeof namespace?.name === "string" && typeof namespace._add === "function";
}

/** Servers and namespaces that have sessions: a second attach() would be one too many, whoever calls it. */
const attached = new WeakSet<Server | Namespace>();

/** Attaches to all namespaces of a server, present and future, or to one namespace. */
export function attachSocketIo(target: Server | Namespace, parts: SocketIoParts): void {
  const isWhole = isServer(target);
  const server = isWhole ? target : target.server;
  if (attached.has(target)) {
    throw new SessionError("OPTION_INVALID", { detail: "Sessions are attached to this server already." });
  }
  const connections = new Connections(parts, isWhole);
  // A dynamic namespace is guarded by its children: it has no sockets itself.
  const children = isWhole ? undefined : target.children;
  for (const namespace of isWhole ? server._nsps.values() : [target, ...(children ?? [])]) {
    // What was attached by itself keeps its own rules.
    if (!isWhole || !guards.has(namespace)) guard(namespace, connections);
  }
  attached.add(target);
  if (isWhole || children) {
    server.on("new_namespace", (namespace) => {
      if (children ? children.has(namespace) : !guards.has(namespace)) guard(namespace, connections);
    });
  }
  if (server.engine) listen(server.engine, connections, parts.admission);
  // The server may be bound to a port later, or to another one.
  const bind = server.bind;
  server.bind = (engine) => {
    listen(engine, connections, parts.admission);
    return bind.call(server, engine);
  };
}

function listen(engine: Engine, connections: Connections, admission: Admission): void {
  // First of all listeners: a later one may drop the request to save memory. The session is read while the client's
  // CONNECT packet is on its way.
  engine.prependListener("connection", (conn) => void connections.of(conn));
  if (!admission.issues) return;
  const { allowRequest } = engine.opts;
  // Asked once per handshake, not per polling request; WebTransport stays possible, as it would not with engine.use().
  engine.opts.allowRequest = (request, done) => {
    const prepare = (): void => {
      void admission.prepare(request, engine.opts.cors || undefined).then(() => safely(() => done(null, true)));
    };
    if (!allowRequest) return prepare();
    allowRequest(request, (message, success) => (success ? prepare() : done(message, false)));
  };
  engine.on("initial_headers", (headers, request) => {
    const cookie = admission.setCookie(request);
    if (cookie !== undefined) addCookie(headers, request, cookie);
  });
}

/** The connections of one attachment. */
class Connections {
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
class SocketIoConnection extends SessionConnection<Socket> implements Mover {
  declare readonly parts: SocketIoParts;
  readonly #owner: Connections;
  /** Resolves when it is decided; `barred` then says why not. */
  decided: Promise<void> | undefined;
  #client: Client | undefined;
  /** Where tickets are taken: the origin of the page, which a ticket must be of. */
  readonly #origin: string | undefined;
  /** Whether nobody was told yet why the client is refused: a ticket may have come. */
  #isUnreported = false;

  /** The session as this connection has it, where its page can collect a cookie. */
  #face: { readonly live: ActiveSession; readonly session: SocketSession } | undefined;
  #isHelped = false;
  #regenerating: Promise<void> | undefined;
  /** Called when the page says that it has collected its cookie, and when it has gone. */
  #answered: (() => void) | undefined;
  #successor: ActiveSession | undefined;
  /** The sockets that were open when their page was asked: a handler goes on with one that has closed, too. */
  #asked: readonly Socket[] = none;

  constructor(conn: EngineSocket, owner: Connections) {
    super(owner.parts);
    this.#owner = owner;
    const { admission } = owner.parts;
    // The application may drop the request to save memory.
    if (admission.takesTickets) this.#origin = admission.originOf(conn.request);
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
    await this.admit(conn.request, conn.server.opts.cors || undefined, takesTickets);
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
    if (ticket === undefined || this.#origin === undefined) {
      if (this.barred !== undefined && this.#isUnreported) this.parts.admission.report(this.barred, conn.request);
      this.#isUnreported = false;
      return this.barred;
    }
    const { live } = this;
    let refused: ErrorCode | undefined;
    this.decided = this.redeem(ticket, this.#origin, conn.request).then((code) => {
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
    this.#isHelped = true;
  }

  override get session(): SocketSession {
    const { live } = this;
    if (!this.#isHelped || !live) return super.session;
    if (this.#face?.live !== live) {
      this.#face = { live, session: regenerable(live.data, () => this.#regenerate(live)) };
    }
    return this.#face.session;
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
    for (const socket of this.#sockets) {
      if (roomBefore !== undefined) socket.leave(roomBefore);
      if (room !== undefined) socket.join(room);
      this.bindSocket(socket);
      this.greet(socket);
    }
  }

  /** The open sockets that are ours. */
  get #sockets(): Socket[] {
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
    for (const socket of this.#sockets) if (this.#isShown(socket)) send(socket, "session:view", shown);
  }

  #isShown(socket: Socket): boolean {
    return this.parts.showsAll || helped.has(socket);
  }

  // --- regenerate() ---

  #regenerate(live: ActiveSession): Promise<void> {
    // Somebody has kept the session that was.
    if (live !== this.live) return Promise.reject(new SessionError(live.ended ?? "SESSION_ROTATED"));
    this.#regenerating ??= this.parts.regenerate(this, this.#client?.conn.request).finally(() => {
      this.#regenerating = undefined;
    });
    return this.#regenerating;
  }

  async ask(ticket: string): Promise<void> {
    this.#asked = this.#sockets;
    const socket = this.#asked.find((one) => helped.has(one));
    if (!socket) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#answered = resolve;
      timer = setTimeout(resolve, collectTimeout);
      send(socket, "session:collect", { ticket });
    });
    clearTimeout(timer);
    this.#answered = undefined;
  }

  expect(successor: ActiveSession): void {
    this.#successor = successor;
  }

  cancel(): void {
    this.#successor?.remove(this);
    this.#successor = undefined;
  }

  move(): void {
    const { room } = this;
    if (!this.#successor) return;
    this.live = this.#successor;
    this.#successor = undefined;
    for (const socket of this.#asked) this.bind(socket, socket.handshake);
    this.#asked = none;
    this.#rebind(room);
    // It went away meanwhile.
    if (this.#client?.conn.readyState !== "open") this.release();
  }

  override end(said: Verdict): void {
    const isExpected = said.code === "SESSION_ROTATED" && this.#successor?.ended === undefined;
    if (this.#successor && isExpected) this.move();
    else super.end(said);
  }

  override release(): void {
    super.release();
    this.#successor?.remove(this);
    this.#answered?.();
  }

  protected deliver(socket: Socket, packet: unknown): void {
    if (this.#isHelped && this.#takeAnswer(socket, packet as EventPacket)) return;
    (Object.getPrototypeOf(socket) as Socket).onevent.call(socket, packet);
  }

  /** True for what the helper says to us, and not to the application. */
  #takeAnswer(socket: Socket, { data, id }: EventPacket): boolean {
    if (data?.[0] !== "session:collected" || !helped.has(socket)) return false;
    this.#answered?.();
    const acknowledge = (): void => {
      if (id !== undefined) socket.client._packet({ type: ackPacket, nsp: socket.nsp.name, id, data: [] });
    };
    void (this.#regenerating ?? Promise.resolve()).then(acknowledge, acknowledge);
    return true;
  }

  protected close(said: Verdict): void {
    const client = this.#client;
    // Without a socket nobody can be told: the next CONNECT is turned down.
    if (!client) return;
    const sockets = this.#sockets;
    for (const socket of sockets) safely(() => socket.emit("session:end", said));
    // A client that is disconnected by the server stays away; one whose transport closes comes back by itself.
    if (!said.retry) for (const socket of sockets) safely(() => socket.disconnect());
    if (sockets.length > 0 && (said.retry || this.#owner.isWhole)) client.conn.close();
  }
}

/** The connections that guard a namespace: those of the latest attach() that named it. */
const guards = new WeakMap<Namespace, Connections>();

function guard(namespace: Namespace, connections: Connections): void {
  const isGuarded = guards.has(namespace);
  guards.set(namespace, connections);
  if (isGuarded) return;
  const { _add: add, _createSocket: createSocket, _doConnect: doConnect } = namespace;
  if (typeof add !== "function" || typeof createSocket !== "function" || typeof doConnect !== "function") {
    throw new SessionError("SERVER_UNSUPPORTED", { detail: "Socket.IO before 4.6 lacks what this needs." });
  }
  const connectionFor = (client: Client): SocketIoConnection => (guards.get(namespace) as Connections).of(client.conn);

  // The door: before Socket.IO makes a socket or restores a state.
  namespace._add = async (client, auth, done) => {
    const connection = connectionFor(client);
    // The store may be back since the last namespace was refused.
    if (connection.barred === "STORE_UNAVAILABLE") connection.decide(client.conn);
    const refused = await connection.judge(client.conn, takeTicket(auth));
    if (client.conn.readyState !== "open") return;
    if (refused === undefined) return add.call(namespace, client, auth, done);
    turnDown(client, namespace, refused);
  };

  // The socket gets its session as soon as it exists, on the recovered path too.
  namespace._createSocket = async (client, auth) => {
    const connection = connectionFor(client);
    const socket = await restoreOnly(namespace, connection, () => createSocket.call(namespace, client, auth));
    if (isHelper(auth)) connection.help(socket);
    connection.bindSocket(socket);
    return socket;
  };

  // The last moment before handlers hear of it: the session may have ended while middlewares ran.
  namespace._doConnect = (socket, done) => {
    const connection = connectionFor(socket.client);
    const { barred, room } = connection;
    if (barred === undefined) {
      // It may have got another while middlewares ran.
      if (socket.session !== connection.session) connection.bindSocket(socket);
      if (room !== undefined) socket.join(room);
      // Right after the answer to CONNECT: before anything that the application's handlers send.
      return doConnect.call(namespace, socket, (connected) => {
        done?.(connected);
        connection.greet(socket);
      });
    }
    socket._cleanup();
    turnDown(socket.client, namespace, barred);
  };
}

/** Sockets whose client is the helper. */
const helped = new WeakSet<Socket>();

/** What the client helper puts in beside the application's own `auth`. */
interface HelperAuth {
  readonly v?: unknown;
  ticket?: unknown;
}

function helperAuth(auth: Auth): HelperAuth | undefined {
  return typeof auth.session === "object" && auth.session !== null ? auth.session : undefined;
}

function isHelper(auth: Auth): boolean {
  return helperAuth(auth)?.v === 1;
}

/** The ticket of a CONNECT, which nobody else gets to see. What is no text is a bad one. */
function takeTicket(auth: Auth): string | undefined {
  const sent = helperAuth(auth);
  if (sent?.ticket === undefined || sent.ticket === null) return undefined;
  const { ticket } = sent;
  delete sent.ticket;
  return typeof ticket === "string" ? ticket : "";
}

const none: readonly Socket[] = [];

interface EventPacket {
  readonly data?: readonly unknown[];
  readonly id?: number;
}

// Of Socket.IO's protocol, versions 4 and 5.
const eventPacket = 2;
const ackPacket = 3;

/** Sends an event as it is: not kept for connection state recovery, as what is shown would be old by then. */
function send(socket: Socket, event: string, value: unknown): void {
  socket.client._packet({ type: eventPacket, nsp: socket.nsp.name, data: [event, value] });
}

function turnDown(client: Client, namespace: Namespace, code: ErrorCode): void {
  // A client that gets a CONNECT_ERROR never comes back by itself, one whose transport closes does: a browser that
  // comes before the login response has set its new cookie must, and one that finds a server shutting down.
  if (code === "SESSION_ROTATED" || code === "SESSIONS_CLOSED") {
    client.conn.close();
    return;
  }
  const data = verdict(code as SessionCode);
  const isOldProtocol = client.conn.protocol === 3;
  const connectError = 4;
  client._packet({
    type: connectError,
    nsp: namespace.name,
    data: isOldProtocol ? data : { message: help[code].what, data },
  });
}

/**
 * Socket.IO's connection state recovery gives a state to whoever knows its pid, and sends the missed packets before
 * any middleware runs. Here it is given only to a connection of the very session that the state was kept for: its
 * rooms name that session.
 */
let restoring: SocketIoConnection | undefined;

const restricted = new WeakSet<Adapter>();

function restoreOnly(
  namespace: Namespace,
  connection: SocketIoConnection,
  create: () => Promise<Socket>,
): Promise<Socket> {
  restrict(namespace.adapter);
  // Socket.IO asks the adapter within this synchronous call; asked at any other time, the adapter has nothing.
  restoring = connection;
  try {
    return create();
  } finally {
    restoring = undefined;
  }
}

function restrict(adapter: Adapter): void {
  const restore = adapter.restoreSession;
  if (restricted.has(adapter) || typeof restore !== "function") return;
  restricted.add(adapter);
  adapter.restoreSession = async (pid, offset) => {
    const asked = restoring;
    if (!asked) return null;
    const state = await restore.call(adapter, pid, offset);
    const rooms = [...(state?.rooms ?? [])].filter((room) => room.startsWith(roomPrefix));
    const { room: own } = asked;
    const isSame = own === undefined ? rooms.length === 0 : rooms.length === 1 && rooms[0] === own;
    return isSame ? state : null;
  };
}

/** What the rooms of sessions start with. */
export const roomPrefix = "session:";
