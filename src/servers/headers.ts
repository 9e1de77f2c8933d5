// Headers of a handshake's response. Knows nothing of sessions.
import type { IncomingMessage } from "node:http";

/** Headers as Engine.IO hands them to its listeners. */
export type Headers = Record<string, string | string[] | undefined>;

interface WithHeaders {
  getHeader?(name: string): unknown;
}

const responses = new WeakMap<IncomingMessage, WithHeaders>();

/** Remembers the response to a handshake: when the headers are written, Engine.IO has taken it off the request. */
export function noteResponse(request: IncomingMessage): void {
  const { res } = request as { res?: WithHeaders | null };
  if (res) responses.set(request, res);
}

/** Adds a cookie beside those that others set, in the form that both polling and WebSocket responses write. */
export function addCookie(headers: Headers, request: IncomingMessage, cookie: string): void {
  const response = (request as { res?: WithHeaders | null }).res ?? responses.get(request);
  const there = headers["Set-Cookie"] ?? (response?.getHeader?.("Set-Cookie") as string | string[] | undefined);
  const isUpgrade = request.headers.upgrade !== undefined;
  if (there === undefined) headers["Set-Cookie"] = isUpgrade ? cookie : [cookie];
  // A WebSocket response writes one line per name: another spelling is another line.
  else if (isUpgrade) headers["set-cookie"] = cookie;
  else headers["Set-Cookie"] = [...(Array.isArray(there) ? there : [there]), cookie];
}
