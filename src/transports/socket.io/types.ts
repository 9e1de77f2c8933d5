// What TypeScript is told of Socket.IO: the servers that attach() takes, and `socket.session`. Nothing at run time.
import type { SocketSession } from "../../session/socket-session.js";

/** A `Server` of the package `socket.io`, as far as its shape tells. */
export interface SocketIoServer {
  readonly sockets: object;
  bind(engine: never): unknown;
  path(): string;
}

/** A `Namespace` of the package `socket.io`: what `io.of(…)` returns, as far as its shape tells. */
export interface SocketIoNamespace {
  readonly name: string;
  readonly server: SocketIoServer;
  readonly adapter: object;
}

/** @ts-ignore: an application without Socket.IO has no such module */
declare module "socket.io" {
  interface Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData> {
    /** The live session of this socket's browser: always current, saved when changed. */
    session: SocketSession;
  }
}
