// Server-assisted client-side caching: connections of which Redis remembers what they read, and tells them of the next
// change of it, whoever makes it. One connection, or one for each master of a cluster. Knows keys, not sessions.
import { randomBytes } from "node:crypto";
import { noop } from "../../../internal/noop.js";
import { withTimeout } from "../../../internal/timeout.js";
import { keyInSlot } from "./channels.js";
import type { Client, Commands, RedisServer, Tracker, TrackerEvents } from "./client.js";
import { ReadBatches } from "./read-batches.js";
import { evaluate, scripts } from "./scripts.js";
import type { Slots } from "./slots.js";

/** How long a server may take to tell of the first change (ms), before it counts as one that tells nothing. */
const patience = 1000;

/** How long opening may take (ms): less than who waits for it does. */
const longestOpening = 4000;

/** A connection to one server. */
interface TrackedServer {
  readonly tracker: Tracker;
  /** Which master of the cluster had which slots when it was opened; undefined where there is no cluster. */
  readonly ranges: string | undefined;
}

/** Opens the connections; undefined where the client or the server cannot do it, or the user may not. */
export async function openTrackedKeys(
  client: Client,
  slots: Slots,
  events: TrackerEvents,
): Promise<TrackedKeys | undefined> {
  let isChosen = false;
  let lost: unknown;
  // What is not chosen in the end may be lost.
  const onLost = (reason: unknown): void => void (isChosen ? events.onLost(reason) : (lost ??= reason));
  const own = { onInvalidated: events.onInvalidated, onLost };
  const masters = client.servers().filter(({ address }) => slots.firstOf(address) !== -1);
  const results = await Promise.allSettled(
    masters.map(async (master) => {
      const opening = openServer(master, client.isCluster ? slots.firstOf(master.address) : undefined, own);
      // The others do not wait for a master that is away.
      const isLate = Symbol("late");
      const opened = await withTimeout<TrackedServer | undefined | symbol>(opening, longestOpening, () => isLate);
      if (typeof opened !== "symbol") return [master.address, opened] as const;
      opening.then((server) => server?.tracker.close()).catch(noop);
      throw new Error(`no connection within ${longestOpening} ms`);
    }),
  );
  const servers = new Map<string, TrackedServer>();
  for (const result of results) {
    const [address, server] = result.status === "fulfilled" ? result.value : [];
    if (address !== undefined && server) servers.set(address, server);
  }
  const keys = new TrackedKeys(servers, client.isCluster, slots, own);
  const failed = results.find((result) => result.status === "rejected");
  const isEach = servers.size === masters.length;
  isChosen = isEach && lost === undefined;
  if (isChosen) return keys;
  keys.close();
  if (failed) throw failed.reason;
  if (isEach) throw new Error("the connection was lost while it was opened", { cause: lost });
  return undefined;
}

/** Reads and writes keys of which it hears. */
export class TrackedKeys {
  /** By the address of the master. */
  readonly #servers: ReadonlyMap<string, TrackedServer>;
  readonly #isCluster: boolean;
  readonly #slots: Slots;
  readonly #events: TrackerEvents;
  readonly #batches = new ReadBatches((keys) => this.#mGet(keys));

  constructor(servers: ReadonlyMap<string, TrackedServer>, isCluster: boolean, slots: Slots, events: TrackerEvents) {
    this.#servers = servers;
    this.#isCluster = isCluster;
    this.#slots = slots;
    this.#events = events;
  }

  /** Reads keys of one slot; what is no text is "". */
  async read(keys: readonly string[]): Promise<(string | null)[]> {
    const [key = ""] = keys;
    // On a cluster keys of different slots need a command each; those of one turn go out together.
    const texts = await (this.#isCluster ? this.#mGet(keys) : this.#batches.read(keys));
    if (texts[0] !== null) return [...texts];
    const text = (await evaluate(this.commandsFor(key), scripts.readAny, [key], [])) as string | null;
    return [text, ...texts.slice(1)];
  }

  /** The connection for a key. Throws where its slot has moved. */
  commandsFor(key: string): Commands {
    const server = this.#servers.get(this.#slots.masterOf(key));
    if (!server) throw new Error("there is no connection for this slot");
    return server.tracker;
  }

  /** What was read is not heard of any more. */
  lose(reason: unknown): void {
    this.#events.onLost(reason);
  }

  async ping(): Promise<void> {
    this.#slots.check();
    await Promise.all(
      [...this.#servers.values()].map(async ({ tracker, ranges }) => {
        await tracker.ping();
        // A slot may move without a word to who only reads keys that are there.
        if (ranges !== undefined && (await rangesOf(tracker)) !== ranges) throw new Error("a slot has moved");
      }),
    );
  }

  close(): void {
    for (const { tracker } of this.#servers.values()) tracker.close();
  }

  async #mGet(keys: readonly string[]): Promise<(string | null)[]> {
    const [key = ""] = keys;
    return (await this.commandsFor(key).send(["MGET", ...keys], key)) as (string | null)[];
  }
}

/** Opens one connection; undefined where it would not hear. `slot` is one of this server in a cluster. */
async function openServer(
  server: RedisServer,
  slot: number | undefined,
  events: TrackerEvents,
): Promise<TrackedServer | undefined> {
  const probeKey = keyInSlot(slot ?? 0, `probe:${randomBytes(9).toString("base64url")}`);
  let onProbe = noop;
  const probed = new Promise<void>((resolve) => (onProbe = resolve));
  let tracker: Tracker | undefined;
  try {
    tracker = await server.openTracker({
      onInvalidated: (key) => (key === probeKey ? onProbe() : events.onInvalidated(key)),
      onLost: events.onLost,
    });
    if (!tracker) return undefined;
    // Together, because everybody waits for them. It shall not hear of its own writes.
    const [, isWritten, ranges] = await Promise.all([
      tracker.send(["CLIENT", "TRACKING", "ON", "NOLOOP", ...tracker.redirect], ""),
      writeProbe(tracker, probeKey),
      slot === undefined ? undefined : rangesOf(tracker),
    ]);
    if (!isWritten || (await isTold(server, probeKey, probed))) return { tracker, ranges };
  } catch (error) {
    tracker?.close();
    if (cannotTrack(error)) return undefined;
    throw error;
  }
  tracker.close();
  return undefined;
}

/** Writes a key as sessions are written. False where the server takes no writes now: it may still tell of them later. */
async function writeProbe(commands: Commands, key: string): Promise<boolean> {
  try {
    await commands.send(["EVAL", scripts.probe.text, "1", key], key);
    return true;
  } catch (error) {
    if (/^(OOM|READONLY|MISCONF|NOREPLICAS) /.test((error as Error).message)) return false;
    throw error;
  }
}

/** Whether a change by another connection is told. */
async function isTold(other: Commands, key: string, probe: Promise<void>): Promise<boolean> {
  const heard = probe.then(() => true);
  await other.send(["DEL", key], key);
  return withTimeout(heard, patience, () => false);
}

/** True for the answer of a server, or of a client, that does not know tracking or does not allow it. */
function cannotTrack(error: unknown): boolean {
  return /^(ERR|NOPERM|NOPROTO) |RESP3/.test((error as Error).message);
}

/** Which master has which slots, as a server sees it. */
async function rangesOf(commands: Commands): Promise<string> {
  const ranges = (await commands.send(["CLUSTER", "SLOTS"], "")) as [number, number, [string, number, string]][];
  return JSON.stringify(ranges.map(([from, to, [, , node]]) => [from, to, node]));
}
