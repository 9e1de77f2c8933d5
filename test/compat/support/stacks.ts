// The stacks that the compat entry points are tested on: today's, and those of the older modules' years, each with its
// own real server and client on a free port, closed at the end of the test. Knows none of the entry points.
//
//   const rows = stacksWith("4", "2.5");
//   describe.each(rows)("$title", (row) => {
//     const { stack, via } = row;
//     test("…", async () => {
//       const app = await startStack(stack, { via, setup: ({ io, session }) => io.use(sharedsession(session)) });
//       const browser = await app.login({ user: "ada" });        // has the session cookie; get(), post()
//       const client = await app.connect(browser.cookie);        // connected, by the transport `via`
//       const refusal = await app.refused(undefined);            // the text that the client is refused with
//       const early = app.open(browser.cookie, { namespace: "/chat" }); // not connected yet: on() misses nothing
//       const [socket] = app.sockets("/chat");                   // the server's side
//     });
//     if (!outermost(rows).includes(row)) return;                // what follows holds on today's stack and the oldest
//   });
//
// Routes of each stack: POST /set (JSON: these fields are set), POST /logout, GET /session (the session's fields),
// GET /id (the raw id, for tests that tamper with it).
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo, Socket as NetSocket } from "node:net";
import { onTestFinished } from "vitest";
import { Browser, type Transport } from "../../support/browser.js";
import { connect09 } from "./client-0.9.js";
import { isToday, ofThisRun } from "./era.js";
import { fieldsOf, makeRoutes } from "./routes.js";

const today = createRequire(import.meta.url);
const old = createRequire(new URL("../../stacks/package.json", import.meta.url));

/** Socket.IO versions, as they are named in the table. */
export type Version = "0.9" | "1.7" | "2.5" | "3.1" | "4";

export interface StackKind {
  readonly name: string;
  readonly version: Version;
  readonly transports: readonly Transport[];
  /** The web framework, the session middleware, and the parser of its time. */
  framework(): Framework;
}

interface Framework {
  app(): any;
  session: any;
  cookieParser: (secret?: string) => any;
}

const modern = (name: string): Framework => ({
  app: today(name) as () => any,
  session: today("express-session"),
  cookieParser: today("cookie-parser") as (secret?: string) => any,
});

function ofItsTime(name: string): Framework {
  const framework = old(name);
  return { app: framework, session: framework.session, cookieParser: framework.cookieParser };
}

function connect19(): Framework {
  // Node had it here when Connect 1.9 was written.
  (process as any).EventEmitter ??= today("node:events").EventEmitter;
  const connect = old("connect-1.9");
  // Its server is an http.Server, made by a constructor that today's Node wants to be called with `new`: the
  // framework's own way to run its middlewares is enough.
  const app = (): any => {
    const stack = { stack: [] as unknown[], route: "/" };
    const { handle, use } = connect.HTTPServer.prototype;
    const run = (request: IncomingMessage, response: ServerResponse): void => handle.call(stack, request, response);
    return Object.assign(run, {
      use: (...values: unknown[]) => use.apply(stack, values),
    });
  };
  return { app, session: connect.session, cookieParser: connect.cookieParser };
}

const all: readonly Transport[] = ["polling", "websocket", "upgrade"];
const either: readonly Transport[] = ["polling", "websocket"];

/** Every stack; `stacksWith()` picks some, with each of their transports. */
export const stacks: readonly StackKind[] = [
  { name: "Socket.IO 4, Express 5", version: "4", transports: all, framework: () => modern("express") },
  { name: "Socket.IO 4, Express 4", version: "4", transports: all, framework: () => modern("express4") },
  { name: "Socket.IO 3.1, Express 4", version: "3.1", transports: either, framework: () => modern("express4") },
  { name: "Socket.IO 2.5, Express 4", version: "2.5", transports: either, framework: () => modern("express4") },
  { name: "Socket.IO 1.7, Express 4", version: "1.7", transports: either, framework: () => modern("express4") },
  {
    name: "Socket.IO 0.9, Express 3.21",
    version: "0.9",
    transports: either,
    framework: () => ofItsTime("express-3.21"),
  },
  {
    name: "Socket.IO 0.9, Connect 2.30",
    version: "0.9",
    transports: either,
    framework: () => ofItsTime("connect-2.30"),
  },
  { name: "Socket.IO 0.9, Connect 1.9", version: "0.9", transports: either, framework: connect19 },
];

export interface Row {
  readonly title: string;
  readonly stack: StackKind;
  readonly via: Transport;
}

