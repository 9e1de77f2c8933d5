// What is to be stored: a writer's changes on top of what is there, with the stamp of an absolute lifetime. Knows only
// texts; when and where they are written is not decided here.
import { checkSize, defaultMaxSize } from "./size-limits.js";
import {
  expiryOf,
  isMarked,
  marksOf,
  mergeCookie,
  mergeInto,
  parse,
  prolong,
  readable,
  type SessionRecord,
  stamp,
  stringify,
  strip,
  timesOf,
} from "./session-record.js";

/** A session's text and when it ends by itself (ms since 1970). */
export interface Draft {
  readonly text: string;
  readonly expires: number;
}

export class RecordWriter {
  /** How long a session may live since it was created, in ms. */
  absoluteTimeout: number | undefined;
  /** How many bytes a text may have that is saved. */
  maxSize = defaultMaxSize;

  /** What is saved; `DATA_INVALID` where it is too large. */
  of(record: SessionRecord): Draft {
    const draft = this.ofAnySize(record);
    checkSize(draft.text, this.maxSize);
    return draft;
  }

  /** For what adds no data: activity, and a ticket that is taken, must count in a session that is too large, too. */
  ofAnySize(record: SessionRecord): Draft {
    if (this.absoluteTimeout !== undefined) stamp(record, Date.now());
    return { text: stringify(record), expires: expiryOf(record) };
  }

  /** `text`, with what a writer changed who read `base` and wants `next`. */
  merged(text: string, base: string, next: string, isTouch = false): Draft {
    // Nobody else wrote: what the writer has is what is stored.
    if (text === base && this.absoluteTimeout === undefined && !isMarked(text) && !isMarked(next)) {
      if (!isTouch) checkSize(next, this.maxSize);
      return { text: next, expires: timesOf(next).expires };
    }
    const current = parse(text);
    mergeInto(current, parse(base), parse(next));
    return isTouch ? this.ofAnySize(current) : this.of(current);
  }

  /**
   * `next` in place of `text`, whose marks stay. Where the writer's cookie was read from `cookieBase`, an expiry that
   * the writer did not move is that of `text`.
   */
  replaced(text: string, next: string, cookieBase?: string): Draft {
    const current = readable(text);
    const record = strip(parse(next));
    if (!current) return this.of(record);
    if (cookieBase !== undefined) {
      record.cookie = mergeCookie(current.cookie, parse(cookieBase).cookie, record.cookie);
    }
    return this.of(Object.assign(record, marksOf(current)));
  }

  /** `text`, with the cookie of `next`: as what changed since `base`, or as it is. */
  touched(text: string, next: string, base: string | undefined): Draft {
    if (base !== undefined) return this.merged(text, base, next, true);
    const record = parse(text);
    record.cookie = parse(next).cookie;
    return this.ofAnySize(record);
  }

  /** `text`, with its expiry a full maxAge after `at`. */
  prolonged(text: string, at: number): Draft {
    const record = parse(text);
    prolong(record, at);
    return this.ofAnySize(record);
  }

  /** True where a session has reached its absolute lifetime. */
  isTooOld(text: string): boolean {
    if (this.absoluteTimeout === undefined) return false;
    const since = timesOf(text).createdAt;
    return since !== undefined && since + this.absoluteTimeout <= Date.now();
  }
}
