// How many connections sessions have on other nodes: they are asked, and answer by notices. Nothing is stored, so that
// it costs nothing until somebody asks, and a node that died is not counted.
import type { Driver } from "../drivers/driver.js";
import type { ChangeBus } from "../cluster/change-bus.js";
import { noop } from "../../internal/noop.js";
import { withTimeout } from "../../internal/timeout.js";

/** How long answers are waited for (ms), where the storage does not say how many will come. */
const patience = 250;

const question = "connections?";
const answer = /^connections=(\d{1,9})$/;

/** Answers of other nodes, by what they call themselves. */
interface Asking {
  readonly counts: Map<string, number>;
  /** An answer came. */
  onAnswer(): void;
}

export class ConnectionCount {
  readonly #publish: Driver["publish"];
  readonly #bus: ChangeBus;
  readonly #asking = new Map<string, Set<Asking>>();

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
    const counts = await this.#othersOf(id).catch(() => []);
    return [this.#bus.connectionsOf(id), ...counts].filter((count) => count > 0);
  }

  /** Another node asks, or answers. */
  onMessage(id: string, node: string, word: string): void {
    // Nobody waits for an answer that could not be sent.
    if (word === question) this.#publish?.(id, `connections=${this.#bus.connectionsOf(id)}`).catch(noop);
    const count = answer.exec(word)?.[1];
    if (count === undefined) return;
    for (const asking of this.#asking.get(id) ?? []) {
      asking.counts.set(node, Number(count));
      asking.onAnswer();
    }
  }

  async #othersOf(id: string): Promise<number[]> {
    const publish = this.#publish;
    if (!publish) return [];
    return this.#bus.whileWatching(id, async () => {
      // Who hears nothing need not ask.
      if (!this.#bus.isHearing) return [];
      const counts = new Map<string, number>();
      let expected = Number.POSITIVE_INFINITY;
      const complete = new Promise<void>((resolve) => {
        const asking = { counts, onAnswer: () => void (counts.size >= expected && resolve()) };
        const all = this.#asking.get(id) ?? new Set();
        this.#asking.set(id, all.add(asking));
        publish(id, question).then(
          (listening) => {
            // This node heard it as well.
            if (listening !== undefined) expected = listening - 1;
            asking.onAnswer();
          },
          () => resolve(),
        );
      });
      await withTimeout(complete, patience, noop);
      const all = this.#asking.get(id);
      for (const asking of all ?? []) if (asking.counts === counts) all?.delete(asking);
      if (all?.size === 0) this.#asking.delete(id);
      return [...counts.values()];
    });
  }
}
