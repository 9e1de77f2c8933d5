/**
 * The server's half: `createSessions()`, stores, and the types of both.
 *
 * @module socket-session
 */
import "./transports/socket.io/types.js";
import "./transports/ws/types.js";

export {
  type EndCode,
  type ErrorCode,
  type SessionCode,
  SessionError,
  type UsageCode,
  type CloseReason,
} from "./errors.js";
export type { AllowedOrigins } from "./handshake/origin.js";
export type { Allow } from "./handshake/permission.js";
export type { Middleware } from "./http/middleware.js";
export type { LiveSession } from "./session/live-session.js";
export type { PassportLike } from "./session/passport-users.js";
export type { ViewFunction } from "./session/view.js";
export type { SessionCallback, SocketSession, SocketSessionMethods } from "./session/socket-session.js";
export type { Missing, Refusal } from "./handshake/admission.js";
export type { CheckFinding, CheckTopic, SessionCheck } from "./check/findings.js";
export type { CheckOptions } from "./check/set-up.js";
export { createSessions } from "./create-sessions.js";
export type { Sessions, ViewOf } from "./sessions.js";
export type { SessionsEvents } from "./events.js";
export type {
  AttachOptions,
  CreateOptions,
  ExistingMiddlewareOptions,
  LiveOptions,
  RoutesOptions,
  StreamOptions,
} from "./options.js";
export type { Target, UserSession } from "./target.js";
export type {
  AttachableServer,
  EngineIoServer,
  SocketIoNamespace,
  SocketIoServer,
  WsServer,
} from "./transports/servers.js";
export type { SessionStream } from "./transports/stream/session-stream.js";
export type { HttpRequest, HttpResponse } from "./transports/stream/streams.js";
export type { Listenable, Listener } from "./transports/stream/listeners.js";
export type { Driver } from "./store/drivers/driver.js";
export { liveStore } from "./store/drivers/express-store/express-store.js";
export type { ListedSession, LiveStore, LiveStoreOptions } from "./store/live-store.js";
export { memoryStore } from "./store/drivers/memory.js";
export type { WarningCode } from "./warnings.js";
