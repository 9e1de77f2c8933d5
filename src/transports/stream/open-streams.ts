// The streams that are open, and the one timer that keeps them alive. Knows no session.

/** A stream, as far as it is used here. */
interface Stream {
  keepAlive(): void;
  leave(): void;
}

/** Streams with the same pause between comments. */
export class OpenStreams {
  readonly #pause: number;
  readonly #streams = new Set<Stream>();
  #timer: NodeJS.Timeout | undefined;

  /** `pause` in ms; 0: no comments. */
  constructor(pause: number) {
    this.#pause = pause;
  }

  add(stream: Stream): void {
    this.#streams.add(stream);
    if (this.#pause > 0) this.#timer ??= setInterval(() => this.#keepAlive(), this.#pause).unref();
  }

  delete(stream: Stream): void {
    if (!this.#streams.delete(stream) || this.#streams.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Ends all that clients come back to. */
  leave(): void {
    for (const stream of this.#streams) stream.leave();
  }

  #keepAlive(): void {
    for (const stream of this.#streams) stream.keepAlive();
  }
}
