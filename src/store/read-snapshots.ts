// Session objects in the application's hands: what each was read from, so that writing one means "these fields
// changed", and only a new one may be created.
import createDebug from "debug";
import type { Session, SessionData } from "express-session";
import { endCodeOf } from "../errors.js";
import type { Awaitable } from "../internal/awaitable.js";
import { systemNow } from "../internal/system-time.js";
import type { Listed, Listing } from "./drivers/driver.js";
import { reconcile } from "./record/merge.js";
import { dataOf, mergeInto, parse, rebaseText, stringify, strip, timesOf } from "./record/session-record.js";
import type { StoredSessions } from "./stored-sessions.js";
import type { Writer } from "./commands/lost-answers.js";

const debug = createDebug("socket-session:session-objects");

/** On what a session object stands: its changes are what it has over that. */
interface Base {
  /** The text it was read from, or stored as; `undefined` for a session that is new and not stored yet. */
  text: string | undefined;
  /** On what it stands since it took in what others had stored. Writes that were asked for before still stand on this. */
  newer?: Base;
}

/** What is known of a session object. */
interface Origin {
  readonly id: string;
  base: Base;
}

/** For a new session whose id is taken: what it lacks is no deletion. */
const emptyBase = `{"cookie":{}}`;

/** Remembers the snapshot behind each session object, and turns a write of the object into the fields that changed. */
export class ReadSnapshots {
  readonly #sessions: StoredSessions;
  /** Of session objects, and of their cookies: a copy of a session has the cookie of what it was copied from. */
  readonly #origins = new WeakMap<object, Origin>();

  constructor(sessions: StoredSessions) {
    this.#sessions = sessions;
  }

  /** express-session made this object for a new session. */
  generated(id: string, object: object): void {
    this.#origins.set(object, { id, base: { text: undefined } });
  }

  /** What `inflate` makes of data: the data is what {@link ReadSnapshots.read} gave, or somebody's own. */
  inflated<T extends object>(id: string, data: object, inflate: () => T): T {
    // Data that did not come from here is taken as read from the store now: it can update, never create. Its text is
    // taken before its cookie becomes an object of a class.
    const origin = this.#origins.get(data);
    const base: Base = { text: origin ? origin.base.text : stringify(data) };
    const object = inflate();
    this.#note(object, { id: origin?.id ?? id, base });
    return object;
  }

  /** An object that a wrapped store made: as read from there now, or as a new one. */
  adopt(object: Session & Partial<SessionData>, isNew: boolean): void {
    this.#origins.set(object, { id: object.id, base: { text: isNew ? undefined : stringify(object) } });
  }

