// A Socket.IO client as cheap as possible, the same for all contestants: the few packets of Engine.IO 4 and
// Socket.IO 5 that are needed, written by hand.
import { once } from "node:events";
import WebSocket from "ws";

/** A connected WebSocket client. */
export class Client {
  #socket;
  #waiting = [];

  constructor(socket) {
    this.#socket = socket;
  }

  /** Connects with a browser's headers; resolves when the server has connected the namespace. */
  static connect({ port, origin }, cookie) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`, {
        headers: { cookie, origin },
        perMessageDeflate: false,
      });
      const client = new Client(socket);
      socket.on("error", reject);
      socket.on("message", (data) => {
        const packet = data.toString();
        if (packet.startsWith("43")) client.#waiting.shift()?.();
        else if (packet.startsWith("40")) resolve(client);
        else if (packet.startsWith("0")) socket.send("40");
        else if (packet === "2") socket.send("3");
        else reject(new Error(`unexpected packet: ${packet}`));
      });
    });
  }

  /** Emits an event `times` times in one go; resolves when all are acknowledged. */
  async emit(event, times = 1) {
    const last = await this.#send(event, times);
    await last;
  }

  /** Emits bursts of `size` until `count` events are acknowledged. */
  async emitAll(event, count, size) {
    for (let sent = 0; sent < count; sent += size) await this.emit(event, size);
  }

  #send(event, times) {
    const packet = `420["${event}"]`;
    // One write to the operating system, so that a burst arrives as one.
    this.#socket._socket.cork();
    for (let index = 1; index < times; index++) {
      this.#waiting.push(undefined);
      this.#socket.send(packet);
    }
    return new Promise((resolve) => {
      this.#waiting.push(() => resolve());
      this.#socket.send(packet);
      this.#socket._socket.uncork();
    });
  }

  /** Resolves with the moment at which the connection is closed, by whomever. */
  async closed() {
    if (this.#socket.readyState !== WebSocket.CLOSED) await once(this.#socket, "close");
    return performance.now();
  }

  async close() {
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }
}

/** Connects one client per cookie, a few at a time. */
export function connectAll(server, cookies) {
  return inParallel(cookies, 16, (cookie) => Client.connect(server, cookie));
}

export async function closeAll(server, clients) {
  await inParallel(clients, 64, (client) => client.close());
  await server.isEmpty();
}

/** Runs `work` on each item, `width` at a time; the results in order. */
export async function inParallel(items, width, work) {
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  return results;
}
