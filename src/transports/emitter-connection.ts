// A connection with one socket, of Engine.IO or of ws. The gate stands in the socket's `emit`. Knows no server.
import { setHidden } from "../internal/hidden.js";
import { SessionConnection } from "./session-connection.js";

/** A socket of Engine.IO or of ws, as far as it is used here. */
export interface EmittingSocket {
  emit(event: string | symbol, ...values: unknown[]): boolean;
  on(event: "close", listener: (this: EmittingSocket) => void): unknown;
}

type Emitted = [event: string | symbol, ...values: unknown[]];

/** A connection whose one socket emits what the client sends. */
export abstract class EmitterConnection<Socket extends EmittingSocket> extends SessionConnection<Socket> {
  protected socket: Socket | undefined;
  /** Whether the socket has emitted "close". */
  #isCloseEmitted = false;

  get isOpen(): boolean {
    return this.socket !== undefined;
  }

  /** True for the events that bring what the client sent. */
  abstract isMessage(event: string | symbol): boolean;

  /** Emits "close" behind the messages that the client sent before. */
  emitClose(socket: Socket, values: unknown[]): boolean {
    const emit = (): boolean => {
      this.#isCloseEmitted = true;
      return emitNow(socket, "close", ...this.closeValues(values));
    };
    return this.deferClose(emit) || emit();
  }

  /** Puts the gate into the socket's `emit`, before any handler sees the socket. */
  protected gate(socket: Socket): void {
    this.socket = socket;
    setHidden(socket, connectionKey, this);
    if (Object.hasOwn(socket, "emit")) setHidden(socket, ownEmit, socket.emit);
    setHidden(socket, "emit", gated);
    socket.on("close", released);
  }

  protected deliver(socket: Socket, message: unknown): void {
    // The handler of a message before may have closed the socket.
    if (!this.#isCloseEmitted) emitNow(socket, ...(message as Emitted));
  }

  /** What "close" is emitted with. */
  protected closeValues(values: unknown[]): unknown[] {
    return values;
  }
}

const connectionKey = Symbol("socket-session");

/** An `emit` of the socket's own, put on by a subclass's constructor, say: nearly no socket has one. */
const ownEmit = Symbol("emit");

interface GatedSocket extends EmittingSocket {
  readonly [connectionKey]?: EmitterConnection<EmittingSocket>;
  readonly [ownEmit]?: EmittingSocket["emit"];
}

/** Stands in for a socket's own `emit`: one function for all sockets. */
function gated(this: GatedSocket, event: string | symbol, ...values: unknown[]): boolean {
  const connection = this[connectionKey];
  if (connection?.isMessage(event)) {
    connection.receive(this, [event, ...values]);
    return true;
  }
  return connection && event === "close" ? connection.emitClose(this, values) : emitNow(this, event, ...values);
}

/** The socket's own `emit`. */
function emitNow(socket: GatedSocket, ...emitted: Emitted): boolean {
  const emit = socket[ownEmit] ?? (Object.getPrototypeOf(socket) as EmittingSocket).emit;
  return emit.call(socket, ...emitted);
}

/** One listener for all sockets. */
function released(this: GatedSocket): void {
  this[connectionKey]?.release();
}
