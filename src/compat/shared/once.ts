// One answer per callback, whatever the application's parsers, stores and functions do.

/**
 * Runs `work` with a callback that counts once: what comes later is dropped, and what `work` throws or rejects with
 * before it has answered is its answer.
 */
export function once<Values extends unknown[]>(
  done: (error: unknown, ...values: Values) => void,
  work: (answer: (error: unknown, ...values: Values) => void) => unknown,
): void {
  let isAnswered = false;
  const answer = (error: unknown, ...values: Values): void => {
    if (isAnswered) return;
    isAnswered = true;
    done(error, ...values);
  };
  const failed = (error: unknown): void => {
    if (isAnswered) throw error;
    (answer as unknown as (error: unknown) => void)(error ?? new Error("failed without saying why"));
  };
  let returned: unknown;
  try {
    returned = work(answer);
  } catch (error) {
    failed(error);
  }
  if (returned instanceof Promise) returned.catch(failed);
}
