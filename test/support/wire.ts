// A line between nodes and their storage, on which notices can be dropped, the notice connections alone cut, the answers
// to writes lost, or what concerns one session held back.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * "drops": notices do not arrive, all else does. "cuts": connections that listen are closed, new ones, too. "loses": every
 * third write is carried out, and its connection breaks before the answer comes. "mutes": Redis's messages arrive, but not
 * what it tells of keys.
 */
type State = "works" | "drops" | "cuts" | "loses" | "mutes";

/** What Redis tells of keys that were read, on the same connection or, in RESP 2, on another: one has changed, or any may. */
const invalidations =
  /(?:>2\r\n\$10\r\ninvalidate|\*3\r\n\$7\r\nmessage\r\n\$20\r\n__redis__:invalidate)\r\n(?:_\r\n|\*-1\r\n|\*1\r\n\$\d+\r\n[^\r]*\r\n)/g;

/** Of Redis's scripts, and of PostgreSQL's statements. */
const writes = /\bevalsha\b|\beval\b|INSERT INTO|UPDATE |DELETE FROM/i;

export class Wire {
  /** How many pieces with notices did not arrive. */
  dropped = 0;
  /** How many writes were carried out and not answered. */
  lost = 0;
  /** What has this text in it is not passed on, nor what comes after it on its connection. */
  held: string | undefined;
  #writes = 0;
  #state: State = "works";
  #to: number;
  readonly #server: Server;
  readonly #listening = new Set<Socket>();
  readonly #all = new Set<Socket>();

  private constructor(server: Server, to: number) {
    this.#server = server;
    this.#to = to;
  }

  /** Opens a line to a port of this machine. */
  static async to(port: number): Promise<Wire> {
    const server = createServer();
    const wire = new Wire(server, port);
    server.on("connection", (near) => wire.#join(near, connect(wire.#to, "127.0.0.1")));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return wire;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** New connections lead to another port from now on; those that are open stay, as after a failover. */
  leadTo(port: number): void {
    this.#to = port;
  }

  set state(state: State) {
    this.#state = state;
    if (state === "cuts") for (const socket of this.#listening) socket.destroy();
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#all) socket.destroy();
  }

  #join(near: Socket, far: Socket): void {
    const end = (): void => {
      near.destroy();
      far.destroy();
      for (const set of [this.#all, this.#listening]) set.delete(near);
    };
    this.#all.add(near);
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      socket.on("close", end);
      socket.on("error", end);
    }
    let isHeld = false;
    let isLost = false;
    near.on("data", (data) => {
      isHeld ||= this.held !== undefined && data.includes(this.held);
      if (isHeld) return;
      if (this.#state === "loses" && writes.test(data.toString("latin1"))) isLost ||= this.#writes++ % 3 === 0;
      // Redis's SUBSCRIBE and CLIENT TRACKING, and PostgreSQL's LISTEN.
      if (/\bs?subscribe\r\n|\bTRACKING\r\n|LISTEN "/.test(data.toString("latin1"))) {
        this.#listening.add(near);
        if (this.#state === "cuts") return end();
      }
      far.write(data);
    });
    far.on("data", (data) => {
      if (isLost) {
        this.lost++;
        return end();
      }
      if ((this.#state === "drops" || this.#state === "mutes") && this.#listening.has(near)) {
        const text = data.toString("latin1");
        const isMessage =
          this.#state === "drops" && /\r\ns?message\r\n(?!\$20\r\n__redis__)|^A.{8}socket_session_/s.test(text);
        const rest = isMessage ? "" : text.replace(invalidations, "");
        if (rest !== text) this.dropped++;
        near.write(rest, "latin1");
      } else near.write(data);
    });
  }
}
