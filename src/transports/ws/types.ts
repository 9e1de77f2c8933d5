// Tells TypeScript of `session` on the sockets of a WebSocketServer. Nothing at run time.
import type { SocketSession } from "../../session/socket-session.js";

/** @ts-ignore: an application without ws has no such module */
declare module "ws" {
  interface WebSocket {
    /** The live session of this socket's browser: always current, saved when changed. */
    readonly session: SocketSession;
  }
}
