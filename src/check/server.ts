// Looks at a running server from the outside, as a browser and as a page of another site would: `npx socket-session check`.
import { checkHeader, checkOrigin } from "../internal/check-origin.js";
import { checkCookie, type CookieUses, isLocal } from "./cookie.js";
import { Findings, SessionCheck } from "./findings.js";
import { whyUnanswered } from "./unanswered.js";
import { type Answer, type Connected, type Sender, Visitor } from "./visitor.js";

/** What is asked of a running server. */
export interface ServerCheckOptions {
  /** A page. One that makes a session shows its cookie. */
  readonly url: string;
  /** Where the session routes are; undefined for "/session", where they need not be. */
  readonly routes?: string | undefined;
  /** Where Socket.IO is; false where there is none. */
  readonly path?: string | false | undefined;
  /** The origin of the pages, where it is another than the server's. */
  readonly origin?: string | undefined;
  /** The cookie's name. */
  readonly cookie?: string | undefined;
}

const foreign: Sender = { origin: checkOrigin, "sec-fetch-site": "cross-site" };

/** Asks, and resolves with what was found. Rejects for an address that is none. */
export async function checkServer(options: ServerCheckOptions): Promise<SessionCheck> {
  const findings = new Findings();
  const { path = "/socket.io/", cookie = "connect.sid" } = options;
  try {
    const uses: CookieUses = {
      pages: options.origin === undefined ? [] : [options.origin],
      paths: path === false ? [] : [path],
    };
    const { url, visitor } = await visitPage(findings, new URL(options.url), cookie, uses);
    const isOwn = options.origin === undefined || options.origin === url.origin;
    const page: Sender = {
      origin: options.origin ?? url.origin,
      "sec-fetch-site": isOwn ? "same-origin" : "cross-site",
    };
    await checkRoutes(findings, visitor, page, options.routes);
    if (path !== false) await checkSockets(findings, visitor, page, path.endsWith("/") ? path : `${path}/`);
  } catch (error) {
    findings.problem("server", whyUnanswered(error, new URL(options.url)));
  }
  return new SessionCheck(findings.list);
}

/** Goes where the address leads, and looks at the cookie that it brings. */
async function visitPage(
  findings: Findings,
  start: URL,
  cookie: string,
  uses: CookieUses,
): Promise<{ url: URL; visitor: Visitor }> {
  let url = start;
  let visitor = new Visitor(url.origin, cookie);
  let answer = await visitor.ask(url.href);
  for (let redirects = 0; redirects < 5 && isRedirect(answer); redirects++) {
    const location = answer.headers.get("location") ?? "";
    if (!URL.canParse(location, url.href)) break;
    url = new URL(location, url);
    if (url.origin !== visitor.origin) visitor = new Visitor(url.origin, cookie);
    answer = await visitor.ask(url.href);
  }
  if (url.hostname !== start.hostname)
    findings.hint("server", `${start.origin} leads to ${url.origin}, which was looked at in its place.`);
  if (url.protocol === "http:" && !isLocal(url))
    findings.problem(
      "server",
      `Pages are at ${url.origin}: who listens on the way takes sessions. Serve them over https.`,
    );
  else tellOfPage(findings, answer, url);
  if (visitor.setCookie === undefined) tellOfNoCookie(findings, answer, url);
  else checkCookie(findings, visitor.setCookie, url, uses);
  return { url, visitor };
}

function isRedirect({ status }: Answer): boolean {
  return status >= 300 && status < 400;
}

function tellOfPage(findings: Findings, answer: Answer, url: URL): void {
  const { status } = answer;
  if (isRedirect(answer))
    findings.problem(
      "server",
      `${url.href} answers with ${status} and leads nowhere, or from one page to the next. Check the page at its end.`,
    );
  else if (status >= 500)
    findings.problem("server", `${url.href} answers with ${status}: it fails. Look at the server's log.`);
  else if (status === 404) findings.hint("server", `There is no page at ${url.href}. Check one that makes a session.`);
  else findings.fine("server", `It answers at ${url.origin} with ${status}.`);
}

