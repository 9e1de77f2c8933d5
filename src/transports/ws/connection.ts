// One socket of a WebSocketServer: its session, its messages behind the gate, and the close code of its end.
import type { IncomingMessage } from "node:http";
import type { CloseReason } from "../../errors.js";
import { replaceMethod } from "../../internal/hidden.js";
import { closeCodeOf } from "../../statuses.js";
import { EmitterConnection, type EmittingSocket } from "../emitter-connection.js";

/** A socket of `ws`, as far as it is used here. */
export interface WebSocket extends EmittingSocket {
  close(code?: number, reason?: string | Buffer): void;
  readonly isPaused: boolean;
  pause(): void;
  resume(): void;
}

/** One socket of `ws` and its session. */
export class WebSocketConnection extends EmitterConnection<WebSocket> {
  /** Gives a socket its session. */
  open(socket: WebSocket, request: IncomingMessage): void {
    this.attachment.onBound(request);
    this.bind(socket, request);
    this.gate(socket);
  }

  isMessage(event: string | symbol): boolean {
    return event === "message";
  }

  protected override pause(): (() => void) | undefined {
    const { socket } = this;
    if (!socket) return undefined;
    const { pause, resume, close } = socket;
    // A client may send and close at once. Its message waits here, and ws would close before the handler can reply.
    const closeLater = (...why: Parameters<WebSocket["close"]>): void => {
      if (!this.deferClose(() => close.apply(socket, why))) close.apply(socket, why);
    };
    const letClose = replaceMethod(socket, "close", closeLater);
    // Before 8.3 a socket cannot be paused.
    if (!pause) return letClose;
    // What the application asks for meanwhile counts when we let go.
    let { isPaused } = socket;
    let isHeld = true;
    pause.call(socket);
    const letPause = replaceMethod(socket, "pause", () => (isHeld ? void (isPaused = true) : pause.call(socket)));
    const letResume = replaceMethod(socket, "resume", () => (isHeld ? void (isPaused = false) : resume.call(socket)));
    return () => {
      isHeld = false;
      letClose();
      letPause();
      letResume();
      if (!isPaused) socket.resume();
    };
  }

  protected close(reason: CloseReason): void {
    this.socket?.close(closeCodeOf[reason.code], reason.code);
  }
}
