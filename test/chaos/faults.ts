// What goes wrong in a run, one thing after the other, chosen by the seed: the storage and its connections on one
// track, the nodes on another, their clocks on a third. Everything is mended when a track ends.
import { setTimeout as delay } from "node:timers/promises";
import type { Wire } from "../support/wire.js";
import type { Concerned, History } from "./history.js";
import type { Place } from "./places.js";
import type { Random } from "./random.js";
import type { Storage } from "./storage.js";

interface StorageFault {
  readonly what: string;
  /** How often it is chosen. */
  readonly weight: number;
  /** Whether the storage, or a part of it, cannot be asked. */
  readonly isOutage: boolean;
  /** Whether it may lose what it has acknowledged. */
  readonly mayUndo?: boolean;
  run(): Promise<void>;
  /** Which sessions it concerns, chosen anew each time; all of them where this is absent. */
  choose?(): Concerned;
}

/** How often an outage is a long one, and how long (ms): longer than maxStale. */
const longOutages = { share: 0.1, low: 11_000, high: 13_000 };
/** How many sessions a snapshot is of, and how many of those that ended since it brings back. */
const snapshot = { copies: 200, restored: 5 };
/** By how much clocks are set (ms): by less than the durations of a run, and by much more. */
const steps = [-60_000, -20_000, -4000, 4000, 20_000, 60_000];

interface Shaken {
  readonly storage: Storage;
  readonly wires: readonly Wire[];
  readonly history: History;
  readonly random: Random;
}

/** Breaks the storage, and the ways to it, until `isOver`. */
export async function shakeStorage(
  shaken: Shaken,
  isOver: () => boolean,
  hasTimeForLong: () => boolean,
): Promise<void> {
  const { history, random } = shaken;
  const faults = storageFaults(shaken, hasTimeForLong);
  const weights = Object.fromEntries(faults.map(({ what, weight }) => [what, weight]));
  while (!isOver()) {
    const name = random.weighted(weights);
    const { run, choose, weight: _, ...told } = faults.find((fault) => fault.what === name) as StorageFault;
    await history.during({ ...told, concerns: choose?.() }, run);
    // After some of them there is time to see the bounds without an outage in between.
    await delay(random.next() < 0.2 ? random.between(3000, 7000) : random.between(100, 1500));
  }
}

