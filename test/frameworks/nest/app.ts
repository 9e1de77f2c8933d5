// A Nest application on the platform, the adapter and the store that its environment names; compiled by nest.test.ts
// with each version of Nest. Closes itself when it is told to, and has nothing left then.
import "reflect-metadata";
import {
  Controller,
  Get,
  HttpCode,
  Injectable,
  type MiddlewareConsumer,
  Module,
  type NestMiddleware,
  type NestModule,
  Post,
  Req,
  UseGuards,
} from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { FastifyAdapter } from "@nestjs/platform-fastify";
import { SubscribeMessage, WebSocketGateway, type WsResponse } from "@nestjs/websockets";
import type { Session as RequestSession, SessionData } from "express-session";
import type { FastifyRequest } from "fastify";
import { createClient } from "redis";
import { memoryStore, type SocketSession } from "socket-session";
import {
  type Allow,
  Session,
  sessionGuard,
  SessionIoAdapter,
  SessionModule,
  Sessions,
  SessionWsAdapter,
} from "socket-session/nest";
import { redisStore } from "socket-session/redis";

declare module "express-session" {
  interface SessionData {
    user?: string | undefined;
    likes?: number;
    role?: string;
  }
}

const { PLATFORM, ADAPTER, REDIS_URL, PREFIX, GLOBAL_PREFIX } = process.env;
const isLoggedIn: Allow = (session) => session.user !== undefined;
const isAdmin: Allow = async (session) => session.role === "admin";
const seen: Record<string, unknown> = {};

type OwnSession = RequestSession & Partial<SessionData>;

@Injectable()
class Watch implements NestMiddleware {
  use(request: { session?: OwnSession }, _response: unknown, next: () => void): void {
    seen["middleware"] = request.session?.user;
    next();
  }
}

@Controller()
class AccountController {
  constructor(private readonly sessions: Sessions) {}

  @Post("login")
  @HttpCode(200)
  login(@Session() session: OwnSession): object {
    session.user = "ada";
    return {};
  }

  @Post("promote")
  promote(@Session() session: OwnSession): void {
    session.role = "admin";
  }

  @Post("leave")
  leave(@Session() session: OwnSession): void {
    session.user = undefined;
  }

  @Post("logout")
  async logout(@Req() request: FastifyRequest): Promise<void> {
    await this.sessions.destroy(request);
  }

  @Get("likes")
  likes(@Session("likes") likes = 0): object {
    return { likes };
  }

  @Get("private")
  @UseGuards(sessionGuard(isLoggedIn))
  hidden(): object {
    return { fine: true };
  }

  @Get("admins")
  @UseGuards(sessionGuard(isAdmin))
  admins(): object {
    return { fine: true };
  }

  @Get("seen")
  seen(): object {
    return seen;
  }
}

@WebSocketGateway()
class LikesGateway {
  @SubscribeMessage("like")
  like(@Session() session: SocketSession): number {
    return (session.likes = (session.likes ?? 0) + 1);
  }

  @SubscribeMessage("admin")
  @UseGuards(sessionGuard(isAdmin))
  admin(@Session("user") user: string): WsResponse<string> {
    return { event: "admin", data: user };
  }
}

@WebSocketGateway({ namespace: "chat" })
class ChatGateway {
  @SubscribeMessage("like")
  like(@Session() session: SocketSession): number {
    return (session.likes = (session.likes ?? 0) + 10);
  }
}

@Module({
  imports: [
    SessionModule.forRootAsync({
      inject: ["STORE"],
      imports: [
        {
          module: class StoreModule {},
          providers: [{ provide: "STORE", useFactory: openStore }],
          exports: ["STORE"],
        },
      ],
      useFactory: (store: ReturnType<typeof memoryStore>) => ({ secret: "a secret for tests", store }),
    }),
  ],
  controllers: [AccountController],
  providers: ADAPTER === "ws" ? [LikesGateway] : [LikesGateway, ChatGateway],
})
class AppModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(Watch).forRoutes(AccountController);
  }
}

class OwnIoAdapter extends SessionIoAdapter {
  override createIOServer(port: number, options?: object): ReturnType<SessionIoAdapter["createIOServer"]> {
    seen["extended"] = true;
    return super.createIOServer(port, { ...options, pingInterval: 10_000 });
  }
}

async function openStore(): Promise<ReturnType<typeof memoryStore>> {
  if (REDIS_URL === undefined) return memoryStore();
  const client = createClient({ url: REDIS_URL }).on("error", console.error);
  await client.connect();
  // Its sockets would keep the process.
  client.unref();
  return redisStore({ client, prefix: PREFIX ?? "" });
}

async function bootstrap(): Promise<void> {
  const platform = PLATFORM === "fastify" ? [new FastifyAdapter()] : [];
  const app = await NestFactory.create(AppModule, ...(platform as []), { logger: ["error", "warn"] });
  // What needs a session, such as Passport, is mounted here.
  app.use((request: { session?: OwnSession }, _response: unknown, next: () => void) => {
    seen["main"] = request.session?.user;
    next();
  });
  if (GLOBAL_PREFIX !== undefined) app.setGlobalPrefix(GLOBAL_PREFIX);
  const options = { allow: isLoggedIn };
  app.useWebSocketAdapter(ADAPTER === "ws" ? new SessionWsAdapter(app, options) : new OwnIoAdapter(app, options));
  app.enableShutdownHooks();
  process.once("message", () => {
    void app.close().then(() => process.disconnect());
  });
  await app.listen(Number(process.env["PORT"]));
}
void bootstrap();
