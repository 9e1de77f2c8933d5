// A connection that is one socket of the application's, of Engine.IO or of ws: what its client sends passes the gate
// before the socket emits it. Knows no server.
import { setHidden } from "../internal/hidden.js";
import { SessionConnection } from "./session-connection.js";

export interface EmittingSocket {
  emit(event: string | symbol, ...values: unknown[]): boolean;
  on(event: "close", listener: (this: EmittingSocket) => void): unknown;
}

type Emitted = [event: string | symbol, ...values: unknown[]];

export abstract class EmitterConnection<Socket extends EmittingSocket> extends SessionConnection<Socket> {
  protected socket: Socket | undefined;
  /** Whether the application has been told of the close. */
  #isOver = false;

  get isOpen(): boolean {
    return this.socket !== undefined;
  }

  /** True for the events that bring what the client sent. */
  abstract isMessage(event: string | symbol): boolean;

  /** Tells of the close, when what the client sent before has been told. */
  leave(socket: Socket, values: unknown[]): boolean {
    const tell = (): boolean => {
      this.#isOver = true;
      return emitNow(socket, "close", ...this.closing(values));
    };
    return this.defer(tell) || tell();
  }

  /** Takes over a socket, before any handler sees it. */
  protected take(socket: Socket): void {
    this.socket = socket;
    connections.set(socket, this);
    if (Object.hasOwn(socket, "emit")) ownEmits.set(socket, socket.emit);
    setHidden(socket, "emit", gated);
    socket.on("close", released);
  }

  protected deliver(socket: Socket, message: unknown): void {
    // The handler of a message before may have closed the socket.
    if (!this.#isOver) emitNow(socket, ...(message as Emitted));
  }

  /** What the application hears of a close. */
  protected closing(values: unknown[]): unknown[] {
    return values;
  }
}

const connections = new WeakMap<EmittingSocket, EmitterConnection<EmittingSocket>>();

/** Those that stand before the class's, put on by a subclass's constructor: nearly no socket has one. */
const ownEmits = new WeakMap<EmittingSocket, EmittingSocket["emit"]>();

/** Stands in for a socket's own `emit`: one function for all sockets. */
function gated(this: EmittingSocket, event: string | symbol, ...values: unknown[]): boolean {
  const connection = connections.get(this);
  if (connection?.isMessage(event)) {
    connection.enter(this, [event, ...values]);
    return true;
  }
  return connection && event === "close" ? connection.leave(this, values) : emitNow(this, event, ...values);
}

/** The socket's own `emit`. */
function emitNow(socket: EmittingSocket, ...emitted: Emitted): boolean {
  const emit = ownEmits.get(socket) ?? (Object.getPrototypeOf(socket) as EmittingSocket).emit;
  return emit.call(socket, ...emitted);
}

function released(this: EmittingSocket): void {
  connections.get(this)?.release();
}