function tellOfNoCookie(findings: Findings, { headers }: Answer, { protocol, pathname }: URL): void {
  const code = headers.get(checkHeader);
  if (code === "SECURE_COOKIE_OVER_HTTP")
    findings.problem(
      "cookie",
      'cookie.secure is set, and nobody gets a cookie over http. Open pages over https. In development write cookie: { secure: "auto" }.',
      code,
    );
  else if (code === "SECURE_COOKIE_UNSEEN")
    findings.problem(
      "cookie",
      'cookie.secure is set, and the server does not see that pages are on https: nobody gets a cookie. Write app.set("trust proxy", 1), or createSessions({ proxy: true }).',
      code,
    );
  else if (protocol === "http:")
    findings.hint(
      "cookie",
      `${pathname} sets no session cookie. If it makes a session, cookie.secure is set, and nobody gets a cookie over http: write cookie: { secure: "auto" }. Else check a page that makes one.`,
    );
  else
    findings.hint(
      "cookie",
      `${pathname} sets no session cookie, which is right where nobody has logged in. To see it, check a page that makes a session. If a login sets none, look at cookie.secure.`,
    );
}

// --- the session routes ---

async function checkRoutes(
  findings: Findings,
  visitor: Visitor,
  page: Sender,
  given: string | undefined,
): Promise<void> {
  const routes = (given ?? "/session").replace(/\/$/, "");
  const answer = await visitor.ask(routes, page);
  const { code } = answer.json;
  if (!isOurs(answer)) {
    const message = `The session routes are not at ${routes}, where a ${answer.status} answers. Write app.use("${routes}", sessions.routes), or check with --routes.`;
    return given === undefined ? findings.hint("routes", message) : findings.problem("routes", message);
  }
  if (code === "ORIGIN_REFUSED") return tellRefused(findings, "routes", visitor, page);
  if (tellOfSession(findings, "routes", code, visitor)) return;
  findings.fine("routes", `They answer at ${routes}.`);
  if (page.origin !== visitor.origin) checkCors(findings, "routes", answer, page);
  const script = await visitor.ask(`${routes}/client.js`);
  if (script.status === 200)
    findings.fine("routes", `Pages without a bundler find the client helper at ${routes}/client.js.`);
  else
    findings.hint(
      "routes",
      `The client helper is not at ${routes}/client.js, but a ${script.status}. Does a proxy keep it?`,
    );
  const strange = await visitor.ask(routes, foreign);
  if (strange.json["code"] === "ORIGIN_REFUSED")
    findings.fine("origins", "Pages of other sites cannot use the routes.");
  else
    findings.problem(
      "origins",
      "A page of any site may use the session routes. List yours: createSessions({ routes: { origins: [...] } }).",
    );
}

/** True for what the routes answer. */
function isOurs({ json }: Answer): boolean {
  return (typeof json["code"] === "string" && typeof json["retry"] === "boolean") || "expiresIn" in json;
}

// --- sockets ---

async function checkSockets(findings: Findings, visitor: Visitor, page: Sender, path: string): Promise<void> {
  // Browsers say no more of a page of the server's own when they open a WebSocket.
  const sender: Sender = { origin: page.origin as string };
  const connected = await visitor.connect(path, sender);
  const { opened } = connected;
  if (!connected.isIn && connected.code === undefined)
    return findings.problem(
      "sockets",
      `${whatIsThere(opened, path)} With ws or streams alone, check with --no-sockets.`,
    );
  if (page.origin !== visitor.origin) checkCors(findings, "sockets", opened, page);
  const isOwnRefused = !connected.isIn && connected.code === "ORIGIN_REFUSED";
  if (isOwnRefused) tellRefused(findings, "sockets", visitor, page);
  else await checkStranger(findings, visitor, connected, path);
  const native = await visitor.connect(path, {});
  const isRefused = !native.isIn && native.code === "ORIGIN_REFUSED";
  findings.fine(
    "origins",
    `Clients that send no Origin, such as apps, are ${isRefused ? "refused" : "not refused for it"}.`,
  );
  const status = await visitor.upgrade(path, sender);
  if (status === 101) findings.fine("sockets", "WebSockets come through.");
  else
    findings.problem(
      "sockets",
      `A request for a WebSocket gets ${status || "no answer"}: a proxy does not pass it on. For nginx write proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade".`,
    );
}

