// Looks at a set-up from the inside: what was given to createSessions() and attach(), and what the store answers. Changes
// nothing.
import type { IncomingMessage } from "node:http";
import type { Cors } from "../handshake/cors.js";
import type { AllowedOrigins } from "../handshake/origin.js";
import type { ProxyTrust } from "../handshake/proxy-trust.js";
import type { Secrets } from "../http/session-options.js";
import { checkNames, invalid, type NamesOf, shown } from "../internal/check-options.js";
import { isKnownSecret, shortestSecret } from "../internal/known-secret.js";
import type { LiveStore } from "../store/live-store.js";
import type { SessionBackend } from "../store/session-backend.js";
import { checkCookie, isLocal } from "./cookie.js";
import { Findings, SessionCheck } from "./findings.js";

/** Options of `sessions.check()`. */
export interface CheckOptions {
  /**
   * The address by which browsers reach the pages, as `"https://app.example.com"`. Default: one at localhost, with https
   * where `NODE_ENV` is `"production"`.
   */
  url?: string | undefined;
}

/** A server that sessions are attached to. */
export interface AttachedServer {
  readonly path: string | null | undefined;
  readonly origins: AllowedOrigins;
  cors?(): Cors | undefined;
  /** What is known of a Socket.IO server. */
  look?(): SocketIoLook;
}

/** What a Socket.IO server is, as far as a check needs it. */
export interface SocketIoLook {
  /** Whether it speaks TLS itself; undefined where it has no HTTP server yet. */
  readonly isTls: boolean | undefined;
  /** The namespaces whose sockets have no session. */
  readonly unguarded: readonly string[];
  /** True for Socket.IO's own adapter, which knows this node alone. */
  readonly isAlone: boolean;
}

/** What is looked at. */
export interface SetUp {
  readonly secrets: Secrets | undefined;
  readonly store: LiveStore;
  readonly backend: SessionBackend;
  readonly trust: ProxyTrust;
  readonly attached: readonly AttachedServer[];
  /** Whether an Express application has mounted the routes, or they were asked. */
  readonly areRoutesMounted: boolean;
  /** The Set-Cookie header for a request; undefined where the cookie cannot be set. */
  cookieFor(request: IncomingMessage): string | undefined;
}

/** @throws SessionError `OPTION_INVALID` */
export async function checkSetUp(setUp: SetUp, options: CheckOptions): Promise<SessionCheck> {
  if (typeof options === "string")
    throw invalid(`The address is an option: sessions.check({ url: ${JSON.stringify(options)} }).`);
  checkNames(options, { url: true } satisfies NamesOf<CheckOptions>, "sessions.check()");
  const { url: given } = options;
  const findings = new Findings();
  const isProduction = process.env["NODE_ENV"] === "production";
  const url = addressOf(given ?? (isProduction ? "https://localhost" : "http://localhost"));
  checkEnvironment(findings, isProduction, url);
  checkSecrets(findings, setUp.secrets);
  checkProxyAndCookie(findings, setUp, url, given !== undefined);
  checkSockets(findings, setUp);
  checkOrigins(findings, setUp, url);
  if (setUp.areRoutesMounted) findings.fine("routes", "The session routes are mounted.");
  else
    findings.hint(
      "routes",
      'Nothing has mounted the session routes, as far as can be seen, so pages renew no cookie. Write app.use("/session", sessions.routes).',
    );
  await checkStore(findings, setUp, url, isProduction);
  return new SessionCheck(findings.list);
}

function addressOf(given: unknown): URL {
  const url = typeof given === "string" && URL.canParse(given) ? new URL(given) : undefined;
  if (url && /^https?:$/.test(url.protocol)) return url;
  throw invalid(`url must be an address such as "https://app.example.com", not ${shown(given)}.`);
}

function checkEnvironment(findings: Findings, isProduction: boolean, url: URL): void {
  if (isProduction) findings.fine("environment", 'NODE_ENV is "production".');
  else if (isLocal(url))
    findings.fine("environment", 'NODE_ENV is not "production", which is right while pages are on this machine.');
  else
    findings.hint(
      "environment",
      `NODE_ENV is not "production", though pages are at ${url.origin}: Express then shows stacks to visitors. Start with NODE_ENV=production.`,
    );
}

const makeSecret = "Make one with: openssl rand -base64 32.";

