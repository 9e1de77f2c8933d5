// Sessions for an Engine.IO server: a handshake is admitted or refused over HTTP, before a socket exists; each socket
// has its session, its messages pass the gate, its end has a reason. Recognises the server by shape.
import type { IncomingMessage } from "node:http";
import { after } from "../../internal/awaitable.js";
import type { Cors } from "../../handshake/cors.js";
import { checkMethods } from "../check-parts.js";
import { claim } from "../claims.js";
import { type AllowRequest, beforeHandshakes, canWait, goneText } from "../engine-handshakes.js";
import { type AnsweringEngine, answerWithCookies } from "../response-headers.js";
import type { Attachment } from "../session-connection.js";
import { EngineConnection, type EngineSocket } from "./connection.js";

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

/**
 * Attaches to an Engine.IO server.
 *
 * @throws SessionError `SERVER_UNSUPPORTED`, `OPTION_INVALID`
 */
export function attachEngineServer(server: EngineServer, attachment: Attachment): void {
  checkMethods(server, "server", ["on", "emit", "prependListener"], "engine.io 6");
  claim(server, server);
  const { admission } = attachment;
  /** Those that were admitted and have no socket yet. */
  const admitted = new WeakMap<IncomingMessage, EngineConnection>();

  beforeHandshakes(server.opts, async (request) => {
    const cors = server.opts.cors;
    if (admission.issuesSessions) await admission.issueSession(request, cors);
    const connection = new EngineConnection(attachment);
    await connection.admit(request, cors);
    const refused = await connection.permit(request);
    if (refused !== undefined) return refused;
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
    return goneText;
  });

  answerWithCookies(server, (request) => admission.setCookie(request));

  // First of all listeners: the session is there when the application's own run.
  server.prependListener("connection", (socket) => {
    const { request } = socket;
    const connection = request ? admitted.get(request) : undefined;
    if (connection) return connection.open(socket).start(server);
    // WebTransport asks nobody before it connects.
    const late = new EngineConnection(attachment).open(socket);
    const admitting = after(late.admit(request, server.opts.cors), () => late.permit(request));
    late.hold(after(admitting, () => late.start(server)));
  });
}

/** What a client that goes away closes. */
interface Closable {
  readonly destroyed: boolean;
  once(event: "close", listener: () => void): unknown;
}
