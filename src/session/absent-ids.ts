// Ids that were not in the store: who brings one again is not worth a subscription, only a look. Nothing is concluded
// from what was seen before, as a session may have been made meanwhile, on whichever node.
import { noop } from "../internal/noop.js";

/** Of how many ids it is remembered. */
const most = 1000;

interface Look {
  readonly found: Promise<boolean>;
  /** The look after it, for all who came since it began. */
  next: Promise<boolean> | undefined;
}

export class AbsentIds {
  /** The oldest first, with the look under way. */
  readonly #ids = new Map<string, Look | undefined>();

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  add(id: string): void {
    if (this.#ids.has(id)) return;
    this.#ids.set(id, undefined);
    if (this.#ids.size <= most) return;
    const [oldest] = this.#ids.keys();
    this.#ids.delete(oldest as string);
  }

  /** Whether it is there now, once for all who ask before the look begins. One that is there is not remembered any more. */
  look(id: string, find: (id: string) => Promise<boolean>): Promise<boolean> {
    const under = this.#ids.get(id);
    if (!under) return this.#begin(id, find);
    under.next ??= under.found.then(noop, noop).then(() => this.#begin(id, find));
    return under.next;
  }

  async #begin(id: string, find: (id: string) => Promise<boolean>): Promise<boolean> {
    const look: Look = { found: find(id), next: undefined };
    if (this.#ids.has(id)) this.#ids.set(id, look);
    let isFound = false;
    try {
      isFound = await look.found;
      return isFound;
    } finally {
      if (this.#ids.get(id) === look) {
        if (isFound) this.#ids.delete(id);
        else this.#ids.set(id, undefined);
      }
    }
  }
}
