// The interface that one kind of storage fills, and its contract in words. Knows nothing of sessions but that they
// are texts with an id and an expiry; merging, notices and the express-session API are the live store's.

/**
 * What the live store needs from one kind of storage. All times are ms since 1970; `Infinity` means no expiry.
 *
 * The contract, which `test/contract/store.ts` holds every driver to:
 * - `read` answers with exactly the text that was last written, or nothing once its `expires` has passed.
 * - `create` writes only where nothing is, `replace` only where exactly `expected` is (compare-and-set). Both answer
 *   whether they wrote. A driver without compare-and-set always writes; its promise is then that of one process.
 * - A call that fails rejects with the storage's own error and has, as far as is known, changed nothing.
 */
export interface Driver {
  /** True where another process can write the same sessions: a live session is then re-read after its lease. */
  readonly isShared: boolean;

  /** True where `create` and `replace` are compare-and-set: a command that comes late changes nothing then. */
  readonly isAtomic: boolean;

  read(id: string): Promise<string | undefined>;
  create(id: string, text: string, expires: number): Promise<boolean>;
  replace(id: string, text: string, expires: number, expected: string): Promise<boolean>;
  /** As `replace`, where `text` differs from `expected` in the expiry alone: storage may keep that beside the data. */
  touch(id: string, text: string, expires: number, expected: string): Promise<boolean>;
  remove(id: string): Promise<void>;

  /** All sessions, as express-session's `Store#all` gives them. */
  all(): Promise<unknown>;
  count(): Promise<number>;
  clear(): Promise<void>;
  /** Stops timers and listeners. The storage itself belongs to who made it. */
  close(): void;
}
