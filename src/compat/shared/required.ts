// Checks what the older modules need, when it is passed in and not when it is first used.
import { SessionError } from "../../errors.js";
import type { CookieParser } from "./cookies.js";
import type { AnyStore } from "./sessions.js";

/** @throws SessionError `OPTION_INVALID` for a store that cannot be read, or a parser that is no function. */
export function requireParts(store: AnyStore, parser: CookieParser): void {
  const { load, get } = (store ?? {}) as { load?: unknown; get?: unknown };
  if (typeof load !== "function" && typeof get !== "function") {
    throw new SessionError("OPTION_INVALID", { detail: "The session store has neither load() nor get()." });
  }
  if (typeof parser !== "function") {
    throw new SessionError("OPTION_INVALID", { detail: "The cookie parser must be a function." });
  }
}