/** Rows for `describe.each`: this run's stacks of these Socket.IO versions, once per transport. Connect 1.9 only by its name. */
export function stacksWith(...wanted: readonly (Version | "Connect 1.9")[]): Row[] {
  return ofThisRun(stacks, ({ name }) => name === "Socket.IO 4, Express 5")
    .filter(({ name, version }) => wanted.includes(name.includes("Connect 1.9") ? "Connect 1.9" : version))
    .flatMap((stack) => stack.transports.map((via) => ({ title: `${stack.name}, ${via}`, stack, via })));
}

/** The rows that every rule is tried on, not only the smoke tests: today's stack, or the oldest, by one transport. */
export function outermost<T extends Row>(rows: readonly T[]): T[] {
  const stack = rows.at(isToday ? 0 : -1)?.stack;
  return rows.filter((row) => row.stack === stack && row.via === (isToday ? "websocket" : "polling"));
}

export interface StackOptions {
  /** How its clients connect; "websocket" by default. */
  readonly via?: Transport;
  /** A raw store; by default the stack's own MemoryStore. */
  readonly store?: any;
  /** The session cookie's name; "connect.sid" by default. */
  readonly key?: string;
  /** Further options of the session middleware: cookie, rolling … (resave and saveUninitialized are false by default). */
  readonly session?: object;
  /** Options of the Socket.IO server, or what makes them of the stack: `({ store }) => ({ allowRequest })`. */
  readonly io?: object | ((stack: Pick<Stack, "store" | "cookieParser" | "session">) => object);
  /** Called before the server listens: namespaces, handlers, middlewares. */
  readonly setup?: (stack: Stack) => void;
}

/** A client's socket, in what all versions share. */
export interface ClientSocket {
  on(event: string, listener: (...values: any[]) => void): unknown;
  once(event: string, listener: (...values: any[]) => void): unknown;
  emit(event: string, ...values: any[]): unknown;
  disconnect(): unknown;
}

export interface OpenOptions {
  /** "/" by default. */
  readonly namespace?: string;
  readonly via?: Transport;
  /** Further headers of the client's requests. */
  readonly headers?: Record<string, string>;
  /** Another namespace on the same connection as this socket. */
  readonly beside?: ClientSocket;
}

export interface Stack {
  readonly kind: StackKind;
  readonly url: string;
  /** The framework's application, with cookie parser, session and routes in use. */
  readonly app: any;
  readonly http: HttpServer;
  /** The raw Socket.IO server (0.9: its Manager). */
  readonly io: any;
  readonly store: any;
  readonly cookieParser: any;
  /** The parser's maker, for parsers with another secret or none. */
  readonly makeCookieParser: (secret?: string) => any;
  /** The session middleware. */
  readonly session: any;
  /** The module that made it: `session.Session`, `session.Cookie`, `session.MemoryStore`. */
  readonly sessionModule: any;
  browser(): Browser;
  /** A browser that set these fields over HTTP, and so has a session. */
  login(fields?: object): Promise<Browser>;
  /** A client's socket that is about to connect: listeners put on it now miss nothing. */
  open(cookie: string | undefined, options?: OpenOptions): ClientSocket;
  /** A connected one; by "upgrade" one whose connection has been upgraded. */
  connect(cookie: string | undefined, options?: OpenOptions): Promise<ClientSocket>;
  /** What a client is refused with, as its version tells it. Rejects if it is let in. */
  refused(cookie: string | undefined, options?: OpenOptions): Promise<string>;
  /** The server's sockets of a namespace; "/" by default. */
  sockets(namespace?: string): any[];
}

export const secret = "a secret for tests";

