// Reads and writes the record of one session. Finds out what became of a write that came late or whose answer was lost.
// Knows records as texts; `StoredSessions` decides what is written.
import { setTimeout as delay } from "node:timers/promises";
import type { EndCode } from "../../errors.js";
import { type Awaitable, after, isPromise } from "../../internal/awaitable.js";
import type { KeyedQueue } from "../../internal/keyed-queue.js";
import { monotonicNow } from "../../internal/monotonic.js";
import type { ChangeBus } from "../cluster/change-bus.js";
import type { EndReasons } from "../cluster/end-reasons.js";
import type { Driver, WriteId } from "../drivers/driver.js";
import type { SerializedRecord } from "../record/record-writer.js";
import { timesOf } from "../record/session-record.js";
import type { CommandRunner } from "./command-runner.js";
import { LateWrites } from "./late-writes.js";
import { type LostAnswer, LostAnswers, type Reader, type SavingWriter, type Writer } from "./lost-answers.js";

/** Between two questions about a write whose answer was lost (ms). */
const retryPause = 100;

/** Who rewrites a session, and how. */
export interface RewriteOptions {
  /** Who committed it, where that is a writer that tries again by itself. */
  readonly source?: SavingWriter | undefined;
  /** What is written, where that is an object whose next write goes on from this one. */
  readonly origin?: Writer | undefined;
  /** What this reader knows is tried first, without a read. */
  readonly known?: Reader | undefined;
  /** True where nothing but the expiry moves. */
  readonly isTouch?: boolean;
}

/** A write that was sent. */
interface Attempt {
  /** True where the storage may carry it out, or has done so. */
  mayBeDone: boolean;
}

/** Reads and writes sessions through a driver, and knows the outcome of each write where the storage does. */
export class StorageCommands {
  readonly #driver: Driver;
  readonly #runner: CommandRunner;
  readonly #bus: ChangeBus;
  readonly #ends: EndReasons;
  readonly #queue: KeyedQueue;
  readonly #lateWrites = new LateWrites();
  readonly #lostAnswers = new LostAnswers();
  /** The number of the last write. */
  #writes = 0;

  constructor(driver: Driver, runner: CommandRunner, bus: ChangeBus, ends: EndReasons, queue: KeyedQueue) {
    this.#driver = driver;
    this.#runner = runner;
    this.#bus = bus;
    this.#ends = ends;
    this.#queue = queue;
  }

  /** What is stored. While a late write may still arrive, what was written after it. */
  read(id: string): Awaitable<string | undefined> {
    const known = this.#lateWrites.latest(id);
    return known ? known.text : this.#runner.run(id, () => this.#driver.read(id));
  }

  /** True where several records can be read with one command. */
  get canReadMany(): boolean {
    return this.#driver.readMany !== undefined;
  }

  /** Reads several records of one part of the storage at once. */
  readMany(ids: readonly string[]): Promise<(string | undefined)[]> {
    return this.#runner.run("", () => (this.#driver.readMany as NonNullable<Driver["readMany"]>)(ids));
  }

  /** How long ago the session was created again after an end (ms), where the storage knows. */
  async createdAgo(id: string): Promise<number | undefined> {
    const { createdAgo } = this.#driver;
    return createdAgo && this.#runner.run(id, () => createdAgo.call(this.#driver, id));
  }

