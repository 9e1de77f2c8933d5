// Checks express-session's options when they are given, and the values of their functions when those return.
// express-session itself finds most mistakes at a request, or never.
import type { IncomingMessage } from "node:http";
import type { SessionOptions } from "express-session";
import { forwardedScheme, isEncrypted, type ProxyTrust } from "../handshake/proxy-trust.js";
import {
  checkBooleans,
  checkFunctions,
  checkNames,
  invalid,
  kindOf,
  type NamesOf,
  shown,
} from "../internal/check-options.js";
import { isKnownSecret } from "../internal/known-secret.js";
import { cookieRules } from "../store/record/cookie-rules.js";
import { warnOnce } from "../warnings.js";
import { isHandshake } from "./handshake-request.js";

/** What express-session takes, but for the store. */
export interface HttpOptions extends Omit<SessionOptions, "store" | "secret"> {
  secret?: SessionOptions["secret"] | undefined;
  /** The older word for `name`. */
  key?: string | undefined;
}

/** Their names. */
export const httpNames: NamesOf<HttpOptions> = {
  secret: true,
  genid: true,
  name: true,
  key: true,
  cookie: true,
  rolling: true,
  resave: true,
  proxy: true,
  saveUninitialized: true,
  unset: true,
};

/** What secrets are signed with; the first signs. */
export type Secrets = readonly (string | Buffer)[];

/** What a template makes of a variable that is not set. */
const missing = ["undefined", "null"];
const isItSet = "Is the environment variable set that it comes from, SESSION_SECRET perhaps?";

/** What something is that is no secret; undefined for a secret, which nobody may see. */
function noSecret(given: unknown): string | undefined {
  if (given === undefined) return `undefined. ${isItSet}`;
  if (typeof given !== "string") return Buffer.isBuffer(given) && given.length > 0 ? undefined : `${kindOf(given)}.`;
  if (given.trim() === "") return "an empty string.";
  return missing.includes(given) ? `the text "${given}". ${isItSet}` : undefined;
}

/** @throws SessionError `OPTION_INVALID` */
export function secretsOf(secret: unknown): Secrets {
  const secrets = (Array.isArray(secret) ? secret : [secret]) as unknown[];
  const wrong = secrets.length === 0 ? "an empty array." : secrets.map(noSecret).find((one) => one !== undefined);
  if (wrong !== undefined)
    throw invalid(`secret must be a string, or a list of strings of which the first signs, not ${wrong}`);
  if (process.env["NODE_ENV"] === "production" && (secrets as Secrets).some(isKnownSecret)) warnOnce("SECRET_KNOWN");
  return secrets as Secrets;
}

/** The cookie's name, as express-session finds it. */
export function cookieNameOf({ name, key }: HttpOptions): string {
  return name || key || "connect.sid";
}

/**
 * The options for express-session: checked, without those that are not given, its functions with an eye on what they
 * return.
 *
 * @throws SessionError `OPTION_INVALID`
 */
export function sessionOptionsOf(options: HttpOptions, trust: ProxyTrust): HttpOptions {
  const given = Object.fromEntries(
    Object.keys(httpNames).flatMap((name) => {
      const value = options[name as keyof HttpOptions];
      // null counts as not given, as in express-session.
      return value === undefined || value === null ? [] : [[name, value]];
    }),
  ) as HttpOptions;
  const { name, key, cookie, genid, unset, proxy, resave, rolling, saveUninitialized } = given;
  secretsOf(given.secret);
  checkCookieName({ name, key });
  checkFunctions({ genid });
  checkBooleans({ proxy, resave, rolling, saveUninitialized });
  if (unset !== undefined && unset !== "destroy" && unset !== "keep") {
    throw invalid(`unset must be "destroy" or "keep", not ${shown(unset)}.`);
  }
  const cookieName = cookieNameOf(given);
  if (typeof cookie !== "function") {
    if (cookie !== undefined) checkCookie(cookie, "cookie");
    warnIfDropped(cookieName, cookie ?? {});
  }
  return {
    ...given,
    ...(genid && { genid: (request) => checkId(called("genid", genid, request)) }),
    ...(typeof cookie === "function" && {
      cookie: (request) => resolve(called("cookie", cookie, request), request, trust, cookieName),
    }),
  };
}

type Given = Record<string, unknown>;

/** What express-session takes in `cookie`; types have two more, which do nothing. */
export const cookieNames: Readonly<Record<string, true>> = Object.fromEntries(
  [...Object.keys(cookieRules), "signed", "encode"].map((name) => [name, true]),
);

