// What a store says of its connection, which express-session wants to know: it passes requests by without a session while
// a store is disconnected. Some stores say "disconnect" at any failed query and never "connect": they are asked.
import { randomBytes } from "node:crypto";
import type { Store } from "express-session";
import { backendOf, type LiveStore } from "../../live-store.js";
import { backoff } from "../../../internal/backoff.js";

const shortestPause = 100;
const longestPause = 1000;

export class StoreConnection {
  readonly #live: LiveStore;
  #isLost = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Store, live: LiveStore) {
    this.#live = live;
    store.on?.("disconnect", () => this.#lost());
    store.on?.("connect", () => this.#isBack());
  }

  /** Stops asking. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #lost(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#live.emit("disconnect");
    this.#ask(0, 0);
  }

  #isBack(): void {
    this.close();
    this.#isLost = false;
    this.#live.emit("connect");
  }

  /** Reads until there is an answer. Nobody has this id. */
  #ask(failures: number, pause: number): void {
    const timer = setTimeout(() => {
      const id = randomBytes(18).toString("base64url");
      backendOf(this.#live)
        .read(id, () => undefined)
        .then(
          () => this.#timer === timer && this.#isBack(),
          () => this.#timer === timer && this.#ask(failures + 1, backoff(failures, shortestPause, longestPause)),
        );
    }, pause).unref();
    this.#timer = timer;
  }
}
