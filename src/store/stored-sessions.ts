// Sessions as they are stored: read, created, rewritten by compare-and-set until it holds, and removed, each in the
// session's turn. Knows neither express-session's objects nor who uses a session.
import { hash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type EndCode, SessionError } from "../errors.js";
import { monotonicNow } from "../internal/monotonic.js";
import { inBatches } from "../internal/batches.js";
import type { CommandRunner } from "./command-runner.js";
import { type SerializedRecord, RecordWriter } from "./record/record-writer.js";
import type { Driver, WriteId } from "./drivers/driver.js";
import { EndReasons } from "./cluster/end-reasons.js";
import { LateWrites } from "./late-writes.js";
import type { ChangeBus } from "./cluster/change-bus.js";
import { KeyedQueue } from "../internal/keyed-queue.js";
import { parse, type SessionRecord, strip, timesOf, tryParse } from "./record/session-record.js";
import { type LostAnswer, LostAnswers, type SavingWriter, type Writer } from "./lost-answers.js";
import type { UserSessions } from "./users/user-sessions.js";
import type { UserEntry } from "./users/user-index.js";
import { warnOnce } from "../warnings.js";

const attempts = 100;
/** From which attempt on (and for at most how many ms) a writer waits before it tries again. */
const patience = 3;
const longestWait = 20;
/** Between two questions for a write whose answer was lost (ms). */
const pause = 100;
/** How many sessions are read together, or ended side by side. */
const batchSize = 200;
/** Of how many unreadable records this process tells. */
const mostUnreadable = 200;

type ReadMany = NonNullable<Driver["readMany"]>;

/** Who rewrites, and how. */
export interface Rewriting {
  /** Who committed it, where that is a writer that tries again by itself. */
  readonly source?: SavingWriter | undefined;
  /** What is written, where that is an object whose next write goes on from this one. */
  readonly origin?: Writer | undefined;
  /** True where nothing but the expiry moves. */
  readonly isTouch?: boolean;
}

export class StoredSessions {
  readonly queue = new KeyedQueue();
  readonly ends = new EndReasons();
  readonly recordWriter = new RecordWriter();
  /** Where it is kept whose the sessions are. */
  users: UserSessions | undefined;
  /** How often a write was tried again because another node was quicker. */
  retries = 0;

  readonly #driver: Driver;
  readonly #runner: CommandRunner;
  readonly #bus: ChangeBus;
  readonly #late = new LateWrites();
  readonly #lostAnswers = new LostAnswers();
  /** The number of the last write. */
  #writes = 0;
  /** Whose record is known to be no session. */
  readonly #unreadable = new Set<string>();

  constructor(driver: Driver, runner: CommandRunner, bus: ChangeBus) {
    this.#driver = driver;
    this.#runner = runner;
    this.#bus = bus;
  }

  /** What is stored; nothing of a session that has ended, though an older snapshot of the storage may have it back. */
  async read(id: string): Promise<string | undefined> {
    const text = await this.#readText(id);
    if (text === undefined || !this.ends.get(id)) return text;
    return (await this.#isCreatedAgain(id)) ? this.read(id) : undefined;
  }

  /** Whether a session that is stored, and has ended as far as this node knows, was created again since. */
  async #isCreatedAgain(id: string): Promise<boolean> {
    const { createdAgo } = this.#driver;
    const ago = createdAgo && (await this.#runner.run(id, () => createdAgo.call(this.#driver, id)));
    // A snapshot may hold an earlier life's word, with the session of then.
    if (ago === undefined || !this.ends.mayPrecede(id, ago)) return false;
    this.ends.forget(id);
    return true;
  }

  /** What is stored; while a late write may still arrive, what was written after it. */
  #readText(id: string): Promise<string | undefined> {
    const known = this.#late.known(id);
    return known ? Promise.resolve(known.text) : this.#runner.run(id, () => this.#driver.read(id));
  }

