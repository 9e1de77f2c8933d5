// A streamed answer as a client reads it: events of text/event-stream, and how it ends. Knows no session.

/** An event of a stream. */
export interface StreamEvent {
  readonly event: string;
  /** As it came: a text, or JSON. */
  readonly data: string;
  readonly id: string;
}

/** A streamed answer that a test client reads. */
export interface TestStream extends AsyncIterable<StreamEvent> {
  readonly response: Response;
  /** The next event, or the next of this name; those before it are dropped. Rejects where the stream is over before. */
  next(event?: string): Promise<StreamEvent>;
  /** All that came so far, as text; for answers that are no events. */
  readonly text: string;
  close(): void;
}

/** Reads an answer; `onEvent` hears of each event, `onClose` when it is over. */
export class EventStreamReader implements TestStream {
  readonly response: Response;
  text = "";
  readonly #abort: () => void;
  readonly #events: StreamEvent[] = [];
  #isOver = false;
  #wake: () => void = () => undefined;
  #news = this.#whenNews();

  constructor(response: Response, abort: () => void, onEvent: (event: StreamEvent) => void, onClose: () => void) {
    this.response = response;
    this.#abort = abort;
    void this.#read(onEvent).finally(() => {
      this.#isOver = true;
      this.#wake();
      onClose();
    });
  }

  async next(event?: string): Promise<StreamEvent> {
    for (;;) {
      const next = this.#events.shift();
      if (next && (event === undefined || next.event === event)) return next;
      if (next) continue;
      if (this.#isOver) throw new Error(`The stream is over${event === undefined ? "" : `, without ${event}`}.`);
      await this.#news;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamEvent, void> {
    for (;;) {
      const next = this.#events.shift();
      if (next) yield next;
      else if (this.#isOver) return;
      else await this.#news;
    }
  }

  close(): void {
    this.#abort();
  }

  #whenNews(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        resolve();
        this.#news = this.#whenNews();
      };
    });
  }

  async #read(onEvent: (event: StreamEvent) => void): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for await (const chunk of (this.response.body ?? []) as AsyncIterable<Uint8Array>) {
        const piece = decoder.decode(chunk, { stream: true });
        this.text += piece;
        const blocks = (rest + piece).split(/\r\n\r\n|\n\n|\r\r/);
        rest = blocks.pop() ?? "";
        for (const block of blocks) {
          const event = eventOf(block);
          if (!event) continue;
          this.#events.push(event);
          onEvent(event);
        }
        this.#wake();
      }
    } catch {
      // The client has closed it, or the server has cut it.
    }
  }
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation */
function eventOf(block: string): StreamEvent | undefined {
  const fields: Record<string, string[]> = {};
  for (const line of block.split(/\r\n|[\r\n]/)) {
    const [, name = "", value = ""] = /^([^:]+)(?:: ?(.*))?$/.exec(line) ?? [];
    (fields[name] ??= []).push(value);
  }
  const { data, event = [], id = [] } = fields;
  return data && { event: event.at(-1) || "message", data: data.join("\n"), id: id.at(-1) ?? "" };
}
