// A Socket.IO client as cheap as possible, the same for all contestants: the few packets of WebSocket, Engine.IO 4 and
// Socket.IO 5 that are needed, written by hand over TCP. So the clients leave the machine to the server.
import { once } from "node:events";
import { createConnection } from "node:net";

/** Opcodes of WebSocket. */
const text = 1;
const close = 8;

/** A connected WebSocket client. */
export class Client {
  #socket;
  /** What came of a head or a frame that is not complete yet. */
  #received = Buffer.alloc(0);
  #isUpgraded = false;
  #isClosing = false;
  #left = 0;
  #acknowledged;
  #connected;
  #heard;

  constructor(socket, connected) {
    this.#socket = socket;
    this.#connected = connected;
    socket.on("data", (data) => this.#read(data));
  }

  /** Connects with a browser's headers; resolves when the server has connected the namespace. */
  static connect({ port, origin }, cookie) {
    return new Promise((resolve, reject) => {
      const socket = createConnection({ port, host: "127.0.0.1", noDelay: true });
      const client = new Client(socket, () => resolve(client));
      socket.on("error", reject);
      socket.on("close", () => reject(new Error("a connection was refused")));
      socket.write(
        `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nOrigin: ${origin}\r\n` +
          "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
          `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: ${cookie}\r\n\r\n`,
      );
    });
  }

  /** Emits an event `times` times in one go; resolves when all are acknowledged. */
  emit(event, times = 1) {
    this.#left = times;
    // One write to the operating system, so that a burst arrives as one.
    this.#socket.write(Buffer.concat(Array.from({ length: times }, () => frame(`420["${event}"]`))));
    return new Promise((resolve) => (this.#acknowledged = resolve));
  }

  /** Emits bursts of `size` until `count` events are acknowledged. */
  async emitAll(event, count, size) {
    for (let sent = 0; sent < count; sent += size) await this.emit(event, size);
  }

  /** Resolves with the moment at which the server emits its next event. */
  heard() {
    return new Promise((resolve) => (this.#heard = () => resolve(performance.now())));
  }

  /** Resolves with the moment at which the connection is closed, by whomever. */
  async closed() {
    if (!this.#socket.closed) await once(this.#socket, "close");
    return performance.now();
  }

  async close() {
    this.#isClosing = true;
    this.#socket.write(frame("", close));
    await this.closed();
  }

  #read(data) {
    let rest = this.#received.length > 0 ? Buffer.concat([this.#received, data]) : data;
    if (!this.#isUpgraded) {
      const end = rest.indexOf("\r\n\r\n");
      if (end >= 0) {
        this.#isUpgraded = true;
        rest = rest.subarray(end + 4);
      }
    }
    while (this.#isUpgraded && rest.length >= 2) {
      const isLong = rest[1] === 126;
      const start = isLong ? 4 : 2;
      if (rest.length < start) break;
      const end = start + (isLong ? rest.readUInt16BE(2) : rest[1]);
      if (rest.length < end) break;
      const opcode = rest[0] & 15;
      if (opcode === text) this.#onPacket(rest.latin1Slice(start, end));
      else if (opcode === close) this.#socket.end(this.#isClosing ? "" : frame("", close));
      rest = rest.subarray(end);
    }
    this.#received = rest;
  }

  #onPacket(packet) {
    if (packet.startsWith("43")) {
      if (--this.#left === 0) this.#acknowledged();
    } else if (packet.startsWith("42")) this.#heard?.();
    else if (packet.startsWith("40")) this.#connected();
    else if (packet.startsWith("0")) this.#socket.write(frame("40"));
    else if (packet === "2") this.#socket.write(frame("3"));
  }
}

/** A short frame from a client, with a mask that changes nothing. */
function frame(content, opcode = text) {
  return Buffer.from([0x80 | opcode, 0x80 | content.length, 0, 0, 0, 0, ...Buffer.from(content)]);
}

/** Connects one client per cookie, a few at a time. */
export function connectAll(server, cookies, width = 16) {
  return inParallel(cookies, width, (cookie) => Client.connect(server, cookie));
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
