// A line to a storage on which the answer to one command is lost after it was carried out, or on which the command
// itself comes late, when whoever sent it has given it up.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/**
 * "answer": it is carried out, and the connection breaks before the answer comes. "command": the connection breaks before it
 * arrives, and it arrives when the line is let go.
 */
export type Loss = "answer" | "command";

export class LossyLine {
  /** Refuses new connections. */
  isShut = false;
  /** True where the other connections, that which hears notices among them, stay. */
  breaksOne = false;
  #loss: { readonly what: RegExp; readonly kind: Loss; readonly done: () => void } | undefined;
  #late: (() => void) | undefined;
  readonly #server: Server;
  readonly #ends = new Set<() => void>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(port: number): Promise<LossyLine> {
    const server = createServer();
    const line = new LossyLine(server);
    server.on("connection", (near) => line.#join(near, connect(port, "127.0.0.1")));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => line.close());
    return line;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Loses the next command with this in it; connections break, and none is let through. Resolves when it is so. */
  lose(what: RegExp, kind: Loss): Promise<void> {
    return new Promise((done) => (this.#loss = { what, kind, done }));
  }

  /** Works again; a command that was held back arrives now. */
  open(): void {
    this.isShut = false;
    this.#late?.();
    this.#late = undefined;
  }

  close(): void {
    this.#server.close();
    this.#cut();
  }

  #cut(): void {
    for (const end of this.#ends) end();
  }

  #join(near: Socket, far: Socket): void {
    for (const socket of [near, far]) socket.setNoDelay(true).on("error", () => undefined);
    const end = (): void => {
      near.destroy();
      far.destroy();
      this.#ends.delete(end);
    };
    if (this.isShut) return end();
    this.#ends.add(end);
    near.on("close", end);
    far.on("close", end);
    let lost: (() => void) | undefined;
    near.on("data", (data) => {
      const loss = this.#loss;
      if (loss?.what.test(data.toString("latin1"))) {
        this.#loss = undefined;
        if (loss.kind === "command") {
          near.off("close", end);
          this.#ends.delete(end);
          this.#late = () => far.end(data);
          near.destroy();
        }
        const broken = (): void => {
          this.isShut = true;
          if (this.breaksOne) end();
          else this.#cut();
          loss.done();
        };
        if (loss.kind === "command") return broken();
        lost = broken;
      }
      far.write(data);
    });
    far.on("data", (data) => {
      if (lost) lost();
      else near.write(data);
    });
  }
}
