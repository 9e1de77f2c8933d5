// Stops reading what one client of Engine.IO sends, so that it sends no more: a WebSocket is not read, and a POST of
// polling is not answered, so that the client keeps the next one back. Knows no sessions.
import type { IncomingMessage } from "node:http";
import { replaceMethod } from "../internal/hidden.js";

interface WebSocketTransport {
  readonly name: "websocket";
  /** Other WebSocket engines than ws, and ws before 8.3, cannot be paused. */
  readonly socket?: { pause?(): void; resume?(): void };
}

interface PollingTransport {
  readonly name: "polling";
  onDataRequest(request: IncomingMessage, response: unknown): void;
  onError(message: string): void;
}

type Transport = WebSocketTransport | PollingTransport | { readonly name: "webtransport" };

/** An Engine.IO socket, as far as it is used here. */
export interface PausableSocket {
  readonly transport: Transport;
  on(event: "upgrade", listener: (transport: Transport) => void): unknown;
  off(event: "upgrade", listener: (transport: Transport) => void): unknown;
}

/** Several may pause one socket: those who guard different namespaces of Socket.IO. */
const pauses = new WeakMap<PausableSocket, { holders: number; end(): void }>();

/** Pauses a socket until the returned call. */
export function pauseReading(socket: PausableSocket): () => void {
  let pause = pauses.get(socket);
  if (!pause) pauses.set(socket, (pause = { holders: 0, end: start(socket) }));
  pause.holders++;
  return () => {
    if (--pause.holders > 0) return;
    pauses.delete(socket);
    pause.end();
  };
}

function start(socket: PausableSocket): () => void {
  let resume = pauseTransport(socket.transport);
  // The client may be changing its transport at this moment.
  const upgraded = (transport: Transport): void => {
    resume();
    resume = pauseTransport(transport);
  };
  socket.on("upgrade", upgraded);
  return () => {
    socket.off("upgrade", upgraded);
    resume();
  };
}

function pauseTransport(transport: Transport): () => void {
  if (transport.name === "websocket") {
    const webSocket = transport.socket;
    webSocket?.pause?.();
    return () => webSocket?.resume?.();
  }
  return transport.name === "polling" ? keepPosts(transport) : () => undefined;
}

/** Keeps a POST unread and unanswered. One at a time: a client that sends a second has not waited for its answer. */
function keepPosts(transport: PollingTransport): () => void {
  const { onDataRequest } = transport;
  let isOver = false;
  let kept: { readonly request: IncomingMessage; readonly response: unknown } | undefined;
  const left = (): void => {
    kept = undefined;
    // As Engine.IO does where a client leaves while its POST is read.
    transport.onError("data request connection closed prematurely");
  };
  const passOn = (): void => {
    if (!kept) return;
    const { request, response } = kept;
    kept = undefined;
    request.off("close", left);
    onDataRequest.call(transport, request, response);
  };
  const restore = replaceMethod(transport, "onDataRequest", (request: IncomingMessage, response: unknown) => {
    // A request of uWebSockets.js has to be read at once.
    if (isOver || kept || typeof request.once !== "function") {
      // What was kept first: so Engine.IO sees that two overlap.
      passOn();
      return onDataRequest.call(transport, request, response);
    }
    kept = { request, response };
    request.once("close", left);
  });
  return () => {
    isOver = true;
    restore();
    passOn();
  };
}
