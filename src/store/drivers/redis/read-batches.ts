// Reads of one turn of the event loop go as one command. One is under way at a time: what comes meanwhile joins the next.
// Knows keys and texts.

/** How many reads go together: their answer has to be in memory at once. */
const mostTogether = 500;

type Texts = readonly (string | null)[];

interface WaitingRead {
  readonly keys: readonly string[];
  readonly resolve: (texts: Texts) => void;
  readonly reject: (error: unknown) => void;
}

/** Gathers reads. */
export class ReadBatches {
  readonly #readMany: (keys: string[]) => Promise<Texts>;
  #waiting: WaitingRead[] = [];
  #isRunning = false;

  constructor(readMany: (keys: string[]) => Promise<Texts>) {
    this.#readMany = readMany;
  }

  /** Resolves with the texts of these keys, null for each that has none. */
  read(keys: readonly string[]): Promise<Texts> {
    if (!this.#isRunning) {
      this.#isRunning = true;
      setImmediate(() => void this.#run());
    }
    return new Promise((resolve, reject) => void this.#waiting.push({ keys, resolve, reject }));
  }

  /** At the end of a turn, so that each read that came in it is in the batch. */
  async #run(): Promise<void> {
    const batch = this.#waiting.splice(0, mostTogether);
    try {
      const texts = await this.#readMany(batch.flatMap(({ keys }) => keys));
      let at = 0;
      for (const { keys, resolve } of batch) resolve(texts.slice(at, (at += keys.length)));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    if (this.#waiting.length > 0) setImmediate(() => void this.#run());
    else this.#isRunning = false;
  }
}
