// How many connections a session has on other nodes: they answer a message. Nothing is stored, so that a count costs nothing
// until somebody needs it, and a node that died is not counted.
import type { Driver } from "../drivers/driver.js";
import type { ChangeBus } from "../cluster/change-bus.js";
import { noop } from "../../internal/noop.js";
import { withTimeout } from "../../internal/timeout.js";

/** How long to wait for answers (ms), where the storage does not say how many will come. */
const patience = 250;

const question = "connections?";
const answer = /^connections=(\d{1,9})$/;

/** A count under way. */
interface PendingCount {
  /** Numbers of connections, by what the nodes call themselves. */
  readonly answers: Map<string, number>;
  /** Called when an answer came. */
  onAnswer: () => void;
}

/** Counts the connections of a session on all nodes, and answers when others count. */
export class ConnectionCount {
  readonly #publish: Driver["publish"];
  readonly #bus: ChangeBus;
  /** The counts under way, by session. */
  readonly #pending = new Map<string, Set<PendingCount>>();

  /** `publish` is the driver's, where its storage has one. */
  constructor(publish: Driver["publish"], bus: ChangeBus) {
    this.#publish = publish;
    this.#bus = bus;
  }

  /**
   * Number of connections of a session on each node that has any, this node first. Other nodes count as far as they
   * answer within a moment.
   */
  async connectionsOf(id: string): Promise<number[]> {
    const counts = await this.#countOthers(id).catch(() => []);
    return [this.#bus.connectionsOf(id), ...counts].filter((count) => count > 0);
  }

  /** A question or an answer of another node. */
  onMessage(id: string, node: string, word: string): void {
    // Nobody waits for an answer that could not be sent.
    if (word === question) this.#publish?.(id, `connections=${this.#bus.connectionsOf(id)}`, node).catch(noop);
    const count = answer.exec(word)?.[1];
    if (count === undefined) return;
    for (const pending of this.#pending.get(id) ?? []) {
      pending.answers.set(node, Number(count));
      pending.onAnswer();
    }
  }

  async #countOthers(id: string): Promise<number[]> {
    const publish = this.#publish;
    if (!publish) return [];
    return this.#bus.whileWatching(id, async () => {
      // Without notices no answer would come.
      if (!this.#bus.isHearing) return [];
      const count: PendingCount = { answers: new Map(), onAnswer: noop };
      const pending = this.#pending.get(id) ?? new Set();
      this.#pending.set(id, pending.add(count));
      const complete = new Promise<void>((resolve) => {
        let expected = Number.POSITIVE_INFINITY;
        count.onAnswer = () => void (count.answers.size >= expected && resolve());
        publish(id, question).then((listening) => {
          // This node got it as well.
          if (listening !== undefined) expected = listening - 1;
          count.onAnswer();
        }, resolve);
      });
      await withTimeout(complete, patience, noop);
      pending.delete(count);
      if (pending.size === 0) this.#pending.delete(id);
      return [...count.answers.values()];
    });
  }
}
