// The cookies of a browser, for one site: all nodes of an application are one to it. Knows no HTTP client.
import { parseSetCookie, type SetCookie } from "cookie";
import { systemNow } from "../internal/system-time.js";

/** A cookie as it was set: its value is sent back as it came. */
interface Kept {
  readonly value: string;
  readonly path: string;
  readonly expires: number;
}

/**
 * Cookies by their names. Of what the server says of them, the path and the end count, the end by the time of sessions;
 * `Secure` ones are sent to the test's own machine, as browsers do.
 *
 * @example
 * ```ts
 * client.cookies.clear("connect.sid"); // the user has cleared it
 * ```
 */
export class CookieJar {
  readonly #cookies = new Map<string, Kept>();

  /** Keeps what `Set-Cookie` headers say. */
  take(lines: readonly string[]): void {
    for (const line of lines) {
      const cookie = parseSetCookie(line, { decode: (text) => text });
      const { name, value = "", path = "/" } = cookie;
      const kept = { value, path: path.startsWith("/") ? path : "/", expires: endOf(cookie) };
      if (kept.expires <= systemNow()) this.#cookies.delete(name);
      else this.#cookies.set(name, kept);
    }
  }

  /** The value of a cookie that is there, as it is sent. */
  get(name: string): string | undefined {
    const kept = this.#cookies.get(name);
    return kept && kept.expires > systemNow() ? kept.value : undefined;
  }

  /** Forgets a cookie, or all, as a user can. */
  clear(name?: string): void {
    if (name === undefined) this.#cookies.clear();
    else this.#cookies.delete(name);
  }

  /** The `Cookie` header for a path; undefined where there is none. */
  headerFor(path: string): string | undefined {
    const now = systemNow();
    const pairs = [...this.#cookies]
      .filter(([, kept]) => kept.expires > now && covers(kept.path, path))
      .map(([name, { value }]) => `${name}=${value}`);
    return pairs.length > 0 ? pairs.join("; ") : undefined;
  }
}

function endOf({ maxAge, expires }: SetCookie): number {
  if (maxAge !== undefined) return systemNow() + maxAge * 1000;
  return expires?.valueOf() ?? Number.POSITIVE_INFINITY;
}

/** https://www.rfc-editor.org/rfc/rfc6265#section-5.1.4 */
function covers(folder: string, path: string): boolean {
  if (path === folder || folder === "/") return true;
  return path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}
