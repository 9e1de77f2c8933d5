// Sessions for an Engine.IO server: a handshake is admitted or refused over HTTP, before a socket exists; each socket
// has its session, its messages pass the gate, its end has a reason. Recognises the server by shape.
import type { IncomingMessage } from "node:http";
import { type SessionCode, type CloseReason, closeReason } from "../../errors.js";
import type { Cors } from "../../handshake/cors.js";
import { setHidden } from "../../internal/hidden.js";
import { safely } from "../../internal/safely.js";
import { claim } from "../claims.js";
import type { Attachment } from "../session-connection.js";
import { type AllowRequest, canWait, beforeHandshakes } from "../engine-handshakes.js";
import { type PausableSocket, pauseReading } from "../engine-pause.js";
import { type AnsweringEngine, answerWithCookies, type Headers } from "../response-headers.js";
import { type EmittingSocket, EmitterConnection } from "../emitter-connection.js";
import { closeCodeOf, statusOf } from "../../statuses.js";

interface WebSocketTransport {
  readonly name: "websocket";
  readonly socket: { close(code: number, reason: string): void };
  doClose(done?: () => void): void;
}

interface PollingTransport {
  readonly name: "polling";
  /** The poll that waits for an answer. */
  readonly req?: IncomingMessage | null;
  readonly res?: { writeHead(status: number, headers: Headers): void; end(body: string): void } | null;
  headers(request: IncomingMessage, headers: Headers): Headers;
  doWrite(data: unknown, options: unknown, done: () => void): void;
}

type Transport = WebSocketTransport | PollingTransport | { readonly name: "webtransport" };

interface EngineSocket extends EmittingSocket {
  readonly request: IncomingMessage | null | undefined;
  readonly readyState: string;
  readonly transport: Transport;
  once(event: "upgrade", listener: (transport: Transport) => void): unknown;
  close(): unknown;
}

/** An Engine.IO server, as far as it is used here. */
export interface EngineServer extends AnsweringEngine {
  readonly opts: { allowRequest?: AllowRequest; readonly cors?: Cors; readonly path?: string };
  handleRequest(request: unknown, response: unknown): unknown;
  generateId(request: unknown): unknown;
  emit(event: "session", socket: EngineSocket, session: unknown): boolean;
  prependListener(event: "connection", listener: (socket: EngineSocket) => void): unknown;
}

/** True for a Server of the `engine.io` package, version 4 or newer; not for its `uServer`. */
export function isEngineServer(value: unknown): value is EngineServer {
  const server = value as Partial<EngineServer> | null | undefined;
  return (
    typeof server?.handleRequest === "function" &&
    typeof server.generateId === "function" &&
    typeof server.opts === "object" &&
    canWait(server)
  );
}

export function attachEngineServer(server: EngineServer, attachment: Attachment): void {
  claim(server, server);
  const { admission } = attachment;
  /** Those that were admitted and have no socket yet. */
  const admitted = new WeakMap<IncomingMessage, EngineConnection>();

  beforeHandshakes(server.opts, async (request) => {
    const cors = server.opts.cors;
    if (admission.issuesSessions) await admission.issueSession(request, cors);
    const connection = new EngineConnection(attachment);
    await connection.admit(request, cors);
    if (connection.refusalCode !== undefined) return connection.refusalCode;
    admitted.set(request, connection);
    // Nobody is told of a handshake that fails from here on.
    const { res } = request as { res?: Closable };
    const end: Closable = res ?? request.socket;
    const drop = (): void => {
      if (connection.isOpen) return;
      admitted.delete(request);
      connection.release();
    };
    end.once("close", drop);
    if (!end.destroyed) return undefined;
    drop();
    return "The client has gone.";
  });

  answerWithCookies(server, (request) => admission.setCookie(request));

  // First of all listeners: the session is there when the application's own run.
  server.prependListener("connection", (socket) => {
    const { request } = socket;
    const connection = request ? admitted.get(request) : undefined;
    if (connection) return connection.open(socket).start(server);
    // WebTransport asks nobody before it connects.
    const late = new EngineConnection(attachment).open(socket);
    late.hold(late.admit(request, server.opts.cors).then(() => late.start(server)));
  });
}

/** What a client that goes away closes. */
interface Closable {
  readonly destroyed: boolean;
  once(event: "close", listener: () => void): unknown;
}

class EngineConnection extends EmitterConnection<EngineSocket> {
  /** From now on the socket's messages pass the gate. */
  open(socket: EngineSocket): this {
    this.gate(socket);
    // That of an ended one stays readable; one that is not pendingAdmission yet has an empty one.
    this.bind(socket, socket.request);
    return this;
  }

  /** Gives the socket its session, or closes it. */
  start(server: EngineServer): void {
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
    return this.socket && pauseReading(this.socket as unknown as PausableSocket);
  }

  /** The reason of an end is its code. */
  protected override closeValues(values: unknown[]): unknown[] {
    return this.refusalCode === undefined ? values : [this.refusalCode, ...values.slice(1)];
  }

  protected close(reason: CloseReason): void {
    const socket = this.socket;
    if (!socket) return;
    const tell = (transport: Transport): void => tellAtClose(transport, reason);
    tell(socket.transport);
    // A client may be changing its transport at this moment.
    socket.once("upgrade", tell);
    socket.close();
  }
}

/** Payloads that hold nothing but a close packet, alone or after a noop, of protocol 4 and 3. */
const onlyClose: readonly unknown[] = ["1", "6\u001e1", "1:1", "1:61:1"];

/**
 * Engine.IO's protocol has no place for a reason: a WebSocket is told by its close code, as with `ws`; a polling
 * client by the HTTP status and body of its last poll. SESSIONS_CLOSED has none of its own: come back later.
 */
function tellAtClose(transport: Transport, { code, retry }: CloseReason): void {
  if (transport.name === "websocket") {
    setHidden(transport, "doClose", (done?: () => void) => {
      transport.socket.close(closeCodeOf[code] ?? 1013, code);
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
