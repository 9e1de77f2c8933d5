// The sessions of users: the data says whose a session is; that is noted before the session is written.
import type { SessionData } from "express-session";
import { SessionError } from "../../errors.js";
import { kindOf } from "../../internal/check-options.js";
import type { SerializedRecord } from "../record/record-writer.js";
import type { CommandRunner } from "../commands/command-runner.js";
import { endMemory, type Notes } from "../drivers/driver.js";
import { inflate, tryParse, strip, timesOf } from "../record/session-record.js";
import { type UserEntry, UserIndex } from "./user-index.js";
import { noop } from "../../internal/noop.js";
import { systemNow } from "../../internal/system-time.js";

/** Says whose session this is; undefined, null and "" for nobody's. */
export type UserOf = (session: SessionData) => string | number | null | undefined;

/** A session of a user, as it is stored. */
export interface StoredSession extends UserEntry {
  readonly text: string;
}

/** Knows the sessions of each user, on whichever node they were made. */
export class UserSessions {
  readonly #userOf: UserOf;
  readonly #index: UserIndex;

  /** `ttl`: how long a session without an expiry is kept, in ms. */
  constructor(userOf: UserOf, notes: Notes, runner: CommandRunner, ttl: number) {
    this.#userOf = userOf;
    this.#index = new UserIndex(notes, runner, ttl);
  }

  /** Notes whose session it is, before it is written as such in place of `before`, if there was something. */
  async note(id: string, { text, expires }: SerializedRecord, before?: string): Promise<void> {
    const user = this.#userIn(text);
    if (user === undefined) return;
    // A session that was not theirs is noted anew. It may have been theirs once, and a reader may be about to drop that
    // old entry.
    const isNew = before === undefined || this.#knownUserIn(before) !== user;
    // Old services may have prolonged it beside its text, but for no longer.
    const until = Math.max(expires, systemNow() + (timesOf(text).maxAge ?? 0));
    await this.#index.add(user, id, until, isNew);
  }

  /** A session is removed. Best effort: what stays in the index is dropped when it is next read. */
  forget(id: string, text: string): void {
    try {
      const user = this.#userIn(text);
      if (user !== undefined) this.forgetAll(user, [{ id }]);
    } catch {
      // The application cannot say whose it was: the session ends all the same.
    }
  }

  /** Sessions of a user were removed. Best effort, as {@link UserSessions.forget}. */
  forgetAll(user: string, entries: readonly Pick<UserEntry, "id">[]): void {
    const ids = entries.map(({ id }) => id);
    this.#index.remove(user, ids, systemNow()).catch(noop);
  }

  /** The sessions of a user that are stored now; `read` gives the texts of many. */
  async find(
    user: string,
    read: (ids: readonly string[]) => Promise<(string | undefined)[]>,
  ): Promise<StoredSession[]> {
    const found: StoredSession[] = [];
    const gone: string[] = [];
    const entries = await this.#index.entries(user);
    const texts = await read(entries.map(({ id }) => id));
    // A session that was noted a moment ago may be about to be stored.
    const latest = systemNow() - endMemory;
    for (const [index, entry] of entries.entries()) {
      const text = texts[index];
      if (text !== undefined && this.#knownUserIn(text) === user) found.push({ ...entry, text });
      else if (entry.created < latest) gone.push(entry.id);
    }
    this.#index.remove(user, gone, latest).catch(noop);
    return found;
  }

  /**
   * Whose session this text is. A client may have shaped what the application looks at: a list is not the user whose name
   * is that list's text.
   */
  #userIn(text: string): string | undefined {
    const record = tryParse(text);
    if (!record) return undefined;
    let user: unknown;
    try {
      user = this.#userOf(inflate(strip(record)));
    } catch (cause) {
      throw new SessionError("DATA_INVALID", { detail: "The option user threw an error for this session.", cause });
    }
    if (user === undefined || user === null || user === "" || user === false) return undefined;
    if (typeof user === "string" || typeof user === "bigint" || (typeof user === "number" && !Number.isNaN(user))) {
      return String(user);
    }
    const detail = `The option user must return a string or a number, not ${kindOf(user)}.`;
    throw new SessionError("DATA_INVALID", { detail });
  }

  /** As {@link UserSessions.#userIn}; undefined where the application cannot say. */
  #knownUserIn(text: string): string | undefined {
    try {
      return this.#userIn(text);
    } catch {
      return undefined;
    }
  }
}
