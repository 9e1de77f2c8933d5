// A client of the application as the driver sees it, whichever package it is of. `find-client.ts` recognises the package;
// `node-redis.ts` and `ioredis.ts` know what is its own.

/** Sends commands, and answers in text whatever types the application's client maps to. */
export interface Commands {
  /** Of a cluster, the master that has `key` gets the command. */
  send(words: string[], key: string): Promise<unknown>;
}

/** The application's client: of one server, of the primary that Sentinels name, or of a cluster. */
export interface Client extends Commands {
  readonly isCluster: boolean;
  readonly database: number;
  /** True while it is connected, or tries to be. */
  readonly isOpen: boolean;
  /** The client itself, where it tells of its connection. */
  readonly events: ClientEvents;
  /** The masters of a cluster, or the one server. */
  servers(): readonly RedisServer[];
  /** The address of the master that has a slot of a cluster, as far as the client knows. */
  masterOf(slot: number): string | undefined;
  /** Closes the connection, so that the client opens another one; absent where it does so by itself, or never. */
  readonly reconnect?: (() => unknown) | undefined;
}

/** What is heard of a client. */
export interface ClientEvents {
  listenerCount(event: "error"): number;
  on(event: "error" | "ready", listener: (error?: unknown) => void): unknown;
  once(event: "ready", listener: () => void): unknown;
}

/** One server, which commands reach over the application's connection. It opens connections of the store's own, too. */
export interface RedisServer extends Commands {
  /** Of a master of a cluster; "" for the one server. */
  readonly address: string;
  openSubscriber(events: SubscriberEvents): Promise<Subscriber>;
  /** Undefined where the client cannot be told of what it reads. */
  openTracker(events: TrackerEvents): Promise<Tracker | undefined>;
}

/** A connection of the store's own. When it is lost it does not come back. */
export interface OwnConnection {
  /** Resolves if the server answers. */
  ping(): Promise<unknown>;
  close(): void;
}

/** One that listens to channels; on a cluster to sharded ones, of one slot in each call. */
export interface Subscriber extends OwnConnection {
  subscribe(names: readonly string[]): Promise<unknown>;
  unsubscribe(name: string): Promise<unknown>;
}

/** One that Redis can tell of changes of what it has read. */
export interface Tracker extends OwnConnection, Commands {
  /** What `CLIENT TRACKING ON` needs to know of the connection that is told. */
  readonly redirect: readonly string[];
}

/** The hooks of a connection of the store's own. */
export interface OwnEvents {
  /** May be called more than once. */
  onLost(reason: unknown): void;
}

/** The hooks of a {@link Subscriber}. */
export interface SubscriberEvents extends OwnEvents {
  onMessage(name: string, message: string): void;
}

/** The hooks of a {@link Tracker}. */
export interface TrackerEvents extends OwnEvents {
  /** A key that was read has changed, or any may have. */
  onInvalidated(key: string | undefined): void;
}