/** Starts a stack. It is closed when the test is over. */
export async function startStack(kind: StackKind, options: StackOptions = {}): Promise<Stack> {
  const { app: createApp, session: sessionModule, cookieParser: makeCookieParser } = kind.framework();
  const app = createApp();
  const http = createServer(app);
  const connections = new Set<NetSocket>();
  http.on("connection", (socket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
  });
  const { key = "connect.sid" } = options;
  const store = options.store ?? new sessionModule.MemoryStore();
  const cookieParser = makeCookieParser(secret);
  const session = sessionModule({
    secret,
    store,
    key,
    name: key,
    resave: false,
    saveUninitialized: false,
    ...options.session,
  });
  // Connect 1.9's session wants a parser before it, the others bear one.
  app.use(makeCookieParser(secret));
  app.use(session);
  app.use(makeRoutes(fieldsOf));
  const given = typeof options.io === "function" ? options.io({ store, cookieParser, session }) : options.io;
  const io = createIo(kind.version, http, given);
  const browsers: Browser[] = [];
  onTestFinished(async () => {
    for (const browser of browsers) browser.close();
    if (kind.version !== "0.9") io.close();
    if (http.listening) http.close();
    for (const connection of connections) connection.destroy();
  });
  let url = "";
  const open = (cookie: string | undefined, opening: OpenOptions = {}): ClientSocket =>
    openClient(kind.version, url, cookie, { via: options.via ?? "websocket", ...opening });
  const stack: Stack = {
    kind,
    get url() {
      return url;
    },
    app,
    http,
    io,
    store,
    cookieParser,
    makeCookieParser,
    session,
    sessionModule,
    browser() {
      const made = new Browser(url);
      browsers.push(made);
      return made;
    },
    async login(fields = { user: "ada" }) {
      const made = stack.browser();
      await made.post("/set", fields);
      return made;
    },
    open,
    async connect(cookie, opening) {
      const client = await connected(open(cookie, opening));
      if ((opening?.via ?? options.via) === "upgrade") await upgraded(client);
      return client;
    },
    async refused(cookie, opening) {
      const refusal = await outcome(open(cookie, opening));
      if (refusal === undefined) throw new Error("connected, but should be refused");
      return refusal;
    },
    sockets: (namespace = "/") => serverSockets(kind.version, io, namespace),
  };
  options.setup?.(stack);
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  return stack;
}

/** A client's socket of any version, about to connect to any server; closed when the test is over. */
export function openClient(
  version: Version,
  url: string,
  cookie: string | undefined,
  { namespace = "/", beside, headers, via = "websocket" }: OpenOptions = {},
): ClientSocket {
  const client = createClient(version, url, namespace, via, { ...(cookie && { cookie }), ...headers }, beside);
  onTestFinished(() => {
    // A client of 0.9 that was refused has no transport to close, and fails on it.
    if (version !== "0.9" || (client as any).socket.connected) client.disconnect();
  });
  return client;
}

/** The client when it has connected; rejects with what refused it. */
export async function connected(client: ClientSocket): Promise<ClientSocket> {
  const refusal = await outcome(client);
  if (refusal !== undefined) throw new Error(refusal);
  return client;
}

/** The first values of the next event with this name. */
export function received(client: ClientSocket, event: string): Promise<any> {
  return new Promise((resolve) => client.once(event, resolve));
}

function createIo(version: Version, http: HttpServer, options: object = {}): any {
  if (version === "4") return new (today("socket.io").Server)(http, options);
  const server = old(`socket.io-${version}`);
  if (version !== "0.9") return version === "3.1" ? new server.Server(http, options) : server(http, options);
  return server.listen(http, { log: false, "flash policy server": false, ...options });
}

function createClient(
  version: Version,
  url: string,
  namespace: string,
  via: Transport,
  headers: Record<string, string>,
  beside: ClientSocket | undefined,
): ClientSocket {
  if (version === "0.9") return connect09(url, namespace, via, headers, beside as never);
  if (beside) return (beside as any).io.socket(namespace);
  const client = version === "4" ? today("socket.io-client").io : old(`socket.io-client-${version}`);
  const transports = via === "upgrade" ? ["polling", "websocket"] : [via];
  return client(url + namespace, { forceNew: true, reconnection: false, transports, extraHeaders: headers });
}

/** Undefined when it has connected, else what refused it. */
function outcome(client: ClientSocket): Promise<string | undefined> {
  return new Promise((resolve) => {
    client.once("connect", () => resolve(undefined));
    // What Socket.IO 3 and 4 tell as "connect_error", 0.9 to 2 tell as "error" where a middleware refused.
    for (const event of ["connect_error", "error", "connect_failed"]) {
      client.once(event, (error: unknown) => resolve(error instanceof Error ? error.message : String(error)));
    }
    client.once("disconnect", (reason: unknown) => resolve(`disconnected: ${String(reason)}`));
  });
}

async function upgraded(client: ClientSocket): Promise<void> {
  const { engine } = (client as any).io;
  if (engine.transport.name !== "websocket") await new Promise((resolve) => engine.once("upgrade", resolve));
}

function serverSockets(version: Version, io: any, namespace: string): any[] {
  if (version === "0.9") return (namespace === "/" ? io.sockets : io.of(namespace)).clients();
  const { sockets } = io.of(namespace);
  return sockets instanceof Map ? [...sockets.values()] : Object.values(sockets);
}
