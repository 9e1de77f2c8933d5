// Engine.IO 6 from the inside. Only this file uses what its documentation does not name: how its transports read and
// write. Each part says what breaks without it; where one is missing, a client is not slowed, or is not told why.
import type { IncomingMessage } from "node:http";
import type { CloseReason } from "../errors.js";
import { replaceMethod, setHidden } from "../internal/hidden.js";
import { closeCodeOf, statusOf } from "../statuses.js";
import type { Headers } from "./response-headers.js";

interface WebSocketTransport {
  readonly name: "websocket";
  /**
   * The WebSocket. Without it a flooding client could not be slowed, nor be told why it is closed. Other engines than
   * ws, and ws before 8.3, cannot pause.
   */
  readonly socket?: { close(code: number, reason: string): void; pause?(): void; resume?(): void };
  /** Without it the WebSocket would be closed with a code that says nothing. */
  doClose(done?: () => void): void;
}

interface PollingTransport {
  readonly name: "polling";
  /** Gets each POST. Without it a flooding client's would be answered at once, and it would send the next. */
  onDataRequest(request: IncomingMessage, response: unknown): void;
  /** Without it a client that leaves while its POST is kept would stay until its next ping. */
  onError(message: string): void;
  /** The poll that waits for an answer. Without it the last answer could not have the status of the reason. */
  readonly req?: IncomingMessage | null;
  readonly res?: { writeHead(status: number, headers: Headers): void; end(body: string): void } | null;
  /** Without it that answer would lack the headers of CORS. */
  headers(request: IncomingMessage, headers: Headers): Headers;
  /** Without it a client over polling would be told nothing but that it is closed. */
  doWrite(data: unknown, options: unknown, done: () => void): void;
}

/** What carries an Engine.IO socket at a time. */
export type Transport = WebSocketTransport | PollingTransport | { readonly name: "webtransport" };

/**
 * Stops reading what a client sends, so that it sends no more, until the returned call: a WebSocket is not read, and a
 * POST of polling is not answered.
 */
export function pauseTransport(transport: Transport): () => void {
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

/** Payloads that hold nothing but a close packet, alone or after a noop, of protocol 4 and 3. */
const onlyClose: readonly unknown[] = ["1", "6\u001e1", "1:1", "1:61:1"];

/**
 * Lets a transport tell the reason when it closes, for which Engine.IO's protocol has no place. A WebSocket tells it by
 * its close code, as with `ws`; polling by the HTTP status and body of its last poll. SESSIONS_CLOSED has none of its
 * own: come back later.
 */
export function closeWith(transport: Transport, { code, retry }: CloseReason): void {
  if (transport.name === "websocket") {
    setHidden(transport, "doClose", (done?: () => void) => {
      transport.socket?.close(closeCodeOf[code] ?? 1013, code);
      done?.();
    });
  } else if (transport.name === "polling") {
    const { doWrite } = transport;
    setHidden(transport, "doWrite", (data: unknown, options: unknown, done: () => void) => {
      const { req, res } = transport;
      if (!req || !res || !onlyClose.includes(data)) {
        return doWrite.call(transport, data, options, done);
      }
      res.writeHead(statusOf[code] ?? 503, transport.headers(req, { "Content-Type": "application/json" }));
      res.end(JSON.stringify({ code, retry }));
      done();
    });
  }
}
