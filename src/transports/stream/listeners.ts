// The application's emitters that a stream listens to, until it is over. Knows no stream.

/** What a stream can listen to: an `EventEmitter`, or what has its `on` and `off`. */
export interface Listenable {
  // `never`: whatever events an application has typed, its emitter fits.
  on(event: never, listener: never): unknown;
  off(event: never, listener: never): unknown;
}

/** A listener for an application's emitter. */
export type Listener = (this: unknown, data?: unknown) => void;

/** What Node's emitters tell of their listeners. */
interface Emitter {
  eventNames(): (string | symbol)[];
  listenerCount(event: string | symbol, listener?: unknown): number;
  off(event: string | symbol, listener: unknown): unknown;
}

/** The listeners of one stream. */
export class Listeners {
  #send: ((event: string, data: unknown) => void) | undefined;
  #removals: (() => void)[] = [];
  /** Emitters that have called a listener: each passes itself as `this`. */
  #seen = new Map<Listener, Set<Emitter>>();

  constructor(send: (event: string, data: unknown) => void) {
    this.#send = send;
  }

  /** Listens to an emitter until {@link Listeners.remove}. */
  listen(emitter: Listenable, event: string, name: string): void {
    const listener = (data?: unknown): void => this.#send?.(name, data);
    emitter.on(event as never, listener as never);
    this.#removals.push(() => emitter.off(event as never, listener as never));
  }

  /** A listener for the application to add. Nobody says to which emitter: that is known from its first call on. */
  create(name: string): Listener {
    // oxlint-disable-next-line typescript/no-this-alias, unicorn/no-this-assignment -- the listener's `this` is the emitter
    const all = this;
    return function listener(this: unknown, data?: unknown): void {
      if (!all.#send) return detach(this, listener);
      all.#note(this, listener);
      all.#send(name, data);
    };
  }

  /** Removes all listeners from where they are known to be. One that was never called is removed at its first call. */
  remove(): void {
    this.#send = undefined;
    const [removals, seen] = [this.#removals, this.#seen];
    this.#removals = [];
    this.#seen = new Map();
    for (const remove of removals) remove();
    for (const [listener, emitters] of seen) for (const emitter of emitters) detach(emitter, listener);
  }

  #note(emitter: unknown, listener: Listener): void {
    if (!isEmitter(emitter)) return;
    const known = this.#seen.get(listener);
    if (known) known.add(emitter);
    else this.#seen.set(listener, new Set([emitter]));
  }
}

/** For a stream that is over: removes itself at its first call. One for all, so that nobody's requests fill an emitter. */
export const spent: Listener = function listener(this: unknown): void {
  detach(this, listener);
};

/** Removes a listener from an emitter, whatever the name of its event there. */
function detach(emitter: unknown, listener: Listener): void {
  if (!isEmitter(emitter)) return;
  for (const event of emitter.eventNames()) {
    for (let count = emitter.listenerCount(event, listener); count > 0; count--) emitter.off(event, listener);
  }
}

function isEmitter(value: unknown): value is Emitter {
  const emitter = value as Partial<Emitter> | null | undefined;
  return typeof emitter?.eventNames === "function" && typeof emitter.listenerCount === "function";
}