  /** What is stored now, after all that was asked for before. */
  async read(id: string): Promise<SessionData | undefined> {
    const text = await this.#sessions.queue.share(id, () => this.#sessions.read(id));
    if (text === undefined) return undefined;
    if (!this.#sessions.recordWriter.isTooOld(text)) return this.#given(id, text);
    await this.#sessions.end(id, "SESSION_EXPIRED");
    return undefined;
  }

  /** What the storage listed, without what is no session, or is one no more. */
  listed(stored: Listing): { readonly id: string | undefined; readonly data: SessionData }[] {
    const sessions: { id: string | undefined; data: SessionData }[] = [];
    const add = (id: string | undefined, text: string): void => {
      // Without its id nobody can write it back.
      const data = this.#sessions.recordWriter.isTooOld(text) ? undefined : this.#given(id ?? "", text);
      if (data) sessions.push({ id, data });
    };
    if (stored instanceof Map) for (const [id, text] of stored as ReadonlyMap<string, string>) add(id, text);
    else for (const { id, text } of stored as readonly Listed[]) add(id, text);
    return sessions;
  }

  /** False for an object of a new session that nobody has stored. */
  isStored(id: string, object: object): boolean {
    return this.#originOf(id, object)?.base.text !== undefined;
  }

  /** Whether an object has other fields than what it was read from. Its cookie does not count. */
  isChanged(id: string, data: SessionData): boolean {
    const origin = this.#originOf(id, data);
    return origin !== undefined && dataOf(origin.base.text ?? emptyBase) !== dataOf(textOf(id, data));
  }

  /** Stores what was changed; drops it without an error where the session has ended. */
  async write(id: string, data: SessionData): Promise<void> {
    const writing = this.writing(id, data);
    return this.#sessions.queue.run(id, writing);
  }

  /** As {@link ReadSnapshots.write}, to be run within the queue; the text is taken now. */
  writing(id: string, data: SessionData): () => Promise<void> {
    // The object may change before its turn comes.
    const next = textOf(id, data);
    const base = this.#originOf(id, data)?.base;
    // An object without a cookie leaves the one that is stored.
    const cookieBase = hasCookie(data) ? (base ?? this.#originOf(id, data.cookie)?.base)?.text : next;
    const isEnd = isEnded(next, cookieBase);
    return async () => {
      if (base && base.text === undefined && (await this.#sessions.create(id, next))) {
        base.text = next;
        return;
      }
      await unlessEnded(async () => {
        if (isEnd) return this.#sessions.endStored(id, "SESSION_EXPIRED");
        if (base) {
          const options = { origin: writerOf(base), known: { stored: base.text } };
          return this.#sessions.merge(id, () => base.text ?? emptyBase, next, options);
        }
        return this.#replace(id, next, cookieBase);
      });
      if (base) becomeStored(base, next);
    };
  }

  /** Moves the expiry to that of the object's cookie. Other changes are left to {@link ReadSnapshots.write}. */
  async touch(id: string, data: SessionData): Promise<void> {
    const next = stringify({ cookie: data.cookie });
    const origin = this.#originOf(id, data) ?? this.#originOf(id, data.cookie);
    const known = origin?.base.text;
    const read = known === undefined ? undefined : stringify({ cookie: parse(known).cookie });
    const base = hasCookie(data) ? read : next;
    const isEnd = isEnded(next, base);
    return this.#sessions.queue.run(id, () =>
      unlessEnded(() => {
        if (isEnd) return this.#sessions.endStored(id, "SESSION_EXPIRED");
        const { recordWriter } = this.#sessions;
        const options = { isTouch: true, known: { stored: known } };
        return this.#sessions.rewrite(id, (text) => recordWriter.touch(text, next, base), options);
      }),
    );
  }

  /** Brings what is stored now into the object; its own changes stay on top. Runs within the queue. */
  async refresh(id: string, data: SessionData): Promise<void> {
    const origin = this.#origins.get(data);
    const text = await this.#sessions.readCurrent(id);
    if (text === undefined || !origin) return;
    const record = parse(text);
    mergeInto(record, parse(origin.base.text ?? text), parse(stringify(data)));
    const { cookie } = data;
    reconcile(data as never, { ...strip(record), cookie: {} });
    data.cookie = cookie;
    origin.base = origin.base.newer = { text };
  }

  /** Replaces what is stored, with whatever it has; stores it where nothing is and nothing has ended. */
  async #replace(id: string, next: string, cookieBase: string | undefined): Promise<void> {
    const { recordWriter, ends } = this.#sessions;
    try {
      await this.#sessions.rewrite(id, (text) => recordWriter.replace(text, next, cookieBase));
    } catch (error) {
      if (!endCodeOf(error) || ends.get(id)) throw error;
      await this.#sessions.create(id, next);
    }
  }

  /** The data of a stored text, as the application may see it; undefined where it is no session. */
  #given(id: string, text: string): SessionData | undefined {
    const record = this.#sessions.parseOrReport(id, text);
    if (!record) return undefined;
    const data = strip(record) as unknown as SessionData;
    this.#note(data, { id, base: { text } });
    return data;
  }

  #note(object: object, origin: Origin): void {
    this.#origins.set(object, origin);
    const { cookie } = object as { cookie?: unknown };
    if (typeof cookie === "object" && cookie !== null) this.#origins.set(cookie, origin);
  }

  #originOf(id: string, object: object | undefined): Origin | undefined {
    const origin = object && this.#origins.get(object);
    return origin?.id === id ? origin : undefined;
  }
}

/** False where a caller's own object says nothing of its time. */
function hasCookie({ cookie }: Partial<SessionData>): boolean {
  return typeof cookie === "object" && cookie !== null;
}

/** An object whose write was not answered goes on from what it asked for, where that turns out to be stored. */
function writerOf(base: Base): Writer {
  return { applyConfirmed: (_, sent) => becomeStored(base, sent) };
}

/** What an object had is stored: that is no change any more, nor on top of what it took in meanwhile. */
function becomeStored(base: Base, text: string): void {
  const before = base.text ?? emptyBase;
  base.text = text;
  for (let { newer } = base; newer; newer = newer.newer) newer.text = rebaseText(newer.text ?? emptyBase, before, text);
}

/** What express-session must not report after the response was sent: the session has ended. */
async function unlessEnded(work: () => Awaitable<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!endCodeOf(error)) throw error;
    debug("write to an ended session dropped");
  }
}

/** The text of session data, without the id that `all()` puts beside it. */
function textOf(id: string, data: SessionData): string {
  const hasId = Object.prototype.propertyIsEnumerable.call(data, "id") && (data as { id?: unknown }).id === id;
  return stringify(hasId ? { ...data, id: undefined } : data);
}

/** True where a writer moved the expiry, to a moment that is over. */
function isEnded(next: string, base: string | undefined): boolean {
  const { expires } = timesOf(next);
  return expires <= systemNow() && (base === undefined || expires < timesOf(base).expires);
}
