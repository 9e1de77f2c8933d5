// A storage that several nodes of one process share, as they would share Redis: each node has a store of its own, and hears
// of what the others do. Knows no sockets.
import type { EndCode } from "../errors.js";
import { systemNow } from "../internal/system-time.js";
import {
  type Driver,
  type End,
  endMemory,
  type NoticeListener,
  type Notices,
  storedEndMemory,
} from "../store/drivers/driver.js";
import { MemoryDriver } from "../store/drivers/memory.js";
import { LiveStore, type LiveStoreOptions } from "../store/live-store.js";

/** What all nodes share. */
class Storage {
  readonly sessions = new MemoryDriver();
  readonly nodes = new Map<string, NodeDriver>();
  /** Why sessions ended. */
  readonly ends = new Map<string, End>();
  /** When sessions were created again after an end. */
  readonly createdAgain = new Map<string, number>();
  /** The latest numbered write of each node, by session. */
  readonly writes = new Map<string, Map<string, number>>();

  noteEnd(id: string, code: EndCode): void {
    const now = systemNow();
    this.createdAgain.delete(id);
    this.ends.set(id, { code, at: now });
    for (const [other, { at }] of this.ends) if (at + storedEndMemory <= now) this.ends.delete(other);
  }
}

/** What one node hears of the others, a turn later, as over a network. */
class NodeNotices implements Notices {
  readonly #watched = new Set<string>();
  #listener: NoticeListener | undefined;
  #isOpen = false;

  listen(listener: NoticeListener): void {
    this.#listener = listener;
  }

  get hears(): "keys" | undefined {
    return this.#isOpen ? "keys" : undefined;
  }

  watch(id: string): undefined {
    this.#watched.add(id);
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#listener?.onHearing(true);
  }

  unwatch(id: string): void {
    this.#watched.delete(id);
  }

  hearsOf(id: string): boolean {
    return this.#isOpen && this.#watched.has(id);
  }

  tell(id: string, use: (listener: NoticeListener) => void): void {
    setImmediate(() => {
      if (this.#listener && this.hearsOf(id)) use(this.#listener);
    });
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#listener?.onHearing(false);
  }
}

/** One node's way to the shared storage. */
class NodeDriver implements Driver {
  readonly isShared = true;
  readonly isAtomic = true;
  readonly notices = new NodeNotices();
  readonly #name: string;
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#name = `node ${storage.nodes.size + 1}`;
    this.#storage = storage;
    storage.nodes.set(this.#name, this);
  }

  get notes(): MemoryDriver["notes"] {
    return this.#storage.sessions.notes;
  }

  async read(id: string): Promise<string | undefined> {
    return this.#storage.sessions.read(id);
  }

  async readMany(ids: readonly string[]): Promise<(string | undefined)[]> {
    return ids.map((id) => this.#storage.sessions.read(id));
  }

  async create(id: string, text: string, expires: number): Promise<boolean> {
    if (!this.#storage.sessions.create(id, text, expires)) return false;
    if (this.#storage.ends.delete(id)) this.#storage.createdAgain.set(id, systemNow());
    return true;
  }

  async replace(id: string, text: string, expires: number | undefined, expected: string, write?: number) {
    if (!this.#storage.sessions.replace(id, text, expires, expected)) return false;
    if (write !== undefined) {
      const writes = this.#storage.writes.get(id) ?? new Map<string, number>();
      this.#storage.writes.set(id, writes.set(this.#name, write));
    }
    const by = write === undefined ? undefined : { node: this.#name, number: write };
    this.#tellOthers(id, (listener) => listener.onNotice(id, "changed", by));
    return true;
  }

  async touch(id: string, text: string, expires: number, expected: string): Promise<boolean> {
    const isTouched = this.#storage.sessions.touch(id, text, expires, expected);
    if (isTouched) this.#tellOthers(id, (listener) => listener.onNotice(id, "changed"));
    return isTouched;
  }

  async remove(id: string, code: EndCode): Promise<void> {
    this.#storage.sessions.remove(id);
    this.#storage.writes.delete(id);
    this.#storage.noteEnd(id, code);
    this.#tellOthers(id, (listener) => listener.onNotice(id, code));
  }

  async lastWrite(id: string, node = this.#name): Promise<number | undefined> {
    return this.#storage.writes.get(id)?.get(node);
  }

  async endOf(id: string): Promise<End | undefined> {
    const end = this.#storage.ends.get(id);
    return end && end.at + endMemory > systemNow() ? end : undefined;
  }

  async createdAgo(id: string): Promise<number | undefined> {
    const at = this.#storage.createdAgain.get(id);
    return at === undefined ? undefined : systemNow() - at;
  }

  async publish(id: string, message: string, node?: string): Promise<number> {
    let count = 0;
    for (const [name, { notices }] of this.#storage.nodes) {
      if ((node !== undefined && node !== name) || !notices.hearsOf(id)) continue;
      count++;
      if (name !== this.#name) notices.tell(id, (listener) => listener.onMessage(id, this.#name, message));
    }
    return count;
  }

  async all(): Promise<ReadonlyMap<string, string>> {
    return this.#storage.sessions.all();
  }

  async ids(): Promise<string[]> {
    return this.#storage.sessions.ids();
  }

  async count(): Promise<number> {
    return this.#storage.sessions.count();
  }

  async clear(): Promise<void> {
    const ids = await this.ids();
    for (const id of ids) await this.remove(id, "SESSION_DESTROYED");
  }

  close(): void {
    this.notices.close();
  }

  #tellOthers(id: string, use: (listener: NoticeListener) => void): void {
    for (const other of this.#storage.nodes.values()) if (other !== this) other.notices.tell(id, use);
  }
}

/** The driver of a node that has a storage of its own. */
export function loneNode(): Driver {
  return new NodeDriver(new Storage());
}

/** Sessions in memory that several nodes of one process share. */
export interface SharedMemory {
  /** The store of one more node. */
  store(options?: LiveStoreOptions): LiveStore;
}

/**
 * Several nodes in one process: each gets a store of its own over the same sessions, and hears of what the others do, as
 * on Redis or PostgreSQL. A `lease` and outages work as there, too.
 *
 * @example
 * ```ts
 * const storage = sharedMemory();
 * const [one, other] = [createApp(storage.store()), createApp(storage.store())];
 * const client = createTestClient(one);
 * await client.login("/login", { user: "ada" });
 * await client.at(other).socket();
 * ```
 */
export function sharedMemory(): SharedMemory {
  const storage = new Storage();
  return { store: (options) => new LiveStore(new NodeDriver(storage), options) };
}
