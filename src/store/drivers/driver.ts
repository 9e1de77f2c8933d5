// The interface of a driver for one kind of storage, and its contract in words. To a driver sessions are texts with an id
// and an expiry; merging and the express-session API are the live store's.
import type { EndCode } from "../../errors.js";
import type { Awaitable } from "../../internal/awaitable.js";

/**
 * What the live store needs from one kind of storage. All times are ms since 1970; `Infinity` means no expiry.
 *
 * The contract, which `test/contract/store.ts` holds every driver to:
 * - `read` answers with exactly the text that was last written, or nothing once its `expires` has passed. A record that
 *   is there, but no text, is "".
 * - `create` writes only where nothing is stored, `replace` only where exactly `expected` is (compare-and-set). Both
 *   answer whether they wrote. A driver without compare-and-set always writes; it is then safe in one process only.
 * - A call that fails rejects with the storage's own error and has, as far as the driver knows, changed nothing.
 * - What concerns one session may be answered at once, without a promise: a storage in memory makes nobody wait.
 * - With `notices`, `replace` and `remove` notify the other nodes in the same atomic step in which they write.
 */
export interface Driver {
  /** True where another process can write the same sessions: a live session is then re-read after its lease. */
  readonly isShared: boolean;

  /** True where `create` and `replace` are compare-and-set: then a command that arrives late changes nothing. */
  readonly isAtomic: boolean;

  /** How long a session without an expiry is kept untouched, in ms; absent where it is kept for good. */
  readonly ttl?: number;

  /** Where notes are kept; absent where the storage holds nothing but sessions. */
  readonly notes?: Notes;

  /** The notices of other nodes; absent where the storage has none. */
  readonly notices?: Notices;

  /** Names the part of the storage that has this session, where one part alone may be down; absent where it is one. */
  partOf?(id: string): string;

  read(id: string): Awaitable<string | undefined>;
  /** Several sessions of one part at once, in the order of `ids`; absent where the storage cannot. */
  readMany?(ids: readonly string[]): Promise<(string | undefined)[]>;
  create(id: string, text: string, expires: number): Awaitable<boolean>;
  /**
   * With `expires` undefined the stored expiry stays: others may have moved it beside the data. A given one never moves
   * it back, unless `text` has another maxAge than `expected`, or an earlier expiry. `write` numbers the writes of this
   * node, upwards: see {@link Driver.lastWrite}.
   */
  replace(id: string, text: string, expires: number | undefined, expected: string, write?: number): Awaitable<boolean>;
  /**
   * The number of the latest numbered `replace` of this session by this node, or by the one that calls itself `node`; known
   * for {@link writeMemory}. Called when an answer was lost, or when the storage may have lost data. Absent where the
   * storage does not know.
   */
  lastWrite?(id: string, node?: string): Awaitable<number | undefined>;
  /** True where an error is the storage's own answer: it did not carry the command out. */
  isRefusal?(error: unknown): boolean;
  /** Why the client has no connection, where it lets commands wait meanwhile. It becomes the cause when they fail. */
  readonly connectionError?: unknown;
  /** As `replace`, where `text` differs from `expected` in the expiry alone: a storage may keep that beside the data. */
  touch(id: string, text: string, expires: number, expected: string): Awaitable<boolean>;
  /** Removes a session; the storage remembers `code` for {@link endMemory}, where it can. */
  remove(id: string, code: EndCode): Awaitable<void>;
  /** Why a session ended within {@link endMemory}, on whichever node; absent where the storage does not remember. */
  endOf?(id: string): Promise<End | undefined>;
  /**
   * How long ago (ms, by the storage's clock) the session was created again after an end. `create` notes that in the same
   * step, in place of the end. Known for {@link storedEndMemory}, but not in an older snapshot of the storage. Absent where
   * the storage does not know.
   */
  createdAgo?(id: string): Promise<number | undefined>;

  /**
   * Sends a message that belongs to no write to the nodes that watch this session, or to all, or to the one that calls
   * itself `node`. Resolves with how many get it, this one included, or undefined where the storage does not know. Absent
   * without `notices`.
   */
  publish?(id: string, message: string, node?: string): Promise<number | undefined>;

  /** What is wrong with the storage's settings, in sentences with the line to write. Absent where there is nothing to ask. */
  advice?(): Promise<readonly string[]>;

  /**
   * The texts of all sessions by id, or as a list where express-session's `Store#all` of this storage gives a list. Records
   * that cannot be read are left out.
   */
  all(): Promise<Listing>;
  /** The ids of all sessions. */
  ids(): Promise<string[]>;
  count(): Promise<number>;
  clear(): Promise<void>;
  /** Stops timers and listeners. The storage itself belongs to who made it. */
  close(): void;
}

/** A session in a list; without an id where the storage does not give one. */
export interface Listed {
  readonly id: string | undefined;
  readonly text: string;
}

/** All sessions: their texts by id, or in a list. */
export type Listing = ReadonlyMap<string, string> | readonly Listed[];

/** Small texts beside the sessions, for the index of users. They are no sessions and cause no notices. */
export type Notes = Pick<Driver, "read" | "create" | "touch">;

/** Why a session ended, and when: ms since 1970 in a storage. */
export interface End {
  readonly code: EndCode;
  readonly at: number;
}

/** How long a node remembers an end (ms), so that late writers and clients get the true reason. */
export const endMemory = 60_000;

/** How long a storage keeps an end (ms): longer than any node that has heard or read of it. */
export const storedEndMemory = 2 * endMemory;

/** How long an end is still stored after nobody goes by it any more (ms). */
export const pastEndMemory = storedEndMemory - endMemory;

/** How long a storage remembers a node's last write to a session (ms), for a node that has lost the answer. */
export const writeMemory = 300_000;

/** What happened to a session on another node: it has other data now, or has ended. */
export type NoticeKind = "changed" | EndCode;

/**
 * How a node hears of the others. With "keys" the storage tells of every change of what was read, whoever makes it; with
 * "channels" the nodes tell each other, and services without this library tell nothing.
 */
export type Hears = "keys" | "channels";

/** Names a write to a session. */
export interface WriteId {
  /** What the writing node calls itself; undefined for this one. */
  readonly node: string | undefined;
  readonly number: number;
}

/** Gets the notices of other nodes. */
export interface NoticeListener {
  /** Another node changed or ended a session that is watched. `write` changed it; the new data has to be read. */
  onNotice(id: string, kind: NoticeKind, write?: WriteId): void;
  /** A write of another node was found, which changed a session that is watched. */
  onWrite(id: string, write: WriteId): void;
  /** Another node sent a message about a session, which need not be watched; `node` is what it calls itself. */
  onMessage(id: string, node: string, message: string): void;
  /** False: from now on notices may be missed. True: from now on those of all watched sessions are heard (again). */
  onHearing(isHearing: boolean): void;
}

/** The notices of other nodes; those of this node's own writes are left out. */
export interface Notices {
  /** Sets the listener; called once, before all else. The first `watch` opens the connection. */
  listen(listener: NoticeListener): void;
  /** What is heard now; undefined while nothing is. */
  readonly hears?: Hears | undefined;
  /**
   * Resolves when notices of this session are heard from now on: a read that starts then misses nothing. Undefined where
   * that is so at once. Never rejects: without a connection it resolves, too, and `onHearing` has said so or will.
   */
  watch(id: string): Promise<void> | undefined;
  unwatch(id: string): void;
  /** Closes the connection. A later `watch` opens it again. */
  close(): void;
}
