// Clients of the package `redis` (node-redis 5 and 6). Nothing of the package is imported.
import { Refusal } from "../refusal.js";
import type {
  Client,
  ClientEvents,
  OwnEvents,
  RedisServer,
  Subscriber,
  SubscriberEvents,
  Tracker,
  TrackerEvents,
} from "./client.js";

/** What is used of a client that `createClient()` of the package `redis` gave. */
export interface RedisClient extends ClientEvents {
  readonly options?:
    | {
        readonly RESP?: number | undefined;
        readonly database?: number | undefined;
        readonly socket?: { readonly reconnectStrategy?: unknown } | undefined;
      }
    | undefined;
  readonly isOpen: boolean;
  /** True while commands are sent at once. */
  readonly isReady: boolean;
  sendCommand(words: string[], options?: RedisCommandOptions): Promise<unknown>;
  duplicate(overrides?: never): unknown;
}

/** What is used of a client that `createCluster()` of the package `redis` gave. */
export interface RedisClusterClient extends ClientEvents {
  readonly isOpen: boolean;
  readonly masters: readonly { readonly address: string }[];
  readonly slots: readonly { readonly master: { readonly address: string } }[];
  nodeClient(node: never): Promise<RedisClient>;
  sendCommand(
    key: string | undefined,
    isReadonly: boolean | undefined,
    words: string[],
    options?: RedisCommandOptions,
  ): Promise<unknown>;
}

/** What is used of a client that `createSentinel()` of the package `redis` gave. */
export interface RedisSentinelClient extends ClientEvents {
  readonly isOpen: boolean;
  getMasterNode(): unknown;
  sendCommand(isReadonly: boolean | undefined, words: string[], options?: RedisCommandOptions): Promise<unknown>;
}

/** How one command is sent, and answered. */
export interface RedisCommandOptions {
  readonly timeout?: number;
  readonly typeMapping?: object;
}

/** A `timeout` would cost each command an AbortSignal. */
const atOnce = { timeout: 0, typeMapping: {} };

/** For commands that cannot be sent at once: one that is not sent in time is not sent later, as nobody waits for it. */
const within = (timeout: number) => ({ timeout, typeMapping: {} });

/** A client of `createClient()`. `timeout` in ms is for what cannot be sent at once. */
export function nodeRedis(client: RedisClient, timeout: number): Client {
  const inTime = within(timeout);
  const server = new NodeRedisServer("", () => client);
  const isReconnecting = client.options?.socket?.reconnectStrategy !== false;
  return {
    isCluster: false,
    database: client.options?.database ?? 0,
    events: client,
    get isOpen() {
      return client.isOpen;
    },
    send: (words) => client.sendCommand(words, client.isReady ? atOnce : inTime),
    servers: () => [server],
    masterOf: () => "",
    // Every user may send this. The server answers all earlier commands and closes; the client takes that for a lost
    // connection and reconnects in its own way.
    reconnect: isReconnecting ? () => client.sendCommand(["QUIT"]) : undefined,
  };
}

/** A client of `createCluster()`. */
export function nodeRedisCluster(client: RedisClusterClient, timeout: number): Client {
  // Its parts are connected one by one.
  const inTime = within(timeout);
  return {
    isCluster: true,
    database: 0,
    events: client,
    get isOpen() {
      return client.isOpen;
    },
    // It may read from replicas, which may be behind.
    send: (words, key) => client.sendCommand(key, false, words, inTime),
    servers: () =>
      client.masters.map(
        (master) => new NodeRedisServer(master.address, () => client.nodeClient(master as never), true),
      ),
    masterOf: (slot) => client.slots[slot]?.master.address,
  };
}

