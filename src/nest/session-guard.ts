// The guard: asks the function `allow` about each request of a route and each message of a gateway.
import type { IncomingMessage } from "node:http";
import { type CanActivate, type ExecutionContext, HttpException } from "@nestjs/common";
import { closeReason, type SessionCode } from "../errors.js";
import type { Allow } from "../handshake/permission.js";
import { after } from "../internal/awaitable.js";
import { invalid, kindOf } from "../internal/check-options.js";
import { load } from "../internal/load.js";
import type { SocketSession } from "../session/socket-session.js";
import { statusOf } from "../statuses.js";
import { sessionOf } from "./session-decorator.js";

/**
 * A guard that lets in whom `allow` does, with the function that `attach({ allow })` takes. A request is refused with 401,
 * 403 or 503 and `{ code, retry }`, a message by the event `exception` with the same. Sockets are closed only by the
 * adapter's option `allow`, when their data changes; the guard is for single routes and messages.
 *
 * @example
 * ```ts
 * const isAdmin: Allow = (session) => session.role === "admin";
 *
 * @UseGuards(sessionGuard(isAdmin))
 * @Controller("admin")
 * class AdminController {}
 * ```
 */
export function sessionGuard(allow: Allow): CanActivate {
  if (typeof allow !== "function")
    throw invalid(`sessionGuard() needs a function that says who may be here, not ${kindOf(allow)}.`);
  return {
    canActivate(context) {
      const session = sessionOf(context);
      if (!session) throw refusal(context, "STORE_UNAVAILABLE");
      return after(allow(session as unknown as SocketSession, requestOf(context)), (isAllowed) => {
        if (isAllowed !== true) throw refusal(context, isEmpty(session) ? "SESSION_MISSING" : "SESSION_FORBIDDEN");
        return true;
      });
    },
  };
}

/** Node's request of a route, and of a Socket.IO socket its handshake's. */
function requestOf(context: ExecutionContext): IncomingMessage | undefined {
  if (context.getType() === "ws") return context.switchToWs().getClient<{ request?: IncomingMessage }>().request;
  const request = context.switchToHttp().getRequest<IncomingMessage & { raw?: IncomingMessage }>();
  return request.raw ?? request;
}

/** True for a session that nobody has put anything into: that of a browser without one, or of an anonymous socket. */
function isEmpty(session: object): boolean {
  return Object.keys(session).every((field) => field === "cookie");
}

function refusal(context: ExecutionContext, code: SessionCode): Error {
  const reason = closeReason(code);
  if (context.getType() !== "ws") return new HttpException(reason, statusOf[code]);
  // Who has a gateway has the package.
  const { WsException } = load("@nestjs/websockets") as { WsException: new (error: object) => Error };
  return new WsException(reason);
}
