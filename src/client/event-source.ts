// An EventSource as the page's half uses a Socket.IO client: nothing is sent over it, and it comes back by itself.
import type { ClientSocket, CloseReason } from "./protocol.js";

/** The parts of an `EventSource` that the page's half uses. */
export interface ClientEventSource {
  readonly readyState: number;
  readonly url: string;
  readonly withCredentials: boolean;
  addEventListener(type: never, listener: never): unknown;
  removeEventListener(type: never, listener: never): unknown;
  close(): unknown;
}

const types = ["session:view", "session:end", "error"];

/** The socket that stands for an EventSource. */
export function asSocket(source: ClientEventSource): ClientSocket {
  const listeners: { [event in string]?: (value?: unknown) => unknown } = {};
  let connected = false;

  const hear = ({ type, data }: { type: string; data?: string }): void => {
    if (data === undefined) {
      connected = false;
      // A browser does not tell why the server has refused it for good.
      if (source.readyState === 2) void askWhy();
      else listeners["disconnect"]?.();
      return;
    }
    // An event of the application's own.
    if (type === "error") return;
    if (type === "session:view" && !connected) {
      connected = true;
      listeners["connect"]?.();
    }
    listeners[type]?.(JSON.parse(data));
  };

  const askWhy = async (): Promise<void> => {
    try {
      const response = await fetch(source.url, {
        credentials: source.withCredentials ? "include" : "same-origin",
        headers: { accept: "text/event-stream" },
      });
      if (response.ok) await response.body?.cancel();
      else listeners["connect_error"]?.({ data: (await response.json()) as CloseReason });
    } catch {
      // The answer is not this library's, or there is none.
    }
  };

  for (const type of types) source.addEventListener(type as never, hear as never);
  return {
    get connected() {
      return connected;
    },
    get active() {
      return source.readyState !== 2;
    },
    io: { engine: { readyState: "" } },
    auth: {},
    sendBuffer: [],
    on: (event: string, listener: never) => (listeners[event] = listener),
    off() {
      for (const type of types) source.removeEventListener(type as never, hear as never);
    },
    onAnyOutgoing() {},
    offAnyOutgoing() {},
    emit() {},
    disconnect: () => source.close(),
  };
}
