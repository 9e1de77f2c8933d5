// WebSockets of a test, made with the user's ws.
import type { IncomingMessage } from "node:http";
import { loadPeer } from "./peers.js";
import { codeIn, ConnectionRefused } from "./refusal.js";
import type { Ended, Opening } from "./socket-io.js";

/** Options of {@link TestClient.webSocket}. */
export interface TestWebSocketOptions {
  readonly protocols?: string | readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

/** What is used of the `WebSocket` of ws; name that type to have all of it: `client.webSocket<WebSocket>()`. */
export interface TestWebSocket {
  readonly readyState: number;
  on(event: "message", listener: (data: Buffer) => void): unknown;
  on(event: string, listener: (...values: never[]) => void): unknown;
  once(event: "message", listener: (data: Buffer) => void): unknown;
  once(event: string, listener: (...values: never[]) => void): unknown;
  off(event: string, listener: (...values: never[]) => void): unknown;
  send(data: string | Uint8Array): unknown;
  close(code?: number, reason?: string): unknown;
  terminate(): unknown;
}

type WebSocketClass = new (url: string, protocols: readonly string[], options: object) => TestWebSocket;

/** Opens one; `onCookies` gets those that the handshake sets. */
export function openWebSocket(
  url: string,
  { protocols = [], headers }: TestWebSocketOptions,
  ended: Ended,
  onCookies: (lines: readonly string[]) => void,
): Opening<TestWebSocket> {
  const WebSocket = loadPeer("ws", "client.webSocket()") as WebSocketClass;
  const socket = new WebSocket(url, typeof protocols === "string" ? [protocols] : [...protocols], { headers });
  let isClosedHere = false;
  const close = (): void => {
    isClosedHere = true;
    socket.terminate();
  };
  const opening = new Promise<TestWebSocket>((resolve, reject) => {
    const what = new URL(url).pathname;
    let isOpen = false;
    socket.on("upgrade", ({ headers: answered }: IncomingMessage) => onCookies(answered["set-cookie"] ?? []));
    socket.on("open", () => {
      isOpen = true;
      resolve(socket);
    });
    socket.on("unexpected-response", (_request: unknown, response: IncomingMessage) => {
      void textOf(response).then((text) => reject(new ConnectionRefused(what, codeIn(text), response.statusCode)));
    });
    // What it means comes with "close".
    socket.on("error", (cause: Error) => reject(new ConnectionRefused(what, undefined, undefined, cause)));
    socket.on("close", (number: number, reason: Buffer) => {
      const code = codeIn(String(reason));
      if (code) ended.end(code);
      else if (isOpen && !isClosedHere) ended.fail(new Error(`The WebSocket was closed without a code: ${number}.`));
    });
  });
  return { socket: opening, close };
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const piece of response.setEncoding("utf8")) text += piece as string;
  return text;
}
