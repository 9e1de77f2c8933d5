// Adds cookies to the response to a handshake. Knows nothing of sessions.
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

/** An Engine.IO server, as far as it is used here. */
export interface AnsweringEngine {
  on(event: "headers", listener: (headers: Headers, request: IncomingMessage) => void): unknown;
}

/** Puts the cookie of each handshake that has one into its answer. */
export function answerWithCookies(
  engine: AnsweringEngine,
  cookieOf: (request: IncomingMessage) => string | undefined,
): void {
  // Behind "initial_headers", where applications set their own.
  engine.on("headers", (headers, request) => {
    const cookie = cookieOf(request);
    if (cookie !== undefined) addCookie(headers, request, cookie);
  });
}

/** Adds a cookie beside those that others set, in the form that both polling and WebSocket responses write. */
export function addCookie(headers: Headers, request: IncomingMessage, cookie: string): void {
  // Whoever else sets one spells the name as they like, and of two spellings a response may keep the last alone.
  const names = Object.keys(headers).filter((name) => name.toLowerCase() === "set-cookie");
  if (request.headers.upgrade !== undefined) {
    // A WebSocket response writes one line per name: another spelling is another line.
    const free = ["Set-Cookie", "set-cookie", "SET-COOKIE"].find((name) => !names.includes(name)) ?? "Set-cookie";
    headers[free] = cookie;
    return;
  }
  const response = (request as { res?: WithHeaders | null }).res ?? responses.get(request);
  const others = names.length > 0 ? names.map((name) => headers[name]) : [response?.getHeader?.("Set-Cookie")];
  for (const name of names) delete headers[name];
  headers["Set-Cookie"] = [...(others.flat() as (string | undefined)[]), cookie].filter((one) => one !== undefined);
}
