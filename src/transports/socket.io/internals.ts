// The parts of Socket.IO 4 that are used, in types. Those with an underscore are not documented, but have been the same
// since 4.6; attach() checks that they are there.
import type { IncomingMessage } from "node:http";
import type { Cors } from "../../handshake/cors.js";
import type { SocketSession } from "../../session/socket-session.js";
import type { AllowRequest } from "../engine-handshakes.js";
import type { PausableSocket } from "../engine-pause.js";
import type { AnsweringEngine } from "../response-headers.js";

export interface EngineSocket extends PausableSocket {
  readonly request: (IncomingMessage & { session?: unknown; sessionStore?: unknown }) | null | undefined;
  readonly server: { readonly opts: { readonly cors?: Cors } };
  readonly readyState: string;
  readonly protocol: number;
  on(event: "upgrade", listener: (transport: EngineSocket["transport"]) => void): unknown;
  on(event: "close", listener: (this: EngineSocket) => void): unknown;
  close(): void;
}

export interface Client {
  readonly conn: EngineSocket;
  readonly sockets: Map<string, Socket>;
  _packet(packet: object): void;
}

export interface Socket {
  readonly conn: EngineSocket;
  readonly client: Client;
  readonly handshake: object;
  readonly nsp: Namespace;
  readonly session?: SocketSession;
  /** Where every packet comes in: below `onevent`, which other code wraps and replaces. */
  _onpacket(packet: Packet): void;
  emit(event: string, ...values: unknown[]): unknown;
  join(room: string): unknown;
  leave(room: string): unknown;
  disconnect(close?: boolean): unknown;
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

export interface Auth {
  readonly pid?: unknown;
  readonly offset?: unknown;
  readonly session?: unknown;
}

export type Restored = { readonly rooms?: Iterable<string> } | null | undefined;

type Publish = (...values: unknown[]) => Promise<unknown> | undefined;

export interface Adapter {
  doPublish?: Publish;
  doPublishResponse?: Publish;
  publish?: Publish;
  restoreSession?(pid: string, offset: string): Promise<Restored> | null;
}

/** A Socket.IO namespace, as far as it is used here. */
export interface Namespace {
  readonly name: string;
  readonly server: Server;
  readonly adapter: Adapter;
  _initAdapter?(): void;
  /** Of a dynamic namespace: those that clients asked for. */
  readonly children?: ReadonlySet<Namespace>;
  /** `auth` is null where a client sent that, and the parser (one of its own, or before 4.2.3) let it through. */
  _add(client: Client, auth: Auth | null, done: Done): Promise<void>;
  _createSocket(client: Client, auth: Auth): Promise<Socket>;
  _doConnect(socket: Socket, done: Done): void;
}

export type Done = ((socket: Socket) => void) | undefined;

export interface Engine extends AnsweringEngine {
  readonly opts: { allowRequest?: AllowRequest; readonly cors?: Cors };
  prependListener(event: "connection", listener: (conn: EngineSocket) => void): unknown;
}

/** A Socket.IO server, as far as it is used here. */
export interface Server {
  readonly _nsps: Map<string, Namespace>;
  readonly engine?: Engine;
  readonly httpServer?: object;
  bind(engine: Engine): unknown;
  path(): string;
  on(event: "new_namespace", listener: (namespace: Namespace) => void): unknown;
}
