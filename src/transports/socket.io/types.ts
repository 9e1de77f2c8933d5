// Tells TypeScript of `socket.session`. Nothing at run time.
import type { SocketSession } from "../../session/socket-session.js";

/** @ts-ignore: an application without Socket.IO has no such module */
declare module "socket.io" {
  interface Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData> {
    /** The live session of this socket's browser: always current, saved when changed. */
    readonly session: SocketSession;
  }
}
