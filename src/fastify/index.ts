/**
 * A plugin for Fastify 5. Knows of Fastify what it calls, and imports nothing of it: an application has it anyway, in its
 * own version.
 *
 * @module socket-session/fastify
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createSessions } from "../create-sessions.js";
import { exposeSession } from "../http/fastify-request.js";
import { invalid } from "../internal/check-options.js";
import type { AttachOptions, CreateOptions, ExistingMiddlewareOptions } from "../options.js";
import type { Sessions } from "../sessions.js";
import { closeServer } from "../transports/closing.js";
import type { AttachableServer } from "../transports/servers.js";
import "./types.js";

/** What the plugin takes beside the options of `createSessions()`. */
export interface PluginOptions {
  /** Servers whose sockets have sessions: Socket.IO, `ws` or Engine.IO. They are closed with Fastify. Default: none. */
  io?: AttachableServer | readonly AttachableServer[] | undefined;
  /** The options of `sessions.attach()` for these servers. */
  attach?: AttachOptions | undefined;
  /** The path of the session routes, such as `"/session"`. Default: they are not served. */
  routesAt?: string | undefined;
}

/**
 * Options of the plugin: those of `createSessions()`, and {@link PluginOptions}.
 *
 * @example
 * ```ts
 * const options: SessionPluginOptions = { secret, io, attach: { missing: "anonymous" }, routesAt: "/session" };
 * ```
 */
export type SessionPluginOptions<View = unknown> = PluginOptions &
  (CreateOptions<View> | ExistingMiddlewareOptions<View>);

/** A Fastify instance, as far as it is used here. */
export interface FastifyApp {
  decorate(name: "sessions", value: Sessions): unknown;
  decorateRequest(name: string, accessor: { getter(): unknown; setter?(value: unknown): void }): unknown;
  addHook(name: "onRequest", hook: OnRequest): unknown;
  addHook(name: "preClose" | "onClose", hook: () => Promise<void>): unknown;
}

/** A hook of Fastify before anything of a request is read. */
export type OnRequest = (
  request: { readonly raw: object; readonly log: { error(error: unknown): void } },
  reply: { readonly raw: object },
  done: (error?: Error) => void,
) => void;

/**
 * The plugin for Fastify 5: each request has `request.session`, the application `fastify.sessions`, and the sockets of
 * `io` their sessions. `fastify.close()` closes all of it.
 *
 * @throws SessionError `OPTION_INVALID`, `STORE_UNSUPPORTED`, `STORE_NOT_LIVE`, `SERVER_UNSUPPORTED`
 * @example
 * ```ts
 * const fastify = Fastify();
 * const io = new Server(fastify.server);
 * await fastify.register(sessionPlugin, { secret: process.env.SESSION_SECRET, io });
 * fastify.post("/like", (request) => ({ likes: (request.session.likes = (request.session.likes ?? 0) + 1) }));
 * io.on("connection", (socket) => socket.on("like", () => socket.session.likes++));
 * ```
 */
async function sessionPlugin(fastify: FastifyApp, options: SessionPluginOptions): Promise<void> {
  if (typeof (fastify as Partial<FastifyApp> | undefined)?.addHook !== "function")
    throw invalid("The plugin is for Fastify: await fastify.register(sessionPlugin, { secret, io }).");
  if ("sessions" in fastify)
    throw invalid("The plugin is registered already, and counts for the whole application: use fastify.sessions.");
  const { io, attach, routesAt, ...createOptions } = options;
  if (io === undefined && attach !== undefined)
    throw invalid("The options in attach are for servers of sockets, and io is missing: { io, attach }.");
  const servers: readonly AttachableServer[] = Array.isArray(io)
    ? io
    : io === undefined
      ? []
      : [io as AttachableServer];
  if (routesAt !== undefined && !/^\/.*[^/]$/.test(routesAt))
    throw invalid('routesAt must be a path such as "/session".');
  const sessions = createSessions(createOptions as CreateOptions);
  // Before anything that may fail: what was made is closed with Fastify.
  fastify.addHook("onClose", () => sessions.close());
  fastify.decorate("sessions", sessions);
  exposeSession(fastify);
  fastify.addHook("onRequest", loadSession(sessions));
  if (routesAt !== undefined) fastify.addHook("onRequest", serveRoutes(sessions, routesAt));
  for (const server of servers) sessions.attach(server, attach);
  // Their sockets would keep Fastify's server open.
  fastify.addHook("preClose", async () => void (await Promise.all(servers.map(closeServer))));
}

/** As `fastify-plugin` marks a plugin: its hooks and decorators count for the whole application. */
Object.assign(sessionPlugin, {
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "socket-session",
  [Symbol.for("plugin-meta")]: { name: "socket-session", fastify: "5.x" },
});

// oxlint-disable-next-line import/no-default-export -- as Fastify's plugins are imported
export default sessionPlugin;

function loadSession({ middleware }: Sessions): OnRequest {
  return (request, reply, done) => {
    let isDone = false;
    middleware(request.raw as IncomingMessage, reply.raw as ServerResponse, (error) => {
      // What fails after the answer, such as a save, finds nobody who could still answer.
      if (isDone) return request.log.error(error);
      isDone = true;
      done(error as Error | undefined);
    });
  };
}

/** The session routes read and answer as `node:http` does; what they answer goes no further in Fastify. */
function serveRoutes({ routes }: Sessions, path: string): OnRequest {
  return (request, reply, done) => {
    const raw = request.raw as IncomingMessage & { originalUrl?: string };
    const { url = "/" } = raw;
    const rest = url.slice(path.length);
    if (!url.startsWith(path) || !/^(?:[/?]|$)/.test(rest)) return done();
    raw.originalUrl = url;
    raw.url = rest.startsWith("/") ? rest : `/${rest}`;
    routes(raw, reply.raw as ServerResponse, (error) => {
      raw.url = url;
      done(error as Error | undefined);
    });
  };
}
