// A running server, asked from outside: each fault is found, with the line to write, and a server without faults is fine.
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, request as ask, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import session from "express-session";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { checkServer, type ServerCheckOptions } from "../../src/check/server.js";
import type { SessionCheck } from "../../src/check/findings.js";
import { createSessions, liveStore, memoryStore } from "../../src/index.js";
import type { CreateOptions } from "../../src/options.js";
import { type App, type AppOptions, startApp } from "../support/app.js";
import { startSecureApp } from "../support/https.js";

const secret = "f4c0a0b1-2d3e-4f50-8a6b-7c8d9e0f1a2b";
const cookie = { sameSite: "lax", maxAge: 60_000 } as const;

/** A server whose page makes a session, with its routes. */
function serve({ sessions, setup, ...options }: AppOptions = {}): Promise<App> {
  return startApp({
    ...options,
    sessions: { secret, cookie, ...sessions },
    setup(parts) {
      // The script is made by the build.
      parts.app.get("/live/client.js", (_, res) => void res.type("js").send(""));
      parts.app.use("/live", parts.sessions.routes);
      parts.app.get("/", (req, res) => {
        req.session.user = "ada";
        res.send("hello");
      });
      parts.app.get("/empty", (_, res) => void res.send("hello"));
      parts.app.get("/moved", (_, res) => res.redirect("/"));
      setup?.(parts);
    },
  });
}

async function listen(server: Server): Promise<AddressInfo> {
  server.listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  return server.address() as AddressInfo;
}

/** What is no fault is left out. */
function faultsOf(check: SessionCheck): string[] {
  return check.findings
    .filter(({ level }) => level !== "fine")
    .map(({ level, topic, code, message }) => `${level} ${topic} ${code}: ${message}`);
}

/** Sockets with the sessions of another createSessions(). */
function attachedTo(options: Partial<CreateOptions>): AppOptions {
  return {
    attach: false,
    setup({ io }) {
      const other = createSessions({ secret, ...options }).attach(io);
      onTestFinished(() => other.close());
    },
  };
}

/** Answers no session any more. */
class SilentStore extends session.MemoryStore {
  override get(_id: string, callback: (error: unknown) => void): void {
    callback(new Error("away"));
  }
}

test("a server without faults is fine, warns of nothing, and nothing of its cookie is printed", async () => {
  const app = await serve();
  // Each warning is printed once: this test is the first to ask.
  const warned = vi.spyOn(process, "emitWarning");
  onTestFinished(() => warned.mockRestore());
  const check = await checkServer({ url: `${app.url}/moved`, routes: "/live" });
  expect(faultsOf(check)).toEqual([]);
  expect(check.findings.map(({ message }) => message)).toEqual([
    `It answers at ${app.url} with 200.`,
    `connect.sid is one that a browser at ${app.url} takes, sends and hides from scripts.`,
    "They answer at /live.",
    "Pages without a bundler find the client helper at /live/client.js.",
    "Pages of other sites cannot use the routes.",
    "Pages of other sites cannot open sockets.",
    "A socket comes in with the session of its page.",
    "Clients that send no Origin, such as apps, are not refused for it.",
    "WebSockets come through.",
  ]);
  expect(warned).not.toHaveBeenCalled();
  const ids = await (app.sessions.store as ReturnType<typeof memoryStore>).ids();
  expect(ids).toHaveLength(1);
  for (const id of ids) expect(String(check)).not.toContain(id);
  expect(String(check)).not.toContain("s%3A");
});