function checkSecrets(findings: Findings, secrets: Secrets | undefined): void {
  if (!secrets)
    return findings.hint(
      "secret",
      "It is the middleware's own, and cannot be seen here. It needs 32 random characters.",
    );
  const [first = ""] = secrets;
  if (secrets.some(isKnownSecret))
    findings.problem(
      "secret",
      `It is one that stands in examples: whoever knows it can sign cookies. ${makeSecret}`,
      "SECRET_KNOWN",
    );
  else if (first.length < shortestSecret)
    findings.hint("secret", `It has ${first.length} characters, and 32 random ones cannot be guessed. ${makeSecret}`);
  else findings.fine("secret", `It has ${first.length} characters.`);
}

/** Addresses of proxies, as applications trust them. */
const proxies = ["127.0.0.1", "::1", "10.0.0.1", "172.16.0.1", "192.168.0.1"];

/** A request of a page at `url`, as it reaches this server. */
function requestFrom(url: URL, isTls: boolean, remoteAddress?: string): IncomingMessage {
  const isProxied = url.protocol === "https:" && !isTls;
  const forwarded = { "x-forwarded-proto": "https", "x-forwarded-host": url.host };
  const headers = { host: url.host, origin: url.origin, ...(isProxied && forwarded) };
  const socket = { encrypted: isTls, remoteAddress };
  return { headers, url: url.pathname, method: "GET", socket } as unknown as IncomingMessage;
}

function checkProxyAndCookie(findings: Findings, setUp: SetUp, url: URL, isGiven: boolean): void {
  const { attached, trust, cookieFor } = setUp;
  const looks = attached.flatMap(({ look }) => look?.() ?? []);
  // Where that is not known, as if it were so.
  const isTls = url.protocol === "https:" && !looks.some((look) => look.isTls === false);
  const isProxied = url.protocol === "https:" && !isTls;
  const trusted = proxies.find((address) => trust.trusts(requestFrom(url, isTls, address)));
  const request = requestFrom(url, isTls, trusted ?? "127.0.0.1");
  if (isProxied && trusted === undefined)
    findings.problem(
      "proxy",
      `Pages are at ${url.origin} and this server speaks plain HTTP, but no proxy is trusted. Write app.set("trust proxy", 1), or createSessions({ proxy: true }).`,
      "PROXY_UNTRUSTED",
    );
  else if (!isProxied && trusted !== undefined)
    findings.hint(
      "proxy",
      "X-Forwarded headers are trusted. Where no proxy of yours sets them, anybody can: leave out proxy and trust proxy.",
    );
  else
    findings.fine(
      "proxy",
      isProxied ? "The proxy that ends TLS is trusted." : "No proxy is trusted, and none is needed.",
    );
  const strange = trust.strangeHost(request);
  if (strange !== undefined)
    findings.problem(
      "proxy",
      `The option hosts lacks ${strange}: requests are refused. Add it to hosts.`,
      "ORIGIN_REFUSED",
    );
  const setCookie = cookieFor(request);
  if (setCookie !== undefined) {
    // An address that nobody gave is of no site.
    const pages = isGiven ? attached.flatMap(pagesOf) : [];
    return checkCookie(findings, setCookie, url, { pages, paths: attached.flatMap(({ path }) => path ?? []) });
  }
  if (url.protocol === "http:")
    return findings.problem(
      "cookie",
      `cookie.secure is set, and pages are at ${url.origin}: nobody gets a cookie. Open them over https. In development write cookie: { secure: "auto" }.`,
      "SECURE_COOKIE_OVER_HTTP",
    );
  findings.problem(
    "cookie",
    `express-session sets no cookie for ${url.pathname}. The proxy is not trusted, or cookie.path is another: check with the url of a page below it.`,
    "SECURE_COOKIE_UNSEEN",
  );
}

/** The origins that are listed in words, for a server and in its `cors` option. */
function pagesOf({ origins, cors: corsOf }: Pick<AttachedServer, "origins" | "cors">): string[] {
  const cors = corsOf?.();
  const listed = [origins, typeof cors === "object" ? cors.origin : undefined].flat();
  return listed.filter((one): one is string => typeof one === "string" && one !== "*");
}

