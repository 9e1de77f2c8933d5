import { Module } from "@nestjs/common";
import { SessionModule } from "socket-session/nest";
import { AccountController } from "./account.controller.js";
import { LikesGateway } from "./likes.gateway.js";

@Module({
  imports: [
    SessionModule.forRoot({
      secret: process.env.SESSION_SECRET ?? "for development only",
      view: ({ user, likes = 0 }) => ({ user, likes }),
    }),
  ],
  controllers: [AccountController],
  providers: [LikesGateway],
})
export class AppModule {}
