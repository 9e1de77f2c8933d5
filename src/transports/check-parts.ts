// attach() looks for every method that it will use, so that a server that lacks one is refused at once, by name.
import { SessionError } from "../errors.js";

/** @throws SessionError `SERVER_UNSUPPORTED` where `target`, which is called `name`, lacks one of these methods. */
export function checkMethods(target: object, name: string, methods: readonly string[], supported: string): void {
  const missing = methods.find((method) => typeof (target as Record<string, unknown>)[method] !== "function");
  if (missing !== undefined) throw unsupported(`${name}.${missing}()`, supported);
}

/** The error for a server that lacks a part. */
export function unsupported(part: string, supported: string): SessionError {
  return new SessionError("SERVER_UNSUPPORTED", { detail: `It has no ${part}. This library supports ${supported}.` });
}
