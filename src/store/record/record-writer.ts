// What to store: a writer's changes on top of the current text, with the stamp of an absolute lifetime. Knows only texts,
// not when and where they are written.
import { checkSize, defaultMaxSize } from "./size-limits.js";
import {
  expiryOf,
  isMarked,
  marksOf,
  mergeCookie,
  mergeInto,
  parse,
  prolong,
  tryParse,
  type SessionRecord,
  stamp,
  stringify,
  strip,
  timesOf,
} from "./session-record.js";
import { movedBy, systemNow } from "../../internal/system-time.js";

/** A session's text, and when it expires (ms since 1970). */
export interface SerializedRecord {
  readonly text: string;
  readonly expires: number;
}

/** Makes the texts that are stored. */
export class RecordWriter {
  /** How long a session may live since it was created, in ms. */
  absoluteTimeout: number | undefined;
  /** How many bytes a saved text may have. */
  maxSize = defaultMaxSize;

  /** The text of a record; throws `DATA_INVALID` for a larger one. */
  serialize(record: SessionRecord): SerializedRecord {
    const serialized = this.serializeAnySize(record);
    checkSize(serialized.text, this.maxSize);
    return serialized;
  }

  /** For a change that adds no data: activity and used tickets count in a session that is too large, too. */
  serializeAnySize(record: SessionRecord): SerializedRecord {
    if (this.absoluteTimeout !== undefined) stamp(record, systemNow());
    return { text: stringify(record), expires: expiryOf(record) };
  }

  /** `text`, with the changes of a writer that read `base` and wants `next`. */
  merge(text: string, base: string, next: string, isTouch = false): SerializedRecord {
    // Nobody else wrote: the writer's text is stored as it is.
    if (text === base && this.absoluteTimeout === undefined && !isMarked(text) && !isMarked(next)) {
      if (!isTouch) checkSize(next, this.maxSize);
      return { text: next, expires: timesOf(next).expires };
    }
    const current = parse(text);
    mergeInto(current, parse(base), parse(next));
    return isTouch ? this.serializeAnySize(current) : this.serialize(current);
  }

  /**
   * `next` in place of `text`, whose marks stay. Where the writer's cookie was read from `cookieBase`, and its expiry not
   * moved, the expiry of `text` stays.
   */
  replace(text: string, next: string, cookieBase?: string): SerializedRecord {
    const current = tryParse(text);
    const record = strip(parse(next));
    if (!current) return this.serialize(record);
    if (cookieBase !== undefined) {
      record.cookie = mergeCookie(current.cookie, parse(cookieBase).cookie, record.cookie);
    }
    return this.serialize(Object.assign(record, marksOf(current)));
  }

  /** `text`, with the cookie of `next`: as what changed since `base`, or as it is. */
  touch(text: string, next: string, base: string | undefined): SerializedRecord {
    if (base !== undefined) return this.merge(text, base, next, true);
    const record = parse(text);
    record.cookie = parse(next).cookie;
    return this.serializeAnySize(record);
  }

  /** `text`, with its expiry a full maxAge after `at`. */
  prolong(text: string, at: number): SerializedRecord {
    const record = parse(text);
    prolong(record, at);
    return this.serializeAnySize(record);
  }

  /** True where a session has reached its absolute lifetime, or its expiry in a time that the storage does not know. */
  isTooOld(text: string): boolean {
    if (movedBy !== 0 && timesOf(text).expires <= systemNow()) return true;
    if (this.absoluteTimeout === undefined) return false;
    const { createdAt = Number.POSITIVE_INFINITY } = timesOf(text);
    return createdAt + this.absoluteTimeout <= systemNow();
  }
}
