// The connection of a wrapped store, as far as the store reports it. express-session wants to know: it passes requests on
// without a session while a store is disconnected. Some stores emit "disconnect" at any failed query and never "connect".
import { randomBytes } from "node:crypto";
import type { Store } from "express-session";
import { backoff } from "../../../internal/backoff.js";
import type { LiveStore } from "../../live-store.js";

const shortestPause = 100;
const longestPause = 1000;

/** Has a live store emit "disconnect" and "connect" for the store that it wraps. */
export class StoreConnection {
  readonly #store: Store;
  #isLost = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Called once, when the live store exists. */
  reportTo(live: LiveStore): void {
    this.#store.on?.("disconnect", () => this.#onLost(live));
    this.#store.on?.("connect", () => this.#onBack(live));
  }

  /** Stops asking. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #onLost(live: LiveStore): void {
    if (this.#isLost) return;
    this.#isLost = true;
    live.emit("disconnect");
    this.#readLater(live, 0, 0);
  }

  #onBack(live: LiveStore): void {
    this.close();
    this.#isLost = false;
    live.emit("connect");
  }

  /** Reads until there is an answer, with an id that no session has. */
  #readLater(live: LiveStore, failures: number, pause: number): void {
    const timer = setTimeout(() => {
      live.get(randomBytes(18).toString("base64url")).then(
        () => this.#timer === timer && this.#onBack(live),
        () =>
          this.#timer === timer && this.#readLater(live, failures + 1, backoff(failures, shortestPause, longestPause)),
      );
    }, pause).unref();
    this.#timer = timer;
  }
}
