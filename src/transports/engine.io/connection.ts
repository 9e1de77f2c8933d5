// One Engine.IO socket: its session, its messages behind the gate, and its end with a reason.
import type { IncomingMessage } from "node:http";
import { closeReason, type CloseReason, type SessionCode } from "../../errors.js";
import { safely } from "../../internal/safely.js";
import { EmitterConnection, type EmittingSocket } from "../emitter-connection.js";
import { closeWith, type Transport } from "../engine-internals.js";
import { type PausableSocket, pauseReading } from "../engine-pause.js";

/** A socket of Engine.IO, as far as it is used here. */
export interface EngineSocket extends EmittingSocket, PausableSocket {
  readonly request: IncomingMessage | null | undefined;
  readonly readyState: string;
  on(event: "upgrade", listener: (transport: Transport) => void): unknown;
  on(event: "close", listener: (this: EmittingSocket) => void): unknown;
  once(event: "upgrade", listener: (transport: Transport) => void): unknown;
  close(): unknown;
}

/** The server that tells of its sockets' sessions. */
interface SessionEmitter {
  emit(event: "session", socket: EngineSocket, session: unknown): boolean;
}

/** One Engine.IO socket and its session. */
export class EngineConnection extends EmitterConnection<EngineSocket> {
  /** From now on the socket's messages pass the gate. */
  open(socket: EngineSocket): this {
    this.gate(socket);
    // That of an ended one stays readable; one that is not admitted yet has an empty one.
    this.bind(socket, socket.request);
    return this;
  }

  /** Gives the socket its session, or closes it. */
  start(server: SessionEmitter): void {
    const socket = this.socket as EngineSocket;
    const { request } = socket;
    const { live, refusalCode } = this;
    if (refusalCode !== undefined) {
      // When those who hear of the connection can hear of its close, too.
      return process.nextTick(() => this.close(closeReason(refusalCode as SessionCode)));
    }
    if (socket.readyState !== "open") return this.release();
    if (request) this.attachment.onBound(request);
    this.bind(socket, request);
    if (!live) return;
    // When those who hear of the connection have put on their listeners.
    process.nextTick(() => {
      if (socket.readyState !== "open") return;
      safely(() => server.emit("session", socket, live.data));
      safely(() => socket.emit("session", live.data));
    });
  }

  isMessage(event: string | symbol): boolean {
    return event === "message" || event === "data";
  }

  protected override pause(): (() => void) | undefined {
    return this.socket && pauseReading(this.socket);
  }

  /** The reason of an end is its code. */
  protected override closeValues(values: unknown[]): unknown[] {
    return this.refusalCode === undefined ? values : [this.refusalCode, ...values.slice(1)];
  }

  protected close(reason: CloseReason): void {
    const socket = this.socket;
    if (!socket) return;
    const tell = (transport: Transport): void => closeWith(transport, reason);
    tell(socket.transport);
    // A client may be changing its transport at this moment.
    socket.once("upgrade", tell);
    socket.close();
  }
}
