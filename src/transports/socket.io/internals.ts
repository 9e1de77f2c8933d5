// Socket.IO 4 from the inside. Only this file uses what Socket.IO's documentation does not name, and says of each such part
// what breaks without it. attach() checks those of servers and namespaces, a CONNECT those of clients and sockets.
import type { IncomingMessage } from "node:http";
import type { Cors } from "../../handshake/cors.js";
import { type Awaitable, isPromise } from "../../internal/awaitable.js";
import { setHidden } from "../../internal/hidden.js";
import type { SocketSession } from "../../session/socket-session.js";
import { checkMethods, unsupported } from "../check-parts.js";
import type { AllowRequest } from "../engine-handshakes.js";
import type { PausableSocket } from "../engine-pause.js";
import type { AnsweringEngine } from "../response-headers.js";

/** A socket of Engine.IO, below those of Socket.IO; Socket.IO calls it so, too. */
export interface RawSocket extends PausableSocket {
  readonly request: (IncomingMessage & { session?: unknown; sessionStore?: unknown }) | null | undefined;
  readonly server: { readonly opts: { readonly cors?: Cors } };
  readonly readyState: string;
  readonly protocol: number;
  on(event: "upgrade", listener: (transport: RawSocket["transport"]) => void): unknown;
  on(event: "close", listener: (this: RawSocket) => void): unknown;
  close(): void;
}

/** One client, with a socket in each namespace that it has joined. */
export interface Client {
  readonly conn: RawSocket;
  /** Without it each connection would need memory for a list of its sockets. */
  readonly sockets: ReadonlyMap<string, Socket>;
  /** Without it nobody could be refused before there is a socket, and recovery would replay old views. */
  _packet(packet: object): void;
}

/** A socket of one namespace. */
export interface Socket {
  readonly conn: RawSocket;
  readonly client: Client;
  readonly handshake: object;
  readonly nsp: Namespace;
  readonly session?: SocketSession;
  emit(event: string, ...values: unknown[]): unknown;
  join(room: string): unknown;
  leave(room: string): unknown;
  disconnect(close?: boolean): unknown;
  /** Without it `onAny()` listeners would run before the gate, which `socket.use()` is behind, and a tick late. */
  _onpacket(packet: Packet): void;
  /** Without it a socket that is refused after its middlewares would stay in its rooms: it cannot be disconnected yet. */
  _cleanup(): void;
}

/** A decoded packet of Socket.IO's protocol. */
export interface Packet {
  readonly type: number;
  readonly data?: unknown;
  readonly id?: number;
}

/** Types of packets in Socket.IO's protocol, versions 4 and 5. */
export const packetTypes = { disconnect: 1, event: 2, ack: 3, connectError: 4, binaryEvent: 5 } as const;

/** What a client sends with CONNECT. */
export interface Auth {
  readonly pid?: unknown;
  readonly offset?: unknown;
  readonly session?: unknown;
}

type Publish = (...values: unknown[]) => Promise<unknown> | undefined;

/** The methods of adapters that are wrapped here: those over `ClusterAdapter`, and older ones. */
export interface Adapter {
  doPublish?: Publish;
  doPublishResponse?: Publish;
  publish?: Publish;
  /** Calls back with each socket that is meant. Without it sockets join the rooms of their sessions at connect. */
  apply?(
    options: { readonly rooms?: Iterable<unknown>; readonly except?: Iterable<unknown> },
    call: (socket: Socket) => void,
  ): unknown;
  restoreSession?(
    pid: string,
    offset: string,
  ): Promise<{ readonly rooms?: Iterable<string> } | null | undefined> | null;
}

/** A Socket.IO namespace. */
export interface Namespace {
  readonly name: string;
  readonly server: Server;
  readonly adapter: Adapter;
  readonly sockets: ReadonlyMap<string, Socket>;
  /** Without it `attach(io.of(/regex/))` would not know its namespaces: "new_namespace" does not tell the parent. */
  readonly children?: ReadonlySet<Namespace>;
  listeners(event: "connection"): readonly unknown[];
  /**
   * Without it clients without a session would get what recovery kept for them: that is sent before middlewares run,
   * and with `skipMiddlewares` none do. `auth` is null where a client sends that, and the parser lets it through.
   */
  _add(client: Client, auth: Auth | null, done: Done): Promise<void>;
  /** Without it middlewares that were there before `attach()`, and recovered sockets, would see no session. */
  _createSocket(client: Client, auth: Auth): Promise<Socket>;
  /** Without it the option `cleanupEmptyChildNamespaces` would leave those that refused clients have named. */
  _remove?(socket: object): void;
  /** Sockets whose middlewares run. Without it a refused client might remove the namespace from under them. */
  readonly _preConnectSockets?: ReadonlyMap<string, Socket>;
  /** Without it a client whose session ended while middlewares ran would be told that it is connected. */
  _doConnect(socket: Socket, done: Done): void;
}

type Done = ((socket: Socket) => void) | undefined;

/** The Engine.IO server below a Socket.IO server. */
export interface Engine extends AnsweringEngine {
  readonly clientsCount?: number;
  readonly opts: { allowRequest?: AllowRequest; readonly cors?: Cors };
  prependListener(event: "connection", listener: (conn: RawSocket) => void): unknown;
}

