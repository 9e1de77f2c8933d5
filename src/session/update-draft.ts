// The data that a function given to update() gets: plain stored data with the rules of a socket's session, so that names
// which a client chose do no harm in it, either.
import { refusalOf } from "./socket-session.js";
import { rawOf, ChangeTracker } from "./change-tracker.js";

/** Session data that says which of its fields cannot be set, and is stored by somebody else. */
class UpdateDraft extends ChangeTracker {
  readonly #refused: (error: unknown) => void;

  constructor(data: object, refused: (error: unknown) => void) {
    super(data);
    this.#refused = refused;
  }

  /** The data as the function gets it. */
  get data(): object {
    return this.track(this.root);
  }

  protected allowsChange(): boolean {
    return true;
  }

  protected override refusal(field: string, value: unknown, isOfCookie: boolean): unknown {
    return refusalOf(field, value, isOfCookie);
  }

  protected override report(error: unknown): void {
    this.#refused(error);
  }
}

/** Lets `change` work on the data, and answers with what it returned; `refused` hears of fields that cannot be set. */
export function changeSafely<Data extends object, T>(
  data: Data,
  change: (data: Data) => T,
  refused: (error: unknown) => void,
): T {
  return rawOf(change(new UpdateDraft(data, refused).data as Data)) as T;
}
