// Closes a server so that its clients come back, to another node or to the next process: at a shutdown they are not told
// of an end, because their sessions live on.
import { withTimeout } from "../internal/timeout.js";

interface Closable {
  /** Of a namespace: its server. */
  readonly server?: object;
  readonly clients?: Iterable<WebSocket>;
  close?(done?: () => void): unknown;
}

interface WebSocket {
  readonly readyState: number;
  once(event: "close", listener: () => void): unknown;
  close(code: number): void;
  terminate(): void;
}

/** How long a WebSocket's client may take to answer that its connection is closed, in ms. */
const patience = 1000;
/** "Going away": https://www.iana.org/assignments/websocket/websocket.xml#close-code-number */
const goingAway = 1001;

/** Closes a server of any kind that `attach()` takes, and its connections; a namespace by its server. */
export async function closeServer(server: object): Promise<void> {
  const { close, clients, server: whole } = server as Closable;
  if (typeof close !== "function") return whole && closeServer(whole);
  if (clients && Symbol.iterator in clients) {
    const closed = closeClients(clients);
    close.call(server);
    return closed;
  }
  // Socket.IO calls back when the HTTP server below has closed, too; Engine.IO never does.
  if (close.length === 0) close.call(server);
  else await new Promise<void>((resolve) => void close.call(server, resolve));
}

/** Closes the WebSockets of a server of `ws`, which leaves them open when it closes itself. */
export async function closeClients(clients: Iterable<WebSocket>): Promise<void> {
  const all = [...clients];
  const closed = all.map((client) => {
    if (client.readyState === 3) return undefined;
    const isClosed = new Promise<void>((resolve) => void client.once("close", resolve));
    client.close(goingAway);
    return isClosed;
  });
  await withTimeout(Promise.all(closed), patience, () => {
    for (const client of all) client.terminate();
    return [];
  });
  await Promise.all(closed);
}
