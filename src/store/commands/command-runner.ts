// Commands to a storage: how long one may take, how many may be under way, and since when the storage does not answer.
// Of sessions it knows only that ids stay out of errors.
import { inspect } from "node:util";
import createDebug from "debug";
import { SessionError } from "../../errors.js";
import { type Awaitable, promised } from "../../internal/awaitable.js";
import { monotonicNow } from "../../internal/monotonic.js";
import { Refusal } from "../drivers/refusal.js";
import { Deadlines } from "./deadlines.js";

const debug = createDebug("socket-session:commands");

/** How many commands that were given up may be under way. Beyond, each further command fails at once. */
const mostUnanswered = 1000;

/** Errors about a missing method or one record: they are no sign that the storage is down. */
const isNoOutage: ReadonlySet<string> = new Set(["STORE_UNSUPPORTED", "RECORD_INVALID"]);

/** Runs the commands of one storage. */
export class CommandRunner {
  /** Since when the storage does not answer (a moment of `monotonicNow()`); undefined while it does. */
  downSince: number | undefined;
  /** How long a command may take, in ms. */
  readonly timeout: number;
  readonly #isShared: boolean;
  readonly #connectionError: () => unknown;
  readonly #deadlines: Deadlines;
  /** Commands that were given up since the last answer, and are still under way. */
  #unanswered = 0;
  /** How often there was an answer after commands that were given up. */
  #answers = 0;
  #outageUntil = 0;

  /** `timeout` in ms; `connectionError` is the driver's. Only a shared storage can fail to answer. */
  constructor(isShared: boolean, timeout: number, connectionError: () => unknown = () => undefined) {
    this.#isShared = isShared;
    this.#connectionError = connectionError;
    this.timeout = timeout;
    this.#deadlines = new Deadlines(timeout);
  }

  /** When the last outage ended, or now during one (a moment of `monotonicNow()`); 0 where there was none. */
  get outageUntil(): number {
    return this.downSince === undefined ? this.#outageUntil : monotonicNow();
  }

  /**
   * Runs a command. Whatever fails is `STORE_UNAVAILABLE`, without the id in the cause. The answer of a storage that is
   * not shared is handed on as it comes.
   */
  run<T>(id: string, command: () => Promise<T>): Promise<T>;
  run<T>(id: string, command: () => Awaitable<T>): Awaitable<T>;
  run<T>(id: string, command: () => Awaitable<T>): Awaitable<T> {
    return this.#isShared ? this.#runShared(id, command) : command();
  }

  #runShared<T>(id: string, command: () => Awaitable<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      // Clients queue what they cannot send: an outage must not fill the memory with commands.
      if (this.#unanswered >= mostUnanswered) {
        reject(this.#failed(new Error("too many commands wait for an answer"), id));
        return;
      }
      let answersBefore = -1;
      const deadline = this.#deadlines.begin(() => {
        this.#unanswered++;
        answersBefore = this.#answers;
        reject(this.#failed(new Error(`no answer within ${this.timeout} ms`), id));
      });
      // True where somebody still waits for the answer.
      const isInTime = (): boolean => {
        if (this.#deadlines.meet(deadline)) return true;
        if (answersBefore === this.#answers) this.#unanswered--;
        return false;
      };
      promised(command).then(
        (answer) => {
          if (!isInTime()) return;
          this.#answered();
          resolve(answer);
        },
        (error: unknown) => isInTime() && reject(this.#failed(error, id)),
      );
    });
  }

  /** What a command that failed with `cause` rejects with. */
  #failed(cause: unknown, id: string): SessionError {
    if (cause instanceof SessionError && isNoOutage.has(cause.code)) return cause;
    if (cause instanceof Refusal) {
      // It is an answer, about one session perhaps: the storage is there for the others.
      this.#answered();
      return new SessionError("STORE_UNAVAILABLE", { cause });
    }
    const error = redact(cause, id);
    if (this.downSince === undefined) debug("the storage does not answer: %s", error);
    this.downSince ??= monotonicNow();
    const trouble = this.#connectionError();
    return new SessionError("STORE_UNAVAILABLE", { cause: trouble instanceof Refusal ? trouble : error });
  }

  #answered(): void {
    if (this.downSince !== undefined) this.#isBack(this.downSince);
    // One session that never gets an answer must not take the storage from the others.
    if (this.#unanswered > 0) this.#answers++;
    this.#unanswered = 0;
  }

  #isBack(since: number): void {
    const now = monotonicNow();
    debug("the storage answers again, after %d ms", now - since);
    this.downSince = undefined;
    this.#outageUntil = now;
  }
}

/** The error without the session id, which stores like to put into theirs. */
export function redact(error: unknown, id: string): unknown {
  if (id === "" || !inspect(error, { depth: 10, maxArrayLength: null, maxStringLength: null }).includes(id))
    return error;
  const message =
    error instanceof Error ? error.message.replaceAll(id, "(session id)") : "details contain the session id";
  return new Error(message);
}
