// What a storage refuses until somebody mends the set-up. It is an answer and no outage.
import { SessionError } from "../../errors.js";

/** `STORE_NOT_READY`, by the storage's own answer: trying again does not help. */
export class Refusal extends SessionError {
  constructor(fix: string) {
    // The storage has said what is wrong: the other causes would hide it.
    super("STORE_NOT_READY", { fix });
  }
}