  /** What is stored, unless it is over its absolute lifetime. Runs within the queue. */
  async readCurrent(id: string): Promise<string | undefined> {
    const unanswered = this.#lostAnswers.of(id);
    if (unanswered) await this.#resolveLostAnswer(id, unanswered);
    const text = await this.#readText(id);
    if (text === undefined) {
      await this.#lookUpEnd(id);
      return undefined;
    }
    const end = this.ends.get(id);
    if (end) {
      // What was read may be older than that.
      if (await this.#isCreatedAgain(id)) return this.readCurrent(id);
      // Only this node may know: it ends for all.
      await this.#write(id, undefined, () => this.#driver.remove(id, end.code));
      this.recordEnd(id, end.code);
      return undefined;
    }
    if (!this.recordWriter.isTooOld(text)) return text;
    await this.#write(id, undefined, () => this.#driver.remove(id, "SESSION_EXPIRED"));
    this.recordEnd(id, "SESSION_EXPIRED");
    return undefined;
  }

  /** A stored text, parsed. Undefined for one that is no session: it lets nobody in, and is told once. */
  parseOrReport(id: string, text: string): SessionRecord | undefined {
    const record = tryParse(text);
    if (!record && !this.#unreadable.has(id) && this.#unreadable.size < mostUnreadable) {
      this.#unreadable.add(id);
      warnOnce("RECORD_INVALID", hash("sha256", id, "base64url"));
      this.#bus.notify({ kind: "unreadable", id });
    }
    return record;
  }

  /** Creates; false where the id is taken. Runs within the queue. */
  async create(id: string, text: string): Promise<boolean> {
    const record = this.recordWriter.serialize(strip(parse(text)));
    // What an older snapshot has brought back makes room.
    if (this.ends.get(id)) await this.readCurrent(id);
    if (this.users) await this.users.note(id, record);
    if (!(await this.#create(id, record))) return false;
    this.ends.forget(id);
    return true;
  }

  async #create(id: string, { text, expires }: SerializedRecord): Promise<boolean> {
    const before = this.ends.get(id);
    let mayBeDone = false;
    const create = (): Promise<boolean> =>
      this.#write(id, text, () => {
        const running = this.#driver.create(id, text, expires);
        mayBeDone = this.#driver.isAtomic;
        running.catch((error: unknown) => {
          if (this.#driver.isRefusal?.(error)) mayBeDone = false;
        });
        return running;
      });
    try {
      return await create();
    } catch (error) {
      if (!mayBeDone) throw error;
      const isCreated = await this.#askUntilAnswered(async () => {
        // It was not there: so it is this one, whoever may have changed it since, or ended it.
        if ((await this.#readText(id)) !== undefined) return true;
        await this.#lookUpEnd(id);
        return !before && this.ends.get(id) ? false : create();
      });
      if (isCreated === undefined) throw error;
      return isCreated;
    }
  }

  /**
   * Compare-and-set until it holds: `change` makes the new text from the current one. Runs within the queue; rejects
   * with the end's code where there is nothing to rewrite.
   */
  async rewrite(
    id: string,
    change: (text: string) => SerializedRecord,
    { source, origin, isTouch = false }: Rewriting = {},
    sent?: string,
  ): Promise<void> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const text = await this.readCurrent(id);
      if (text === undefined) throw new SessionError(this.ends.get(id)?.code ?? "SESSION_UNKNOWN");
      const next = this.#changed(id, text, change);
      const isChanged = next.text !== text;
      let write: WriteId | undefined;
      // A store that is not ours may have an expiry of its own: a touch reaches it also where the cookie has none.
      if (isChanged || (isTouch && this.#driver.isShared)) {
        if (this.users) await this.users.note(id, next, text);
        // Nobody is told of more time; of less, who has the session must know.
        const written =
          isTouch && next.expires >= timesOf(text).expires
            ? await this.#touch(id, text, next)
            : await this.#replace(
                id,
                text,
                next,
                sent ?? next.text,
                source,
                origin,
                (write = this.#nextWrite()).number,
              );
        if (!written) {
          this.retries++;
          // Among many writers, those who keep losing make room.
          if (attempt >= patience) await delay(Math.random() * Math.min(attempt, longestWait));
          continue;
        }
      }
      source?.applyCommitted(next.text);
      if (isChanged) this.#bus.notify({ kind: "stored", id, text: next.text, writer: source, write });
      return;
    }
    throw new SessionError("STORE_UNAVAILABLE", { detail: "Too many writers change this session at once." });
  }

  /**
   * Applies what changed from `base` to `next`; as {@link StoredSessions.rewrite}. The base is asked for when its turn
   * has come: an earlier write of the same writer may have turned out to be stored.
   */
  merge(id: string, base: () => string, next: string, rewriting?: Rewriting): Promise<void> {
    return this.rewrite(id, (text) => this.recordWriter.merge(text, base(), next, rewriting?.isTouch), rewriting, next);
  }

  /** Removes a session and tells everyone why. Also right where it is not stored (any more). */
  end(id: string, code: EndCode): Promise<void> {
    return this.queue.run(id, async () => {
      const text = this.users && (await this.read(id).catch(() => undefined));
      await this.#remove(id, code, text);
    });
  }

