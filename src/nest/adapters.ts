// Nest's adapters for sockets, whose servers have sessions. Each loads the package of its parent with its first object:
// nobody needs the other one's.
import type { INestApplicationContext, WebSocketAdapter } from "@nestjs/common";
import { invalid, kindOf } from "../internal/check-options.js";
import { load } from "../internal/load.js";
import type { AttachOptions } from "../options.js";
import { Sessions } from "../sessions.js";
import { closeClients } from "../transports/closing.js";
import type { AttachableServer, SocketIoServer, WsServer } from "../transports/servers.js";

/** The application that an adapter is made for. */
export interface AdaptedApplication extends INestApplicationContext {
  getHttpServer(): unknown;
}

/** A Socket.IO server as {@link SessionIoAdapter} makes it. */
export interface AdaptedIoServer extends SocketIoServer {
  adapter(constructor: unknown): unknown;
  use(middleware: never): unknown;
}

/** Nest's IoAdapter, as far as it is known here. */
export interface IoParent extends WebSocketAdapter {
  create(port: number, options?: object): object;
  createIOServer(port: number, options?: object): AdaptedIoServer;
}

/** Nest's WsAdapter, as far as it is known here. */
export interface WsParent extends WebSocketAdapter {
  create(port: number, options?: object): object;
  close(server: object): Promise<void>;
}

type Constructor<T> = new (httpServer: unknown, ...values: unknown[]) => T;

const IoAdapter = loadedLater<IoParent>("@nestjs/platform-socket.io", "IoAdapter");
const WsAdapter = loadedLater<WsParent>("@nestjs/platform-ws", "WsAdapter");

/**
 * Nest's adapter for Socket.IO: the sockets of all gateways have their session. Needs `@nestjs/platform-socket.io`. Extend it
 * as you would extend Nest's own, for Socket.IO's Redis adapter, say.
 *
 * @example
 * ```ts
 * const app = await NestFactory.create(AppModule);
 * app.useWebSocketAdapter(new SessionIoAdapter(app, { allow: (session) => Boolean(session.user) }));
 * ```
 */
export class SessionIoAdapter extends IoAdapter {
  readonly #attach: (server: AttachableServer) => void;

  /** `options` are those of `sessions.attach()`. */
  constructor(app: AdaptedApplication, options: AttachOptions = {}) {
    super(httpServerOf(app));
    this.#attach = attachOnce(app, options);
  }

  /** Nest calls it for each gateway: makes its server, or its namespace of one. */
  override create(port: number, options?: object): object {
    const made = super.create(port, options) as SocketIoServer & { readonly server?: SocketIoServer };
    this.#attach(made.server ?? made);
    return made;
  }
}

/**
 * Nest's adapter for `ws`: the sockets of all gateways have their session. Needs `@nestjs/platform-ws` and `ws`.
 *
 * @example
 * ```ts
 * const app = await NestFactory.create(AppModule);
 * app.useWebSocketAdapter(new SessionWsAdapter(app, { missing: "anonymous" }));
 * ```
 */
export class SessionWsAdapter extends WsAdapter {
  readonly #attach: (server: AttachableServer) => void;

  /** `options` are those of `sessions.attach()`, `adapterOptions` those of Nest's own adapter. */
  constructor(app: AdaptedApplication, options: AttachOptions = {}, adapterOptions?: object) {
    super(httpServerOf(app), adapterOptions);
    this.#attach = attachOnce(app, options);
  }

  /** Nest calls it for each gateway: makes its server. */
  override create(port: number, options: object = {}): object {
    const server = super.create(port, options);
    this.#attach(server as WsServer);
    return server;
  }

  /** Tells the clients that the server goes away, so that they come back to another one, before Nest cuts them off. */
  override async close(server: object): Promise<void> {
    await closeClients((server as { clients: Set<never> }).clients);
    return super.close(server);
  }
}

/** @throws SessionError `OPTION_INVALID` for what is no application of Nest, and for one without sessions */
function httpServerOf(app: AdaptedApplication): unknown {
  if (typeof (app as Partial<AdaptedApplication> | undefined)?.getHttpServer !== "function")
    throw invalid(`The adapter needs the application that NestFactory.create() resolved with, not ${kindOf(app)}.`);
  try {
    app.get(Sessions);
  } catch (error) {
    throw invalid("The application has no sessions: @Module({ imports: [SessionModule.forRoot({ secret })] }).", error);
  }
  return app.getHttpServer();
}

/** Gateways may share a server. */
function attachOnce(app: AdaptedApplication, options: AttachOptions): (server: AttachableServer) => void {
  const sessions = app.get(Sessions);
  const attached = new WeakSet<object>();
  return (server) => {
    if (attached.has(server)) return;
    attached.add(server);
    sessions.attach(server, options);
  };
}

/** A class that gets its parent when the first object of it, or of what extends it, is made. */
function loadedLater<T extends object>(packageName: string, className: string): Constructor<T> {
  function Child(...values: unknown[]): object {
    const Parent = (load(packageName) as Record<string, Constructor<T>>)[className] as Constructor<T>;
    Object.setPrototypeOf(Child.prototype, Parent.prototype as object);
    return Reflect.construct(Parent, values, new.target as unknown as Constructor<T>) as object;
  }
  return Child as unknown as Constructor<T>;
}
