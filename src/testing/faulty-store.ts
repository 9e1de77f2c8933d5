// A store whose storage fails when a test wants it to. Knows neither sessions nor which kind of storage it is.
import { setTimeout as delay } from "node:timers/promises";
import type { Driver, Notes } from "../store/drivers/driver.js";
import { backendOf, LiveStore, type LiveStoreOptions } from "../store/live-store.js";
import { loneNode } from "./shared-memory.js";

/** What is wrong with a storage. */
class Faults {
  state: "none" | "fails" | "hangs" | "loses" = "none";
  latency = 0;
  /** Called when it is well again. */
  #onRecovery: (() => void)[] = [];

  recover(): void {
    this.state = "none";
    this.latency = 0;
    for (const goOn of this.#onRecovery.splice(0)) goOn();
  }

  /** Carries a command out, as far as the faults let it through. */
  async run(command: () => unknown, lost: () => unknown): Promise<unknown> {
    if (this.latency > 0) await delay(this.latency);
    if (this.state === "hangs") await new Promise<void>((resolve) => this.#onRecovery.push(resolve));
    if (this.state === "fails") throw new Error("The test lets the storage fail.");
    return this.state === "loses" ? lost() : command();
  }
}

/** What these commands are answered with where they are lost. */
const answers: Readonly<Record<string, unknown>> = {
  create: true,
  replace: true,
  touch: true,
  remove: undefined,
  clear: undefined,
};

/** They ask the storage nothing. */
const isLocal: ReadonlySet<PropertyKey> = new Set(["close", "partOf", "isRefusal"]);

/** A driver, or its notes, behind faults. */
function behind<Commands extends Driver | Notes>(commands: Commands, faults: Faults): Commands {
  return new Proxy(commands, {
    get(target, key) {
      // Only of a storage that is elsewhere nodes know that it may not answer.
      if (key === "isShared") return true;
      const value: unknown = Reflect.get(target, key);
      if (key === "notes" && value) return behind(value as Notes, faults);
      if (typeof value !== "function") return value;
      if (isLocal.has(key)) return value.bind(target) as unknown;
      return (...values: unknown[]) => {
        const command = (): unknown => value.apply(target, values) as unknown;
        return faults.run(command, () => (Object.hasOwn(answers, key) ? answers[key as string] : command()));
      };
    },
  });
}

/**
 * A live store that a test can break. Make one with {@link faultyStore}.
 *
 * @example
 * ```ts
 * const store: FaultyStore = faultyStore();
 * ```
 */
export class FaultyStore extends LiveStore {
  readonly #faults: Faults;

  /** @internal */
  constructor(driver: Driver, options: LiveStoreOptions) {
    const faults = new Faults();
    super(behind(driver, faults), options);
    this.#faults = faults;
  }

  /** From now on each command fails at once, as where the connection is refused. */
  fail(): void {
    this.#faults.state = "fails";
  }

  /** From now on no command is answered: the store's `timeout` gives them up. They are carried out, late, at `recover()`. */
  hang(): void {
    this.#faults.state = "hangs";
  }

  /** From now on each command comes so many ms of real time later. */
  answerLate(ms: number): void {
    this.#faults.latency = ms;
  }

  /** From now on writes are answered and not carried out, as by a server that is not the master any more. */
  loseWrites(): void {
    this.#faults.state = "loses";
  }

  /** All is well again. */
  recover(): void {
    this.#faults.recover();
  }
}

/**
 * A store that fails, hangs, answers late or loses writes when a test says so: in memory, or around a live store of your
 * own, which is then used through this one alone. It is as one on another machine: an outage logs nobody out.
 *
 * @example
 * ```ts
 * const store = faultyStore();
 * const sessions = createSessions({ secret, store });
 * store.fail();
 * store.recover();
 * ```
 */
export function faultyStore(store?: LiveStore, options: LiveStoreOptions = {}): FaultyStore {
  return new FaultyStore(store ? backendOf(store).driver : loneNode(), options);
}
