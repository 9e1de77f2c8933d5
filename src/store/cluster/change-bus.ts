// Who hears of changes on this node, and what is heard of other nodes for them. Knows sessions by their ids alone.
import type { EndCode } from "../../errors.js";
import { monotonicNow } from "../../internal/monotonic.js";
import type { Notices, WriteId } from "../drivers/driver.js";

/** What a live store tells: a session was stored here, was changed elsewhere, has ended, or all have. */
export type Notice =
  | {
      readonly kind: "stored";
      readonly id: string;
      readonly text: string;
      /** Who wrote it, where that was a subscriber's: it has been told. */
      readonly writer: object | undefined;
      /** The write that did it, where one was needed. */
      readonly write?: WriteId | undefined;
    }
  /** Another node changed it, or may have: what is known of it no longer counts. Without an id: of all sessions. */
  | { readonly kind: "changed"; readonly id: string | undefined; readonly write?: WriteId | undefined }
  | { readonly kind: "ended"; readonly id: string; readonly code: EndCode }
  /** All sessions have ended. */
  | { readonly kind: "cleared" }
  /** A record in the storage is no session. */
  | { readonly kind: "unreadable"; readonly id: string };

/** Who wants to hear of changes, and may hold changes that the store has not seen yet. */
export interface Subscriber {
  /** Called within the session's queue, right after the commit, or when another node's notice comes. Must not throw. */
  onNotice(notice: Notice): void;
  /** Saves what is held back for this session; `undefined` when nothing is. */
  flush(id: string): Promise<void> | undefined;
  /** Whether it still wants to hear of this session. */
  watches(id: string): boolean;
  /** Number of connections that this session has here. */
  connectionsOf(id: string): number;
}

/** Brings changes to the subscribers on this node, and watches the sessions that they want to hear of. */
export class ChangeBus {
  readonly #subscribers = new Set<Subscriber>();
  /** Who watches sessions without being subscribed, and how often. */
  readonly #held = new Map<string, number>();
  readonly #notices: Notices | undefined;
  #isHearing: boolean;
  /** True from when notices are not heard any more until they are again. */
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

  /** Until when notices were missed, the last time that they were (a moment of `monotonicNow()`); 0 where they never were. */
  get outageUntil(): number {
    return this.#isMissing ? monotonicNow() : this.#outageUntil;
  }

  /** Until the returned function is called. */
  subscribe(subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber);
    return () => {
      this.#subscribers.delete(subscriber);
      if (this.#subscribers.size === 0) this.#notices?.close();
    };
  }

  notify(notice: Notice): void {
    for (const subscriber of this.#subscribers) subscriber.onNotice(notice);
  }

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

  watch(id: string): Promise<void> | undefined {
    return this.#notices?.watch(id);
  }

  unwatch(id: string): void {
    if (this.#held.has(id)) return;
    for (const subscriber of this.#subscribers) if (subscriber.watches(id)) return;
    this.#notices?.unwatch(id);
  }

  /** Watches a session for as long as `work` takes, whoever else does. */
  async whileWatching<T>(id: string, work: () => Promise<T>): Promise<T> {
    this.#held.set(id, (this.#held.get(id) ?? 0) + 1);
    try {
      await this.watch(id);
      return await work();
    } finally {
      const left = (this.#held.get(id) ?? 1) - 1;
      if (left > 0) this.#held.set(id, left);
      else this.#held.delete(id);
      this.unwatch(id);
    }
  }
}