  /**
   * What is stored for many, without what is no session. Those on which there is work here are read in their turn,
   * the others together.
   */
  async readMany(ids: readonly string[]): Promise<(string | undefined)[]> {
    const texts = new Map<string, string | undefined>();
    const alone: string[] = [];
    const together: string[] = [];
    for (const id of ids) {
      const isBusy = this.queue.isBusy(id) || this.#lostAnswers.of(id) !== undefined || this.ends.get(id) !== undefined;
      (this.#driver.readMany && !isBusy ? together : alone).push(id);
    }
    for (let index = 0; index < together.length; index += batchSize) {
      const batch = together.slice(index, index + batchSize);
      const read = await this.#runner.run("", () => (this.#driver.readMany as ReadMany)(batch));
      for (const [at, id] of batch.entries()) {
        const text = read[at];
        // It is to be ended, in its turn.
        if (text !== undefined && this.recordWriter.isTooOld(text)) alone.push(id);
        else texts.set(id, text);
      }
    }
    await inBatches(alone, batchSize, async (id) => {
      texts.set(id, await this.queue.run(id, () => this.readCurrent(id)));
    });
    return ids.map((id) => {
      const text = texts.get(id);
      return text !== undefined && this.parseOrReport(id, text) ? text : undefined;
    });
  }

  /**
   * Ends sessions of a user, and drops them from the user's note at once; resolves with their number. Where some cannot
   * be ended the others are, but nobody goes on asking a storage that answers for none of them.
   */
  async endSessionsOf(user: string, entries: readonly UserEntry[]): Promise<number> {
    const code = "SESSION_DESTROYED";
    let failure: { readonly reason: unknown } | undefined;
    const ended: UserEntry[] = [];
    for (let index = 0; index < entries.length; index += batchSize) {
      const batch = entries.slice(index, index + batchSize);
      const results = await Promise.allSettled(
        batch.map(({ id }) => this.queue.run(id, () => this.#remove(id, code, undefined))),
      );
      const before = ended.length;
      for (const [at, result] of results.entries()) {
        if (result.status === "fulfilled") ended.push(batch[at] as UserEntry);
        else failure ??= result;
      }
      if (ended.length === before) break;
    }
    this.users?.forgetAll(user, ended);
    if (failure) throw failure.reason;
    return ended.length;
  }

  /** Ends a session if it is stored. Runs within the queue. */
  async endStored(id: string, code: EndCode): Promise<void> {
    const text = await this.readCurrent(id);
    if (text !== undefined) await this.#remove(id, code, text);
  }

  async #remove(id: string, code: EndCode, text: string | undefined): Promise<void> {
    try {
      await this.#write(id, undefined, () => this.#driver.remove(id, code));
    } catch (error) {
      this.#invalidate(id);
      throw error;
    }
    // Not before: a session that could not be removed must still be found by its user.
    if (text !== undefined) this.users?.forget(id, text);
    this.recordEnd(id, code);
  }

  /** A session has ended, here or on another node. */
  recordEnd(id: string, code: EndCode): void {
    this.#lostAnswers.forget(id);
    this.ends.record(id, code);
    this.#bus.notify({ kind: "ended", id, code });
  }

  /** `text` as `change` makes it. Rejects with `RECORD_INVALID` for one that is no session. */
  #changed(id: string, text: string, change: (text: string) => SerializedRecord): SerializedRecord {
    try {
      return change(text);
    } catch (error) {
      if (this.parseOrReport(id, text)) throw error;
      throw new SessionError("RECORD_INVALID");
    }
  }

  #nextWrite(): WriteId {
    return { node: undefined, number: ++this.#writes };
  }

  #touch(id: string, text: string, next: SerializedRecord): Promise<boolean> {
    return this.#write(id, next.text, () => this.#driver.touch(id, next.text, next.expires, text));
  }

