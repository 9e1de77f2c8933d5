// Puts a cookie into the answer to a handshake of Engine.IO, versions 1 to 6, which waits until it is known. Knows no
// session.
import type { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import { setHidden } from "../../internal/hidden.js";
import { safely } from "../../internal/safely.js";
import { addCookie, type Headers } from "../../transports/response-headers.js";

/** An Engine.IO server, in what all versions share; its options were properties before 4. */
export interface Engine extends EventEmitter {
  readonly opts?: Pick<Engine, "allowRequest">;
  readonly ws?: EventEmitter;
  allowRequest?(request: Handshake, done: (message: unknown, success: boolean) => void): void;
  handleUpgrade(...values: never[]): void;
}

/** Polling has a response, WebSocket has none. */
type Handshake = IncomingMessage & { res?: { writeHead(status: number, headers?: Headers): unknown } };

/** Lets each handshake wait for `prepare`, and puts the cookie that it resolves with into the answer. */
export function beforeAnswer(server: Engine, prepare: (request: Handshake) => Promise<string | undefined>): void {
  const options = server.opts ?? server;
  const { allowRequest } = options;
  options.allowRequest = (request, done) => {
    const go = async (): Promise<void> => {
      // socketio/socket.io#3564: while it waits, nobody listens to a WebSocket's socket.
      if (!request.res) request.socket.on("error", () => undefined);
      const cookie = await prepare(request);
      if (request.socket.destroyed) return;
      const stop = cookie !== undefined && addToAnswer(cookie, request, server);
      safely(() => done(null, true));
      if (stop) stop();
    };
    if (!allowRequest) void go();
    else allowRequest.call(options, request, (message, success) => (success ? void go() : done(message, success)));
  };
}

/** Where the headers are written: versions before 5.1 have no event for them. A WebSocket's are at once, until stopped. */
function addToAnswer(cookie: string, { headers: asked, res }: Handshake, { ws }: Engine): (() => void) | false {
  if (!res) {
    const add = (lines: string[]): unknown => lines.push(`Set-Cookie: ${cookie}`);
    ws?.once("headers", add);
    return () => ws?.removeListener("headers", add);
  }
  const { writeHead } = res;
  setHidden(res, "writeHead", (status: number, headers: Headers = {}) => {
    addCookie(headers, { headers: asked, res } as unknown as IncomingMessage, cookie);
    return writeHead.call(res, status, headers);
  });
  return false;
}
