// What goes wrong in a run, one thing after the other, chosen by the seed: the storage and its connections on one
// track, the nodes on another. Everything is mended when a track ends.
import { setTimeout as delay } from "node:timers/promises";
import type { Wire } from "../support/wire.js";
import type { History } from "./history.js";
import type { Place } from "./places.js";
import type { Random } from "./random.js";
import type { Storage } from "./storage.js";

const storageFaults = {
  "the storage is stopped": 2,
  "the storage is killed": 2,
  "the storage is paused": 3,
  "all connections to the storage are cut": 1,
  "the notice connections are cut": 2,
  "the notice connections stay cut": 2,
  "notices are dropped": 4,
};

/** How often an outage is a long one, and how long (ms): longer than maxStale. */
const longOutages = { share: 0.1, low: 11_000, high: 13_000 };

/** Breaks the storage, and the ways to it, until `isOver`. */
export async function shakeStorage(
  { storage, wire, history, random }: { storage: Storage; wire: Wire; history: History; random: Random },
  isOver: () => boolean,
  hasTimeForLong: () => boolean,
): Promise<void> {
  const { server } = storage;
  const outage = (): number => {
    const isLong = random.next() < longOutages.share && hasTimeForLong();
    return isLong ? random.between(longOutages.low, longOutages.high) : random.between(100, 2500);
  };
  const faults: Record<keyof typeof storageFaults, () => Promise<void>> = {
    "the storage is stopped": async () => {
      await server.stop();
      await delay(outage());
      await server.start();
    },
    "the storage is killed": async () => {
      await server.kill();
      await delay(outage());
      await server.start();
    },
    "the storage is paused": async () => {
      server.pause();
      await delay(outage());
      server.resume();
    },
    "all connections to the storage are cut": () => storage.cut("all"),
    "the notice connections are cut": () => storage.cut("notices"),
    "the notice connections stay cut": () => disturb(wire, "cuts", random.between(300, 2500)),
    "notices are dropped": () => disturb(wire, "drops", random.between(1000, 4000)),
  };
  while (!isOver()) {
    const what = random.weighted(storageFaults);
    const isOutage = what.includes("storage");
    await history.during(what, isOutage, faults[what]);
    // After some of them there is time to see the bounds without an outage in between.
    await delay(random.next() < 0.2 ? random.between(3000, 7000) : random.between(100, 1500));
  }
}

/** Kills nodes, until `isOver`. */
export async function killNodes(
  { places, history, random }: { places: readonly Place[]; history: History; random: Random },
  isOver: () => boolean,
): Promise<void> {
  await delay(random.between(500, 2000));
  while (!isOver()) {
    const place = random.pick(places);
    await history.during(`${place.name} is killed`, false, () => place.crash(random.between(0, 1500)));
    await delay(random.between(500, 3000));
  }
}

async function disturb(wire: Wire, state: "drops" | "cuts", ms: number): Promise<void> {
  wire.state = state;
  await delay(ms);
  wire.state = "works";
}
