// Lets a callback be called once, whatever the application's parsers, stores and functions do.
import { SessionError } from "../../errors.js";

/**
 * Runs `work` with a callback that counts once: what comes later is dropped, and what `work` throws or rejects with
 * before it has answered is its answer. With `within` (ms) it is `STORE_UNAVAILABLE` where none comes in time.
 */
export function once<Values extends unknown[]>(
  done: (error: unknown, ...values: Values) => void,
  work: (answer: (error: unknown, ...values: Values) => void) => unknown,
  within?: number,
): void {
  let isAnswered = false;
  let isLate = false;
  let timer: NodeJS.Timeout | undefined;
  const answer = (error: unknown, ...values: Values): void => {
    if (isAnswered) return;
    isAnswered = true;
    clearTimeout(timer);
    done(error, ...values);
  };
  const fail = answer as unknown as (error: unknown) => void;
  const failed = (error: unknown): void => {
    // What was given up is nobody's failure any more.
    if (isLate) return;
    if (isAnswered) throw error;
    fail(error ?? new Error("failed without saying why"));
  };
  if (within !== undefined) {
    timer = setTimeout(() => {
      isLate = true;
      fail(new SessionError("STORE_UNAVAILABLE", { detail: `It had ${within} ms.` }));
    }, within);
  }
  let returned: unknown;
  try {
    returned = work(answer);
  } catch (error) {
    failed(error);
  }
  if (returned instanceof Promise) returned.catch(failed);
}
