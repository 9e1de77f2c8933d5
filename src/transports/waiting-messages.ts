// The messages of one connection that wait until its session was read again: in their order, and bounded, as they take
// this node's memory. Knows no server.

/** How much may wait of one connection. */
export interface WaitingLimits {
  readonly events: number;
  /** Beyond so many bytes nothing more is taken: what waits is at most this and one message more. */
  readonly bytes: number;
}

/** Counts the messages of a connection that wait, and their bytes. */
export class WaitingCount {
  readonly #limits: WaitingLimits;
  #events = 0;
  #bytes = 0;

  constructor(limits: WaitingLimits) {
    this.#limits = limits;
  }

  /** False where it would be too much. */
  add(message: unknown): boolean {
    const { events, bytes } = this.#limits;
    if (this.#events >= events || this.#bytes > bytes) return false;
    this.#events++;
    this.#bytes += bytesOf(message);
    return true;
  }

  remove(message: unknown): void {
    this.#events--;
    this.#bytes -= bytesOf(message);
  }
}

interface Entry<Receiver> {
  readonly receiver: Receiver;
  readonly message: unknown;
}

/** The messages of a connection that wait, in their order. */
export class WaitingMessages<Receiver> implements Iterable<Entry<Receiver>> {
  /** Lets the client send again, where it was asked not to. */
  resume: (() => void) | undefined;
  readonly #count: WaitingCount;
  #entries: Entry<Receiver>[] | undefined;

  constructor(limits: WaitingLimits) {
    this.#count = new WaitingCount(limits);
  }

  /** False where it would be too much. */
  add(receiver: Receiver, message: unknown): boolean {
    if (!this.#count.add(message)) return false;
    // Not made empty and pushed to: there is nearly always one.
    if (this.#entries) this.#entries.push({ receiver, message });
    else this.#entries = [{ receiver, message }];
    return true;
  }

  *[Symbol.iterator](): Iterator<Entry<Receiver>> {
    yield* this.#entries ?? [];
  }
}

/**
 * About how many bytes a message took on its way here: its texts, its attachments, and a few for each value. A client
 * shapes it, so there is no recursion.
 */
export function bytesOf(message: unknown): number {
  let bytes = 0;
  const open = [message];
  while (open.length > 0) {
    const value = open.pop();
    bytes += 2;
    if (typeof value === "string") bytes += Buffer.byteLength(value);
    else if (typeof value !== "object" || value === null) bytes += 4;
    else if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) bytes += value.byteLength;
    else if (value instanceof Blob) bytes += value.size;
    else if (Array.isArray(value)) for (const one of value) open.push(one);
    else {
      for (const [key, one] of Object.entries(value)) {
        bytes += Buffer.byteLength(key);
        open.push(one);
      }
    }
  }
  return bytes;
}
