// Which master of a cluster had which slots when connections to them were opened. Where there is no cluster, the one server
// has all.
import { slotOf } from "./channels.js";
import type { Client } from "./client.js";

const slotCount = 16_384;

/** The slots of a cluster at one moment. */
export class Slots {
  readonly #client: Client;
  /** For each slot, the address of its master. */
  readonly #owners: readonly (string | undefined)[];

  constructor(client: Client) {
    this.#client = client;
    this.#owners = client.isCluster ? Array.from({ length: slotCount }, (_, slot) => client.masterOf(slot)) : [""];
  }

  /** The first slot of a master; -1 for one that has none, and so has no keys. */
  firstOf(address: string): number {
    return this.#owners.indexOf(address);
  }

  /** The address of the master that has a key. Throws where its slot has moved since, or has none. */
  masterOf(key: string): string {
    const slot = this.#client.isCluster ? slotOf(key) : 0;
    const owner = this.#owners[slot];
    if (owner === undefined) throw new Error("the cluster has no master for this slot");
    if (this.#client.masterOf(slot) !== owner) throw moved();
    return owner;
  }

  /** Throws where a slot has moved since. */
  check(): void {
    if (this.#owners.some((owner, slot) => this.#client.masterOf(slot) !== owner)) throw moved();
  }
}

function moved(): Error {
  return new Error("a slot has moved");
}
