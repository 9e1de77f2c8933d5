// What the fields of a session's cookie can be, in options, sessions and stored records. With another value express-session
// throws at the end of a request, and the client never gets an answer.
import { serialize } from "cookie";
import { systemNow } from "../../internal/system-time.js";

/** Whether a value is good, and in words which values are. */
export interface CookieRule {
  readonly isGood: (value: unknown) => boolean;
  readonly what: string;
}

const duration: CookieRule = { isGood: isDuration, what: "a number of ms (0 or more)" };

/** By the field's name. Each may be left out. */
export const cookieRules: Readonly<Record<string, CookieRule>> = {
  path: { isGood: (value) => value === "/" || fits({ path: value }), what: 'a path such as "/"' },
  domain: { isGood: (value) => fits({ domain: value }), what: "a domain" },
  maxAge: duration,
  originalMaxAge: duration,
  expires: { isGood: isDate, what: "a Date" },
  httpOnly: { isGood: isBoolean, what: "true or false" },
  secure: { isGood: (value) => isBoolean(value) || value === "auto", what: 'true, false or "auto"' },
  partitioned: { isGood: isBoolean, what: "true or false" },
  sameSite: {
    isGood: (value) => isBoolean(value) || isOneOf(value, ["lax", "strict", "none", "auto"]),
    what: 'true, false, "lax", "strict", "none" or "auto"',
  },
  priority: { isGood: (value) => isOneOf(value, ["low", "medium", "high"]), what: '"low", "medium" or "high"' },
};

/** For a cookie object: a past time ends its session. */
const ruleOfMoments: CookieRule = { isGood: isMoment, what: "a number of ms" };
const objectRules: Readonly<Record<string, CookieRule>> = {
  ...cookieRules,
  maxAge: ruleOfMoments,
  originalMaxAge: ruleOfMoments,
  // express-session's own name for it. False was its word for no limit.
  _expires: { isGood: (value) => value === false || isDate(value), what: "a Date" },
  expires: { isGood: (value) => value === false || isDate(value), what: "a Date" },
};

/** What a field of a cookie object would have to be; undefined where it may be set. Nobody may set `methods`. */
export function wrongInCookie(field: string, value: unknown, methods: object): string | undefined {
  const rule = ruleOf(objectRules, field);
  if (rule) return isUnset(value) || rule.isGood(value) ? undefined : `it must be ${rule.what}`;
  return field in methods ? "all cookies have a method or property of that name" : undefined;
}

/** Clears the fields of a stored cookie that express-session cannot write into a header, but for its times. */
export function clearInvalidAttributes(cookie: Record<string, unknown>): void {
  for (const [field, value] of Object.entries(cookie)) {
    if (field === "originalMaxAge" || field === "expires") continue;
    const rule = ruleOf(cookieRules, field);
    if (rule && !rule.isGood(value)) cookie[field] = null;
  }
}

function ruleOf(rules: Readonly<Record<string, CookieRule>>, field: string): CookieRule | undefined {
  return Object.hasOwn(rules, field) ? rules[field] : undefined;
}

function isUnset(value: unknown): boolean {
  return value === undefined || value === null;
}

function isDuration(value: unknown): boolean {
  return isMoment(value) && !((value as number) < 0);
}

/** A time from now. */
function isMoment(value: unknown): boolean {
  // express-session takes a Date as well.
  if (typeof value !== "number") return isDate(value);
  return !Number.isNaN(new Date(systemNow() + value).valueOf());
}

function isDate(value: unknown): boolean {
  return value instanceof Date && !Number.isNaN(value.valueOf());
}

function isBoolean(value: unknown): boolean {
  return typeof value === "boolean";
}

function isOneOf(value: unknown, words: readonly string[]): boolean {
  return typeof value === "string" && words.includes(value.toLowerCase());
}

function fits(attribute: Record<string, unknown>): boolean {
  if (typeof Object.values(attribute)[0] !== "string") return false;
  try {
    serialize("name", "value", attribute);
    return true;
  } catch {
    return false;
  }
}
