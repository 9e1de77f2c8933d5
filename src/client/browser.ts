// What is used of the browser. Every part may be missing, so that the same code runs in a worker and in Node.
interface Surroundings {
  readonly location?: object;
  readonly BroadcastChannel?: object;
  readonly navigator?: { readonly locks?: { request(name: string, held: () => Promise<void>): Promise<unknown> } };
  /** Throws where it may not be used. */
  readonly localStorage: Record<string, string | number>;
  addEventListener?(event: string, listener: () => void, capture: boolean): void;
  removeEventListener?(event: string, listener: () => void, capture: boolean): void;
}

/** The browser, where there is one: a worker lacks the storage, a page without TLS the locks, Node all of it. */
export const here = globalThis as unknown as Surroundings;

/** The longest that a timer may run, in ms: a longer one would fire at once. */
export const longest = 2 ** 31 - 1;
