// Hears notices in Redis: of keys that were read, or on channels; on duplicates of the client, or of those of a cluster's
// masters. Opens and subscribes; `ReconnectingNotices` decides when to open again.
import type { NoticeConnection, NoticeEvents } from "../../cluster/reconnecting-notices.js";
import { slotOf } from "./channels.js";
import { type AnyRedisClient, isCluster, type RedisClient, type RedisClusterClient } from "./client.js";
import { redisRefusal } from "./refusals.js";
import { openTrackedKeys, type TrackedKeys } from "./tracked-keys.js";
import { noop } from "../../../internal/noop.js";

/** A connection for notices; with `keys` those that were read over them are heard of. */
export interface RedisNotices extends NoticeConnection {
  readonly keys?: TrackedKeys;
}

/**
 * Opens the connection: it hears by keys where that is possible, else by channels. On the channels of `own` nodes hear each
 * other in any case. A connection that is lost does not come back by itself: all are opened anew.
 */
export async function openRedisNotices(
  client: AnyRedisClient,
  own: readonly string[],
  prefix: string,
  events: NoticeEvents,
): Promise<RedisNotices> {
  const onInvalidated = (key: string | undefined): void => {
    if (key === undefined || key.startsWith(prefix)) events.onInvalidated(key?.slice(prefix.length));
  };
  // Not on one connection: Redis closes one that listens to channels and has a long answer to take.
  const [channels, keys] = await Promise.allSettled([
    openChannels(client, own, events),
    openTrackedKeys(client, { onInvalidated, onLost: events.onLost }),
  ]);
  if (channels.status === "fulfilled" && keys.status === "fulfilled") {
    return keys.value ? byKeys(keys.value, channels.value) : channels.value;
  }
  if (channels.status === "fulfilled") channels.value.close();
  if (keys.status === "fulfilled") keys.value?.close();
  const failed = channels.status === "rejected" ? channels : (keys as PromiseRejectedResult);
  return refuse(failed.reason, isCluster(client));
}

async function openChannels(
  client: AnyRedisClient,
  own: readonly string[],
  events: NoticeEvents,
): Promise<NoticeConnection> {
  const channels = isCluster(client) ? new ClusterNotices(client, events) : await openSingle(client, events);
  try {
    await channels.subscribe(own);
    return channels;
  } catch (error) {
    channels.close();
    throw error;
  }
}

function byKeys(keys: TrackedKeys, channels: NoticeConnection): RedisNotices {
  return {
    hears: "keys",
    keys,
    subscribe: () => Promise.resolve(),
    unsubscribe: () => Promise.resolve(),
    ping: () => Promise.all([keys.ping(), channels.ping()]),
    close: () => {
      keys.close();
      channels.close();
    },
  };
}

async function openSingle(client: RedisClient, events: NoticeEvents): Promise<NoticeConnection> {
  const subscriber = await connect(client, events);
  const listener: Listener = (message, channel) => events.onMessage(channel, message);
  return {
    hears: "channels",
    subscribe: (names) => subscriber.subscribe([...names], listener).catch(refuse),
    unsubscribe: (name) => subscriber.unsubscribe([name], listener),
    ping: () => subscriber.ping(),
    close: () => subscriber.destroy(),
  };
}

/** On a cluster each master publishes for the sessions in its slots. */
class ClusterNotices implements NoticeConnection {
  readonly hears = "channels";
  readonly #cluster: RedisClusterClient;
  readonly #events: NoticeEvents;
  readonly #listener: Listener;
  /** By the address of the master. */
  readonly #subscribers = new Map<string, Promise<Subscriber>>();
  /** For each slot that is subscribed, the address of its master. */
  readonly #addresses = new Map<number, string>();

  constructor(cluster: RedisClusterClient, events: NoticeEvents) {
    this.#cluster = cluster;
    this.#events = events;
    this.#listener = (message, channel) => events.onMessage(channel, message);
  }

  async subscribe(names: readonly string[]): Promise<void> {
    // One by one, because a command may name channels of one slot only; those of one turn go out together.
    await Promise.all(names.map((name) => this.#subscribe(name)));
  }

  async unsubscribe(name: string): Promise<void> {
    await (await this.#subscriberOf(name)).sUnsubscribe([name], this.#listener);
  }

  async ping(): Promise<void> {
    // The client reports a slot that moves, but not while it waits for an answer: then it takes that for the answer.
    for (const [slot, address] of this.#addresses) {
      if (this.#cluster.slots[slot]?.master.address !== address) throw new Error("a slot has moved");
    }
    await Promise.all([...this.#subscribers.values()].map(async (subscriber) => (await subscriber).ping()));
  }

  close(): void {
    for (const subscriber of this.#subscribers.values()) subscriber.then((one) => one.destroy()).catch(noop);
  }

  async #subscribe(name: string): Promise<void> {
    try {
      await (await this.#subscriberOf(name)).sSubscribe([name], this.#listener);
    } catch (error) {
      // The slot has moved, or its master is gone: a command makes the cluster client look for the new one.
      const cluster = this.#cluster.withCommandOptions({ typeMapping: {} }) as RedisClusterClient;
      await cluster.get(name).catch((failure: unknown) => refuse(failure, true));
      return refuse(error, true);
    }
  }

  #subscriberOf(name: string): Promise<Subscriber> {
    const slot = slotOf(name);
    const master = this.#cluster.slots[slot]?.master;
    if (!master) return Promise.reject(new Error("the cluster has no master for this slot"));
    const known = this.#addresses.get(slot);
    if (known !== undefined && known !== master.address) return Promise.reject(new Error("a slot has moved"));
    this.#addresses.set(slot, master.address);
    let subscriber = this.#subscribers.get(master.address);
    if (!subscriber) {
      subscriber = this.#cluster.nodeClient(master as never).then((client) => connect(client, this.#events));
      this.#subscribers.set(master.address, subscriber);
    }
    return subscriber;
  }
}

/** Makes a duplicate of a client that reports its loss, and does not come back by itself. */
async function connect(client: RedisClient, events: NoticeEvents): Promise<Subscriber> {
  const overrides = { socket: { ...client.options?.socket, reconnectStrategy: false }, clientSideCache: undefined };
  const subscriber = client.duplicate(overrides as never) as Subscriber;
  for (const event of ["error", "end", "sharded-channel-moved"]) {
    subscriber.on(event, (reason) => events.onLost(reason ?? event));
  }
  await subscriber.connect().catch(refuse);
  return subscriber;
}

/** Throws an error, as a refusal where it is one. */
function refuse(error: unknown, isOfCluster = false): never {
  throw redisRefusal(error, isOfCluster);
}

/** A duplicate that does nothing but listen. */
interface Subscriber {
  on(event: string, listener: (reason?: unknown) => void): unknown;
  connect(): Promise<unknown>;
  subscribe(channels: string[], listener: Listener): Promise<void>;
  unsubscribe(channels: string[], listener: Listener): Promise<void>;
  sSubscribe(channels: string[], listener: Listener): Promise<void>;
  sUnsubscribe(channels: string[], listener: Listener): Promise<void>;
  ping(): Promise<unknown>;
  destroy(): void;
}

type Listener = (message: string, channel: string) => void;
