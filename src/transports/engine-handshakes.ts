// Lets the handshakes of an Engine.IO server, also of the one below Socket.IO, wait for a decision. Knows no sessions.
import type { IncomingMessage } from "node:http";
import { safely } from "../internal/safely.js";
import { noteResponse } from "./response-headers.js";
import { noop } from "../internal/noop.js";

/** Engine.IO's documented option: asked once per handshake, not per polling request. */
export type AllowRequest = (request: IncomingMessage, done: (message: unknown, success: boolean) => void) => void;

/**
 * `decide` runs before each handshake is answered: it is refused with the text that `decide` resolves with, if any.
 * The server's own `allowRequest` is asked first.
 */
export function beforeHandshakes(
  options: { allowRequest?: AllowRequest },
  decide: (request: IncomingMessage) => Promise<string | undefined>,
): void {
  const { allowRequest } = options;
  options.allowRequest = (request, done) => {
    const go = async (): Promise<void> => {
      // socketio/socket.io#3564: while it waits nobody listens to the socket of an upgrade, and a reset would end the
      // process.
      if (isUpgrade(request)) request.socket.on("error", noop);
      noteResponse(request);
      const refused = await decide(request);
      if (isUpgrade(request)) request.socket.off("error", noop);
      safely(() => done(refused, refused === undefined));
    };
    if (!allowRequest) return void go();
    allowRequest.call(options, request, (message, success) => (success ? void go() : done(message, false)));
  };
}

/** False for an Engine.IO server on uWebSockets.js: its requests have no socket, and are gone when a decision comes. */
export function canWait(server: object): boolean {
  return server.constructor.name !== "uServer";
}

function isUpgrade(request: IncomingMessage): boolean {
  return request.headers.upgrade !== undefined;
}
