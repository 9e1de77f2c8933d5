// The users of sessions, as Passport has them: derived by the application's deserializeUser(), once for each session until
// its data changes. Knows neither sockets nor HTTP. Passport is recognised by its shape.
import type { SessionData } from "express-session";
import { SessionError } from "../errors.js";
import { rawOf } from "./change-tracker.js";

declare global {
  namespace Express {
    /** What Passport's types declare, too, and the application adds its fields to. */
    // oxlint-disable-next-line typescript/no-empty-interface, typescript/no-empty-object-type
    interface User {}
  }
}

/**
 * What is used of Passport.
 *
 * @example
 * ```ts
 * import passport from "passport";
 * createSessions({ secret, passport });
 * ```
 */
export interface PassportLike {
  deserializeUser(...values: never[]): unknown;
}

type Deserialize = (
  serialized: unknown,
  request: unknown,
  done: (error: unknown, user?: Express.User | false | null) => void,
) => void;

interface Derived {
  /** The data that the user was derived from, as text. */
  readonly from: string | undefined;
  readonly user: Promise<Express.User | undefined>;
}

/** The users of the sessions of one `createSessions()`. */
export class PassportUsers {
  readonly #passport: PassportLike;
  readonly #onError: (error: unknown) => void;
  /** By the data of a session. */
  readonly #derived = new WeakMap<object, Derived>();

  constructor(passport: PassportLike, onError: (error: unknown) => void) {
    this.#passport = passport;
    this.#onError = onError;
  }

  /** Derives the user, unless that was done and the data is the same; undefined where there is none. */
  of(data: Partial<SessionData>, request: unknown): Promise<Express.User | undefined> {
    const { passport } = data as { passport?: { user?: unknown } };
    const serialized = passport?.user;
    if (serialized === undefined || serialized === null) return Promise.resolve(undefined);
    const from = textOf(data);
    const known = this.#derived.get(data);
    if (known && from !== undefined && known.from === from) return known.user;
    const user = this.#derive(structuredClone(rawOf(serialized)), request);
    this.#derived.set(data, { from, user });
    // The next one asks again.
    user.catch((error: unknown) => {
      if (this.#derived.get(data)?.user === user) this.#derived.delete(data);
      this.#onError(error);
    });
    return user;
  }

  async #derive(serialized: unknown, request: unknown): Promise<Express.User | undefined> {
    const passport = this.#passport as { deserializeUser: Deserialize };
    try {
      return await new Promise((resolve, reject) => {
        passport.deserializeUser(serialized, request, (error, user) => {
          // Whoever has logged in and was removed since is null or false.
          if (error === undefined || error === null || error === false) resolve(user || undefined);
          // oxlint-disable-next-line typescript/prefer-promise-reject-errors
          else reject(error);
        });
      });
    } catch (error) {
      throw new SessionError("USER_UNAVAILABLE", { cause: error });
    }
  }
}

/** The fields without the cookie, which every activity changes; undefined for what cannot be stored. */
function textOf(data: Partial<SessionData>): string | undefined {
  // The data of a session is filled in when it is looked at.
  const { cookie: _, ...fields } = data;
  try {
    return JSON.stringify(fields);
  } catch {
    return undefined;
  }
}