  /** Asks the storage why a session is not there, unless this node knows. */
  lookUpEnd(id: string): Awaitable<void> {
    const { endOf } = this.#driver;
    if (!endOf || this.#ends.get(id)) return;
    return this.#runner
      .run(id, () => endOf.call(this.#driver, id))
      .then((end) => end && this.#ends.recordRemembered(id, end));
  }

  /** Creates a record; false where the id is taken. */
  async create(id: string, { text, expires }: SerializedRecord): Promise<boolean> {
    const endBefore = this.#ends.get(id);
    const attempt: Attempt = { mayBeDone: false };
    const create = (): Awaitable<boolean> =>
      this.#write(id, text, () => this.#observe(attempt, this.#driver.create(id, text, expires)));
    try {
      return await create();
    } catch (error) {
      if (!attempt.mayBeDone || !this.#driver.isAtomic) throw error;
      const isCreated = await this.#askUntilAnswered(async () => {
        // It was not there before: so it is this one, even if somebody has changed or ended it since.
        if ((await this.read(id)) !== undefined) return true;
        await this.lookUpEnd(id);
        return !endBefore && this.#ends.get(id) ? false : create();
      });
      if (isCreated === undefined) throw error;
      return isCreated;
    }
  }

  /** Moves the expiry; false where another text than `expected` is stored. */
  touch(id: string, expected: string, next: SerializedRecord): Awaitable<boolean> {
    return this.#write(id, next.text, () => this.#driver.touch(id, next.text, next.expires, expected));
  }

  /** The next write of this node. */
  nextWrite(): WriteId {
    return { node: undefined, number: ++this.#writes };
  }

  /**
   * Puts `next` in place of `expected`; false where another text is stored. `sent` is the writer's own text, `write` the
   * number of this write.
   */
  replace(
    id: string,
    expected: string,
    next: SerializedRecord,
    sent: string,
    options: RewriteOptions,
    write: number,
  ): Awaitable<boolean> {
    // An expiry that the writer did not move stays: another service may have moved it beside the text.
    const isKept = Number.isFinite(next.expires) && next.expires === timesOf(expected).expires;
    const expires = isKept ? undefined : next.expires;
    const attempt: Attempt = { mayBeDone: false };
    const written = this.#write(id, next.text, () =>
      this.#observe(attempt, this.#driver.replace(id, next.text, expires, expected, write)),
    );
    if (!isPromise(written)) return written;
    return written.catch((error: unknown) => {
      if (!attempt.mayBeDone || !this.#driver.lastWrite) throw error;
      const writer = options.source ?? options.origin ?? updater;
      const lost: LostAnswer = { write, expected, next, expires, writer, sent, isRetried: true };
      return this.#outcomeOf(id, lost, options, error);
    });
  }

  /** Whether a write is stored that failed with `error`; rejects with it where that cannot be found out. */
  async #outcomeOf(id: string, lost: LostAnswer, { source, origin }: RewriteOptions, error: unknown): Promise<boolean> {
    if (source) {
      // What it heard of others since it took its text is no change of its own.
      this.#lostAnswers.keep(id, { ...lost, sent: source.sent ?? lost.sent }, monotonicNow());
      throw error;
    }
    // A caller that gets an error for a write that arrived would make it once more, in another way.
    const isStored = await this.#askUntilAnswered(() => this.#replaceAgain(id, lost));
    if (isStored !== undefined) return isStored;
    if (origin) this.#lostAnswers.keep(id, { ...lost, isRetried: false }, monotonicNow());
    this.#invalidate(id);
    throw error;
  }

  /** Removes a session; the storage remembers why. */
  remove(id: string, code: EndCode): Awaitable<void> {
    return this.#write(id, undefined, () => this.#driver.remove(id, code));
  }

  /** Removes a session of which nobody knows whether it is stored; where that fails, it has to be read again. */
  async removeAny(id: string, code: EndCode): Promise<void> {
    try {
      await this.remove(id, code);
    } catch (error) {
      this.#invalidate(id);
      throw error;
    }
  }

  /** Whether the session's last write has had no answer. */
  hasLostAnswer(id: string): boolean {
    return this.#lostAnswers.get(id) !== undefined;
  }

  /** The session has ended: what became of its last write does not matter any more. */
  forgetLostAnswer(id: string): void {
    this.#lostAnswers.forget(id);
  }

  /** Finds out what became of a write that was not answered. Undefined where there is none. */
  resolveLostAnswer(id: string): Promise<void> | undefined {
    const lost = this.#lostAnswers.get(id);
    return lost && this.#resolveLostAnswer(id, lost);
  }

  async #resolveLostAnswer(id: string, lost: LostAnswer): Promise<void> {
    const isStored = await (lost.isRetried ? this.#replaceAgain(id, lost) : this.#hasWritten(id, lost.write));
    this.#lostAnswers.forget(id);
    if (!isStored) return;
    const { writer, sent, next } = lost;
    writer.applyConfirmed(next.text, sent);
    // It confirms nothing but that write: the writer's next save may be under way.
    this.#bus.notify({ kind: "stored", id, text: next.text, writer });
  }

  /**
   * Whether the storage has lost one of these writes, all of them confirmed within {@link writeMemory}. True where it does
   * not know, false where it does not answer.
   */
  async hasLost(id: string, writes: readonly WriteId[]): Promise<boolean> {
    if (!this.#driver.lastWrite) return true;
    for (const { node, number } of writes) {
      const isThere = await this.#askUntilAnswered(async () => ((await this.#lastWrite(id, node)) ?? 0) >= number);
      if (isThere === false) return true;
    }
    return false;
  }

  /**
   * Asks for a write again. True where it is stored, by now or since its answer was lost. It is not carried out a second
   * time, whatever others have written over it.
   */
  async #replaceAgain(id: string, { write, expected, next, expires }: LostAnswer): Promise<boolean> {
    if (await this.#hasWritten(id, write)) return true;
    // With its own number: should the first one still be under way, the storage carries out one of the two.
    const replace = (): Awaitable<boolean> => this.#driver.replace(id, next.text, expires, expected, write);
    return (await this.#write(id, next.text, replace)) || this.#hasWritten(id, write);
  }

  async #hasWritten(id: string, write: number): Promise<boolean> {
    return (await this.#lastWrite(id)) === write;
  }

  #lastWrite(id: string, node?: string): Awaitable<number | undefined> {
    return this.#runner.run(id, () => this.#driver.lastWrite?.(id, node));
  }

  /** Asks again until there is an answer, for as long as a command may take; undefined where there never was one. */
  async #askUntilAnswered(ask: () => Awaitable<boolean>): Promise<boolean | undefined> {
    const until = monotonicNow() + this.#runner.timeout;
    for (;;) {
      try {
        return await ask();
      } catch {
        if (monotonicNow() >= until) return undefined;
        await delay(retryPause);
      }
    }
  }

  /** A node gets no notices of its own writes: where it does not know their outcome, it has to read the session again. */
  #invalidate(id: string): void {
    this.#bus.notify({ kind: "changed", id });
  }

  /** Notes that a command was sent, and whether the storage refused it. */
  #observe(attempt: Attempt, running: Awaitable<boolean>): Awaitable<boolean> {
    if (!isPromise(running)) return running;
    attempt.mayBeDone = true;
    running.catch((error: unknown) => {
      if (this.#driver.isRefusal?.(error)) attempt.mayBeDone = false;
    });
    return running;
  }

  /** Writes, and follows a write that was given up and may still arrive. */
  #write<T>(id: string, text: string | undefined, command: () => Awaitable<T>): Awaitable<T> {
    let running: Awaitable<T> | undefined;
    const written = after(
      this.#runner.run(id, () => (running = command())),
      (answer) => {
        if (answer !== false) this.#lateWrites.noteWrite(id, text);
        return answer;
      },
    );
    if (!isPromise(written) || this.#driver.isAtomic) return written;
    return written.catch((error: unknown) => {
      if (isPromise(running)) this.#follow(id, running);
      throw error;
    });
  }

  #follow(id: string, running: Promise<unknown>): void {
    this.#lateWrites.follow(id, running, (latest) =>
      this.#queue.run(id, async () => {
        const known = latest();
        if (!known) return;
        const { text } = known;
        // Not tried for longer than one command: others wait for the session.
        await this.#write<unknown>(id, text, () =>
          text === undefined
            ? this.#driver.remove(id, this.#ends.get(id)?.code ?? "SESSION_DESTROYED")
            : this.#driver.replace(id, text, timesOf(text).expires, ""),
        );
      }),
    );
  }
}

/** An update learns what became of its write by its own answer. */
const updater: Writer = { applyConfirmed: () => undefined };
