// What the driver uses of a node-redis client. The application injects it; nothing of the package is imported.
import { SessionError } from "../../../errors.js";

/** What is used of a client that `createClient()` of the package `redis` gave. */
export interface RedisClient extends RedisCommands {
  readonly options?:
    | {
        readonly RESP?: number | undefined;
        readonly database?: number | undefined;
        readonly socket?: { readonly reconnectStrategy?: unknown } | undefined;
      }
    | undefined;
  /** True while commands are sent at once. */
  readonly isReady: boolean;
  mGet(keys: string[]): Promise<(string | null)[]>;
  sendCommand(words: string[]): Promise<unknown>;
  once(event: "ready", listener: () => void): unknown;
  scanIterator(options: { MATCH: string; COUNT: number }): AsyncIterable<string[]>;
  subscribe(channels: string[], listener: (message: string, channel: string) => void): Promise<void>;
  duplicate(overrides?: never): unknown;
}

/** What is used of a client that `createCluster()` of the package `redis` gave. */
export interface RedisClusterClient extends RedisCommands {
  readonly masters: readonly RedisNode[];
  readonly slots: readonly { readonly master: RedisNode }[];
  nodeClient(node: never): Promise<RedisClient>;
}

/** A client of one server, or of a cluster. */
export type AnyRedisClient = RedisClient | RedisClusterClient;

interface RedisCommands {
  readonly isOpen: boolean;
  get(key: string): Promise<string | null>;
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  evalSha(sha: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  withCommandOptions(options: { timeout?: number; typeMapping: object }): unknown;
  listenerCount(event: "error"): number;
  on(event: "error" | "ready", listener: (error?: unknown) => void): unknown;
}

interface RedisNode {
  readonly address: string;
}

/** True for a client of a cluster. */
export function isCluster(client: AnyRedisClient): client is RedisClusterClient {
  return "masters" in client;
}

/** Throws `STORE_CLIENT_INVALID` for a client that cannot work, and says which one can. */
export function checkClient(value: unknown): void {
  const refuse = (detail: string): never => {
    throw new SessionError("STORE_CLIENT_INVALID", { detail });
  };
  const client = (value ?? {}) as Record<string, unknown>;
  if (value === undefined || value === null) refuse("There is no client: npm install redis, then createClient().");
  if (typeof client["evalsha"] === "function" && typeof client["evalSha"] !== "function") {
    refuse("It is a client of ioredis: redisStore() needs one of the package redis.");
  }
  for (const method of ["evalSha", "duplicate", "withCommandOptions", "listenerCount"]) {
    if (typeof client[method] !== "function") refuse(`It has no ${method}(): pass what createClient() gave.`);
  }
  if (!("masters" in client) && (typeof client["subscribe"] !== "function" || typeof client["mGet"] !== "function")) {
    refuse("It is neither a single client nor a cluster client.");
  }
  if ((client as { isPubSubActive?: unknown }).isPubSubActive === true) {
    refuse("It is a subscriber: pass a client that sends commands. The store makes a subscriber of its own.");
  }
  if (client["_keyPrefix"] !== undefined) {
    // It would be put before keys, but not before channels: notices would go where nobody listens.
    refuse("It has a keyPrefix: use redisStore({ prefix }) instead.");
  }
  if ((client as unknown as RedisClient).listenerCount("error") === 0) {
    refuse('It has no "error" listener, so that a lost connection ends the process: client.on("error", …).');
  }
}
