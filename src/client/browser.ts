// The parts of a browser that the page's half uses. Each may be missing: the same code runs in a worker and in Node.
interface Environment {
  readonly location?: object;
  readonly BroadcastChannel?: object;
  readonly navigator?: { readonly locks?: { request(name: string, task: () => Promise<void>): Promise<unknown> } };
  /** Throws where the browser forbids it. */
  readonly localStorage: Record<string, string | number>;
  addEventListener?(event: string, listener: () => void, capture: boolean): void;
  removeEventListener?(event: string, listener: () => void, capture: boolean): void;
}

/** The global object. A worker lacks the storage, a page without TLS the locks, Node all of it. */
export const here = globalThis as unknown as Environment;

/** A long delay, in ms: a timer that runs longer than 2 ** 31 - 1 would fire at once. */
export const longest = 2e9;
