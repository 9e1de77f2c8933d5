// Tells TypeScript what the plugin gives Fastify's instances and requests. Nothing at run time.
import type { Session as RequestSession, SessionData } from "express-session";
import type { Sessions } from "../sessions.js";

/** @ts-ignore: an application without Fastify has no such module */
declare module "fastify" {
  interface FastifyInstance {
    /** What `createSessions()` gives. */
    sessions: Sessions;
  }
  interface FastifyRequest {
    /** express-session's object of this request. */
    session: RequestSession & Partial<SessionData>;
    readonly sessionID: string;
  }
}
