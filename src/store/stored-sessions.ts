// Sessions as they are stored: read, created, rewritten by compare-and-set until it holds, and removed, each in the
// session's turn. Knows neither express-session's objects nor who uses a session.
import { hash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type EndCode, SessionError } from "../errors.js";
import { type Awaitable, after } from "../internal/awaitable.js";
import { inBatches } from "../internal/batches.js";
import { KeyedQueue } from "../internal/keyed-queue.js";
import { warnOnce } from "../warnings.js";
import type { ChangeBus } from "./cluster/change-bus.js";
import { EndReasons } from "./cluster/end-reasons.js";
import type { CommandRunner } from "./commands/command-runner.js";
import { type RewriteOptions, StorageCommands } from "./commands/storage-commands.js";
import type { Driver, WriteId } from "./drivers/driver.js";
import { RecordWriter, type SerializedRecord } from "./record/record-writer.js";
import { parse, type SessionRecord, strip, timesOf, tryParse } from "./record/session-record.js";
import type { UserEntry } from "./users/user-index.js";
import type { UserSessions } from "./users/user-sessions.js";

/** How often a rewrite is tried. */
const attempts = 100;
/** From which attempt on (and for at most how many ms) a writer waits before it tries again. */
const firstWait = 3;
const longestWait = 20;
/** How many sessions are read together, or ended side by side. */
const batchSize = 200;
/** How many unreadable records this process reports. */
const mostUnreadable = 200;

/** What is to be done to a session, and how often that was tried without success. */
interface Rewrite {
  readonly id: string;
  readonly change: (text: string) => SerializedRecord;
  readonly options: RewriteOptions;
  /** The writer's own text, where it has one. */
  readonly sent: string | undefined;
  /** True while what the writer knows is tried, without a read. */
  isFromKnown: boolean;
  failures: number;
}

/** The sessions of one storage, each changed by one task of this process at a time. */
export class StoredSessions {
  readonly queue = new KeyedQueue();
  readonly ends = new EndReasons();
  readonly recordWriter = new RecordWriter();
  readonly storage: StorageCommands;
  /** Knows which user has which sessions; undefined where nobody asks for that. */
  users: UserSessions | undefined;
  /** How often a write was tried again because another node was quicker. */
  retries = 0;

  readonly #driver: Driver;
  readonly #bus: ChangeBus;
  /** Sessions whose record was reported as unreadable. */
  readonly #unreadable = new Set<string>();

  constructor(driver: Driver, runner: CommandRunner, bus: ChangeBus) {
    this.#driver = driver;
    this.#bus = bus;
    this.storage = new StorageCommands(driver, runner, bus, this.ends, this.queue);
  }

  /** What is stored; nothing of a session that has ended, though an older snapshot of the storage may have it back. */
  async read(id: string): Promise<string | undefined> {
    const text = await this.storage.read(id);
    if (text === undefined || !this.ends.get(id)) return text;
    return (await this.#isCreatedAgain(id)) ? this.read(id) : undefined;
  }

  /** Whether a session that is stored, and has ended as far as this node knows, was created again since. */
  async #isCreatedAgain(id: string): Promise<boolean> {
    const ago = await this.storage.createdAgo(id);
    // A snapshot may hold the note of an earlier creation, with the session of then.
    if (ago === undefined || !this.ends.mayPrecede(id, ago)) return false;
    this.ends.forget(id);
    return true;
  }

  /** What is stored, unless it is over its absolute lifetime. Runs within the queue. */
  readCurrent(id: string): Awaitable<string | undefined> {
    const resolving = this.storage.resolveLostAnswer(id);
    if (resolving) return resolving.then(() => this.readCurrent(id));
    return after(this.storage.read(id), (text) => {
      if (text === undefined) return after(this.storage.lookUpEnd(id), () => undefined);
      const end = this.ends.get(id);
      if (end) return this.#readAfterEnd(id, end.code);
      return this.recordWriter.isTooOld(text) ? this.#endForAll(id, "SESSION_EXPIRED") : text;
    });
  }

  /** Of a session that is stored, and has ended as far as this node knows. */
  async #readAfterEnd(id: string, code: EndCode): Promise<string | undefined> {
    // What was read may be older than that.
    return (await this.#isCreatedAgain(id)) ? this.readCurrent(id) : this.#endForAll(id, code);
  }

