// An app behind TLS, for what browsers do on secure pages alone: Secure and SameSite=None cookies, cookies of other
// sites. The certificate is made for each run; the browser is told to take it.
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import express, { type Express } from "express";
import { generate } from "selfsigned";
import { Server, type ServerOptions } from "socket.io";
import { onTestFinished } from "vitest";
import { type AttachOptions, createSessions, type Sessions } from "../../src/index.js";
import type { CreateOptions } from "../../src/options.js";
import { secret } from "./app.js";
import { servePage } from "./client.js";
import { closeServers } from "./closing.js";

let certificate: ReturnType<typeof generate> | undefined;

export interface SecureApp {
  readonly app: Express;
  readonly io: Server;
  readonly sessions: Sessions;
  /** Its address as one site, and as another: for a browser `localhost` and `127.0.0.1` are two. */
  readonly url: string;
  readonly otherUrl: string;
  /** Paths of the requests that brought a cookie, in order. */
  readonly withCookie: string[];
}

export interface SecureAppOptions {
  readonly sessions?: Partial<CreateOptions>;
  readonly attach?: AttachOptions;
  readonly io?: Partial<ServerOptions>;
}

/** Starts an app with the session routes, a view of the user's name and pages; closed when the test is over. */
export async function startSecureApp(options: SecureAppOptions = {}): Promise<SecureApp> {
  certificate ??= generate([{ name: "commonName", value: "localhost" }]);
  const { private: key, cert } = await certificate;
  const app = express();
  const https = createServer({ key, cert }, app);
  const io = new Server(https, options.io);
  const sessions = createSessions({
    secret,
    cookie: { maxAge: 60_000, secure: true, sameSite: "none" },
    view: ({ user }) => ({ user: user ?? null }),
    ...options.sessions,
  }).attach(io, options.attach);
  const withCookie: string[] = [];
  app.use((request, _response, next) => {
    if (request.headers.cookie !== undefined) withCookie.push(request.path);
    next();
  });
  app.use(sessions.middleware);
  app.use("/session", sessions.routes);
  app.use(express.json());
  app.post("/login", (req, res) => {
    req.session.user = (req.body as { user?: string }).user ?? "ada";
    res.json({});
  });
  servePage({ app });
  https.listen(0, "127.0.0.1");
  await once(https, "listening");
  onTestFinished(async () => {
    await closeServers(io, https);
    await sessions.close();
  });
  const { port } = https.address() as AddressInfo;
  return {
    app,
    io,
    sessions,
    url: `https://localhost:${port}`,
    otherUrl: `https://127.0.0.1:${port}`,
    withCookie,
  };
}
