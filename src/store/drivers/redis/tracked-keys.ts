// Server-assisted client-side caching: connections of which Redis remembers what they read, and tells them of the next
// change of it, whoever makes it. One connection, or one for each master of a cluster. Knows keys, not sessions.
import { randomBytes } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { noop } from "../../../internal/noop.js";
import { withTimeout } from "../../../internal/timeout.js";
import { keyInSlot, slotOf } from "./channels.js";
import { type AnyRedisClient, isCluster, type RedisClient, type RedisClusterClient } from "./client.js";
import { ReadBatches } from "./read-batches.js";
import { evaluate, scripts } from "./scripts.js";

/** How long a server may take to tell of the first change (ms), before it counts as one that tells nothing. */
const patience = 1000;

/** How long opening may take (ms): less than who waits for it does. */
const longestOpening = 4000;

/** The hooks of tracked keys. */
export interface TrackedEvents {
  /** A key that was read has changed, or any may have. */
  onInvalidated(key: string | undefined): void;
  onLost(reason: unknown): void;
}

/** A connection that does nothing but read, write and hear of it. */
interface Tracking extends RedisClient {
  on(event: string, listener: (value?: unknown) => void): unknown;
  connect(): Promise<unknown>;
  destroy(): void;
}

/** A connection to one server. */
interface TrackedServer {
  readonly tracking: Tracking;
  /** The same, which answers in text whatever types the application's client maps to. */
  readonly client: RedisClient;
  /** Which master of the cluster had which slots when it was opened. */
  readonly slots: string | undefined;
}

