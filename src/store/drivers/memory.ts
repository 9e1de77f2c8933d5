// The embedded driver: sessions in this process's memory, as texts, so that nobody can change them by reference.
import { checkNames } from "../../internal/check-options.js";
import { systemNow } from "../../internal/system-time.js";
import { warnOnce } from "../../warnings.js";
import type { Driver, Notes } from "./driver.js";
import { LiveStore } from "../live-store.js";

const sweepInterval = 60_000;

/**
 * A live store in this process's memory: the default. For development, tests and single-process applications that may
 * forget everyone at a restart; in production it prints a warning once, as express-session does.
 *
 * @example
 * ```ts
 * const sessions = createSessions({ secret, store: memoryStore() });
 * ```
 */
export function memoryStore(options?: Record<string, never>): LiveStore {
  checkNames(options, {}, "memoryStore()");
  if (process.env["NODE_ENV"] === "production") warnOnce("MEMORY_STORE_IN_PRODUCTION");
  return new LiveStore(new MemoryDriver());
}

interface Entry {
  text: string;
  expires: number;
  write?: number | undefined;
}

/** Sessions in a map. */
export class MemoryDriver implements Driver {
  readonly isShared = false;
  readonly isAtomic = true;
  #notes: MemoryDriver | undefined;
  readonly #entries = new Map<string, Entry>();
  #sweeper: NodeJS.Timeout | undefined;

  get notes(): Notes {
    return (this.#notes ??= new MemoryDriver());
  }

  read(id: string): string | undefined {
    return this.#alive(id)?.text;
  }

  create(id: string, text: string, expires: number): boolean {
    if (this.#alive(id)) return false;
    this.#entries.set(id, { text, expires });
    this.#sweeper ??= setInterval(() => this.#sweep(), sweepInterval).unref();
    return true;
  }

  replace(id: string, text: string, expires: number | undefined, expected: string, write?: number): boolean {
    const entry = this.#alive(id);
    if (entry?.text !== expected) return false;
    entry.text = text;
    entry.write = write ?? entry.write;
    entry.expires = expires ?? entry.expires;
    return true;
  }

  lastWrite(id: string): number | undefined {
    return this.#alive(id)?.write;
  }

  touch(id: string, text: string, expires: number, expected: string): boolean {
    return this.replace(id, text, expires, expected);
  }

  remove(id: string): void {
    this.#entries.delete(id);
  }

  async all(): Promise<ReadonlyMap<string, string>> {
    this.#sweep();
    return new Map([...this.#entries].map(([id, { text }]) => [id, text]));
  }

  async ids(): Promise<string[]> {
    this.#sweep();
    return [...this.#entries.keys()];
  }

  async count(): Promise<number> {
    this.#sweep();
    return this.#entries.size;
  }

  async clear(): Promise<void> {
    this.#entries.clear();
  }

  close(): void {
    this.#notes?.close();
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  #alive(id: string): Entry | undefined {
    const entry = this.#entries.get(id);
    if (!entry || entry.expires > systemNow()) return entry;
    this.#entries.delete(id);
    return undefined;
  }

  #sweep(): void {
    const now = systemNow();
    for (const [id, entry] of this.#entries) if (entry.expires <= now) this.#entries.delete(id);
    if (this.#entries.size === 0) this.close();
  }
}
