// Writes that the storage may have carried out although no answer came. They are kept until their outcome is known, so that
// nobody writes them a second time over what others wrote since.
import type { SerializedRecord } from "../record/record-writer.js";
import { writeMemory } from "../drivers/driver.js";

/** Who writes. It is called within the queue, before the subscribers are, so that it never goes back in time. */
export interface Writer {
  /** A write without an answer turned out to be stored as `text`, which contains `sent`, the writer's own text. */
  applyConfirmed(text: string, sent: string): void;
}

/** Who knows what is stored. */
export interface Reader {
  /** What is stored, as far as known; "" or undefined where that is not known. */
  readonly stored: string | undefined;
}

/** A writer that tries again by itself. */
export interface SavingWriter extends Writer, Reader {
  /** What its save under way asks for, on top of what it has heard of others since it was asked for. */
  readonly sent: string | undefined;
  /** Its last write is stored, as `text`. */
  applyCommitted(text: string): void;
}

/** A write without an answer. */
export interface LostAnswer {
  /** Its number. */
  readonly write: number;
  readonly expected: string;
  readonly next: SerializedRecord;
  /** Undefined where the expiry stays as it is stored. */
  readonly expires: number | undefined;
  readonly writer: Writer;
  /** The writer's own text, which `next` contains. */
  readonly sent: string;
  /** True where the writer tries again by itself, until it is stored. */
  readonly isRetried: boolean;
}

interface Kept extends LostAnswer {
  readonly until: number;
}

/** Of how many sessions they are kept: their texts take memory. */
const mostKept = 1000;

/** The last unanswered write of each session. */
export class LostAnswers {
  readonly #writes = new Map<string, Kept>();

  /** The last write of this session, where it was not answered: the next one waits for its answer. */
  get(id: string): LostAnswer | undefined {
    return this.#writes.get(id);
  }

  /** Keeps a write for as long as the storage remembers its number; `now` is a moment of `monotonicNow()`. */
  keep(id: string, lost: LostAnswer, now: number): void {
    this.#writes.delete(id);
    this.#writes.set(id, { ...lost, until: now + writeMemory });
    for (const [oldest, { until }] of this.#writes) {
      if (until > now && this.#writes.size <= mostKept) break;
      this.#writes.delete(oldest);
    }
  }

  forget(id: string): void {
    this.#writes.delete(id);
  }
}