/** A Socket.IO server. */
export interface Server {
  readonly engine?: Engine;
  readonly httpServer?: object;
  readonly sockets: Namespace;
  /** Without it the namespaces that exist at `attach()` would have no sessions: "new_namespace" tells of later ones. */
  readonly _nsps: ReadonlyMap<string, Namespace>;
  adapter(...values: unknown[]): unknown;
  bind(engine: Engine): unknown;
  path(): string;
  on(event: "new_namespace", listener: (namespace: Namespace) => void): unknown;
}

const supported = "socket.io 4, from 4.6 on";

/** @throws SessionError `SERVER_UNSUPPORTED` where a part is missing that will be needed. */
export function checkServer(server: Server): void {
  checkMethods(server, "server", ["adapter", "bind", "path", "on"], supported);
  if (!(server._nsps instanceof Map)) throw unsupported("server._nsps", supported);
}

/** @throws SessionError `SERVER_UNSUPPORTED` */
export function checkNamespace(namespace: Namespace): void {
  checkMethods(namespace, "namespace", ["_add", "_createSocket", "_doConnect"], supported);
}

/** @throws SessionError `SERVER_UNSUPPORTED` */
export function checkEngine(engine: Engine): void {
  checkMethods(engine, "server.engine", ["on", "prependListener"], supported);
  if (typeof engine.opts !== "object") throw unsupported("server.engine.opts", supported);
}

/** The namespaces that a server has now. */
export function namespacesOf(server: Server | undefined): Iterable<Namespace> {
  return server?._nsps.values() ?? [];
}

/** Sends a packet past everything that listens to what is sent. */
export function sendPacket(client: Client, packet: object): void {
  client._packet(packet);
}

/** Lets go of a socket whose CONNECT was not answered yet. */
export function discard(socket: Socket): void {
  socket._cleanup();
}

/** The three moments of a CONNECT. */
export interface ConnectHooks {
  /** Before there is a socket. False where the client was refused. */
  beforeCreate(client: Client, auth: Auth): Awaitable<boolean>;
  /** Makes the socket by `create`, which asks the adapter for a recovered state before it returns. */
  onCreate(client: Client, auth: Auth, create: () => Promise<Socket>): Promise<Socket>;
  /** Behind the middlewares. `answer` answers CONNECT, calls `answered`, then tells the application. */
  onConnect(socket: Socket, answer: (answered: () => void) => void): void;
}

/**
 * Runs these hooks for each CONNECT to a namespace.
 *
 * @throws SessionError `SERVER_UNSUPPORTED`
 */
export function interceptConnects(namespace: Namespace, hooks: ConnectHooks): void {
  checkNamespace(namespace);
  const { _add: add, _createSocket: create, _doConnect: connect } = namespace;
  /** How many have no socket yet. */
  let connecting = 0;
  const intercepted: Pick<Namespace, "_add" | "_createSocket" | "_doConnect"> = {
    async _add(client, sent, done) {
      checkClient(client);
      const auth = sent ?? {};
      connecting++;
      try {
        const mayCreate = hooks.beforeCreate(client, auth);
        if (isPromise(mayCreate) ? await mayCreate : mayCreate) return await add.call(namespace, client, auth, done);
      } finally {
        connecting--;
      }
      if (connecting === 0) removeUnused(namespace);
    },
    _createSocket: (client, auth) => hooks.onCreate(client, auth, () => create.call(namespace, client, auth)),
    _doConnect(socket, done) {
      hooks.onConnect(socket, (answered) => {
        connect.call(namespace, socket, (connected) => {
          done?.(connected);
          answered();
        });
      });
    },
  };
  for (const [name, method] of Object.entries(intercepted)) setHidden(namespace, name, method);
}

/** A client that is refused has made a namespace, where it named a dynamic one: nobody else would remove it. */
function removeUnused(namespace: Namespace): void {
  const isUsed = namespace.sockets.size > 0 || (namespace._preConnectSockets?.size ?? 0) > 0;
  // Its own where Socket.IO was asked to remove those that are empty.
  if (!isUsed && Object.hasOwn(namespace, "_remove")) namespace._remove?.({});
}

function checkClient(client: Client): void {
  checkMethods(client, "client", ["_packet"], supported);
  if (!(client.sockets instanceof Map)) throw unsupported("client.sockets", supported);
}

type Read = Socket["_onpacket"];

/** The reader of a socket that had one of its own, put on by other code: nearly no socket has. */
const ownReader = Symbol("socket-session");

interface OwnReading extends Socket {
  readonly [ownReader]?: Read;
}

/**
 * Puts a function where a socket's packets come in. What other code puts before it later stays there, and so does what
 * replaces `onevent`, which comes after it.
 *
 * @throws SessionError `SERVER_UNSUPPORTED`
 */
export function interceptPackets(socket: Socket, read: (this: Socket, packet: Packet) => void): void {
  checkMethods(socket, "socket", ["_onpacket", "_cleanup"], supported);
  const { _onpacket: own } = socket;
  if (Object.hasOwn(socket, "_onpacket")) setHidden(socket, ownReader, own);
  setHidden(socket, "_onpacket", read);
}

/** Lets Socket.IO read a packet that was intercepted. */
export function readPacket(socket: OwnReading, packet: Packet): void {
  const read = socket[ownReader] ?? (Object.getPrototypeOf(socket) as Socket)._onpacket;
  read.call(socket, packet);
}