function whatIsThere({ status, json }: Answer, path: string): string {
  const { message } = json;
  if (message === "Transport unknown") return `Socket.IO at ${path} takes no polling, with which the check asks.`;
  if (status === 403) return `Socket.IO at ${path} refuses the handshake: see the option allowRequest of the server.`;
  return `No Socket.IO answers at ${path}, but a ${status}. Write new Server(httpServer), or check with --path.`;
}

/** What happened to the page's own socket, by what happens to one of another site. */
async function checkStranger(findings: Findings, visitor: Visitor, own: Connected, path: string): Promise<void> {
  const strange = await visitor.connect(path, foreign);
  if (strange.isIn && (await new Visitor(visitor.origin, "").connect(path, foreign)).isIn)
    return findings.problem(
      "sockets",
      'Sockets have no session, as far as can be seen: one without a cookie, of any site, comes in. Write sessions.attach(io). With missing: "anonymous" or "create", list your pages in origins.',
    );
  if (strange.isIn || strange.code !== "ORIGIN_REFUSED")
    return findings.problem(
      "sockets",
      "A page of any site may open sockets here. Write sessions.attach(io), and list your pages in origins or cors.",
    );
  findings.fine("origins", "Pages of other sites cannot open sockets.");
  const hasCookie = visitor.setCookie !== undefined;
  if (!own.isIn && tellOfSession(findings, "sockets", own.code, visitor)) return;
  if (!own.isIn && own.code === "(none)")
    findings.hint("sockets", "A middleware of yours refuses the socket: see io.use().");
  else if (!own.isIn) findings.fine("sockets", `Sessions are attached: the socket is refused with ${own.code}.`);
  else if (hasCookie) findings.fine("sockets", "A socket comes in with the session of its page.");
  else
    findings.hint(
      "sockets",
      'A socket without a session comes in. That is right with missing: "anonymous" or "create".',
    );
}

// --- what both have in common ---

/** Says what is wrong with the session that the page has just got; false where nothing is. */
function tellOfSession(findings: Findings, topic: "routes" | "sockets", code: unknown, visitor: Visitor): boolean {
  if (code === "STORE_UNAVAILABLE")
    findings.problem("store", "It does not answer the server. Look at the server's log.");
  else if (visitor.setCookie === undefined) return false;
  else if (code === "SESSION_INVALID")
    findings.problem(
      topic,
      "They take the page's cookie for one of another server. Give all services the same secret.",
      "SESSION_INVALID",
    );
  else if (code === "SESSION_UNKNOWN")
    findings.problem(
      topic,
      "They do not find the session that the page has just got. Give all nodes one store: store: redisStore({ client }).",
    );
  else if (code === "SESSION_MISSING")
    findings.problem(topic, "They see no session cookie, though one was sent. Give all services the same cookie name.");
  else return false;
  return true;
}

function tellRefused(findings: Findings, topic: "routes" | "sockets", visitor: Visitor, page: Sender): void {
  if (page.origin === visitor.origin)
    findings.problem(
      topic,
      `Pages of the server's own origin ${visitor.origin} are refused. Behind a proxy write app.set("trust proxy", 1), or createSessions({ proxy: true }). See also the option hosts.`,
      "PROXY_UNTRUSTED",
    );
  else
    findings.problem(
      topic,
      `Pages of ${page.origin} are refused. Write sessions.attach(io, { origins: [${JSON.stringify(page.origin)}] }).`,
      "ORIGIN_REFUSED",
    );
}

function checkCors(findings: Findings, topic: "routes" | "sockets", { headers }: Answer, { origin }: Sender): void {
  const isAllowed = headers.get("access-control-allow-origin") === origin;
  const hasCredentials = headers.get("access-control-allow-credentials") === "true";
  if (isAllowed && hasCredentials) findings.fine(topic, `A page of ${origin} may read the answers, with its cookie.`);
  else
    findings.problem(
      topic,
      `A page of ${origin} cannot ${isAllowed ? "send its cookie" : "read the answers"}. Write new Server(httpServer, { cors: { origin: [${JSON.stringify(origin)}], credentials: true } }).`,
      "CORS_WITHOUT_CREDENTIALS",
    );
}
