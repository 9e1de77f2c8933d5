// The connection of the application's client: its last error, and a new connection where the server has become a replica.
// Another primary may stand behind the address by then, but the old server does not close connections.
import { withTimeout } from "../../../internal/timeout.js";
import { type AnyRedisClient, isCluster } from "./client.js";

/** How long a new connection may take, and how soon after it there may be another, in ms. */
const patience = 5000;
const pause = 1000;

/** One for each client, though several stores use it. */
const connections = new WeakMap<object, RedisConnection>();

/** Watches and renews the connection of one client. */
export class RedisConnection {
  /** The client's last error, while it has no connection. */
  lastError: unknown;
  readonly #client: AnyRedisClient;
  #renewing: Promise<boolean> | undefined;

  static of(client: AnyRedisClient): RedisConnection {
    let connection = connections.get(client);
    if (!connection) connections.set(client, (connection = new RedisConnection(client)));
    return connection;
  }

  private constructor(client: AnyRedisClient) {
    this.#client = client;
    client.on("error", (error) => (this.lastError = error));
    client.on("ready", () => (this.lastError = undefined));
  }

  /** Has the client connect anew, once for all callers; false where it does not come back. */
  renew(): Promise<boolean> {
    this.#renewing ??= this.#renew().finally(() => {
      // Not again at once: the address may still lead to the replica.
      setTimeout(() => (this.#renewing = undefined), pause).unref();
    });
    return this.#renewing;
  }

  async #renew(): Promise<boolean> {
    const client = this.#client;
    // The client of a cluster follows its masters. A client that does not reconnect by itself must not be closed.
    if (isCluster(client)) return false;
    if (client.options?.socket?.reconnectStrategy === false) return false;
    const ready = new Promise<boolean>((resolve) => client.once("ready", () => resolve(true)));
    const isBack = withTimeout(ready, patience, () => false);
    // Every user may send this. The server answers all earlier commands and closes; the client takes that for a lost
    // connection and reconnects in its own way.
    await client.sendCommand(["QUIT"]).catch(() => undefined);
    return isBack;
  }
}
