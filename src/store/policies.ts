// What a createSessions() asks of all sessions in its store. HTTP writes follow it, too, so that a store has one answer
// to each question: those who share a store must agree.
import { invalid } from "../internal/check-options.js";
import type { UserOf } from "./users/user-sessions.js";

/** Undefined stands for "as the store has it". */
export interface Policies {
  /** How long a session may live since it was created, in ms. */
  readonly absoluteTimeout?: number | undefined;
  /** How many bytes (UTF-8) a session may take as it is stored. */
  readonly maxSessionSize?: number | undefined;
  /** Whose a session is. */
  readonly user?: UserOf | undefined;
}

/**
 * Refuses a policy where another createSessions() that is open has a different one.
 *
 * @throws SessionError `OPTION_INVALID`
 */
export function checkAgreement(given: Policies, open: Iterable<Policies>): void {
  for (const standing of open) {
    for (const name of ["absoluteTimeout", "maxSessionSize", "user"] as const) {
      const [one, other] = [given[name], standing[name]];
      // Functions with one text may still answer differently: only the same one is known to agree.
      if (one === undefined || other === undefined || one === other) continue;
      const what = typeof one === "function" ? "another function than" : `${one}, and ${String(other)}`;
      const detail = `${name} is ${what} in another createSessions() over the same store.`;
      throw invalid(`${detail} Give both the same, or close() the other one first.`);
    }
  }
}