  async #replace(
    id: string,
    expected: string,
    next: SerializedRecord,
    sent: string,
    source: Writer | undefined,
    origin: Writer | undefined,
    write: number,
  ): Promise<boolean> {
    // Who did not move the expiry leaves it: another service may have moved it beside the text.
    const isKept = Number.isFinite(next.expires) && next.expires === timesOf(expected).expires;
    const expires = isKept ? undefined : next.expires;
    let mayBeDone = false;
    try {
      return await this.#write(id, next.text, () => {
        const running = this.#driver.replace(id, next.text, expires, expected, write);
        mayBeDone = this.#driver.lastWrite !== undefined;
        running.catch((error: unknown) => {
          if (this.#driver.isRefusal?.(error)) mayBeDone = false;
        });
        return running;
      });
    } catch (error) {
      if (!mayBeDone) throw error;
      const writer = source ?? origin ?? nobody;
      const lost = { write, expected, next, expires, writer, sent, isWanted: true };
      if (source) {
        this.#lostAnswers.keep(id, lost, monotonicNow());
        throw error;
      }
      // Who waits for the answer would be told that it failed, and make it once more in another way.
      const isStored = await this.#askUntilAnswered(() => this.#writeAgain(id, lost));
      if (isStored !== undefined) return isStored;
      if (origin) this.#lostAnswers.keep(id, { ...lost, isWanted: false }, monotonicNow());
      this.#invalidate(id);
      throw error;
    }
  }

  /** Nobody tells this node of its own writes: where it does not know of one, it has to look. */
  #invalidate(id: string): void {
    this.#bus.notify({ kind: "changed", id });
  }

  /** Asks again until there is an answer, for as long as a command may take; undefined where there never was one. */
  async #askUntilAnswered(ask: () => Promise<boolean>): Promise<boolean | undefined> {
    const until = monotonicNow() + this.#runner.timeout;
    for (;;) {
      try {
        return await ask();
      } catch {
        if (monotonicNow() >= until) return undefined;
        await delay(pause);
      }
    }
  }

  /** Finds out what became of a write that was not answered, before anything else is done with the session. */
  async #resolveLostAnswer(id: string, lost: LostAnswer): Promise<void> {
    const isStored = await (lost.isWanted ? this.#writeAgain(id, lost) : this.#hasWritten(id, lost.write));
    this.#lostAnswers.forget(id);
    if (!isStored) return;
    const { writer, sent, next } = lost;
    writer.applyConfirmed(next.text, sent);
    // The writer's next save may be under way, which this does not confirm: it is told of its own alone.
    this.#bus.notify({ kind: "stored", id, text: next.text, writer });
  }

  /**
   * Asks for a write again. True where it is stored, by now or since its answer was lost; it is not made a second time,
   * whatever others have written over it.
   */
  async #writeAgain(id: string, { write, expected, next, expires }: LostAnswer): Promise<boolean> {
    if (await this.#hasWritten(id, write)) return true;
    // With its own number: should the first one still be under way, one of the two is carried out.
    const replace = (): Promise<boolean> => this.#driver.replace(id, next.text, expires, expected, write);
    return (await this.#write(id, next.text, replace)) || this.#hasWritten(id, write);
  }

  async #hasWritten(id: string, write: number): Promise<boolean> {
    return (await this.#lastWrite(id)) === write;
  }

  #lastWrite(id: string, node?: string): Promise<number | undefined> {
    return this.#runner.run(id, () => this.#driver.lastWrite?.(id, node) ?? Promise.resolve(undefined));
  }

  /**
   * Whether the storage has lost one of these writes, all of them confirmed within {@link writeMemory}. True where it
   * cannot tell, false where it does not answer.
   */
  async hasLost(id: string, writes: readonly WriteId[]): Promise<boolean> {
    if (!this.#driver.lastWrite) return true;
    for (const { node, number } of writes) {
      const isThere = await this.#askUntilAnswered(async () => ((await this.#lastWrite(id, node)) ?? 0) >= number);
      if (isThere === false) return true;
    }
    return false;
  }

  /** Asks the storage why a session is not there, where this node has not heard. */
  async #lookUpEnd(id: string): Promise<void> {
    const { endOf } = this.#driver;
    if (!endOf || this.ends.get(id)) return;
    const end = await this.#runner.run(id, () => endOf.call(this.#driver, id));
    if (end) this.ends.recordRemembered(id, end);
  }

  /** Asks for a write; one that was given up and may still arrive is followed. */
  async #write<T>(id: string, text: string | undefined, command: () => Promise<T>): Promise<T> {
    let running: Promise<T> | undefined;
    try {
      const written = await this.#runner.run(id, () => (running = command()));
      if (written !== false) this.#late.written(id, text);
      return written;
    } catch (error) {
      if (running && !this.#driver.isAtomic) this.#follow(id, running);
      throw error;
    }
  }

  #follow(id: string, running: Promise<unknown>): void {
    this.#late.follow(id, running, (newer) =>
      this.queue.run(id, async () => {
        const known = newer();
        if (!known) return;
        const { text } = known;
        // Given up in its turn where the storage does not answer: others wait for the session.
        await this.#write<unknown>(id, text, () =>
          text === undefined
            ? this.#driver.remove(id, this.ends.get(id)?.code ?? "SESSION_DESTROYED")
            : this.#driver.replace(id, text, timesOf(text).expires, ""),
        );
      }),
    );
  }
}

/** An update: it is told what became of it by its own answer. */
const nobody: Writer = { applyConfirmed: () => undefined };
