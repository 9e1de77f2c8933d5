// The parameter decorator: the session of a request, or of the socket that sent a message.
import { createParamDecorator, type ExecutionContext } from "@nestjs/common";

interface WithSession {
  readonly session?: Readonly<Record<string, unknown>>;
}

/** The session behind a call: that of the socket, or that of the request, on Express and on Fastify. */
export function sessionOf(context: ExecutionContext): WithSession["session"] {
  const holder =
    context.getType() === "ws"
      ? context.switchToWs().getClient<WithSession>()
      : context.switchToHttp().getRequest<WithSession>();
  return holder.session;
}

const decorate = createParamDecorator((field: string | undefined, context: ExecutionContext) => {
  const session = sessionOf(context);
  return field === undefined ? session : session?.[field];
});

/**
 * Gives a parameter of a gateway's or a controller's method the session, or one of its fields. In place of Nest's own
 * decorator of this name, which knows no sockets.
 *
 * @example
 * ```ts
 * @WebSocketGateway()
 * class CartGateway {
 *   @SubscribeMessage("add")
 *   add(@Session() session: SocketSession, @MessageBody() item: string) {
 *     session.cart.push(item);
 *   }
 * }
 * ```
 */
export function Session(field?: string): ParameterDecorator {
  return decorate(field);
}
