// Session objects in the application's hands: what each was read from, so that writing one means "these fields
// changed", and only a new one may be created.
import createDebug from "debug";
import type { Session, SessionData } from "express-session";
import { endCodeOf } from "../errors.js";
import { reconcile } from "./merge.js";
import { mergeInto, parse, stringify, strip } from "./record.js";
import type { StoredSessions } from "./stored-sessions.js";
import type { Writer } from "./unanswered.js";

const debug = createDebug("socket-session:session-objects");

/** What is known of a session object. */
interface Origin {
  readonly id: string;
  /** The text it was read from; `undefined` for a session that is new and not stored yet. */
  base: string | undefined;
}

const emptyBase = `{"cookie":{}}`;

export class SessionObjects {
  readonly #sessions: StoredSessions;
  readonly #origins = new WeakMap<object, Origin>();

  constructor(sessions: StoredSessions) {
    this.#sessions = sessions;
  }

  /** express-session made this object for a new session. */
  generated(id: string, object: object): void {
    this.#origins.set(object, { id, base: undefined });
  }

  /** What `inflate` makes of data: the data is what {@link SessionObjects.read} gave, or somebody's own. */
  inflated<T extends object>(id: string, data: object, inflate: () => T): T {
    // Data that did not come from here is taken as read from the store now: it can update, never create. Its text is
    // taken before its cookie becomes an object of a class.
    const origin = this.#origins.get(data) ?? { id, base: stringify(data) };
    const object = inflate();
    this.#origins.set(object, { ...origin });
    return object;
  }

  /** An object that a wrapped store made: as read from there now, or as a new one. */
  adopt(object: Session & Partial<SessionData>, isNew: boolean): void {
    this.#origins.set(object, { id: object.id, base: isNew ? undefined : stringify(object) });
  }

  async read(id: string): Promise<SessionData | undefined> {
    const text = await this.#sessions.stored(id);
    if (text === undefined) return undefined;
    if (this.#sessions.drafts.isTooOld(text)) {
      await this.#sessions.end(id, "SESSION_EXPIRED");
      return undefined;
    }
    const data = strip(parse(text)) as unknown as SessionData;
    this.#origins.set(data, { id, base: text });
    return data;
  }

  /** Stores what was changed; drops it without an error where the session has ended. */
  async write(id: string, data: SessionData): Promise<void> {
    // The text is taken now: the object may change before its turn comes.
    const next = stringify(data);
    const known = this.#origins.get(data);
    const origin = known?.id === id ? known : undefined;
    return this.#sessions.queue.run(id, async () => {
      const isNew = origin !== undefined && origin.base === undefined;
      if (!(isNew && (await this.#sessions.create(id, next)))) {
        try {
          // What an object of unknown origin lacks is no deletion: its base is empty.
          await this.#sessions.merge(id, () => origin?.base ?? emptyBase, next, { origin: origin && writerOf(origin) });
        } catch (error) {
          if (!endCodeOf(error)) throw error;
          if (origin || this.#sessions.ends.of(id)) debug("write to an ended session dropped");
          else await this.#sessions.create(id, next);
        }
      }
      if (origin) origin.base = next;
    });
  }

  /** Moves the expiry to that of the object's cookie. Other changes are left to {@link SessionObjects.write}. */
  async touch(id: string, data: SessionData): Promise<void> {
    const next = stringify({ cookie: data.cookie });
    const origin = this.#origins.get(data);
    const base = origin?.base ? stringify({ cookie: parse(origin.base).cookie }) : next;
    return this.#sessions.queue.run(id, async () => {
      try {
        await this.#sessions.merge(id, () => base, next, { isTouch: true });
      } catch (error) {
        if (!endCodeOf(error)) throw error;
      }
    });
  }

  /** Brings what is stored now into the object; its own changes stay on top. */
  refresh(id: string, data: SessionData): Promise<void> {
    const origin = this.#origins.get(data);
    return this.#sessions.queue.run(id, async () => {
      const text = await this.#sessions.current(id);
      if (text === undefined || !origin) return;
      const record = parse(text);
      mergeInto(record, parse(origin.base ?? text), parse(stringify(data)));
      const { cookie } = data;
      reconcile(data as never, { ...strip(record), cookie: {} });
      data.cookie = cookie;
      origin.base = text;
    });
  }
}

/** An object whose write was not answered goes on from what it asked for, where that turns out to be stored. */
function writerOf(origin: Origin): Writer {
  return { stands: (_, sent) => void (origin.base = sent) };
}
