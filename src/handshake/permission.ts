// Whether a session may be here: the answers of the application's function `allow`. Knows no server.
import type { IncomingMessage } from "node:http";
import { type Awaitable, isThenable } from "../internal/awaitable.js";
import { invalid, kindOf } from "../internal/check-options.js";
import { inTime } from "./cors.js";
import type { ActiveSession } from "../session/live-session.js";
import { fillRoot } from "../session/rebase.js";
import type { Reviews } from "../session/reviews.js";
import { createRoot, type SocketSession } from "../session/socket-session.js";

/**
 * Says whether a session may be here. At the handshake it gets the request, and may answer by a promise. After a change
 * of the data there is no request, and the answer must be there at once. Only `true` lets in.
 *
 * @example
 * ```ts
 * const isAdmin: Allow = (session) => session.role === "admin";
 * ```
 */
export type Allow = (session: SocketSession, request: IncomingMessage | undefined) => boolean | Promise<boolean>;

/** Asks the `allow` of one `attach()` call. */
export class Permission {
  readonly #allow: Allow;
  readonly #reviews: Reviews;
  readonly #onError: (error: unknown) => void;

  constructor(allow: Allow, reviews: Reviews, onError: (error: unknown) => void) {
    this.#allow = allow;
    this.#reviews = reviews;
    this.#onError = onError;
    reviews.isUsed = true;
  }

  /** Asks at the handshake; without a live session about an empty one. Neither throws nor rejects. */
  ask(
    live: ActiveSession | undefined,
    session: SocketSession,
    request: IncomingMessage | undefined,
  ): Awaitable<boolean> {
    try {
      const answer = this.#allow(session, request);
      if (isThenable(answer)) return this.#wait(answer as Promise<boolean>, live, session);
      return this.#isYes(answer) && this.#isStoredAllowed(session);
    } catch (error) {
      return this.#fails(error);
    }
  }

  /** Asks again, by the data alone. Does not throw. */
  isGiven(session: SocketSession): boolean {
    return this.#answer(session) && this.#isStoredAllowed(session);
  }

  /**
   * A client may send what a handler puts into the session and nobody can write: what others change does not come into
   * the data then. It counts all the same.
   */
  #isStoredAllowed(session: SocketSession): boolean {
    const text = this.#reviews.unmergedOf(session);
    if (text === undefined) return true;
    const stored = Object.defineProperty(createRoot(), "id", { value: session.id });
    fillRoot(stored, text);
    return this.#answer(stored as SocketSession);
  }

  #answer(session: SocketSession): boolean {
    try {
      const answer = this.#allow(session, undefined);
      if (isThenable(answer)) (answer as Promise<unknown>).then(undefined, this.#onError);
      return this.#isYes(answer);
    } catch (error) {
      return this.#fails(error);
    }
  }

  /** True where a session has changed in this turn of the event loop: its connections are asked after it. */
  isDue(live: ActiveSession): boolean {
    return this.#reviews.isDue(live);
  }

  /** Resolves when those that are due were asked. Whoever may not stay has been closed then; all others may go on. */
  async untilReviewed(): Promise<true> {
    await this.#reviews.untilReviewed();
    return true;
  }

  /** Has the connections of a session asked after this turn of the event loop. */
  reviewSoon(live: ActiveSession): void {
    this.#reviews.add(live);
  }

  async #wait(answer: Promise<boolean>, live: ActiveSession | undefined, session: SocketSession): Promise<boolean> {
    const hasChanged = live && this.#reviews.watch(live);
    const isAllowed = await inTime("allow", Promise.resolve(answer)).then(
      (value) => this.#isYes(value),
      (error: unknown) => this.#fails(error),
    );
    // The answer may be about data that is no more.
    const isOther = hasChanged?.() ?? false;
    return isAllowed && (isOther ? this.isGiven(session) : this.#isStoredAllowed(session));
  }

  #isYes(answer: unknown): boolean {
    if (answer === true) return true;
    if (answer === false || answer === undefined || answer === null) return false;
    const isLate = isThenable(answer);
    const detail = isLate
      ? "allow returned a promise after a change of the session: it may do so at the handshake alone, where there is a request."
      : `allow must return true or false, not ${kindOf(answer)}.`;
    return this.#fails(invalid(detail));
  }

  /** What fails lets nobody in. */
  #fails(error: unknown): false {
    this.#onError(error);
    return false;
  }
}