function checkSockets(findings: Findings, { attached, backend }: SetUp): void {
  if (attached.length === 0)
    return findings.problem(
      "sockets",
      "No server is attached, so that no socket has a session. Write sessions.attach(io) before server.listen(). With streams alone that is right.",
    );
  const looks = attached.flatMap(({ look }) => look?.() ?? []);
  if (looks.some(({ isTls }) => isTls === undefined))
    findings.hint(
      "sockets",
      "A Socket.IO server has no HTTP server yet, so that nobody reaches it. Write new Server(httpServer), or io.listen(3000).",
    );
  const open = [...new Set(looks.flatMap(({ unguarded }) => unguarded))];
  if (open.length > 0)
    findings.hint(
      "sockets",
      `Sockets of ${open.map((name) => JSON.stringify(name)).join(", ")} have no session. Write sessions.attach(io), which takes all namespaces.`,
    );
  else
    findings.fine("sockets", `${attached.length === 1 ? "One server is" : `${attached.length} servers are`} attached.`);
  if (backend.driver.isShared && backend.driver.notices && looks.some(({ isAlone }) => isAlone))
    findings.hint(
      "sockets",
      "Other nodes can share the store, but Socket.IO's adapter knows this one alone. With several nodes write new Server({ adapter: createAdapter(client) }).",
    );
}

function checkOrigins(findings: Findings, { attached }: SetUp, url: URL): void {
  let isFine = true;
  const tell = (level: "problem" | "hint", ...what: [message: string, code?: "CORS_WITHOUT_CREDENTIALS"]): void => {
    isFine = false;
    findings[level]("origins", ...what);
  };
  for (const { cors: corsOf, origins } of attached) {
    const cors = corsOf?.();
    if (cors && typeof cors === "object") {
      if (cors.origin === true && cors.credentials === true)
        tell(
          "problem",
          "cors.origin: true with credentials lets the pages of anybody use the sessions of your visitors. List yours: cors: { origin: [...], credentials: true }.",
        );
      else if (cors.origin === "*")
        tell(
          "problem",
          'cors.origin is "*", which goes with no cookie. List your pages: cors: { origin: [...], credentials: true }.',
        );
      else if (cors.origin && cors.origin !== true && cors.credentials !== true)
        tell(
          "problem",
          "The server's cors option lacks credentials: browsers send no cookie. Write cors: { origin: [...], credentials: true }.",
          "CORS_WITHOUT_CREDENTIALS",
        );
    }
    const plain = pagesOf({ origins, ...(corsOf && { cors: corsOf }) }).find(
      (one) => url.protocol === "https:" && one.startsWith("http:"),
    );
    if (plain !== undefined)
      tell("hint", `${plain} may connect, and anybody on its network can change its pages. Write https:// there.`);
  }
  if (isFine)
    findings.fine("origins", "Pages of this server's own origin may connect, and those that you have listed.");
}

/** The id of no session. */
const nobody = "socket-session-check";

async function checkStore(
  findings: Findings,
  { store, backend }: SetUp,
  url: URL,
  isProduction: boolean,
): Promise<void> {
  const { driver } = backend;
  try {
    await backend.has(nobody);
    // Before the first socket nobody listens.
    await driver.notices?.watch(nobody);
    driver.notices?.unwatch(nobody);
  } catch (error) {
    const { message, cause } = error as Error;
    return findings.problem("store", `It does not answer. ${cause instanceof Error ? cause.message : message}`);
  }
  if (!driver.isShared)
    if (isProduction)
      findings.problem(
        "store",
        "Sessions are in this process's memory: a restart loses them. Write store: redisStore({ client }), or postgresStore({ pool }).",
        "MEMORY_STORE_IN_PRODUCTION",
      );
    else if (!isLocal(url))
      findings.hint(
        "store",
        `Sessions are in this process's memory, though pages are at ${url.origin}: a restart loses them. Write store: redisStore({ client }), or postgresStore({ pool }).`,
      );
    else findings.fine("store", "Sessions are in this process's memory, which is right for development.");
  else if (!driver.notices)
    findings.hint(
      "store",
      "It tells nodes of no changes: several nodes hear of a logout within the lease. Write redisStore({ client }) or postgresStore({ pool }) for that.",
    );
  else if (!store.isHearing)
    findings.problem("store", "It answers, but does not tell this node what others change.", "NOTICES_REFUSED");
  else findings.fine("store", "It answers, and tells this node what others change.");
  for (const message of (await driver.advice?.().catch(() => undefined)) ?? []) findings.problem("store", message);
}
