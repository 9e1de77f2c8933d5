// What a page may see of its session: what the application's view function makes of the stored data, as JSON. Knows
// neither connections nor HTTP.
import { type SessionData } from "express-session";
import { SessionError } from "../errors.js";
import { isThenable } from "../internal/awaitable.js";
import { inflate, parse, stringify, strip } from "../store/record/session-record.js";
import { systemNow } from "../internal/system-time.js";

/** Says what the page may see: gets a copy of the stored session, returns what JSON can hold. */
export type ViewFunction<View = unknown> = (session: Partial<SessionData>) => View;

/** What the server tells a page of its session. */
export interface SessionView {
  /** What the view function returned; null where there is none. */
  readonly view: unknown;
  /** How long the session lasts if nothing happens, in ms; null where nothing ends it. */
  readonly expiresIn: number | null;
  /** False where the server has no view function: a page that waits for views would wait for ever. */
  readonly hasView?: false;
}

/** The views of one `createSessions()`. */
export class Views {
  readonly #view: ViewFunction | undefined;
  readonly #failed: (error: unknown) => void;

  constructor(view: ViewFunction | undefined, failed: (error: unknown) => void) {
    this.#view = view;
    this.#failed = failed;
  }

  /** False where no page is to be told of changes. */
  get isSet(): boolean {
    return this.#view !== undefined;
  }

  /** What a page is told of its session: the view, as JSON, and how long the session lasts. */
  tell(view: string, expiresIn: number | null): SessionView {
    const seen = { view: JSON.parse(view) as unknown, expiresIn };
    return this.isSet ? seen : { ...seen, hasView: false };
  }

  /** The view of a stored session, as JSON; undefined where the application's function failed, which is reported. */
  of(text: string): string | undefined {
    if (!this.#view) return "null";
    try {
      // As text, at once: what is sent later is what was seen now, and binary data is no attachment.
      const seen = this.#view(inflate(strip(parse(text))));
      if (isThenable(seen)) throw isAsync();
      const view = stringify({ view: seen });
      return view === "{}" ? "null" : view.slice(`{"view":`.length, -1);
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }
}

function isAsync(): SessionError {
  const detail =
    "view() returned a promise, and pages were sent nothing. Await before you write to the session, and let view() choose from what is there.";
  return new SessionError("OPTION_INVALID", { detail });
}

/** How long from now, for a page. */
export function timeUntil(at: number, now = systemNow()): number | null {
  return at === Number.POSITIVE_INFINITY ? null : Math.max(0, Math.round(at - now));
}
