import "socket-session";
import type { Allow } from "socket-session/nest";

declare module "express-session" {
  interface SessionData {
    user?: string;
    likes?: number;
  }
}

/** Who may be here: for sockets, routes and messages. */
export const isLoggedIn: Allow = (session) => session.user !== undefined;
