// Ids that were not in the store: who brings one again is not worth a subscription, only a search. Nothing is concluded
// from what was seen before, as a session may have been made meanwhile, on whichever node.
import { noop } from "../internal/noop.js";

/** Of how many ids it is remembered. */
const most = 1000;

/** A search that is under way. */
interface Search {
  readonly found: Promise<boolean>;
  /** The search after it, for all who came since it began. */
  next: Promise<boolean> | undefined;
}

/** Remembers ids that were not there, and searches for them again. */
export class AbsentIds {
  /** The oldest first, with the search under way. */
  readonly #ids = new Map<string, Search | undefined>();

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

  /** Whether it is there now, once for all who ask before the search begins. One that is there is not remembered any more. */
  search(id: string, find: (id: string) => Promise<boolean>): Promise<boolean> {
    const under = this.#ids.get(id);
    if (!under) return this.#begin(id, find);
    under.next ??= under.found.then(noop, noop).then(() => this.#begin(id, find));
    return under.next;
  }

  async #begin(id: string, find: (id: string) => Promise<boolean>): Promise<boolean> {
    const search: Search = { found: find(id), next: undefined };
    if (this.#ids.has(id)) this.#ids.set(id, search);
    let isFound = false;
    try {
      isFound = await search.found;
      return isFound;
    } finally {
      if (this.#ids.get(id) === search) {
        if (isFound) this.#ids.delete(id);
        else this.#ids.set(id, undefined);
      }
    }
  }
}
