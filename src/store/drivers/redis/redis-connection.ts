// The connection of the application's client: its last error, and a new connection where the server has become a replica.
// Another primary may stand behind the address by then, but the old server does not close connections.
import { withTimeout } from "../../../internal/timeout.js";
import type { Client } from "./client.js";

/** How long a new connection may take, and how soon after it there may be another, in ms. */
const patience = 5000;
const pause = 1000;

/** One for each client of the application, though several stores use it. */
const connections = new WeakMap<object, RedisConnection>();

/** Watches and renews the connection of one client. */
export class RedisConnection {
  /** The client's last error, while it has no connection. */
  lastError: unknown;
  readonly #client: Client;
  #renewing: Promise<boolean> | undefined;

  static of(client: Client): RedisConnection {
    let connection = connections.get(client.events);
    if (!connection) connections.set(client.events, (connection = new RedisConnection(client)));
    return connection;
  }

  private constructor(client: Client) {
    this.#client = client;
    client.events.on("error", (error) => (this.lastError = error));
    client.events.on("ready", () => (this.lastError = undefined));
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
    const { events, reconnect } = this.#client;
    if (!reconnect) return false;
    const ready = new Promise<boolean>((resolve) => events.once("ready", () => resolve(true)));
    const isBack = withTimeout(ready, patience, () => false);
    try {
      await reconnect();
    } catch {
      // It is closed by now.
    }
    return isBack;
  }
}
