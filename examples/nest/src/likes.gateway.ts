import { SubscribeMessage, WebSocketGateway } from "@nestjs/websockets";
import type { SocketSession } from "socket-session";
import { Session } from "socket-session/nest";

@WebSocketGateway()
export class LikesGateway {
  @SubscribeMessage("like")
  like(@Session() session: SocketSession): number {
    return (session.likes = (session.likes ?? 0) + 1);
  }
}
