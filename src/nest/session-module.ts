// The module: makes the sessions of the application, gives them to its HTTP platform, and closes them with it.
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  type DynamicModule,
  type FactoryProvider,
  Inject,
  Logger,
  Module,
  type ModuleMetadata,
  type NestModule,
  type OnApplicationShutdown,
} from "@nestjs/common";
import { HttpAdapterHost } from "@nestjs/core";
import { createSessions } from "../create-sessions.js";
import { exposeSession, type FastifyDecorations } from "../http/fastify-request.js";
import type { Middleware } from "../http/middleware.js";
import { invalid, kindOf } from "../internal/check-options.js";
import type { CreateOptions, ExistingMiddlewareOptions } from "../options.js";
import { Sessions } from "../sessions.js";

/** Options of {@link SessionModule}: those of `createSessions()`. */
export type SessionModuleOptions = CreateOptions | ExistingMiddlewareOptions;

/** Options of {@link SessionModule.forRootAsync}. */
export interface SessionModuleAsyncOptions extends Pick<ModuleMetadata, "imports"> {
  /** What `useFactory` is called with. */
  inject?: NonNullable<FactoryProvider["inject"]>;
  useFactory: (...values: never[]) => SessionModuleOptions | Promise<SessionModuleOptions>;
}

/**
 * The sessions of a Nest application, on Express or Fastify. Each request has its session, and `Sessions` can be injected
 * everywhere. Sockets have it by an adapter: `SessionIoAdapter` or `SessionWsAdapter`. Where Nest shuts down, the sessions
 * are saved and closed after the servers.
 *
 * @example
 * ```ts
 * const secret = process.env.SESSION_SECRET ?? "for development only";
 *
 * @Module({ imports: [SessionModule.forRoot({ secret })] })
 * class AppModule {}
 * ```
 */
export class SessionModule implements NestModule, OnApplicationShutdown {
  readonly #sessions: Sessions;
  readonly #host: HttpAdapterHost;
  #mountedOn: object | undefined;

  /** @internal Nest makes it. */
  constructor(sessions: Sessions, host: HttpAdapterHost) {
    this.#sessions = sessions;
    this.#host = host;
    // Before what main.ts mounts: Passport, say, looks for a session.
    this.#mount();
  }

  /** Makes the sessions of the application with these options of `createSessions()`. */
  static forRoot(options: SessionModuleOptions): DynamicModule {
    if (typeof options !== "object" || options === null)
      throw invalid(`forRoot() needs the options of createSessions(), at least { secret }, not ${kindOf(options)}.`);
    return SessionModule.forRootAsync({ useFactory: () => options });
  }

  /**
   * As {@link SessionModule.forRoot}, with options that are not known before the application starts.
   *
   * @example
   * ```ts
   * SessionModule.forRootAsync({
   *   inject: [ConfigService],
   *   useFactory: (config: ConfigService) => ({ secret: config.getOrThrow("SESSION_SECRET") }),
   * });
   * ```
   */
  static forRootAsync(options: SessionModuleAsyncOptions): DynamicModule {
    const { imports = [], inject = [], useFactory } = (options ?? {}) as Partial<SessionModuleAsyncOptions>;
    if (typeof useFactory !== "function")
      throw invalid("forRootAsync() needs a function: SessionModule.forRootAsync({ useFactory: () => ({ secret }) }).");
    const factory = useFactory as (...values: unknown[]) => SessionModuleOptions | Promise<SessionModuleOptions>;
    const provider: FactoryProvider<Sessions> = {
      provide: Sessions,
      inject,
      useFactory: async (...values: unknown[]) => createSessions(await factory(...values)),
    };
    return { module: SessionModule, global: true, imports, providers: [provider], exports: [Sessions] };
  }

  /** @internal Nest calls it before it has routes. */
  configure(): void {
    // A testing module gets its HTTP platform after its modules.
    this.#mount();
  }

  /** @internal Nest calls it when it has closed its servers. */
  onApplicationShutdown(): Promise<void> {
    return this.#sessions.close();
  }

  #mount(): void {
    const adapter = this.#host.httpAdapter as HttpAdapterHost["httpAdapter"] | undefined;
    const platform = adapter?.getType();
    if (!adapter || adapter === this.#mountedOn || (platform !== "express" && platform !== "fastify")) return;
    this.#mountedOn = adapter;
    const { middleware } = this.#sessions;
    // Express finds its "trust proxy" setting for sockets by the middleware itself.
    if (platform === "express") adapter.use(middleware);
    else {
      exposeSession(adapter.getInstance<FastifyDecorations>());
      adapter.use(calledBackOnce(middleware));
    }
  }
}

// Decorators as calls: the build needs no option of TypeScript for them.
Module({})(SessionModule);
Inject(Sessions)(SessionModule, undefined, 0);
Inject(HttpAdapterHost)(SessionModule, undefined, 1);

/** What fails after the answer, such as a save, finds nobody who could still answer. */
function calledBackOnce(middleware: Middleware): Middleware {
  return (request: IncomingMessage, response: ServerResponse, next) => {
    let isDone = false;
    middleware(request, response, (error) => {
      if (isDone) return new Logger("SessionModule").error(error);
      isDone = true;
      next(error);
    });
  };
}
