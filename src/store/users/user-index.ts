// Which sessions a user has: a note for each user, with the ids of sessions that are or were theirs. It may name too
// many, never too few. It is written before the session, and its readers look into the sessions.
import { hash } from "node:crypto";
import { SessionError } from "../../errors.js";
import type { CommandRunner } from "../commands/command-runner.js";
import type { Notes } from "../drivers/driver.js";
import { BoundedMap } from "../../internal/bounded-map.js";
import { KeyedQueue } from "../../internal/keyed-queue.js";
import { systemNow } from "../../internal/system-time.js";

/** A session that is or was a user's. */
export interface UserEntry {
  readonly id: string;
  /** When the session became theirs (ms since 1970). */
  readonly created: number;
}

/** A user's sessions by id: when each became theirs, and until when the note has it (ms since 1970). */
interface Note {
  [id: string]: [created: number, until: number];
}

/** That a session is in a user's note, until when. */
interface Noted {
  readonly user: string;
  readonly until: number;
}

/** How often a change of a note is tried. */
const attempts = 100;
/** Of how many sessions this process remembers that they are noted. */
const mostNoted = 50_000;

/** Changes a note; answers whether there is something to write. May run again, on a newer note. */
type Change = (note: Note) => boolean;

/** Changes of one note that are written together. */
interface Batch {
  readonly changes: Change[];
  readonly done: Promise<void>;
}

/** Keeps the notes of all users, beside the sessions. */
export class UserIndex {
  readonly #notes: Notes;
  readonly #runner: CommandRunner;
  readonly #ttl: number;
  readonly #queue = new KeyedQueue();
  /** What waits for the write under way, by the name of the note: many logins of one user are few writes. */
  readonly #batches = new Map<string, Batch>();
  /** Sessions that this process has noted, so that not every write of a session reads the note. */
  readonly #noted = new BoundedMap<string, Noted>(mostNoted);

  /** `ttl`: how long a session without an expiry is kept, in ms. */
  constructor(notes: Notes, runner: CommandRunner, ttl: number) {
    this.#notes = notes;
    this.#runner = runner;
    this.#ttl = ttl;
  }

  /**
   * Notes a session for its user, for longer than it lives; resolves when that is stored. `isNew` where it becomes
   * theirs now: else the note may be there already.
   */
  async add(user: string, id: string, expires: number, isNew: boolean): Promise<void> {
    const now = systemNow();
    const needed = Number.isFinite(expires) ? expires : now + this.#ttl;
    const noted = this.#noted.get(id);
    if (!isNew && noted?.user === user && noted.until >= needed) return;
    // For twice its life: a session that is kept alive is noted again now and then, not with each touch.
    let until = now + 2 * Math.max(needed - now, 0);
    await this.#change(user, (note) => {
      const [created = now, end = 0] = (isNew ? undefined : note[id]) ?? [];
      if (end >= needed) {
        // Another node has done so.
        until = end;
        return false;
      }
      note[id] = [created, until];
      return true;
    });
    this.#noted.set(id, { user, until });
  }

  /** All that a user's note has. */
  async entries(user: string): Promise<UserEntry[]> {
    const note = parseNote(await this.#read(nameOf(user)));
    return Object.entries(note).map(([id, [created]]) => ({ id, created }));
  }

  /** Drops sessions from a user's note, but none that became theirs after `latest` (ms since 1970). */
  async remove(user: string, ids: readonly string[], latest: number): Promise<void> {
    if (ids.length === 0) return;
    for (const id of ids) if (this.#noted.get(id)?.user === user) this.#noted.delete(id);
    await this.#change(user, (note) => {
      const old = ids.filter((id) => (note[id]?.[0] ?? Number.POSITIVE_INFINITY) <= latest);
      for (const id of old) delete note[id];
      return old.length > 0;
    });
  }

  #change(user: string, change: Change): Promise<void> {
    const name = nameOf(user);
    const waiting = this.#batches.get(name);
    if (waiting) {
      waiting.changes.push(change);
      return waiting.done;
    }
    const changes = [change];
    const done = this.#queue.run(name, async () => {
      // All changes of this turn go together.
      await undefined;
      this.#batches.delete(name);
      await this.#write(name, changes);
    });
    this.#batches.set(name, { changes, done });
    return done;
  }

  async #read(name: string): Promise<string | undefined> {
    return this.#runner.run("", () => this.#notes.read(name));
  }

  /** Compare-and-set until it holds. */
  async #write(name: string, changes: readonly Change[]): Promise<void> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const text = await this.#read(name);
      const note = parseNote(text);
      // Each of them, whatever the others answer.
      const isChanged = changes.map((change) => change(note)).includes(true);
      if (!isChanged) return;
      const now = systemNow();
      let latest = now + 1;
      for (const [id, [, until]] of Object.entries(note)) {
        if (until <= now) delete note[id];
        else latest = Math.max(latest, until);
      }
      const next = JSON.stringify(note);
      const isWritten = await this.#runner.run("", () =>
        text === undefined ? this.#notes.create(name, next, latest) : this.#notes.touch(name, next, latest, text),
      );
      if (isWritten) return;
    }
    throw new SessionError("STORE_UNAVAILABLE", { detail: "Too many sessions of one user change at once." });
  }
}

function nameOf(user: string): string {
  return hash("sha256", user, "hex").slice(0, 32);
}

function parseNote(text: string | undefined): Note {
  return Object.assign(Object.create(null) as Note, text === undefined ? {} : (JSON.parse(text) as Note));
}
