// Sessions for a `ws` WebSocketServer: an upgrade is admitted or refused over HTTP, before a socket exists; each socket
// has its session, its messages pass the gate, its close code tells of the end. Recognises the server by shape.
import type { IncomingMessage } from "node:http";
import { closeReason, type ErrorCode, type SessionCode } from "../../errors.js";
import { setHidden } from "../../internal/hidden.js";
import { safely } from "../../internal/safely.js";
import { checkMethods } from "../check-parts.js";
import { claim, claimPath } from "../claims.js";
import type { Attachment } from "../session-connection.js";
import { statusOf } from "../../statuses.js";
import { type WebSocket, WebSocketConnection } from "./connection.js";

type Callback = (socket: WebSocket, request: IncomingMessage) => void;
type Answer = (verified: boolean, code?: number, message?: string, headers?: Record<string, string>) => void;
interface Asked {
  readonly req: IncomingMessage;
}

/** A `ws` server, as far as it is used here. */
export interface WebSocketServer {
  /** The options that it was made with: `ws` reads `verifyClient` at each upgrade. */
  readonly options: {
    verifyClient?: ((info: Asked, answer: Answer) => unknown) | null;
    readonly path?: string | null;
    readonly server?: object | null;
  };
  handleUpgrade(request: IncomingMessage, socket: unknown, head: unknown, callback: Callback): void;
  shouldHandle(request: IncomingMessage): boolean;
  on(event: "headers", listener: (headers: string[], request: IncomingMessage) => void): unknown;
  on(event: "close", listener: () => void): unknown;
}

/** True for a WebSocketServer of the `ws` package. */
export function isWebSocketServer(value: unknown): value is WebSocketServer {
  const server = value as Partial<WebSocketServer> | null | undefined;
  return (
    typeof server?.handleUpgrade === "function" &&
    typeof server.shouldHandle === "function" &&
    typeof server.options === "object"
  );
}

/**
 * Attaches to a server in any mode: `port`, `server` or `noServer`.
 *
 * @throws SessionError `SERVER_UNSUPPORTED`, `OPTION_INVALID`
 */
export function attachWebSocketServer(server: WebSocketServer, attachment: Attachment): void {
  checkMethods(server, "server", ["on"], "ws 8");
  const { server: http, path } = server.options;
  // What an application decides for itself is its own.
  const takesPath = !Object.hasOwn(server, "shouldHandle");
  const release = takesPath ? claimPath(http, path, attachment.sessions) : undefined;
  claim(server, server);
  if (release) server.on("close", release);
  const { admission } = attachment;
  /** Those that were admitted and have no socket yet. */
  const admitted = new WeakMap<IncomingMessage, WebSocketConnection>();

  /** Tickets of upgrades under way. */
  const tickets = new WeakMap<IncomingMessage, string>();

  const admit = async (request: IncomingMessage, answer: Answer): Promise<void> => {
    if (admission.issuesSessions) await admission.issueSession(request, undefined);
    const ticket = admission.takesTickets ? tickets.get(request) : undefined;
    const connection = new WebSocketConnection(attachment);
    await connection.admit(request, undefined, ticket !== undefined);
    const known =
      ticket === undefined
        ? await connection.permit(request)
        : await connection.redeemTicket(ticket, admission.holdersOf(request), request);
    // Its session may have ended while the answer was on its way here: nobody would tell the socket.
    const refused = known ?? connection.check();
    if (refused !== undefined) {
      // It may have a session, and a ticket that is not for it.
      connection.release();
      return refuse(refused, answer);
    }
    admitted.set(request, connection);
    safely(() => answer(true));
    // The client went away meanwhile, or the upgrade failed in another way.
    if (!connection.isOpen) connection.release();
  };

  const { verifyClient } = server.options;
  server.options.verifyClient = (info, answer) => {
    const next: Answer = (verified, ...why) => (verified ? void admit(info.req, answer) : answer(false, ...why));
    if (!verifyClient) next(true);
    else if (verifyClient.length === 2) verifyClient.call(server.options, info, next);
    else next(Boolean((verifyClient as (info: Asked) => unknown).call(server.options, info)), 401);
  };

  server.on("headers", (headers, request) => {
    const cookie = admission.setCookie(request);
    if (cookie !== undefined) headers.push(`Set-Cookie: ${cookie}`);
  });

  // Called in all modes, by the application or by the server itself.
  const { handleUpgrade } = server;
  const guarded: WebSocketServer["handleUpgrade"] = (request, socket, head, callback) => {
    const ticket = removeTicket(request);
    if (ticket !== undefined) tickets.set(request, ticket);
    handleUpgrade.call(server, request, socket, head, (webSocket, of) => {
      admitted.get(request)?.open(webSocket, request);
      callback(webSocket, of);
    });
  };
  setHidden(server, "handleUpgrade", guarded);
}

const ticketPrefix = "session.ticket.";

/**
 * The ticket among the subprotocols, which browsers can send with a WebSocket: taken out, so that the application
 * chooses among its own, and the ticket is never the answer.
 */
function removeTicket({ headers }: IncomingMessage): string | undefined {
  const offered = headers["sec-websocket-protocol"];
  if (!offered?.includes(ticketPrefix)) return undefined;
  const protocols = offered.split(",").map((protocol) => protocol.trim());
  const ticket = protocols.find((protocol) => protocol.startsWith(ticketPrefix))?.slice(ticketPrefix.length);
  const own = protocols.filter((protocol) => !protocol.startsWith(ticketPrefix));
  if (own.length > 0) headers["sec-websocket-protocol"] = own.join(", ");
  else delete headers["sec-websocket-protocol"];
  return ticket;
}

function refuse(code: ErrorCode, answer: Answer): void {
  const reason = closeReason(code as SessionCode);
  answer(false, statusOf[reason.code] ?? 503, JSON.stringify(reason), {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    ...(reason.retry && { "Retry-After": "1" }),
  });
}
