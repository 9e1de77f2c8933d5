// Brings changes to the subscribers on this node, and watches the sessions whose notices they need. Knows sessions by
// their ids alone.
import type { EndCode } from "../../errors.js";
import { monotonicNow } from "../../internal/monotonic.js";
import type { Notices, WriteId } from "../drivers/driver.js";

/** What happened: a session was stored here, was changed elsewhere, or has ended, or all have. */
export type Notice =
  | {
      readonly kind: "stored";
      readonly id: string;
      readonly text: string;
      /** Who wrote it, where that was a subscriber's session: it knows already. */
      readonly writer: object | undefined;
      /** The write that did it, where one was needed. */
      readonly write?: WriteId | undefined;
    }
  /** Another node changed it, or may have: it has to be read again. Without an id, all sessions have to. */
  | { readonly kind: "changed"; readonly id: string | undefined; readonly write?: WriteId | undefined }
  /** This write of another node was found: what it wrote is read by itself. */
  | { readonly kind: "written"; readonly id: string; readonly write: WriteId }
  | { readonly kind: "ended"; readonly id: string; readonly code: EndCode }
  /** All sessions have ended. */
  | { readonly kind: "cleared" }
  /** A record in the storage is no session. */
  | { readonly kind: "unreadable"; readonly id: string };

/** Gets all changes, and may hold changes that the store has not got yet. */
export interface Subscriber {
  /** Called within the session's queue, right after the commit, or when another node's notice comes. Must not throw. */
  onNotice(notice: Notice): void;
  /** Saves what is held back for this session; `undefined` when nothing is. */
  flush(id: string): Promise<void> | undefined;
  /** Whether it still needs the notices of this session. */
  watches(id: string): boolean;
  /** Number of connections that this session has here. */
  connectionsOf(id: string): number;
}

/** What connects the subscribers on this node with each other and with the other nodes. */
export class ChangeBus {
  readonly #subscribers = new Set<Subscriber>();
  /** How many tasks watch a session for as long as they take. */
  readonly #watchingTasks = new Map<string, number>();
  readonly #notices: Notices | undefined;
  #isHearing: boolean;
  /** True while notices that were heard before are missed. */
  #isMissing = false;
  #outageUntil = 0;

  /** `notices` are the driver's, where its storage tells other nodes. */
  constructor(notices: Notices | undefined) {
    this.#notices = notices;
    this.#isHearing = !notices;
  }

  /** Notices of other nodes are heard from now on, or may be missed. */
  onHearing(isHearing: boolean): void {
    this.#isHearing = isHearing;
    if (this.#isMissing) this.#outageUntil = monotonicNow();
    this.#isMissing = !isHearing;
    // Nobody knows what happened meanwhile.
    if (isHearing) this.notify({ kind: "changed", id: undefined });
  }

  /** False while notices of other nodes may be missed. */
  get isHearing(): boolean {
    return this.#isHearing;
  }

  /** When notices were last missed, or now while they are (a moment of `monotonicNow()`); 0 where they never were. */
  get outageUntil(): number {
    return this.#isMissing ? monotonicNow() : this.#outageUntil;
  }

  /** Brings all changes to `subscriber`, until the returned function is called. */
  subscribe(subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber);
    return () => {
      this.#subscribers.delete(subscriber);
      if (this.#subscribers.size === 0) this.#notices?.close();
    };
  }

  /** Tells all subscribers. */
  notify(notice: Notice): void {
    for (const subscriber of this.#subscribers) subscriber.onNotice(notice);
  }

  /** Has the subscribers save what they hold back for this session; undefined when they hold nothing. */
  flush(id: string): Promise<void> | undefined {
    let pending: Promise<void>[] | undefined;
    for (const subscriber of this.#subscribers) {
      const flushing = subscriber.flush(id);
      if (flushing) (pending ??= []).push(flushing);
    }
    return pending && Promise.all(pending).then(() => undefined);
  }

  /** Number of connections that this session has on this node. */
  connectionsOf(id: string): number {
    let count = 0;
    for (const subscriber of this.#subscribers) count += subscriber.connectionsOf(id);
    return count;
  }

  /** Asks for the notices of a session; undefined where the storage has none, or where they are heard at once. */
  watch(id: string): Promise<void> | undefined {
    return this.#notices?.watch(id);
  }

  /** Lets go of the notices of a session, unless somebody else needs them. */
  unwatch(id: string): void {
    if (this.#watchingTasks.has(id)) return;
    for (const subscriber of this.#subscribers) if (subscriber.watches(id)) return;
    this.#notices?.unwatch(id);
  }

  /** Watches a session for as long as `work` takes. */
  async whileWatching<T>(id: string, work: () => Promise<T>): Promise<T> {
    this.#watchingTasks.set(id, (this.#watchingTasks.get(id) ?? 0) + 1);
    try {
      await this.watch(id);
      return await work();
    } finally {
      const left = (this.#watchingTasks.get(id) ?? 1) - 1;
      if (left > 0) this.#watchingTasks.set(id, left);
      else this.#watchingTasks.delete(id);
      this.unwatch(id);
    }
  }
}
