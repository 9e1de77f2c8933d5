// What concerns all sessions of a store at once: they are listed, counted and cleared.
import type { SessionData } from "express-session";
import type { ChangeBus } from "./cluster/change-bus.js";
import type { CommandRunner } from "./commands/command-runner.js";
import type { Driver } from "./drivers/driver.js";
import type { ReadSnapshots } from "./read-snapshots.js";
import type { StoredSessions } from "./stored-sessions.js";

/** Lists, counts and ends the sessions of one storage. */
export class AllSessions {
  readonly #driver: Driver;
  readonly #runner: CommandRunner;
  readonly #bus: ChangeBus;
  readonly #sessions: StoredSessions;
  readonly #snapshots: ReadSnapshots;

  constructor(
    driver: Driver,
    runner: CommandRunner,
    bus: ChangeBus,
    sessions: StoredSessions,
    snapshots: ReadSnapshots,
  ) {
    this.#driver = driver;
    this.#runner = runner;
    this.#bus = bus;
    this.#sessions = sessions;
    this.#snapshots = snapshots;
  }

  /** The sessions: in a list, each with its id, or as this kind of storage gives them to express-session. */
  async list(isList: boolean): Promise<SessionData[] | Record<string, SessionData>> {
    const stored = await this.#afterAll(() => this.#driver.all());
    const sessions = this.#snapshots.listed(stored);
    if (isList || !(stored instanceof Map)) {
      return sessions.map(({ id, data }) => (id === undefined ? data : Object.assign(data, { id })));
    }
    const byId = Object.create(null) as Record<string, SessionData>;
    for (const { id, data } of sessions) byId[id as string] = data;
    return byId;
  }

  /** The ids of all sessions. */
  ids(): Promise<string[]> {
    return this.#afterAll(() => this.#driver.ids());
  }

  count(): Promise<number> {
    return this.#afterAll(() => this.#driver.count());
  }

  clear(): Promise<void> {
    return this.#sessions.queue.runAlone(async () => {
      try {
        await this.#runner.run("", () => this.#driver.clear());
      } catch (error) {
        // It may have been carried out: this node does not hear its own notices.
        this.#bus.notify({ kind: "changed", id: undefined });
        throw error;
      }
      this.#bus.notify({ kind: "cleared" });
    });
  }

  /** Asks the storage about all sessions, when what was asked for before is done. */
  #afterAll<T>(command: () => Promise<T>): Promise<T> {
    const { queue } = this.#sessions;
    const ask = (): Promise<T> => this.#runner.run("", command);
    // In this process's memory it takes no time; elsewhere nobody's work waits for a list of all.
    return this.#driver.isShared ? queue.runAfter(ask) : queue.runAlone(ask);
  }
}