describe("finds", () => {
  const page = "https://app.example.com";
  const faults: [what: string, app: AppOptions, options: Partial<ServerCheckOptions>, ...says: string[]][] = [
    ["a cookie for scripts", { sessions: { cookie: { ...cookie, httpOnly: false } } }, {}, "problem cookie", "Scripts"],
    ["a page without a cookie", {}, { url: "/empty" }, "hint cookie", "If it makes a session"],
    [
      "a secure cookie over http",
      { sessions: { cookie: { ...cookie, secure: true } } },
      {},
      "problem cookie SECURE_COOKIE_OVER_HTTP",
      "nobody gets a cookie over http",
    ],
    [
      "a secure cookie over http, whatever the page makes",
      { sessions: { cookie: { ...cookie, secure: true } } },
      { url: "/empty" },
      "problem cookie SECURE_COOKIE_OVER_HTTP",
    ],
    ["a page that is not there", {}, { url: "/nowhere" }, "hint server", "no page at"],
    [
      "a page that fails",
      { setup: ({ app }) => app.get("/fails", (_, res) => void res.sendStatus(503)) },
      { url: "/fails" },
      "problem server",
      "answers with 503",
    ],
    [
      "pages that lead from one to the next",
      { setup: ({ app }) => app.get("/round", (_, res) => res.redirect("/round")) },
      { url: "/round" },
      "problem server",
      "/round answers with 302 and leads nowhere",
    ],
    [
      "a page that leads to nothing",
      { setup: ({ app }) => app.get("/lost", (_, res) => void res.set("location", "http://").sendStatus(302)) },
      { url: "/lost" },
      "problem server",
      "leads nowhere",
    ],
    [
      "routes that are not there",
      {},
      { routes: "/auth" },
      "problem routes",
      'app.use("/auth", sessions.routes)',
      "404",
    ],
    [
      "another API in their place",
      { setup: ({ app }) => app.get("/api", (_, res) => void res.json({ code: "NOT_FOUND" })) },
      { routes: "/api" },
      "problem routes",
      "not at /api, where a 200",
    ],
    [
      "routes that any site may use",
      { sessions: { routes: { origins: [/./] } } },
      {},
      "problem origins",
      "createSessions({ routes: { origins: [...] } })",
    ],
    [
      "attach() forgotten",
      { attach: false },
      {},
      "problem sockets",
      "Sockets have no session",
      "Write sessions.attach(io)",
    ],
    [
      "another namespace attached",
      { attach: false, setup: ({ io, sessions }) => sessions.attach(io.of("/chat")) },
      {},
      "problem sockets",
      "Write sessions.attach(io)",
    ],
    ["sockets for any site", { attach: { origins: () => true } }, {}, "problem sockets", "list your pages in origins"],
    ["another secret for sockets", attachedTo({ secret: "another one" }), {}, "SESSION_INVALID", "the same secret"],
    [
      "another store for sockets",
      attachedTo({ store: memoryStore() }),
      {},
      "problem sockets",
      "Give all nodes one store",
    ],
    ["another name of the cookie", attachedTo({ name: "sid" }), {}, "problem sockets", "the same cookie name"],
    ["a page that may not connect", {}, { origin: page }, "ORIGIN_REFUSED", `{ origins: ["${page}"] }`],
    [
      "a page whose browser drops the answers",
      { attach: { origins: [page] } },
      { origin: page },
      "problem sockets CORS_WITHOUT_CREDENTIALS",
      "cannot read the answers",
    ],
    [
      "a page whose browser sends no cookie",
      { io: { cors: { origin: [page] } } },
      { origin: page },
      "problem sockets CORS_WITHOUT_CREDENTIALS",
      "cannot send its cookie",
    ],
    ["a store that does not answer", { sessions: { store: liveStore(new SilentStore()) } }, {}, "problem store"],
    ["no Socket.IO", {}, { path: "/ws" }, "problem sockets", "No Socket.IO answers at /ws/, but a 404", "--no-sockets"],
    ["no polling", { io: { transports: ["websocket"] } }, {}, "problem sockets", "takes no polling"],
    ["allowRequest", { io: { allowRequest: (_, done) => done("no", false) } }, {}, "problem sockets", "allowRequest"],
    ["no WebSocket", { io: { transports: ["polling"] } }, {}, "problem sockets", "proxy_set_header Upgrade"],
    ["anonymous sockets", { attach: { missing: "anonymous" } }, { url: "/empty" }, "hint sockets", "anonymous"],
    [
      "a middleware that refuses",
      { setup: ({ io }) => io.use((_, next) => next(new Error("no"))) },
      {},
      "hint sockets",
    ],
    ["a name that hosts lacks", { sessions: { hosts: ["app.example.com"] } }, {}, "problem routes PROXY_UNTRUSTED"],
  ];

  test.each(faults)("%s", async (_, options, { url = "/", ...asked }, ...says) => {
    const app = await serve(options);
    const check = await checkServer({ url: app.url + url, routes: "/live", ...asked });
    for (const part of says) expect(faultsOf(check).join("\n")).toContain(part);
    expect(check.isFine).toBe(!faultsOf(check).some((fault) => fault.startsWith("problem")));
  });

  test("a page on another origin with all that it needs is fine", async () => {
    const app = await serve({ io: { cors: { origin: ["http://127.0.0.1:5173", page], credentials: true } } });
    const check = (origin: string): Promise<SessionCheck> => checkServer({ url: app.url, routes: "/live", origin });
    // Of the same site.
    expect(faultsOf(await check("http://127.0.0.1:5173"))).toEqual([]);
    expect(faultsOf(await check(page))).toEqual([
      expect.stringContaining("problem cookie undefined: connect.sid stays at"),
    ]);
  });

  test("a proxy that changes the host and passes no WebSocket on", async () => {
    const app = await serve();
    const url = await proxyTo(app.url, (headers) => {
      // As nginx does where nobody tells it to pass them on.
      const { upgrade: _, ...passedOn } = headers;
      return { ...passedOn, connection: "close", host: new URL(app.url).host };
    });
    const faults = faultsOf(await checkServer({ url, routes: "/live" }));
    expect(faults).toEqual([
      expect.stringContaining("problem sockets PROXY_UNTRUSTED"),
      expect.stringContaining("problem sockets undefined: A request for a WebSocket gets"),
    ]);
    expect(faults[0]).toContain(`the server's own origin ${url}`);
  });

  test("a server that is not there", async () => {
    const app = await serve();
    app.http.close();
    app.http.closeAllConnections();
    const check = await checkServer({ url: app.url });
    const host = new URL(app.url).host;
    expect(faultsOf(check)).toEqual([expect.stringContaining(`Nobody listens at ${host} (ECONNREFUSED). Start`)]);
    // A port that fetch() asks nobody at.
    expect(String(await checkServer({ url: "http://127.0.0.1:1" }))).toContain("It does not answer (bad port)");
  });

  test("a proxy that says https, which is not trusted: the cookie never comes", async () => {
    const app = await serve({ sessions: { cookie: { ...cookie, secure: true } } });
    const url = await proxyTo(app.url, (headers) => ({ ...headers, "x-forwarded-proto": "https" }));
    const faults = faultsOf(await checkServer({ url, routes: "/live", path: false }));
    expect(faults.join()).toContain("problem cookie SECURE_COOKIE_UNSEEN");
  });

  test("a server that cuts connections, one that leads to another host, and one with a certificate of its own", async () => {
    const cutting = createServer((req) => void req.socket.destroy());
    const leading = createServer((_, res) => {
      const { port } = plain.address() as AddressInfo;
      res.writeHead(302, { location: `http://localhost:${port}/` }).end();
    });
    const plain = createServer((_, res) => void res.end("hello"));
    const servers = await Promise.all([cutting, leading, plain].map(listen));
    const [cut, led, spoken] = servers.map(({ port }) => `http://127.0.0.1:${port}`);
    expect(String(await checkServer({ url: cut as string }))).toContain("If it speaks TLS there, write https://");
    expect(String(await checkServer({ url: led as string }))).toContain("leads to http://localhost");
    const encrypted = (spoken as string).replace("http:", "https:");
    expect(String(await checkServer({ url: encrypted }))).toContain("It speaks no TLS at 127.0.0.1");
    const { url } = await startSecureApp();
    expect(String(await checkServer({ url }))).toContain(
      "Its certificate is not trusted here (DEPTH_ZERO_SELF_SIGNED_CERT). If it is yours, start the check with NODE_EXTRA",
    );
    expect(String(await checkServer({ url: url.replace("https:", "http:") }))).toContain("write https://");
  });
});

test("where there are no sockets and no routes, the rest is looked at", async () => {
  const app = await startApp({ attach: false, sessions: { secret, cookie } });
  const check = await checkServer({ url: `${app.url}/session`, path: false });
  expect(check.isFine).toBe(true);
  expect(faultsOf(check)).toHaveLength(2);
});

/** A proxy before a server, which passes requests on with other headers. Resolves with its address. */
async function proxyTo(
  server: string,
  headersOf: (headers: IncomingHttpHeaders) => IncomingHttpHeaders,
): Promise<string> {
  const proxy = createServer((req, res) => {
    const passed = ask(server + req.url, { method: req.method, headers: headersOf(req.headers) }, (answer) => {
      res.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(res);
    });
    req.pipe(passed);
  }).listen(0, "127.0.0.1");
  onTestFinished(() => void proxy.close());
  await once(proxy, "listening");
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}
