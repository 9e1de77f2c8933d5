// The servers that attach() takes: their shapes for TypeScript, and what recognises one. The only file that knows all kinds.
import type { IncomingMessage } from "node:http";
import { Server as NetServer } from "node:net";
import { SessionError } from "../errors.js";
import type { Cors } from "../handshake/cors.js";
import { kindOf } from "../internal/check-options.js";
import { warnOnce } from "../warnings.js";
import { attachEngineServer, isEngineServer } from "./engine.io/attach.js";
import { attachSocketIo, isNamespace, isServer, lookAt } from "./socket.io/attach.js";
import type { SocketIoAttachment } from "./socket.io/connection.js";
import { attachWebSocketServer, isWebSocketServer } from "./ws/attach.js";

/** A Socket.IO `Server`, 4.6 or newer, whatever its events. */
export interface SocketIoServer {
  readonly sockets: object;
  path(): string;
  of(name: string): object;
  bind(engine: never): unknown;
}

/** A `Namespace` of a {@link SocketIoServer}. */
export interface SocketIoNamespace {
  readonly name: string;
  readonly server: SocketIoServer;
  readonly sockets: object;
  use(middleware: never): unknown;
}

/** A `Server` of the package `engine.io`, 4 or newer. */
export interface EngineIoServer {
  readonly opts: object;
  readonly clientsCount: number;
  handleRequest(request: never, response: never): unknown;
  generateId(request: never): unknown;
}

/** A `WebSocketServer` of the package `ws`, 8 or newer. */
export interface WsServer {
  readonly options: object;
  readonly clients: object;
  handleUpgrade(request: never, socket: never, head: never, callback: never): unknown;
  shouldHandle(request: never): unknown;
}

/**
 * What `sessions.attach()` takes.
 *
 * @example
 * ```ts
 * const attachAll = (...servers: AttachableServer[]) => servers.forEach((server) => sessions.attach(server));
 * ```
 */
export type AttachableServer = SocketIoServer | SocketIoNamespace | EngineIoServer | WsServer;

/** A server that was recognised. */
export interface RecognisedServer {
  /** The path that its clients ask for; undefined or null for any. */
  readonly path: string | null | undefined;
  /** Its `cors` option: whose pages may connect beside those of `attach()`. Undefined for a server that has none. */
  readonly cors?: () => Cors | undefined;
  /** Whether its clients have a place for a ticket. */
  readonly takesTickets: boolean;
  attach(attachment: SocketIoAttachment): void;
  /** What a check has to know of a Socket.IO server. */
  look?(): { readonly isTls: boolean | undefined; readonly unguarded: readonly string[]; readonly isAlone: boolean };
}

/** @throws SessionError `SERVER_UNSUPPORTED` */
export function recognise(server: unknown): RecognisedServer {
  if (isServer(server) || isNamespace(server)) {
    const whole = isServer(server) ? server : server.server;
    const cors = (): Cors | undefined => whole.engine?.opts.cors;
    return {
      path: whole.path(),
      cors,
      takesTickets: true,
      attach: (attachment) => attachSocketIo(server, attachment),
      look: () => lookAt(whole),
    };
  }
  if (isWebSocketServer(server)) {
    const { path } = server.options;
    return { path, takesTickets: true, attach: (attachment) => attachWebSocketServer(server, attachment) };
  }
  if (!isEngineServer(server)) {
    const isHttp = server instanceof NetServer;
    const detail = isHttp ? "It is Node's own server: pass io, of new Server(server)." : `It is ${kindOf(server)}.`;
    throw new SessionError("SERVER_UNSUPPORTED", { detail });
  }
  const { path } = server.opts;
  return {
    path,
    cors: () => server.opts.cors,
    takesTickets: false,
    attach: (attachment) => attachEngineServer(server, attachment),
  };
}

/** Warns where a page uses the session routes of a server that takes sockets, though no server is attached. */
export function warnIfForgotten({ socket }: IncomingMessage): void {
  // Node puts it there. Each server of sockets listens to its upgrades, and so may the dev server of a page.
  const { server } = socket as { server?: { listenerCount(event: string): number } };
  if (server && server.listenerCount("upgrade") > 0) warnOnce("NOT_ATTACHED");
}

/** Warns where the browser does not send the cookie to a server. */
export function checkCookiePath(cookiePath: string | undefined, path: string | null | undefined): void {
  if (cookiePath === undefined || !path || `${path}/`.startsWith(cookiePath)) return;
  warnOnce("COOKIE_PATH_EXCLUDES_SOCKETS", path, `cookie.path is ${cookiePath}, the server's is ${path}.`);
}
