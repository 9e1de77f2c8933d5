// Which sessions have changed in this turn of the event loop. After it their connections are asked whether they may stay;
// until then messages of their clients may have to wait. Knows neither the question nor the answer.

/** A session whose connections can be asked. */
export interface Reviewed {
  /** Asks them. */
  review(): void;
  readonly data: object;
}

/** A session that is watched for changes. */
interface Watch {
  readonly session: Reviewed;
  hasChanged: boolean;
}

/** The reviews of a node that are due. */
export class Reviews {
  /** False where no `attach()` has a question: changes cost nothing then. */
  isUsed = false;
  readonly #due = new Set<Reviewed>();
  readonly #watches = new Set<Watch>();
  /** What is stored, as text, where it could not be brought into a session's data. */
  readonly #unmerged = new WeakMap<object, string>();
  #isScheduled = false;
  /** Called when that is done: for those who wait for it. */
  #waiting: (() => void)[] = [];

  /** The data of a session has changed. */
  add(session: Reviewed): void {
    if (!this.isUsed) return;
    this.#due.add(session);
    for (const watch of this.#watches) if (watch.session === session) watch.hasChanged = true;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // Not at once: data may be wrong for a moment between two assignments.
    setImmediate(() => this.#review());
  }

  /** The data of a session is what is stored, with what was changed here; `isNews` where somebody else has changed it. */
  onMerged(session: Reviewed, isNews: boolean): void {
    if (this.isUsed) this.#unmerged.delete(session.data);
    if (isNews) this.add(session);
  }

  /** A change of this node, which cannot be written, keeps the data from what is stored. */
  onUnmerged(session: Reviewed, text: string): void {
    if (this.isUsed) this.#unmerged.set(session.data, text);
    this.add(session);
  }

  /** What is stored beside this data, and not in it. */
  unmergedOf(data: object): string | undefined {
    return this.#unmerged.get(data);
  }

  /** True where a session has changed in this turn. */
  isDue(session: Reviewed): boolean {
    return this.#due.has(session);
  }

  /** Resolves when all that is due has been reviewed. */
  untilReviewed(): Promise<void> {
    return this.#isScheduled ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve();
  }

  #review(): void {
    const [due, waiting] = [[...this.#due], this.#waiting];
    this.#due.clear();
    this.#waiting = [];
    this.#isScheduled = false;
    for (const one of due) one.review();
    for (const resolve of waiting) resolve();
  }

  /** Watches a session for changes; the returned call says whether there were any, and stops it. */
  watch(session: Reviewed): () => boolean {
    const watch: Watch = { session, hasChanged: false };
    this.#watches.add(watch);
    return () => {
      this.#watches.delete(watch);
      return watch.hasChanged;
    };
  }
}
