/**
 * For NestJS 11 and 12: a module, adapters, a guard and a decorator. Imports `@nestjs/common` and `@nestjs/core`, which every
 * Nest application has, and the packages of the adapters where they are used.
 *
 * @module socket-session/nest
 */
import "../transports/socket.io/types.js";
import "../transports/ws/types.js";

export { Sessions } from "../sessions.js";
export type { Allow } from "../handshake/permission.js";
export {
  type AdaptedApplication,
  type AdaptedIoServer,
  type IoParent,
  SessionIoAdapter,
  SessionWsAdapter,
  type WsParent,
} from "./adapters.js";
export { Session } from "./session-decorator.js";
export { sessionGuard } from "./session-guard.js";
export { SessionModule, type SessionModuleAsyncOptions, type SessionModuleOptions } from "./session-module.js";
