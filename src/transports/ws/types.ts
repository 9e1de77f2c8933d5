// What TypeScript is told of `ws`: the server that attach() takes, and `session` on its sockets. Nothing at run time.
import type { SocketSession } from "../../session/socket-session.js";

/** A `WebSocketServer` of the package `ws`, as far as its shape tells. */
export interface WsServer {
  readonly options: object;
  handleUpgrade(...values: never[]): unknown;
  shouldHandle(...values: never[]): unknown;
}

/** @ts-ignore: an application without ws has no such module */
declare module "ws" {
  interface WebSocket {
    /** The live session of this socket's browser: always current, saved when changed. */
    session: SocketSession;
  }
}
