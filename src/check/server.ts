// Looks at a running server from the outside, as a browser and as a page of another site would: `npx socket-session check`.
import { checkOrigin } from "../internal/check-origin.js";
import { checkCookie, type CookieUses, isLocal } from "./cookie.js";
import { Findings, SessionCheck } from "./findings.js";
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
    findings.problem("server", unanswered(error));
  }
  return new SessionCheck(findings.list);
}

function unanswered(error: unknown): string {
  const { cause, name } = error as Error & { cause?: { code?: unknown; message?: unknown } };
  const why = [cause?.code, cause?.message].find((one) => typeof one === "string") ?? name;
  return `It does not answer (${why}). Start it, or mend the address. A certificate of your own: NODE_EXTRA_CA_CERTS=ca.pem.`;
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
  for (let redirects = 0; redirects < 5 && answer.status >= 300 && answer.status < 400; redirects++) {
    url = new URL(answer.headers.get("location") ?? "", url);
    if (url.origin !== visitor.origin) visitor = new Visitor(url.origin, cookie);
    answer = await visitor.ask(url.href);
  }
  if (url.protocol === "http:" && !isLocal(url))
    findings.problem(
      "server",
      `Pages are at ${url.origin}: who listens on the way takes sessions. Serve them over https.`,
    );
  else findings.fine("server", `It answers at ${url.origin} with ${answer.status}.`);
  if (visitor.setCookie !== undefined) checkCookie(findings, visitor.setCookie, url, uses);
  else if (url.protocol === "http:")
    findings.hint(
      "cookie",
      `${url.pathname} sets no session cookie. If it makes a session, cookie.secure is set, and nobody gets a cookie over http: write cookie: { secure: "auto" }. Else check a page that makes one.`,
    );
  else
    findings.hint(
      "cookie",
      `${url.pathname} sets no session cookie, which is right where nobody has logged in. To see it, check a page that makes a session. If a login sets none, look at cookie.secure.`,
    );
  return { url, visitor };
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