  /** Ends a session that only this node knows to be over, perhaps. */
  async #endForAll(id: string, code: EndCode): Promise<undefined> {
    await this.storage.remove(id, code);
    this.recordEnd(id, code);
  }

  /** A stored text, parsed. Undefined for one that is no session: it lets nobody in, and is reported once. */
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
    // A session that an older snapshot has brought back makes room.
    if (this.ends.get(id)) await this.readCurrent(id);
    if (this.users) await this.users.note(id, record);
    if (!(await this.storage.create(id, record))) return false;
    this.ends.forget(id);
    return true;
  }

  /**
   * Compare-and-set until it holds: `change` makes the new text from the current one. What the writer knows to be stored
   * is tried first, and the storage is read only where it has something else. Runs within the queue; rejects with the
   * end's code where there is nothing to rewrite.
   */
  rewrite(
    id: string,
    change: (text: string) => SerializedRecord,
    options: RewriteOptions = {},
    sent?: string,
  ): Awaitable<void> {
    const task: Rewrite = { id, change, options, sent, isFromKnown: true, failures: 0 };
    const known = options.known?.stored;
    return known && this.#mayBeCurrent(id, known) ? this.#writeOver(known, task) : this.#readAndWrite(task);
  }

  /** False where a read has more to do than to confirm what is known, or where no write would tell that it is wrong. */
  #mayBeCurrent(id: string, text: string): boolean {
    const isOver = this.ends.get(id) !== undefined || this.recordWriter.isTooOld(text);
    return this.#driver.isAtomic && !isOver && !this.storage.hasLostAnswer(id);
  }

  #readAndWrite(task: Rewrite): Awaitable<void> {
    task.isFromKnown = false;
    return after(this.readCurrent(task.id), (text) => this.#writeOver(text, task));
  }

  #writeOver(text: string | undefined, task: Rewrite): Awaitable<void> {
    const { id, change, options } = task;
    if (text === undefined) throw new SessionError(this.ends.get(id)?.code ?? "SESSION_UNKNOWN");
    const next = this.#apply(id, text, change);
    const isChanged = next.text !== text;
    // A store that is not ours may have an expiry of its own: a touch reaches it also where the cookie has none.
    const isNeeded = isChanged || (options.isTouch === true && this.#driver.isShared);
    if (!isNeeded) return task.isFromKnown ? this.#readAndWrite(task) : this.#tell(next, isChanged, undefined, task);
    const send = (): Awaitable<void> => this.#send(text, next, isChanged, task);
    return this.users ? this.users.note(id, next, text).then(send) : send();
  }

  #send(text: string, next: SerializedRecord, isChanged: boolean, task: Rewrite): Awaitable<void> {
    const { id, options, sent = next.text } = task;
    // No notice tells of more time. Of less, the nodes that have the session must know.
    const isMoreTime = options.isTouch === true && next.expires >= timesOf(text).expires;
    const write = isMoreTime ? undefined : this.storage.nextWrite();
    const writing = write
      ? this.storage.replace(id, text, next, sent, options, write.number)
      : this.storage.touch(id, text, next);
    return after(writing, (isWritten) => (isWritten ? this.#tell(next, isChanged, write, task) : this.#tryAgain(task)));
  }

  #tell({ text }: SerializedRecord, isChanged: boolean, write: WriteId | undefined, task: Rewrite): void {
    const { source } = task.options;
    source?.applyCommitted(text);
    if (isChanged) this.#bus.notify({ kind: "stored", id: task.id, text, writer: source, write });
  }

  /** Another node was quicker. */
  async #tryAgain(task: Rewrite): Promise<void> {
    this.retries++;
    if (task.isFromKnown) return this.#readAndWrite(task);
    // Among many writers, those who keep losing make room.
    if (task.failures >= firstWait) await delay(Math.random() * Math.min(task.failures, longestWait));
    if (++task.failures < attempts) return this.#readAndWrite(task);
    throw new SessionError("STORE_UNAVAILABLE", { detail: "Too many writers change this session at once." });
  }

  /**
   * Applies the changes from `base()` to `next`; as {@link StoredSessions.rewrite}. `base` is called in its turn: an
   * earlier write of the same writer may have turned out to be stored by then.
   */
  merge(id: string, base: () => string, next: string, options?: RewriteOptions): Awaitable<void> {
    return this.rewrite(id, (text) => this.recordWriter.merge(text, base(), next, options?.isTouch), options, next);
  }

  /** Ends a session for all nodes, whether it is stored or not. */
  end(id: string, code: EndCode): Promise<void> {
    return this.queue.run(id, async () => {
      const text = this.users && (await this.read(id).catch(() => undefined));
      await this.#remove(id, code, text);
    });
  }

  /**
   * Reads many sessions, and leaves out what is none. Sessions with work under way here are read in their turn, the others
   * together.
   */
  async readMany(ids: readonly string[]): Promise<(string | undefined)[]> {
    const texts = new Map<string, string | undefined>();
    const alone: string[] = [];
    const together: string[] = [];
    for (const id of ids) {
      const isBusy = this.queue.isBusy(id) || this.storage.hasLostAnswer(id) || this.ends.get(id) !== undefined;
      (this.storage.canReadMany && !isBusy ? together : alone).push(id);
    }
    for (let index = 0; index < together.length; index += batchSize) {
      const batch = together.slice(index, index + batchSize);
      const read = await this.storage.readMany(batch);
      for (const [at, id] of batch.entries()) {
        const text = read[at];
        // It has to be ended, in its turn.
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
   * Ends sessions of a user, and drops them from the user's note at once; resolves with their number. A session that
   * cannot be ended does not keep the others; a batch of which none can be is the last.
   */
  async endSessionsOf(user: string, entries: readonly UserEntry[]): Promise<number> {
    const code = "SESSION_DESTROYED";
    let failure: { readonly reason: unknown } | undefined;
    const ended: UserEntry[] = [];
    for (let start = 0; start < entries.length; start += batchSize) {
      const batch = entries.slice(start, start + batchSize);
      const results = await Promise.allSettled(
        batch.map(({ id }) => this.queue.run(id, () => this.#remove(id, code, undefined))),
      );
      const done = batch.filter((_, index) => results[index]?.status === "fulfilled");
      ended.push(...done);
      failure ??= results.find((result) => result.status === "rejected");
      if (done.length === 0) break;
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
    await this.storage.removeAny(id, code);
    // Not before: the user must still find a session that could not be removed.
    if (text !== undefined) this.users?.forget(id, text);
    this.recordEnd(id, code);
  }

  /** A session has ended, here or on another node. */
  recordEnd(id: string, code: EndCode): void {
    this.storage.forgetLostAnswer(id);
    this.ends.record(id, code);
    this.#bus.notify({ kind: "ended", id, code });
  }

  /** `text` as `change` makes it. Rejects with `RECORD_INVALID` for one that is no session. */
  #apply(id: string, text: string, change: (text: string) => SerializedRecord): SerializedRecord {
    try {
      return change(text);
    } catch (error) {
      if (this.parseOrReport(id, text)) throw error;
      throw new SessionError("RECORD_INVALID");
    }
  }
}
