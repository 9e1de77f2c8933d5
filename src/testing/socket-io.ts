// Socket.IO sockets of a test, made with the user's socket.io-client.
import type { SessionCode } from "../errors.js";
import { loadPeer } from "./peers.js";
import { codeIn, ConnectionRefused } from "./refusal.js";

/** Options of socket.io-client's `io()`. */
export interface TestSocketOptions {
  readonly transports?: readonly string[];
  readonly path?: string;
  readonly auth?: object;
  readonly query?: Readonly<Record<string, string>>;
  readonly autoConnect?: boolean;
  readonly reconnection?: boolean;
  readonly extraHeaders?: Readonly<Record<string, string>>;
  readonly [option: string]: unknown;
}

/** What is used of socket.io-client's `Socket`; name that type to have all of it: `client.socket<Socket>()`. */
export interface TestSocket {
  readonly id?: string | undefined;
  readonly connected: boolean;
  on(event: string, listener: (...values: never[]) => void): unknown;
  once(event: string, listener: (...values: never[]) => void): unknown;
  off(event?: string, listener?: (...values: never[]) => void): unknown;
  emit(event: string, ...values: unknown[]): unknown;
  emitWithAck(event: string, ...values: unknown[]): Promise<unknown>;
  connect(): unknown;
  disconnect(): unknown;
}

/** Who hears how a session ended. */
export interface Ended {
  end(code: SessionCode): void;
  /** It closed, and nobody said why. */
  fail(error: Error): void;
}

/** A connection that is being opened, and what closes it. */
export interface Opening<Socket> {
  readonly socket: Promise<Socket>;
  close(): void;
}

type Connect = (url: string, options: object) => TestSocket;

/** Connects. */
export function openSocket(
  url: string,
  options: TestSocketOptions,
  headers: Record<string, string>,
  ended: Ended,
): Opening<TestSocket> {
  const { io } = loadPeer("socket.io-client", "client.socket()") as { io: Connect };
  const { autoConnect = true, extraHeaders = {}, transports = ["websocket"], ...others } = options;
  const socket = io(url, {
    forceNew: true,
    reconnection: false,
    ...others,
    transports: [...transports],
    autoConnect: false,
    // The same object: it is asked for the cookies of the moment.
    extraHeaders: Object.defineProperties(headers, Object.getOwnPropertyDescriptors(extraHeaders)),
  });
  let isToldOrClosed = false;
  const onEnd = (said: unknown): void => {
    const code = codeIn(said);
    if (!code) return;
    isToldOrClosed = true;
    ended.end(code);
  };
  socket.on("session:end", onEnd);
  socket.on("disconnect", (reason: string) => {
    if (reason !== "io client disconnect" && !isToldOrClosed)
      ended.fail(new Error(`The socket was closed without a code: ${reason}.`));
  });
  const close = (): void => {
    isToldOrClosed = true;
    socket.disconnect();
  };
  return { socket: autoConnect ? connected(socket, url) : Promise.resolve(socket), close };
}

function connected(socket: TestSocket, url: string): Promise<TestSocket> {
  return new Promise((resolve, reject) => {
    const refuse = (said: unknown, cause?: Error): void => {
      socket.disconnect();
      reject(new ConnectionRefused(`A socket of ${new URL(url).pathname}`, codeIn(said), undefined, cause));
    };
    const onError = (error: Error & { data?: unknown }): void => refuse(error.data, error);
    // A transport that closes before the server has answered.
    const onClose = (reason: string): void => refuse(undefined, new Error(reason));
    socket.once("connect", () => {
      socket.off("connect_error", onError);
      socket.off("disconnect", onClose);
      resolve(socket);
    });
    socket.once("connect_error", onError);
    socket.once("disconnect", onClose);
    socket.connect();
  });
}
