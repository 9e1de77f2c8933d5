// A real server for a test: Express, Socket.IO and sessions on a free port, closed at the end of the test.
import { once } from "node:events";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import express, { type Express } from "express";
import { Server, type ServerOptions } from "socket.io";
import { onTestFinished } from "vitest";
import { type AttachOptions, createSessions, type Sessions } from "../../src/index.js";
import type { CreateOptions } from "../../src/options.js";
import { Browser } from "./browser.js";
import { closeServers } from "./closing.js";

declare module "express-session" {
  interface SessionData {
    user?: string;
    count?: number;
    cart?: string[];
    other?: string;
    nested?: { a?: number; b?: number; list?: number[] };
    [key: `k${number}`]: number;
  }
}

export interface App {
  readonly app: Express;
  readonly io: Server;
  readonly http: HttpServer;
  readonly sessions: Sessions;
  readonly url: string;
  /** A client with a cookie jar of its own. */
  browser(): Browser;
  /** A client that has logged in over HTTP. */
  login(user?: string): Promise<Browser>;
}

export interface AppOptions {
  sessions?: Omit<CreateOptions, "secret"> & { secret?: CreateOptions["secret"] };
  existing?: Sessions;
  attach?: AttachOptions | false;
  io?: Partial<ServerOptions>;
  /** Routes and handlers of the test, before the server listens. */
  setup?: (app: Pick<App, "app" | "io" | "http" | "sessions">) => void;
}

export const secret = "a secret for tests";

/** Starts the app; it is closed when the test is over. */
export async function startApp(options: AppOptions = {}): Promise<App> {
  const app = express();
  const http = createServer(app);
  const io = new Server(http, { ...options.io });
  const sessions = options.existing ?? createSessions({ secret, ...options.sessions });
  app.use(sessions.middleware);
  app.use(express.json());
  if (options.attach !== false) sessions.attach(io, options.attach);
  app.post("/login", (req, res) => {
    req.session.user = (req.body as { user?: string }).user ?? "ada";
    res.json({ user: req.session.user });
  });
  app.post("/logout", (req, res, next) => {
    req.session.destroy((error) => (error ? next(error) : res.json({})));
  });
  app.get("/session", (req, res) => {
    const { cookie: _, ...data } = req.session;
    res.json(data);
  });
  app.post("/set", (req, res) => {
    Object.assign(req.session, req.body);
    res.json({});
  });
  options.setup?.({ app, io, http, sessions });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const browsers: Browser[] = [];
  onTestFinished(async () => {
    for (const browser of browsers) browser.close();
    await closeServers(io, http);
    await sessions.close().catch(() => undefined);
  });
  const browser = (): Browser => {
    const made = new Browser(url);
    browsers.push(made);
    return made;
  };
  return {
    app,
    io,
    http,
    sessions,
    url,
    browser,
    async login(user = "ada") {
      const made = browser();
      await made.post("/login", { user });
      return made;
    },
  };
}
