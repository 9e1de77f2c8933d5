// What an express-session store does that its interface does not say. Probed once, with a session of our own that nobody
// else writes, and only where it matters.
import { randomBytes } from "node:crypto";
import type { SessionData } from "express-session";
import { noop } from "../../../internal/noop.js";
import { withTimeout } from "../../../internal/timeout.js";
import { systemNow } from "../../../internal/system-time.js";
import { inflate, parse } from "../../record/session-record.js";

/** The methods of a store that are probed; each promise is of one call. */
export interface ProbedStore {
  get(id: string): Promise<SessionData | null | undefined>;
  set(id: string, data: SessionData): Promise<void>;
  /** Absent where the store has none. */
  touch: ((id: string, data: SessionData) => Promise<void>) | undefined;
  destroy(id: string): Promise<void>;
}

/** How long detection may take (ms): a store that hangs is probed again another time. */
const patience = 2000;

/** How one store behaves; until it has been probed, as most stores do. */
export class StoreTraits {
  /**
   * True where a session may be over though the store gives it: the store gives all, or goes by when it was last
   * written, and only the data shows it. False also while that is not known.
   */
  returnsExpired = false;
  /** True where `touch` moves the expiry in what `get` returns; false also while that is not known. */
  touchMovesData = false;
  /** Fields of its own that the store adds to what it returns. */
  ownFields: ReadonlySet<string> = new Set();

  readonly #store: ProbedStore;
  #isKnown = false;
  #probing: Promise<void> | undefined;

  constructor(store: ProbedStore) {
    this.#store = store;
  }

  /** Probes the store. Resolves when it has answered, or has not for a moment: then it is probed again later. */
  async detect(): Promise<void> {
    if (this.#isKnown) return;
    this.#probing ??= withTimeout(this.#probe().catch(noop), patience, noop).finally(() => {
      this.#probing = undefined;
    });
    await this.#probing;
  }

  async #probe(): Promise<void> {
    const store = this.#store;
    // As express-session's own, which every store takes.
    const id = randomBytes(18).toString("base64url");
    try {
      await store.set(id, lasting(60_000));
      await store.touch?.(id, lasting(120_000));
      const alive = await store.get(id);
      if (!alive) return;
      await store.set(id, lasting(-3_600_000));
      const expired = await store.get(id);
      this.ownFields = new Set(Object.keys(alive).filter((key) => key !== "cookie"));
      const moved = Date.parse(String(alive.cookie?.expires));
      this.touchMovesData = store.touch === undefined || moved > systemNow() + 90_000;
      this.returnsExpired = Boolean(expired) || this.touchMovesData;
      this.#isKnown = true;
    } finally {
      await store.destroy(id).catch(noop);
    }
  }
}

/** A session without fields that ends in `ms`. */
function lasting(ms: number): SessionData {
  const expires = new Date(systemNow() + ms).toISOString();
  return inflate(parse(JSON.stringify({ cookie: { originalMaxAge: ms, expires, httpOnly: true, path: "/" } })));
}
