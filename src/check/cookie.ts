// Whether a browser takes a cookie, sends it, and keeps it to itself: by its Set-Cookie header and the address of the page.
// The value is never looked at.
import type { WarningCode } from "../warnings.js";
import type { Findings } from "./findings.js";

/** True for a host of this machine, where browsers take a plain http page for a safe one. */
export function isLocal({ hostname }: URL): boolean {
  return /^(?:localhost|.+\.localhost|127\..+|\[::1\])$/.test(hostname);
}

/** Where a cookie has to come along, beside the page that got it. */
export interface CookieUses {
  /** Origins of pages that talk to this server. */
  readonly pages: readonly string[];
  /** Paths of servers with sockets. */
  readonly paths: readonly string[];
}

/** Looks at the cookie that the server sets for a page at `url`. */
export function checkCookie(findings: Findings, setCookie: string, url: URL, uses: CookieUses): void {
  const { name, attributes } = parse(setCookie);
  const before = findings.list.filter(({ level }) => level !== "fine").length;
  const isSecure = attributes.has("secure");
  const sameSite = attributes.get("samesite")?.toLowerCase();
  const problem = (message: string, code?: WarningCode): void => findings.problem("cookie", message, code);
  const hint = (message: string): void => findings.hint("cookie", message);

  if (isSecure && url.protocol === "http:" && !isLocal(url))
    problem(
      `${name} is Secure, and the page is at ${url.origin}: browsers drop it. Open the page over https, or write cookie: { secure: "auto" }.`,
    );
  if (!isSecure && url.protocol === "https:")
    problem(
      `${name} is not Secure, though the page is at ${url.origin}: browsers send it over plain http, too. Write cookie: { secure: true }.`,
    );
  if (!attributes.has("httponly"))
    problem(
      `Scripts of the page can read ${name}, so one that somebody smuggles in takes the session. Leave out cookie.httpOnly: false.`,
    );
  if (sameSite === "none" && !isSecure)
    problem(
      `${name} has SameSite=None without Secure: browsers drop it. Write cookie: { sameSite: "none", secure: true }.`,
      "COOKIE_NEEDS_SECURE",
    );
  else if (sameSite === "none")
    hint(
      `${name} has SameSite=None: it comes along with requests of any site. Where no page of another site needs it, write cookie: { sameSite: "lax" }.`,
    );
  if (sameSite === undefined)
    hint(`${name} says nothing of SameSite, which browsers take in different ways. Write cookie: { sameSite: "lax" }.`);
  if (sameSite === "strict")
    hint(
      `${name} has SameSite=Strict: who follows a link from a mail seems logged out at first. If that is not meant, write sameSite: "lax".`,
    );
  const other = uses.pages.find((page) => siteOf(page) !== siteOf(url.origin));
  if (other !== undefined && sameSite !== "none")
    problem(
      `${name} stays at home: for pages of ${other}, another site, browsers do not send it. Write cookie: { sameSite: "none", secure: true }.`,
    );
  checkPlace(findings, name, attributes, url);
  const path = attributes.get("path") ?? "/";
  const left = uses.paths.find((one) => !`${one}/`.startsWith(path));
  if (left !== undefined)
    findings.problem(
      "cookie",
      `${name} is for paths below ${path}, and sockets are at ${left}: browsers do not send it there. Write cookie: { path: "/" }.`,
      "COOKIE_PATH_EXCLUDES_SOCKETS",
    );
  if (!attributes.has("expires") && !attributes.has("max-age"))
    hint(
      `${name} has no expiry: the browser forgets it when it closes. To keep it for a day, write cookie: { maxAge: 86_400_000 }.`,
    );
  if (findings.list.filter(({ level }) => level !== "fine").length === before)
    findings.fine("cookie", `${name} is one that a browser at ${url.origin} takes, sends and hides from scripts.`);
}

/** Scheme and the last two names of the host: of some hosts more than the site, never less. */
function siteOf(origin: string): string {
  if (!URL.canParse(origin)) return origin;
  const { protocol, hostname } = new URL(origin);
  const isAddress = /^[\d.]+$|^\[/.test(hostname);
  return `${protocol}//${isAddress ? hostname : hostname.split(".").slice(-2).join(".")}`;
}

/** Where the browser sends it, and whether it may be set from there. */
function checkPlace(findings: Findings, name: string, attributes: Map<string, string>, url: URL): void {
  const domain = attributes.get("domain")?.replace(/^\./, "").toLowerCase();
  const path = attributes.get("path") ?? "/";
  const host = url.hostname;
  if (domain !== undefined && host !== domain && !host.endsWith(`.${domain}`))
    findings.problem(
      "cookie",
      `${name} is for ${domain}, but the page is at ${host}: browsers drop it. Leave out cookie.domain.`,
    );
  else if (domain !== undefined)
    findings.hint(
      "cookie",
      `All hosts below ${domain} get ${name}. Where one host alone needs it, leave out cookie.domain.`,
    );
  if (attributes.has("partitioned") && !attributes.has("secure"))
    findings.problem(
      "cookie",
      `${name} is Partitioned without Secure: browsers drop it. Write cookie: { partitioned: true, secure: true }.`,
      "COOKIE_NEEDS_SECURE",
    );
  const isHostCookie = name.startsWith("__Host-");
  if (isHostCookie && (!attributes.has("secure") || path !== "/" || domain !== undefined))
    findings.problem("cookie", `${name} must be Secure, with path "/" and no domain: browsers drop it otherwise.`);
  if (name.startsWith("__Secure-") && !attributes.has("secure"))
    findings.problem(
      "cookie",
      `${name} must be Secure: browsers drop it otherwise. Write cookie: { secure: true }.`,
      "COOKIE_NEEDS_SECURE",
    );
}

/** The cookie's name, and its attributes in small letters. */
function parse(setCookie: string): { readonly name: string; readonly attributes: Map<string, string> } {
  const [pair = "", ...rest] = setCookie.split(";");
  const attributes = rest.map((one) => {
    const [key = "", value = ""] = one.split("=", 2);
    return [key.trim().toLowerCase(), value.trim()] as const;
  });
  return { name: pair.slice(0, pair.indexOf("=")).trim(), attributes: new Map(attributes) };
}
