// The real client of Socket.IO 0.9 in Node, with headers of its own on its requests: it had no option for that.
// A copy of the client is loaded for each connection, because it keeps what it sends requests with per copy.
import { createRequire } from "node:module";
import WebSocket from "ws";
import type { Transport } from "../../support/browser.js";
import type { ClientSocket } from "./stacks.js";

const old = createRequire(new URL("../../stacks/package.json", import.meta.url));

/** Connects to a namespace; `beside` another socket on that one's connection. */
export function connect09(
  url: string,
  namespace: string,
  via: Transport,
  headers: Record<string, string>,
  beside?: { socket: { of(name: string): ClientSocket } },
): ClientSocket {
  if (beside) return beside.socket.of(namespace);
  const io = copyOfClient(headers);
  return io.connect(url + (namespace === "/" ? "" : namespace), {
    "force new connection": true,
    reconnect: false,
    "try multiple transports": false,
    transports: [via === "polling" ? "xhr-polling" : "websocket"],
  });
}

function copyOfClient(headers: Record<string, string>): any {
  const main = old.resolve("socket.io-client-0.9");
  const folder = main.replace(/[^/\\]*$/, "");
  const wsOfClient = createRequire(main).resolve("ws");
  for (const path of Object.keys(old.cache)) if (path.startsWith(folder)) delete old.cache[path];
  const io = old("socket.io-client-0.9");
  // The Node client of the next version allows any header.
  const { XMLHttpRequest } = old("xmlhttprequest-ssl");
  io.util.request = () => {
    const request = new XMLHttpRequest();
    const { open } = request;
    request.setDisableHeaderCheck(true);
    request.open = (...values: unknown[]) => {
      open.apply(request, values);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    };
    return request;
  };
  const { websocket } = io.Transport;
  const { open } = websocket.prototype;
  websocket.prototype.open = function (this: unknown): unknown {
    // It asks for "ws" at each open.
    const Headed = function (address: string): WebSocket {
      return new WebSocket(address, { headers });
    };
    old.cache[wsOfClient] = Object.assign(Object.create(null), { exports: Headed, loaded: true, children: [] });
    return open.call(this);
  };
  return io;
}
