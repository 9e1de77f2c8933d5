// The interface that one kind of storage fills, and its contract in words. Knows nothing of sessions but that they
// are texts with an id and an expiry; merging and the express-session API are the live store's.
import type { EndCode } from "../../errors.js";

/**
 * What the live store needs from one kind of storage. All times are ms since 1970; `Infinity` means no expiry.
 *
 * The contract, which `test/contract/store.ts` holds every driver to:
 * - `read` answers with exactly the text that was last written, or nothing once its `expires` has passed. A record that
 *   is there, but no text, is "".
 * - `create` writes only where nothing is, `replace` only where exactly `expected` is (compare-and-set). Both answer
 *   whether they wrote. A driver without compare-and-set always writes; its promise is then that of one process.
 * - A call that fails rejects with the storage's own error and has, as far as is known, changed nothing.
 * - With `notices`, `replace` and `remove` tell the other nodes in the same atomic step in which they write.
 */
export interface Driver {
  /** True where another process can write the same sessions: a live session is then re-read after its lease. */
  readonly isShared: boolean;

  /** True where `create` and `replace` are compare-and-set: a command that comes late changes nothing then. */
  readonly isAtomic: boolean;

  /** How long a session without an expiry is kept untouched, in ms; absent where it is kept for good. */
  readonly ttl?: number;

  /** Where notes are kept; absent where the storage holds nothing but sessions. */
  readonly notes?: Notes;

  /** What other nodes tell; absent where the storage tells nobody. */
  readonly notices?: Notices;

  /** Names the part of the storage that has this session, where each part may be away alone; absent where it is one. */
  partOf?(id: string): string;

  read(id: string): Promise<string | undefined>;
  /** Several sessions of one part at once, in the order of `ids`; absent where the storage cannot. */
  readMany?(ids: readonly string[]): Promise<(string | undefined)[]>;
  create(id: string, text: string, expires: number): Promise<boolean>;
  /**
   * With `expires` undefined the expiry stays as it is stored: others may have moved it beside the data. A given one never
   * moves it back, unless `text` has another maxAge than `expected`, or an earlier expiry. `write` numbers the writes of this node, upwards: see
   * {@link Driver.lastWrite}.
   */
  replace(id: string, text: string, expires: number | undefined, expected: string, write?: number): Promise<boolean>;
  /**
   * The number of the latest numbered `replace` of this session by this node, or by the one that calls itself `node`; known
   * for {@link writeMemory}. It is asked when an answer was lost, or when the storage may have lost what it had. Absent
   * where the storage cannot tell.
   */
  lastWrite?(id: string, node?: string): Promise<number | undefined>;
  /** True where an error is the storage's own answer: the command was not carried out. */
  isRefusal?(error: unknown): boolean;
  /** Why the storage's client has no connection, where it says so and lets commands wait: their cause when they fail. */
  readonly connectionError?: unknown;
  /** As `replace`, where `text` differs from `expected` in the expiry alone: storage may keep that beside the data. */
  touch(id: string, text: string, expires: number, expected: string): Promise<boolean>;
  /** Removes a session; the storage remembers `code` for {@link endMemory}, where it can. */
  remove(id: string, code: EndCode): Promise<void>;
  /** Why a session ended within {@link endMemory}, on whichever node; absent where the storage does not remember. */
  endOf?(id: string): Promise<End | undefined>;
  /**
   * How long ago (ms, by the storage's clock) the session was created again after an end: `create` notes that in the same
   * step, in place of the end. Known for {@link storedEndMemory}; an older snapshot of the storage knows nothing of it. Absent
   * where the storage cannot tell.
   */
  createdAgo?(id: string): Promise<number | undefined>;

  /**
   * Says a word to the nodes that watch this session, outside of a write; resolves with how many hear it, this one
   * included, or undefined where the storage cannot tell. Absent without `notices`.
   */
  publish?(id: string, word: string): Promise<number | undefined>;

  /**
   * The texts of all sessions by id, or as a list where express-session's `Store#all` of this storage gives a list. One
   * that cannot be read is left out.
   */
  all(): Promise<Listing>;
  /** The ids of all sessions. */
  ids(): Promise<string[]>;
  count(): Promise<number>;
  clear(): Promise<void>;
  /** Stops timers and listeners. The storage itself belongs to who made it. */
  close(): void;
}

/** A session in a list; without an id where the storage does not say it. */
export interface Listed {
  readonly id: string | undefined;
  readonly text: string;
}

/** All sessions: their texts by id, or in a list. */
export type Listing = ReadonlyMap<string, string> | readonly Listed[];

/** Small texts beside the sessions, for the index of users: no sessions, and nobody is told of them. */
export type Notes = Pick<Driver, "read" | "create" | "touch">;

/** Why a session ended, and when: ms since 1970 in a storage. */
export interface End {
  readonly code: EndCode;
  readonly at: number;
}

/** How long an id stays known as ended (ms), so that late writers and clients get the true reason. */
export const endMemory = 60_000;

/** How long a storage keeps what it remembers of an end (ms): longer than any node does that has heard or read of it. */
export const storedEndMemory = 2 * endMemory;

/** How long an end is still stored when it counts no longer (ms). */
export const pastEndMemory = storedEndMemory - endMemory;

/** How long a storage remembers the last write of a node to a session (ms), for a node that has lost the answer. */
export const writeMemory = 300_000;

/** What one node tells the others of a session: it has other data now, or has ended. */
export type NoticeKind = "changed" | EndCode;

/** A write of a session that the storage has confirmed. */
export interface WriteId {
  /** What the node that wrote calls itself; undefined for this one. */
  readonly node: string | undefined;
  readonly number: number;
}

/** Who hears the notices of other nodes. */
export interface NoticeListener {
  /** Another node changed or ended a session that is watched. Carries no data: what is stored is to be read. `write` is what changed it. */
  onNotice(id: string, kind: NoticeKind, write?: WriteId): void;
  /** Another node said something else of a session that is watched; `node` is what it calls itself. */
  onMessage(id: string, node: string, word: string): void;
  /** False: from now on notices may be missed. True: from now on all that is watched is heard (again). */
  onHearing(isHearing: boolean): void;
}

/** The notices of other nodes; those of this node's own writes are left out. */
export interface Notices {
  /** Says who hears; called once, before all else. The connection is opened by the first `watch`. */
  listen(listener: NoticeListener): void;
  /**
   * Resolves when notices of this session are heard from now on, so that a read that starts then misses nothing.
   * Never rejects: without a connection it resolves, too, and `onHearing` has said or will say so.
   */
  watch(id: string): Promise<void>;
  unwatch(id: string): void;
  /** Closes the connection. A later `watch` opens it again. */
  close(): void;
}
