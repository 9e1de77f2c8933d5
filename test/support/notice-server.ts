// The server that `ReconnectingNotices` connects to, in this process: what it is asked waits until the test has it answered, in any order.
import { noticeName } from "../../src/store/cluster/notice-codec.js";
import type { NoticeConnection, NoticeEvents } from "../../src/store/cluster/reconnecting-notices.js";

interface Command {
  readonly connection: OpenConnection;
  readonly run: () => void;
  readonly reject: (error: Error) => void;
}

interface OpenConnection {
  readonly events: NoticeEvents;
  readonly names: Set<string>;
}

export class NoticeServer {
  isAway = false;
  readonly #waiting: Command[] = [];
  readonly #open = new Set<OpenConnection>();

  connect = async (events: NoticeEvents): Promise<NoticeConnection> => {
    if (this.isAway) throw new Error("refused");
    const connection: OpenConnection = { events, names: new Set() };
    this.#open.add(connection);
    return {
      hears: "channels",
      subscribe: (names) => this.#ask(connection, () => names.forEach((name) => connection.names.add(name))),
      unsubscribe: (name) => this.#ask(connection, () => connection.names.delete(name)),
      ping: async () => undefined,
      close: () => this.#close(connection),
    };
  };

  /** Number of commands that wait for an answer. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** How often each session is subscribed. */
  count(id: string): number {
    return [...this.#open].filter(({ names }) => names.has(noticeName(id))).length;
  }

  /** Number of subscriptions of all sessions. */
  get size(): number {
    return [...this.#open].reduce((sum, { names }) => sum + names.size, 0);
  }

  send(id: string, message: string): void {
    const name = noticeName(id);
    for (const { events, names } of this.#open) if (names.has(name)) events.onMessage(name, message);
  }

  /** Carries out and answers one of the commands that wait. */
  answer(index: number): void {
    if (this.#waiting.length > 0) this.#waiting.splice(index % this.#waiting.length, 1)[0]?.run();
  }

  drop(): void {
    for (const connection of this.#open) {
      this.#close(connection);
      connection.events.onLost("dropped");
    }
  }

  #ask(connection: OpenConnection, carryOut: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const run = (): void => {
        carryOut();
        resolve();
      };
      this.#waiting.push({ connection, run, reject });
    });
  }

  #close(connection: OpenConnection): void {
    this.#open.delete(connection);
    for (const command of this.#waiting.filter((one) => one.connection === connection)) {
      this.#waiting.splice(this.#waiting.indexOf(command), 1);
      command.reject(new Error("closed"));
    }
  }
}
