// Decides whether a page of some origin may open sockets here. Browsers do not stop a foreign page from opening a
// WebSocket with the user's cookies (cross-site WebSocket hijacking), so the server must.
import type { IncomingMessage } from "node:http";
import { after, type Awaitable } from "../internal/awaitable.js";
import { checkOrigin } from "../internal/check-origin.js";
import { warnOnce } from "../warnings.js";
import { type Cors, inTime, isAllowedByCors, matches } from "./cors.js";
import { isOrigin, parseOrigin, type ProxyTrust } from "./proxy-trust.js";

/** Origins that may connect besides the server's own: a list, or a function that decides. */
export type AllowedOrigins =
  | readonly (string | RegExp)[]
  | ((origin: string, request: IncomingMessage) => boolean | Promise<boolean>);

/** Which origins `attach()` allows beside the server's own. */
export interface OriginRules {
  readonly origins: AllowedOrigins;
  /** True refuses requests that do not say where they come from (native clients). */
  readonly requireOrigin: boolean;
  /** True lets in who follows a link of another page: the browser shows or keeps the answer, and no page can read it. */
  readonly takesVisits?: boolean;
}

/** Origins that something allows: a list or function, and the `cors` option of its server, as it is now. */
export interface OriginSource {
  readonly origins: AllowedOrigins;
  readonly cors?: (() => Cors | undefined) | undefined;
}

/** Allows what any of these allows; more may be added. */
export function allowedByAny(sources: readonly OriginSource[]): AllowedOrigins {
  return async (origin, request) => {
    for (const { origins, cors } of sources) {
      if (await isAllowed(origins, origin, request)) return true;
      if (await isAllowedByCors(cors?.(), origin, request)) return true;
    }
    return false;
  };
}

/** The origin that is refused, or undefined where the request may go on: at once, unless the application has to be asked. */
export function refusedOrigin(
  request: IncomingMessage,
  rules: OriginRules,
  trust: ProxyTrust,
  cors: Cors | undefined,
): Awaitable<string | undefined> {
  const strange = trust.strangeHost(request);
  if (strange !== undefined) return `(host ${strange})`;
  const { origin } = request.headers;
  if (typeof origin !== "string" || origin === "") return refusedWithoutOrigin(request, rules);
  // No browser sends it: there is nothing to look up.
  if (!isOrigin(origin)) return origin;
  if (trust.isPlainly(request, origin)) return undefined;
  const own = parseOrigin(origin);
  if (own !== undefined && own === trust.originOf(request)) return undefined;
  return after(isAllowed(rules.origins, origin, request), (isListed) =>
    after(isListed || isAllowedByCors(cors, origin, request), (isAllowedAnywhere) => {
      if (isAllowedAnywhere) return undefined;
      if (own !== undefined && own === trust.originOf(request, true)) warnOnce("PROXY_UNTRUSTED");
      return origin;
    }),
  );
}

/**
 * As {@link refusedOrigin}, for an HTTP route: what the browser says of the page in Sec-Fetch-Site comes first, as no
 * page can change it, and a page of another origin passes only if it is listed.
 */
export async function refusedPage(
  request: IncomingMessage,
  rules: OriginRules,
  trust: ProxyTrust,
): Promise<string | undefined> {
  const { origin, "sec-fetch-site": site } = request.headers;
  const strange = trust.strangeHost(request);
  if (strange !== undefined) return `(host ${strange})`;
  if (site === "same-origin") return undefined;
  if (site !== "cross-site" && site !== "same-site") return refusedOrigin(request, rules, trust, undefined);
  // A request of another page that hides its origin (an image, say) has nothing to look up.
  if (typeof origin !== "string" || origin === "") return `(${site})`;
  return isOrigin(origin) && (await isAllowed(rules.origins, origin, request)) ? undefined : origin;
}

/** Says which origin was refused, which one the server takes itself for, and the line to write; once for each origin. */
export function warnOfOrigin(refused: string, request: IncomingMessage, trust: ProxyTrust): void {
  const origin = refused.slice(0, 200);
  // To be refused is what the check wants to see.
  if (origin === checkOrigin) return;
  warnOnce("ORIGIN_REFUSED", origin, () => adviceOn(origin, ownOrigin(request, trust)));
}

function adviceOn(origin: string, own: string | undefined): string {
  const isListable = parseOrigin(origin) !== undefined;
  const what = `The page's origin is ${JSON.stringify(origin)}, the server takes itself for ${JSON.stringify(own ?? "(unknown)")}.`;
  const fix = isListable ? ` If the page is yours: sessions.attach(io, { origins: [${JSON.stringify(origin)}] }).` : "";
  // A dev server passes requests on, with another Host where it is told so.
  const isDevProxy = isListable && isLoopback(origin) && own !== undefined && isLoopback(own);
  const proxy = isDevProxy ? " Behind a dev proxy (Vite, webpack) leave out its changeOrigin." : "";
  return what + fix + proxy;
}

/** Undefined also where the application's own "trust proxy" function throws, which was reported. */
function ownOrigin(request: IncomingMessage, trust: ProxyTrust): string | undefined {
  try {
    return trust.originOf(request);
  } catch {
    return undefined;
  }
}

function isLoopback(origin: string): boolean {
  const { hostname } = new URL(origin);
  return (
    hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" || hostname.startsWith("127.")
  );
}

/** The origin of the page that sent a request, as far as it says; "" for what is no browser. */
export function originOfPage(request: IncomingMessage, trust: ProxyTrust): string {
  const { origin, "sec-fetch-site": site } = request.headers;
  if (typeof origin === "string" && origin !== "") return parseOrigin(origin) ?? origin;
  return site === "same-origin" ? (trust.originOf(request) ?? "") : "";
}

/**
 * Browsers leave Origin out of same-origin GET requests (the first request of a polling client), but say the same in
 * Sec-Fetch-Site (https://www.w3.org/TR/fetch-metadata/); without either it is not a browser of today.
 */
function refusedWithoutOrigin(request: IncomingMessage, rules: OriginRules): string | undefined {
  const site = request.headers["sec-fetch-site"];
  if (site === "same-origin") return undefined;
  if (site !== "cross-site" && site !== "same-site") return rules.requireOrigin ? "(none)" : undefined;
  const { "sec-fetch-mode": mode, "sec-fetch-dest": destination } = request.headers;
  return rules.takesVisits && mode === "navigate" && destination === "document" ? undefined : `(${site})`;
}

function isAllowed(origins: AllowedOrigins, origin: string, request: IncomingMessage): Awaitable<boolean> {
  if (typeof origins !== "function") return matches(origins, origin);
  const answer = origins(origin, request);
  // Another library's promise is no Promise of ours.
  return typeof answer === "boolean" ? answer : inTime("origins", answer).then((given) => given === true);
}
