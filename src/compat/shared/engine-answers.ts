// Puts a cookie into the answer to a handshake of Engine.IO, versions 1 to 6, which waits for it. Knows no session.
import type { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import { setHidden } from "../../internal/hidden.js";
import { type AllowRequest, beforeHandshakes, goneText } from "../../transports/engine-handshakes.js";
import { addCookie, type Headers } from "../../transports/response-headers.js";

/** An Engine.IO server, in what all versions share; its options were properties before 4. */
export interface AnyEngine extends EventEmitter {
  readonly opts?: { allowRequest?: AllowRequest };
  readonly ws?: EventEmitter;
  allowRequest?: AllowRequest;
  handleUpgrade(...values: never[]): void;
}

/** Polling has a response, WebSocket has none. */
type Handshake = IncomingMessage & { res?: { writeHead(status: number, headers?: Headers): unknown } };

/** Lets each handshake wait for `find`, and puts the cookie that it resolves with into the answer. */
export function answerWithCookie(server: AnyEngine, find: (request: Handshake) => Promise<string | undefined>): void {
  const stops = new WeakMap<Handshake, () => void>();
  const prepare = async (request: Handshake): Promise<string | undefined> => {
    const cookie = await find(request);
    if (request.socket.destroyed) return goneText;
    if (cookie === undefined) return undefined;
    if (request.res) addToResponse(cookie, request, request.res);
    else stops.set(request, addToUpgrade(cookie, server));
    return undefined;
  };
  beforeHandshakes(server.opts ?? server, prepare, (request) => stops.get(request)?.());
}

/** Where the headers are written: versions before 5.1 have no event for them. */
function addToResponse(cookie: string, { headers: asked }: Handshake, res: NonNullable<Handshake["res"]>): void {
  const { writeHead } = res;
  setHidden(res, "writeHead", (status: number, headers: Headers = {}) => {
    addCookie(headers, { headers: asked, res } as unknown as IncomingMessage, cookie);
    return writeHead.call(res, status, headers);
  });
}

/** The headers of a WebSocket's answer are written while it is given; then the returned call stops the adding. */
function addToUpgrade(cookie: string, { ws }: AnyEngine): () => void {
  const add = (lines: string[]): unknown => lines.push(`Set-Cookie: ${cookie}`);
  ws?.once("headers", add);
  return () => ws?.removeListener("headers", add);
}
