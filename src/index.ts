// The public face.
import "./servers/socket.io-types.js";
import "./servers/ws-types.js";

export {
  type EndCode,
  type ErrorCode,
  type SessionCode,
  SessionError,
  type UsageCode,
  type Verdict,
} from "./errors.js";
export type { AllowedOrigins } from "./handshake/origin.js";
export type { Middleware } from "./http/middleware.js";
export type { LiveSession } from "./live/live-session.js";
export type { ViewFunction } from "./live/view.js";
export type { SessionCallback, SocketSession, SocketSessionMethods } from "./live/session-object.js";
export type { Missing, Refusal } from "./servers/admission.js";
export {
  type AttachOptions,
  type CreateOptions,
  createSessions,
  type ExistingMiddlewareOptions,
  type LiveOptions,
  type RoutesOptions,
  type Sessions,
  type SessionsEvents,
  type Target,
  type UserSession,
  type ViewOf,
} from "./sessions.js";
export type { Driver } from "./store/driver.js";
export { liveStore } from "./store/foreign.js";
export { LiveStore, type LiveStoreOptions } from "./store/live-store.js";
export { memoryStore } from "./store/memory.js";
export type { WarningCode } from "./warnings.js";