/**
 * Refuses what express-session or a browser cannot use.
 *
 * @throws SessionError `OPTION_INVALID`
 */
export function checkCookie(cookie: unknown, where: string): void {
  if (Array.isArray(cookie)) throw invalid(`${where} must be an object or a function, not an array.`);
  checkNames(cookie, cookieNames, where);
  checkCookieValues(cookie as Given, where);
}

/** As {@link checkCookie}, whatever else is there. */
export function checkCookieValues(cookie: Given, where: string): void {
  for (const [name, { isGood, what }] of Object.entries(cookieRules)) {
    const value = cookie[name];
    if (value === undefined || value === null || isGood(value)) continue;
    throw invalid(`${where}.${name} must be ${what}, not ${shown(value)}.`);
  }
}

function checkCookieName(names: Given): void {
  for (const [option, name] of Object.entries(names)) {
    if (name === undefined) continue;
    if (typeof name !== "string") throw invalid(`${option} must be the cookie's name, not ${kindOf(name)}.`);
    // express-session looks it up in an object, which has some names already.
    if (name !== "" && (!/^[\w!#$%&'*+\-.^`|~]+$/.test(name) || name in {})) {
      throw invalid(`${option} must be a name that a cookie can have, not ${JSON.stringify(name)}.`);
    }
  }
}

/** Calls the application's function. What it needs of its HTTP requests, a handshake may not have. */
function called<Request extends object, Result>(
  option: string,
  call: (request: Request) => Result,
  request: Request,
): Result {
  try {
    return call(request);
  } catch (error) {
    if (!isHandshake(request)) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw invalid(
      `${option}() failed for a handshake, whose request passes no middleware of the application: ${why}`,
      error,
    );
  }
}

function checkId(id: unknown): string {
  if (typeof id === "string" && id !== "") return id;
  throw invalid(`genid() must return a string, not ${kindOf(id)}.`);
}

/** express-session knows "auto" in an object alone. */
function resolve(cookie: unknown, request: IncomingMessage, trust: ProxyTrust, name: string): object {
  if (typeof cookie !== "object" || cookie === null || cookie instanceof Promise) {
    throw invalid(`cookie() must return an object, not ${kindOf(cookie)}.`);
  }
  checkCookie(cookie, "cookie()");
  warnIfDropped(name, cookie);
  const { secure, sameSite } = cookie as Given;
  if (secure === true) warnIfUnseen(request, trust);
  if (secure !== "auto" && sameSite !== "auto") return cookie;
  const isSecure = trust.isSecure(request);
  return {
    ...cookie,
    ...(secure === "auto" && { secure: isSecure }),
    ...(sameSite === "auto" && { sameSite: isSecure ? "none" : "lax" }),
  };
}

/**
 * A cookie that no browser keeps, so each login seems to work, and the next request is a stranger's (RFC 6265bis,
 * "Storage Model": SameSite=None and the name's prefix; CHIPS: Partitioned).
 */
export function warnIfDropped(name: string, cookie: object): void {
  const { secure, sameSite, partitioned } = cookie as Given;
  if (secure === true || secure === "auto") return;
  const needs = [
    sameSite === "none" && 'sameSite: "none"',
    partitioned === true && "partitioned: true",
    /^__(?:Secure|Host)-/i.test(name) && `the name ${name}`,
  ].find(Boolean);
  if (needs) warnOnce("COOKIE_NEEDS_SECURE", needs, `It has ${needs}.`);
}

/** A secure cookie is not sent over plain HTTP, and a proxy that says "https" counts only where it is trusted. */
export function warnIfUnseen(request: IncomingMessage, trust: ProxyTrust): void {
  if (forwardedScheme(request) === "https" && !trust.isSecure(request)) warnOnce("SECURE_COOKIE_UNSEEN");
}

/** True for a request over plain HTTP of which no proxy says otherwise, trusted or not. */
export function isPlainHttp(request: IncomingMessage): boolean {
  return !isEncrypted(request) && forwardedScheme(request) !== "https";
}

/**
 * A new session whose secure cookie nobody gets, as the request came over plain HTTP: the login seems to work, and the next
 * request is a stranger's. Called when the response is about to end.
 */
export function warnIfInsecure(request: IncomingMessage & { session?: object }, name: string): void {
  // One with data, for a browser that has no cookie yet.
  const isNew = !request.headers.cookie?.includes(`${name}=`) && Object.keys(request.session ?? {}).length > 1;
  if (isNew) warnOnce("SECURE_COOKIE_OVER_HTTP");
}