/** Opens the connections; undefined where the client or the server cannot do it, or the user may not. */
export async function openTrackedKeys(client: AnyRedisClient, events: TrackedEvents): Promise<TrackedKeys | undefined> {
  let isChosen = false;
  let lost: unknown;
  // What is not chosen in the end may be lost.
  const onLost = (reason: unknown): void => void (isChosen ? events.onLost(reason) : (lost ??= reason));
  const own = { onInvalidated: events.onInvalidated, onLost };
  const cluster = isCluster(client) ? client : undefined;
  const owners = cluster?.slots.map(({ master }) => master.address) ?? [];
  // A master without slots has no keys.
  const masters = cluster?.masters.filter(({ address }) => owners.includes(address)) ?? [undefined];
  const results = await Promise.allSettled(
    masters.map(async (master) => {
      const opening = (async () => {
        const node = cluster ? await cluster.nodeClient(master as never) : (client as RedisClient);
        return openServer(node, master && owners.indexOf(master.address), own);
      })();
      // The others do not wait for a master that is away.
      const isLate = Symbol("late");
      const opened = await withTimeout<TrackedServer | undefined | symbol>(opening, longestOpening, () => isLate);
      if (typeof opened !== "symbol") return [master?.address ?? "", opened] as const;
      opening.then((server) => server?.tracking.destroy()).catch(noop);
      throw new Error(`no connection within ${longestOpening} ms`);
    }),
  );
  const servers = new Map<string, TrackedServer>();
  for (const result of results) {
    const [address, server] = result.status === "fulfilled" ? result.value : [];
    if (address !== undefined && server) servers.set(address, server);
  }
  const keys = new TrackedKeys(servers, cluster, owners, own);
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
  /** By the address of the master; one without an address where there is no cluster. */
  readonly #servers: ReadonlyMap<string, TrackedServer>;
  readonly #cluster: RedisClusterClient | undefined;
  /** For each slot, the address of its master as it was when this was opened. */
  readonly #owners: readonly string[];
  readonly #events: TrackedEvents;
  readonly #batches = new ReadBatches((keys) => this.clientOf("").mGet(keys));

  constructor(
    servers: ReadonlyMap<string, TrackedServer>,
    cluster: RedisClusterClient | undefined,
    owners: readonly string[],
    events: TrackedEvents,
  ) {
    this.#servers = servers;
    this.#cluster = cluster;
    this.#owners = owners;
    this.#events = events;
  }

  /** Reads keys of one slot; what is no text is "". */
  async read(keys: readonly string[]): Promise<(string | null)[]> {
    const [key = ""] = keys;
    // On a cluster keys of different slots need a command each; those of one turn go out together.
    const texts = await (this.#cluster ? this.clientOf(key).mGet([...keys]) : this.#batches.read(keys));
    if (texts[0] !== null) return [...texts];
    const text = (await evaluate(this.clientOf(key), scripts.readAny, [key], [])) as string | null;
    return [text, ...texts.slice(1)];
  }

  /** The connection for a key. Throws where its slot has moved. */
  clientOf(key: string): RedisClient {
    const slot = this.#cluster ? slotOf(key) : 0;
    const address = this.#cluster?.slots[slot]?.master.address ?? "";
    const server = this.#servers.get(address);
    if (!server || (this.#cluster && this.#owners[slot] !== address)) throw new Error("a slot has moved");
    return server.client;
  }

  /** What was read is not heard of any more. */
  lose(reason: unknown): void {
    this.#events.onLost(reason);
  }

  async ping(): Promise<void> {
    const isMoved = this.#cluster?.slots.some(({ master }, slot) => master.address !== this.#owners[slot]);
    if (isMoved) throw new Error("a slot has moved");
    await Promise.all(
      [...this.#servers.values()].map(async ({ client, slots }) => {
        if (slots === undefined) await client.sendCommand(["PING"]);
        // A slot may move without a word to who only reads keys that are there.
        else if ((await slotsOf(client)) !== slots) throw new Error("a slot has moved");
      }),
    );
  }

  close(): void {
    for (const { tracking } of this.#servers.values()) tracking.destroy();
  }
}

/** Opens one connection; undefined where it would not hear. `slot` is one of this server in a cluster. */
async function openServer(
  client: RedisClient,
  slot: number | undefined,
  events: TrackedEvents,
): Promise<TrackedServer | undefined> {
  // RESP 2 cannot tell on the connection that reads. It is how an application says that it wants channels.
  if (client.options?.RESP === 2) return undefined;
  const probeKey = keyInSlot(slot ?? 0, `probe:${randomBytes(9).toString("base64url")}`);
  let onProbe = noop;
  const probed = new Promise<void>((resolve) => (onProbe = resolve));
  let tracking: Tracking | undefined;
  try {
    const socket = { ...client.options?.socket, reconnectStrategy: false };
    const overrides = { RESP: 3, emitInvalidate: true, clientSideCache: undefined, socket };
    tracking = client.duplicate(overrides as never) as Tracking;
    tracking.on("invalidate", (key) => {
      const name = (key as Buffer | null)?.toString();
      if (name === probeKey) onProbe();
      else events.onInvalidated(name);
    });
    for (const event of ["error", "end"]) tracking.on(event, (reason) => events.onLost(reason ?? event));
    await tracking.connect();
    // A `timeout` would cost each command an AbortSignal: who waits for them has deadlines of its own.
    const text = tracking.withCommandOptions({ timeout: 0, typeMapping: {} }) as RedisClient;
    // Together, because everybody waits for them. It shall not hear of its own writes.
    const [, isWritten, slots] = await Promise.all([
      tracking.sendCommand(["CLIENT", "TRACKING", "ON", "NOLOOP"]),
      writeProbe(text, probeKey),
      slot === undefined ? undefined : slotsOf(text),
    ]);
    if (!isWritten || (await isTold(client, probeKey, probed))) return { tracking, client: text, slots };
  } catch (error) {
    tracking?.destroy();
    if (cannotTrack(error)) return undefined;
    throw error;
  }
  tracking.destroy();
  return undefined;
}

/** Writes a key as sessions are written. False where the server takes no writes now: it may still tell of them later. */
async function writeProbe(client: RedisClient, key: string): Promise<boolean> {
  try {
    await client.eval(scripts.probe.text, { keys: [key], arguments: [] });
    return true;
  } catch (error) {
    if (/^(OOM|READONLY|MISCONF|NOREPLICAS) /.test((error as Error).message)) return false;
    throw error;
  }
}

/** Whether a change by another connection is told. */
async function isTold(other: RedisClient, key: string, probe: Promise<void>): Promise<boolean> {
  let isHeard = false;
  const heard = probe.then(() => void (isHeard = true));
  await other.sendCommand(["DEL", key]);
  await withTimeout(heard, patience, noop);
  // On a busy machine it may be there, and not be read yet.
  if (!isHeard) await nextTurn();
  return isHeard;
}

/** True for the answer of a server, or of a client, that does not know tracking or does not allow it. */
function cannotTrack(error: unknown): boolean {
  return /^(ERR|NOPERM|NOPROTO) |RESP3/.test((error as Error).message);
}

/** Which master has which slots, as a server sees it. */
async function slotsOf(client: RedisClient): Promise<string> {
  const ranges = (await client.sendCommand(["CLUSTER", "SLOTS"])) as [number, number, [string, number, string]][];
  return JSON.stringify(ranges.map(([from, to, [, , node]]) => [from, to, node]));
}
