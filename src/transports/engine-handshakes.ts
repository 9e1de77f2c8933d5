// Lets each handshake of an Engine.IO server wait for a promise: also below Socket.IO, and in all versions since 1, for
// the older modules. Knows no sessions.
import type { IncomingMessage } from "node:http";
import { safely } from "../internal/safely.js";
import { noteResponse } from "./response-headers.js";
import { noop } from "../internal/noop.js";

/** Engine.IO's documented option: asked once per handshake, not per polling request. */
export type AllowRequest = (request: IncomingMessage, done: (message: unknown, success: boolean) => void) => void;

/**
 * Runs `prepare` before each handshake is answered. The handshake is refused with the text that it resolves with, if
 * any. The server's own `allowRequest` is asked first. `answered` is called once the handshake is answered.
 */
export function beforeHandshakes(
  options: { allowRequest?: AllowRequest },
  prepare: (request: IncomingMessage) => Promise<string | undefined>,
  answered?: (request: IncomingMessage) => void,
): void {
  const { allowRequest } = options;
  // Engine.IO reads the option at each handshake.
  options.allowRequest = (request, done) => {
    const go = async (): Promise<void> => {
      // socketio/socket.io#3564: while it waits nobody listens to the socket of an upgrade, and a reset would end the
      // process.
      if (isUpgrade(request)) request.socket.on("error", noop);
      noteResponse(request);
      const refusal = await prepare(request);
      if (isUpgrade(request)) request.socket.off("error", noop);
      safely(() => done(refusal, refusal === undefined));
      answered?.(request);
    };
    if (!allowRequest) return void go();
    allowRequest.call(options, request, (message, success) => (success ? void go() : done(message, false)));
  };
}

/** False for an Engine.IO server on uWebSockets.js: its requests have no socket, and are gone when `prepare` is done. */
export function canWait(server: object): boolean {
  return server.constructor.name !== "uServer";
}

/** What a handshake is refused with whose client has gone: it hears of nothing. */
export const goneText = "The client has gone.";

function isUpgrade(request: IncomingMessage): boolean {
  return request.headers.upgrade !== undefined;
}
