// Hears notices in Redis: of keys that were read, or on channels; on connections of the store's own, to each master of a
// cluster. Opens and subscribes; `ReconnectingNotices` decides when to open again.
import { noop } from "../../../internal/noop.js";
import type { NoticeConnection, NoticeEvents } from "../../cluster/reconnecting-notices.js";
import type { Client, Subscriber } from "./client.js";
import { redisRefusal } from "./refusals.js";
import { Slots } from "./slots.js";
import { openTrackedKeys, type TrackedKeys } from "./tracked-keys.js";

/** A connection for notices; with `keys` those that were read over them are heard of. */
export interface RedisNotices extends NoticeConnection {
  readonly keys?: TrackedKeys;
}

/**
 * Opens the connection: it hears by keys where that is possible, else by channels. On the channels of `own` nodes hear each
 * other in any case. A connection that is lost does not come back by itself: all are opened anew.
 */
export async function openRedisNotices(
  client: Client,
  own: readonly string[],
  prefix: string,
  events: NoticeEvents,
): Promise<RedisNotices> {
  const slots = new Slots(client);
  const onInvalidated = (key: string | undefined): void => {
    if (key === undefined || key.startsWith(prefix)) events.onInvalidated(key?.slice(prefix.length));
  };
  // Not on one connection: Redis closes one that listens to channels and has a long answer to take.
  const [channels, keys] = await Promise.allSettled([
    openChannels(client, slots, own, events),
    openTrackedKeys(client, slots, { onInvalidated, onLost: events.onLost }),
  ]);
  if (channels.status === "fulfilled" && keys.status === "fulfilled") {
    return keys.value ? byKeys(keys.value, channels.value) : channels.value;
  }
  if (channels.status === "fulfilled") channels.value.close();
  if (keys.status === "fulfilled") keys.value?.close();
  const failed = channels.status === "rejected" ? channels : (keys as PromiseRejectedResult);
  throw redisRefusal(failed.reason, client.isCluster);
}

async function openChannels(
  client: Client,
  slots: Slots,
  own: readonly string[],
  events: NoticeEvents,
): Promise<NoticeConnection> {
  const channels = new ChannelNotices(client, slots, events);
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

/** On a cluster each master publishes for the sessions in its slots. */
class ChannelNotices implements NoticeConnection {
  readonly hears = "channels";
  readonly #client: Client;
  readonly #slots: Slots;
  readonly #events: NoticeEvents;
  /** By the address of the server. */
  readonly #subscribers = new Map<string, Promise<Subscriber>>();

  constructor(client: Client, slots: Slots, events: NoticeEvents) {
    this.#client = client;
    this.#slots = slots;
    this.#events = events;
  }

  async subscribe(names: readonly string[]): Promise<void> {
    // On a cluster one by one: a command may name channels of one slot only, and those of one turn go out together.
    const commands = this.#client.isCluster ? names.map((name) => [name]) : [names];
    await Promise.all(commands.map((together) => this.#subscribe(together)));
  }

  async unsubscribe(name: string): Promise<void> {
    await (await this.#subscriberOf(name)).unsubscribe(name);
  }

  async ping(): Promise<void> {
    // The client reports a slot that moves, but not while it waits for an answer: then it takes that for the answer.
    this.#slots.check();
    await Promise.all([...this.#subscribers.values()].map(async (subscriber) => (await subscriber).ping()));
  }

  close(): void {
    for (const subscriber of this.#subscribers.values()) subscriber.then((one) => one.close()).catch(noop);
  }

  async #subscribe(names: readonly string[]): Promise<void> {
    const { isCluster } = this.#client;
    const [name = ""] = names;
    try {
      await (await this.#subscriberOf(name)).subscribe(names);
    } catch (error) {
      // The slot has moved, or its master is gone: a command makes the client of a cluster look for the new one.
      if (isCluster) await this.#client.send(["GET", name], name).catch((failure: unknown) => refuse(failure, true));
      refuse(error, isCluster);
    }
  }

  async #subscriberOf(name: string): Promise<Subscriber> {
    const address = this.#slots.masterOf(name);
    let subscriber = this.#subscribers.get(address);
    if (!subscriber) {
      const server = this.#client.servers().find((one) => one.address === address);
      if (!server) throw new Error("the cluster has another master for this slot");
      subscriber = server.openSubscriber(this.#events);
      this.#subscribers.set(address, subscriber);
    }
    return subscriber;
  }
}

/** Throws an error, as a refusal where it is one. */
function refuse(error: unknown, isOfCluster: boolean): never {
  throw redisRefusal(error, isOfCluster);
}