/** A client of `createSentinel()`. */
export function nodeRedisSentinel(client: RedisSentinelClient, timeout: number): Client {
  const inTime = within(timeout);
  const server = new NodeRedisServer("", () => primaryOf(client));
  return {
    isCluster: false,
    database: 0,
    events: client,
    get isOpen() {
      return client.isOpen;
    },
    send: (words) => client.sendCommand(false, words, inTime),
    servers: () => [server],
    masterOf: () => "",
  };
}

/** The client's connection to the primary, of which a duplicate can be made. It has no public name. */
async function primaryOf(sentinel: RedisSentinelClient): Promise<RedisClient> {
  const { _execute: execute } = sentinel as unknown as {
    _execute(isReadonly: false, use: (client: RedisClient) => Promise<RedisClient>): Promise<RedisClient>;
  };
  const client = await execute.call(sentinel, false, (primary) => Promise.resolve(primary));
  if ((client.options?.database ?? 0) === 0) return client;
  // Nobody can tell before it is connected, and channels have other names then.
  throw new Refusal('A client of createSentinel() needs database 0: use redisStore({ prefix: "another:" }) instead.');
}

/** A duplicate, as this file uses it. */
interface Duplicate extends RedisClient {
  on(event: string, listener: (value?: unknown) => void): unknown;
  connect(): Promise<unknown>;
  subscribe(names: string[], listener: Listener): Promise<void>;
  unsubscribe(names: string[], listener: Listener): Promise<void>;
  sSubscribe(names: string[], listener: Listener): Promise<void>;
  sUnsubscribe(names: string[], listener: Listener): Promise<void>;
  ping(): Promise<unknown>;
  destroy(): void;
}

type Listener = (message: string, channel: string) => void;

/** A server that a client of node-redis is connected to. */
class NodeRedisServer implements RedisServer {
  readonly address: string;
  readonly #client: () => RedisClient | Promise<RedisClient>;
  readonly #isSharded: boolean;

  constructor(address: string, client: () => RedisClient | Promise<RedisClient>, isSharded = false) {
    this.address = address;
    this.#client = client;
    this.#isSharded = isSharded;
  }

  async send(words: string[]): Promise<unknown> {
    return (await this.#client()).sendCommand(words, atOnce);
  }

  async openSubscriber({ onMessage, onLost }: SubscriberEvents): Promise<Subscriber> {
    const own = await open(await this.#client(), {}, { onLost });
    const listener: Listener = (message, channel) => onMessage(channel, message);
    const isSharded = this.#isSharded;
    return {
      subscribe: (names) => (isSharded ? own.sSubscribe([...names], listener) : own.subscribe([...names], listener)),
      unsubscribe: (name) => (isSharded ? own.sUnsubscribe([name], listener) : own.unsubscribe([name], listener)),
      ping: () => own.ping(),
      close: () => own.destroy(),
    };
  }

  async openTracker({ onInvalidated, onLost }: TrackerEvents): Promise<Tracker | undefined> {
    const client = await this.#client();
    // RESP 2 cannot tell on the connection that reads. It is how an application says that it wants channels.
    if (client.options?.RESP === 2) return undefined;
    const own = await open(client, { RESP: 3, emitInvalidate: true }, { onLost });
    own.on("invalidate", (key) => onInvalidated((key as Buffer | null)?.toString()));
    return {
      redirect: [],
      send: (words) => own.sendCommand(words, atOnce),
      ping: () => own.ping(),
      close: () => own.destroy(),
    };
  }
}

/** Connects a duplicate of a client that reports its loss, and does not come back by itself. */
async function open(client: RedisClient, overrides: object, { onLost }: OwnEvents): Promise<Duplicate> {
  const socket = { ...client.options?.socket, reconnectStrategy: false };
  const own = client.duplicate({ clientSideCache: undefined, ...overrides, socket } as never) as Duplicate;
  for (const event of ["error", "end", "sharded-channel-moved"]) own.on(event, (reason) => onLost(reason ?? event));
  try {
    await own.connect();
    return own;
  } catch (error) {
    own.destroy();
    throw error;
  }
}
