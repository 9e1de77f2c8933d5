// Until when each of many things has to be done that may take equally long: they are over in the order in which they
// began, so that one timer is enough for all. Knows nothing of what is done.

/** One thing that has to be done in time. */
export interface Deadline {
  /** A moment of `performance.now()`: storages answer by real time, also where a test has moved that of the sessions. */
  readonly at: number;
  /** Called when it is over; undefined where what was to be done is done. */
  onOver: (() => void) | undefined;
  next: Deadline | undefined;
}

/** How late a timer may be (ms) in a process that is not busy. */
const tolerance = 20;

/** The deadlines of all commands of a storage. */
export class Deadlines {
  readonly #ms: number;
  #first: Deadline | undefined;
  #last: Deadline | undefined;
  /** Goes on when nothing is left to wait for: the next command is near. Then it keeps no process alive. */
  #timer: NodeJS.Timeout | undefined;
  #wasExcused = false;

  /** `ms` is how long each may take. */
  constructor(ms: number) {
    this.#ms = ms;
  }

  /** Calls `onOver` in time, unless it is {@link Deadlines.meet | met}. */
  begin(onOver: () => void): Deadline {
    const deadline: Deadline = { at: performance.now() + this.#ms, onOver, next: undefined };
    if (this.#last) this.#last.next = deadline;
    else this.#first = deadline;
    this.#last = deadline;
    if (this.#timer) this.#timer.ref();
    else this.#start(deadline.at);
    return deadline;
  }

  /** What was to be done is done. False where it was over before. */
  meet(deadline: Deadline): boolean {
    if (!deadline.onOver) return false;
    deadline.onOver = undefined;
    if (!this.#firstOpen()) this.#timer?.unref();
    return true;
  }

  /** The first that is not met. Those before it are dropped. */
  #firstOpen(): Deadline | undefined {
    while (this.#first && !this.#first.onOver) this.#first = this.#first.next;
    if (!this.#first) this.#last = undefined;
    return this.#first;
  }

  /**
   * A process that was busy has neither sent nor read anything meanwhile: it gets as much time again, once. True where it
   * does.
   */
  #isExcused(now: number): boolean {
    const late = now - (this.#firstOpen()?.at ?? now);
    const isBusy = late > tolerance && !this.#wasExcused;
    this.#wasExcused = isBusy;
    if (isBusy) this.#start(now + Math.min(late, this.#ms));
    return isBusy;
  }

  #start(at: number): void {
    this.#timer = setTimeout(() => this.#wake(), Math.max(Math.ceil(at - performance.now()), 1));
  }

  #wake(): void {
    this.#timer = undefined;
    const now = performance.now();
    if (this.#isExcused(now)) return;
    for (let first = this.#firstOpen(); first; first = this.#firstOpen()) {
      if (first.at > now) return this.#start(first.at);
      const { onOver } = first;
      first.onOver = undefined;
      onOver?.();
    }
  }
}
