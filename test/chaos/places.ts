// The nodes of a run: each has a place with a port of its own, at which it comes back after it was killed.
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { closeNodes, type LostNews, type Node, type NodeSettings, openNodes } from "../support/fleet.js";
import { freePort } from "../support/private-server.js";
import type { History } from "./history.js";

export class Place {
  readonly #letter: string;
  readonly #settings: NodeSettings;
  readonly #history: History;
  #node: Node | undefined;
  #starts = 0;

  private constructor(letter: string, settings: NodeSettings, history: History) {
    this.#letter = letter;
    this.#settings = settings;
    this.#history = history;
  }

  static async open(letter: string, settings: NodeSettings, history: History): Promise<Place> {
    const place = new Place(letter, { ...settings, port: await freePort() }, history);
    await place.start();
    return place;
  }

  /** The process that is there, or was there last. */
  get name(): string {
    return `${this.#letter}${this.#starts}`;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#settings.port}`;
  }

  /** Undefined while it is down. */
  get node(): Node | undefined {
    return this.#node;
  }

  async start(): Promise<void> {
    this.#starts++;
    const [node] = await openNodes(1, this.#settings);
    node.process.on("message", ({ lost }: Partial<LostNews>) => {
      if (lost) this.#history.noteLoss(lost.id, lost.what, this.name);
    });
    this.#node = node;
  }

  /** Kills the node, and starts it again after a while. */
  async crash(pause: number): Promise<void> {
    this.#history.deaths.set(this.name, this.#history.now());
    await this.close();
    await delay(pause);
    await this.start();
  }

  /** The clock of the node that is there is `ms` ahead from now on. */
  async setClock(ms: number): Promise<void> {
    const node = this.#node;
    // One that is killed meanwhile does not answer.
    if (!node) return;
    const answered = new AbortController();
    const { signal } = answered;
    await Promise.race([node.ask("setClock", { ms }), once(node.process, "exit", { signal })]);
    answered.abort();
  }

  async close(): Promise<void> {
    const node = this.#node;
    this.#node = undefined;
    if (node) await closeNodes([node]);
  }
}
