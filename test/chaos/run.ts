// One run: a storage, nodes, visitors, and what goes wrong; then all is mended, and the history is judged.
import { setTimeout as delay } from "node:timers/promises";
import { Wire } from "../support/wire.js";
import type { Limits } from "./bounds.js";
import { killNodes, setClocks, shakeStorage } from "./faults.js";
import { History, print } from "./history.js";
import { type Violation, violations } from "./model.js";
import { Place } from "./places.js";
import { Random } from "./random.js";
import { type Kind, openStorage, type Storage } from "./storage.js";
import { summary } from "./summary.js";
import { Visitor } from "./visitor.js";

export interface RunSettings {
  readonly kind: Kind;
  readonly seed: number;
  readonly seconds: number;
  /** What the machine may need beyond the promises' bounds (ms); one that does nothing else needs less. */
  readonly slack?: number;
}

const bounds = { lease: 1000, maxStale: 3000, timeout: 1000 };
/** How readily the users log out, see Visitor. Each has two browsers. */
const users = [0, 0.3, 1, 1, 2];
/** How long the fleet may take until all that can be read is read again (ms). */
const longestRecovery = 30_000;
const mostPrinted = 5;

/** Runs, and rejects with the seed and the histories of the sessions whose promises were broken. */
export async function runChaos({ kind, seed, seconds, slack = 1500 }: RunSettings): Promise<History> {
  const limits: Limits = { ...bounds, slack };
  const history = new History();
  const storage = await openStorage(kind);
  const wires = await Promise.all(storage.ports.map((port) => Wire.to(port)));
  const wired = wires.map(({ port }) => port);
  const places: Place[] = [];
  try {
    // One of them has its own way to the storage: it misses no notice.
    for (const [index, ports] of [storage.ports, wired, wired].entries()) {
      const store = { ...storage.settings(ports), timeout: limits.timeout };
      const { lease, maxStale } = limits;
      const sessions = { lease, maxStale, cookie: { maxAge: 3_600_000 } };
      places.push(await Place.open("abc"[index] as string, { store, sessions, onlyUsers: true }, history));
    }
    // What is started may need its time.
    const end = performance.now() + seconds * 1000;
    const broken = await shake({ storage, wires, places, history, limits, seed, end });
    if (broken.length > 0) throw new Error(told(broken, history, seed, kind));
    return history;
  } finally {
    await Promise.all(places.map((place) => place.close()));
    for (const wire of wires) wire.close();
    await Promise.all([...storage.servers.map((server) => server.close()), storage.close?.()]);
  }
}

interface Fleet {
  readonly storage: Storage;
  readonly wires: readonly Wire[];
  readonly places: readonly Place[];
  readonly history: History;
  readonly limits: Limits;
  readonly seed: number;
  readonly end: number;
}

async function shake({ storage, wires, places, history, limits, seed, end }: Fleet): Promise<Violation[]> {
  const isOver = (): boolean => performance.now() > end;
  let isMended = false;
  // The visitors see the fleet mended, too.
  const world = { history, places, isOver: () => isMended };
  const visitors = users.flatMap((restlessness, user) => {
    const family: Visitor[] = [];
    return [0, 1].map((browser) => {
      const random = new Random(seed * 1000 + user * 2 + browser);
      return new Visitor(`user${user}`, restlessness, family, world, random);
    });
  });
  const living = Promise.all(visitors.map((visitor) => visitor.live()));
  const hasTimeForLong = (): boolean => performance.now() < end - 15_000;
  const shaking = { storage, wires, places, history };
  await Promise.all([
    shakeStorage({ ...shaking, random: new Random(seed * 1000 + 998) }, isOver, hasTimeForLong),
    killNodes({ ...shaking, random: new Random(seed * 1000 + 999) }, isOver),
    setClocks({ ...shaking, random: new Random(seed * 1000 + 997) }, isOver),
  ]);
  isMended = true;
  await living;

  const until = performance.now() + longestRecovery;
  const recovered = await recover(visitors, places, until);
  const longest = 2 * (limits.lease + limits.slack) + 10_000;
  await Promise.all(visitors.map((visitor) => visitor.leave(longest)));
  return [...recovered.map((text) => ({ session: "", text })), ...violations(history, limits, history.now())];
}

/** Waits until nothing waits to be saved, every session can be read, and every node that has sessions hears notices. */
async function recover(visitors: readonly Visitor[], places: readonly Place[], until: number): Promise<string[]> {
  for (;;) {
    const states = await Promise.all(places.map(({ node }) => node?.state()));
    const deaf = states.filter((state) => state && !state.isHearing && state.size > 0).length;
    const pending = states.reduce((sum, state) => sum + (state?.pending ?? 0), 0);
    // To read is to make the node save: it is to do so by itself.
    const isReady = deaf + pending === 0;
    const failed = isReady ? await Promise.all(visitors.map((visitor) => visitor.readAll())) : [];
    const unread = failed.reduce((sum, one) => sum + one, 0);
    if (isReady && unread === 0) return [];
    if (performance.now() > until) {
      return [`the fleet is not well: ${pending} changes wait, ${deaf} nodes hear no notices, ${unread} reads failed`];
    }
    await delay(100);
  }
}

function told(broken: readonly Violation[], history: History, seed: number, kind: Kind): string {
  const sessions = [...new Set(broken.map(({ session }) => session))].slice(0, mostPrinted);
  const parts = sessions.map((session) => {
    const texts = broken.filter((one) => one.session === session).map(({ text }) => `- ${text}`);
    return [`session ${session}:`, ...texts.slice(0, 20), print(history, session)].join("\n");
  });
  return [`chaos on ${kind}, seed ${seed}: ${broken.length} promises broken`, ...parts, summary(history)].join("\n\n");
}
