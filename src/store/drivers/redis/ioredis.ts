// Clients of ioredis (5 and 6) and iovalkey: of one server, of the primary that Sentinels name, or of a cluster. Nothing of
// the packages is imported.
import { noop } from "../../../internal/noop.js";
import { withTimeout } from "../../../internal/timeout.js";
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

/** What is used of a `Redis` of ioredis or iovalkey. */
export interface IoRedisClient extends ClientEvents {
  readonly status: string;
  readonly options: {
    readonly host?: string | undefined;
    readonly port?: number | undefined;
    readonly db?: number | undefined;
    readonly retryStrategy?: unknown;
  };
  call(...words: [command: string, ...words: string[]]): Promise<unknown>;
  connect(): Promise<void>;
  duplicate(overrides?: never): unknown;
  disconnect(reconnect?: boolean): void;
}

/** What is used of a `Cluster` of ioredis or iovalkey. */
export interface IoRedisClusterClient extends ClientEvents {
  readonly status: string;
  readonly slots: readonly (readonly string[])[];
  call(...words: [command: string, ...words: string[]]): Promise<unknown>;
  connect(): Promise<void>;
  nodes(role: "master"): IoRedisClient[];
}

/** What is the same for one server and a cluster. */
abstract class IoRedis<Raw extends IoRedisClient | IoRedisClusterClient> {
  readonly events: Raw;
  readonly #timeout: number;
  #ready: Promise<void> | undefined;

  /** `timeout` in ms is for what cannot be sent at once. */
  constructor(client: Raw, timeout: number) {
    this.events = client;
    this.#timeout = timeout;
  }

  get isOpen(): boolean {
    return this.events.status !== "end";
  }

  async send(words: string[]): Promise<unknown> {
    if (this.events.status !== "ready") await this.#whenReady();
    return call(this.events, words);
  }

  /** ioredis keeps what it cannot send, and sends it when nobody waits for it any more. So it waits here. */
  #whenReady(): Promise<void> {
    const client = this.events;
    if (client.status === "wait") client.connect().catch(noop);
    this.#ready ??= new Promise((resolve) => {
      client.once("ready", () => {
        this.#ready = undefined;
        resolve();
      });
    });
    return withTimeout(this.#ready, this.#timeout, () => {
      throw new Error(`the client has had no connection for ${this.#timeout} ms`);
    });
  }
}

/** A `Redis`, of Sentinels too: it asks them where to connect. */
export class IoRedisSingle extends IoRedis<IoRedisClient> implements Client {
  readonly isCluster = false;
  readonly #server = new IoRedisServer("", this.events);

  get database(): number {
    return this.events.options.db ?? 0;
  }

  servers(): readonly RedisServer[] {
    return [this.#server];
  }

  masterOf(): string {
    return "";
  }

  get reconnect(): (() => void) | undefined {
    return typeof this.events.options.retryStrategy === "function" ? () => this.events.disconnect(true) : undefined;
  }
}

/** A `Cluster`. */
export class IoRedisCluster extends IoRedis<IoRedisClusterClient> implements Client {
  readonly isCluster = true;
  readonly database = 0;

  servers(): readonly RedisServer[] {
    const nodes = this.events.nodes("master");
    return nodes.map((node) => new IoRedisServer(`${node.options.host}:${node.options.port}`, node, true));
  }

  masterOf(slot: number): string | undefined {
    return this.events.slots[slot]?.[0];
  }
}

/** ioredis adds the command to the error, with the ids and data that it has. */
async function call(client: IoRedisClient | IoRedisClusterClient, words: readonly string[]): Promise<unknown> {
  try {
    return await client.call(...(words as [string, ...string[]]));
  } catch (error) {
    if (error instanceof Error) delete (error as { command?: unknown }).command;
    throw error;
  }
}

/** A duplicate, as this file uses it. */
interface Duplicate extends IoRedisClient {
  on(event: string, listener: (...values: unknown[]) => void): unknown;
  subscribe(...names: string[]): Promise<unknown>;
  unsubscribe(name: string): Promise<unknown>;
  ssubscribe(...names: string[]): Promise<unknown>;
  sunsubscribe(name: string): Promise<unknown>;
  ping(): Promise<unknown>;
}

/** On which Redis tells a connection of RESP 2 about keys that another one has read. */
const invalidations = "__redis__:invalidate";

/** A server that a client of ioredis is connected to. */
class IoRedisServer implements RedisServer {
  readonly address: string;
  readonly #client: IoRedisClient;
  readonly #isSharded: boolean;

  constructor(address: string, client: IoRedisClient, isSharded = false) {
    this.address = address;
    this.#client = client;
    this.#isSharded = isSharded;
  }

  send(words: string[]): Promise<unknown> {
    return call(this.#client, words);
  }

  async openSubscriber({ onMessage, onLost }: SubscriberEvents): Promise<Subscriber> {
    const own = await open(this.#client, { onLost });
    const isSharded = this.#isSharded;
    own.on(isSharded ? "smessage" : "message", (name, message) => onMessage(name as string, message as string));
    return {
      subscribe: (names) => (isSharded ? own.ssubscribe(...names) : own.subscribe(...names)),
      unsubscribe: (name) => (isSharded ? own.sunsubscribe(name) : own.unsubscribe(name)),
      ping: () => own.ping(),
      close: () => own.disconnect(),
    };
  }

  /** One connection reads. ioredis passes on nothing that it is told there, so another one listens. */
  async openTracker({ onInvalidated, onLost }: TrackerEvents): Promise<Tracker> {
    const opened = await Promise.allSettled([open(this.#client, { onLost }), open(this.#client, { onLost })]);
    const own = opened.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
    const close = (): void => own.forEach((one) => one.disconnect());
    const [reader, listener] = own;
    try {
      if (!reader || !listener) throw (opened.find((one) => one.status === "rejected") as PromiseRejectedResult).reason;
      const id = await call(listener, ["CLIENT", "ID"]);
      listener.on("messageBuffer", (_, keys) => {
        if (keys === null) onInvalidated(undefined);
        else for (const key of keys as Buffer[]) onInvalidated(key.toString());
      });
      await listener.subscribe(invalidations);
      return {
        redirect: ["REDIRECT", String(id)],
        send: (words) => call(reader, words),
        ping: () => Promise.all([reader.ping(), listener.ping()]),
        close,
      };
    } catch (error) {
      close();
      throw error;
    }
  }
}

/**
 * Connects a duplicate that reports its loss, and does not come back by itself. What the application asks of its own client
 * (prefixes, timeouts, other answers) does not hold for it.
 */
async function open(client: IoRedisClient, { onLost }: OwnEvents): Promise<Duplicate> {
  const own = client.duplicate({
    lazyConnect: true,
    protocol: 2,
    replyMapping: "legacy",
    retryStrategy: null,
    reconnectOnError: null,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: true,
    enableAutoPipelining: false,
    commandTimeout: undefined,
    socketTimeout: undefined,
    stringNumbers: false,
  } as never) as Duplicate;
  let failure: unknown;
  for (const event of ["error", "end", "moved"]) {
    own.on(event, (reason) => {
      failure ??= reason;
      onLost(reason ?? event);
    });
  }
  try {
    await own.connect();
    return own;
  } catch (error) {
    own.disconnect();
    // ioredis only says that the connection was closed.
    throw failure ?? error;
  }
}