function storageFaults({ storage, wires, history, random }: Shaken, hasTimeForLong: () => boolean): StorageFault[] {
  const { servers } = storage;
  const outage = (): number => {
    const isLong = random.next() < longOutages.share && hasTimeForLong();
    return isLong ? random.between(longOutages.low, longOutages.high) : random.between(100, 2500);
  };
  const disturb = async (state: "drops" | "cuts" | "loses", ms: number): Promise<void> => {
    for (const wire of wires) wire.state = state;
    await delay(ms);
    for (const wire of wires) wire.state = "works";
  };
  const away = {
    stopped: async (those: typeof servers) => {
      await Promise.all(those.map((server) => server.stop()));
      await delay(outage());
      await Promise.all(those.map((server) => server.start()));
      await storage.serves();
    },
    killed: async (those: typeof servers) => {
      await Promise.all(those.map((server) => server.kill()));
      await delay(outage());
      await Promise.all(those.map((server) => server.start()));
      await storage.serves();
    },
    paused: async (those: typeof servers) => {
      for (const server of those) server.pause();
      await delay(outage());
      for (const server of those) server.resume();
      // A master that has heard nobody for long takes itself for cut off at first.
      await storage.serves();
    },
  };
  const weightOf = { stopped: 2, killed: 2, paused: 3 };
  const { primary, failOver } = storage;
  const mayUndo = failOver !== undefined;
  const faults: StorageFault[] = [
    {
      what: "all connections to the storage are cut",
      weight: 1,
      isOutage: true,
      run: () => storage.cut("all"),
    },
    { what: "the notice connections are cut", weight: 2, isOutage: false, run: () => storage.cut("notices") },
    {
      what: "the notice connections stay cut",
      weight: 2,
      isOutage: false,
      run: () => disturb("cuts", random.between(300, 2500)),
    },
    {
      what: "notices are dropped",
      weight: 4,
      isOutage: false,
      run: () => disturb("drops", random.between(1000, 4000)),
    },
    {
      what: "answers are lost",
      weight: 4,
      isOutage: true,
      run: () => disturb("loses", random.between(300, 2000)),
    },
    {
      what: "an older snapshot has ended sessions back",
      weight: 4,
      isOutage: false,
      run: () => restoreSnapshot(storage, history, random.between(500, 2500)),
    },
  ];
  for (const how of ["stopped", "killed", "paused"] as const) {
    const weight = weightOf[how];
    faults.push({ what: `the storage is ${how}`, weight, isOutage: true, mayUndo, run: () => away[how](servers) });
    if (servers.length === 1 || mayUndo) continue;
    let master = 0;
    faults.push({
      what: `one master is ${how}`,
      weight: weight * 2,
      isOutage: true,
      choose: () => {
        const chosen = (master = random.below(servers.length));
        return (id) => storage.serverOf(id) === chosen;
      },
      run: () => away[how](servers.slice(master, master + 1)),
    });
  }
  if (primary && failOver) {
    faults.push(
      {
        what: "the primary is killed",
        weight: 8,
        isOutage: true,
        mayUndo,
        run: async () => {
          const old = servers[await primary()];
          await failOver();
          await old?.start();
          await storage.serves();
        },
      },
      {
        what: "the primary is paused",
        weight: 4,
        isOutage: true,
        mayUndo,
        run: async () => {
          const old = await primary();
          await away.paused(servers.slice(old, old + 1));
        },
      },
    );
  }
  if (storage.lock) {
    const { lock } = storage;
    let chosen = "";
    const choose = (): Concerned => {
      const id = (chosen = random.pick([...history.living().values(), ""]));
      return (other) => other === id;
    };
    faults.push(
      {
        what: "a session is locked",
        weight: 3,
        isOutage: true,
        choose,
        run: () => lock(chosen, random.between(500, 4000)),
      },
      {
        what: "a session is not answered for",
        weight: 3,
        isOutage: true,
        choose,
        run: async () => {
          for (const wire of wires) wire.held = chosen || undefined;
          await delay(outage());
          for (const wire of wires) wire.held = undefined;
        },
      },
    );
  }
  return faults;
}

/** Copies sessions, and brings those back that ended within `ms`. */
async function restoreSnapshot(storage: Storage, history: History, ms: number): Promise<void> {
  const living = [...history.living()].slice(-snapshot.copies);
  const copies = await storage.copy(living.map(([, id]) => id));
  await delay(ms);
  const ended = living.filter(([name]) => history.hasEnded(name)).slice(0, snapshot.restored);
  for (const [name, id] of ended) {
    const text = copies.get(id);
    if (text === undefined) continue;
    // Noted first: from then on it may be seen.
    history.restored.set(name, history.now());
    await storage.bringBack(id, text);
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
    await history.during({ what: `${place.name} is killed` }, () => place.crash(random.between(0, 1500)));
    await delay(random.between(500, 3000));
  }
}

/** Sets the clocks of nodes forward and back, until `isOver`. */
export async function setClocks(
  { places, history, random }: { places: readonly Place[]; history: History; random: Random },
  isOver: () => boolean,
): Promise<void> {
  while (!isOver()) {
    await delay(random.between(500, 3000));
    const place = random.pick(places);
    const skew = random.pick(steps);
    await history.during({ what: `${place.name}'s clock is set by ${skew / 1000} s`, skew }, async () => {
      await place.setClock(skew);
      await delay(random.between(500, 6000));
      await place.setClock(0);
    });
  }
}
