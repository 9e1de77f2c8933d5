// Reads the `cors` option of a Socket.IO or Engine.IO server as the package cors does: options, or a function that gives
// them for each request. `origin` may be a function, too.
import type { IncomingMessage } from "node:http";
import { parseOrigin, normalize } from "./proxy-trust.js";
import { type Awaitable } from "../internal/awaitable.js";
import { withTimeout } from "../internal/timeout.js";

/** The `cors` option, as far as it counts here. */
export interface CorsOptions {
  origin?: unknown;
  credentials?: boolean | undefined;
}

type Done<Answer> = (error: unknown, answer?: Answer) => void;

/** The option as applications give it; `cors: false` is none. */
export type Cors = CorsOptions | false | ((request: IncomingMessage, done: Done<CorsOptions>) => unknown);

type OriginFunction = (origin: string, done: Done<unknown>) => unknown;

/** How long a function of the application's may think about a handshake, in ms; then it is refused. */
export const answerTimeout = 5000;

/** Throws or rejects where a function of the application's throws, or does not answer in time. */
export function isAllowedByCors(cors: Cors | undefined, origin: string, request: IncomingMessage): Awaitable<boolean> {
  if (typeof cors !== "function") return isAllowedByOptions(cors, origin);
  return answerOf("cors", cors, request).then((options) => isAllowedByOptions(options, origin));
}

function isAllowedByOptions(options: CorsOptions | false | undefined, origin: string): Awaitable<boolean> {
  if (!options) return false;
  const { origin: allowed, credentials } = options;
  // Meant so, as it says that cookies may come along.
  if (allowed === true) return credentials === true;
  if (typeof allowed !== "function") return matches(allowed, origin);
  const answering = answerOf("cors.origin", allowed as OriginFunction, origin);
  return answering.then((answer) => answer === true || matches(answer, origin));
}

/** True where an entry of a list allows an origin. The wildcard allows none: CORS never lets it go with cookies. */
export function matches(allowed: unknown, origin: string): boolean {
  if (Array.isArray(allowed)) return allowed.some((one) => matches(one, origin));
  if (allowed instanceof RegExp) return new RegExp(allowed.source, allowed.flags.replace(/[gy]/g, "")).test(origin);
  if (typeof allowed !== "string" || allowed === "*") return false;
  if (allowed === origin) return true;
  const asked = parseOrigin(origin);
  return asked !== undefined && normalize(allowed) === asked;
}

/** Waits for a function of the application's, but not forever. */
export function inTime<Answer>(name: string, answer: Promise<Answer>): Promise<Answer> {
  return withTimeout(answer, answerTimeout, () => {
    throw new Error(`${name} did not answer within ${answerTimeout} ms.`);
  });
}

/** What a function with a callback answers; an error that it passes on is a no. It may be async, and reject. */
function answerOf<Asked, Answer>(
  name: string,
  ask: (asked: Asked, done: Done<Answer>) => unknown,
  asked: Asked,
): Promise<Answer | undefined> {
  const answer = new Promise<Answer | undefined>((resolve, reject) => {
    const returned = ask(asked, (error, given) => resolve(error ? undefined : given));
    Promise.resolve(returned).catch(reject);
  });
  return inTime(name, answer);
}
