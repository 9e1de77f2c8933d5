// How a client of a test learns that it was refused, or why its session ended.
import type { SessionCode } from "../errors.js";

/**
 * A connection that the server refused.
 *
 * @example
 * ```ts
 * await assert.rejects(client.socket("/admin"), { code: "SESSION_FORBIDDEN" });
 * ```
 */
export class ConnectionRefused extends Error {
  override readonly name = "ConnectionRefused";
  /** Why; undefined where the server did not say, or where something else refused it. */
  readonly code: SessionCode | undefined;
  /** The HTTP status, where it was refused over HTTP. */
  readonly status: number | undefined;

  /** @internal */
  constructor(what: string, code: SessionCode | undefined, status?: number, cause?: unknown) {
    const why = code ?? (status === undefined ? "the server did not say why" : `status ${status}`);
    super(`${what} was refused: ${why}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = status;
  }
}

/** The code in what a server said: an object, or a JSON text. Undefined where there is none. */
export function codeIn(said: unknown): SessionCode | undefined {
  let value = said;
  if (typeof said === "string") {
    try {
      value = JSON.parse(said) as unknown;
    } catch {
      // The reason of a WebSocket's close is the code itself.
      value = { code: said };
    }
  }
  const code = (value as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" && /^[A-Z]+(_[A-Z]+)+$/.test(code) ? (code as SessionCode) : undefined;
}
