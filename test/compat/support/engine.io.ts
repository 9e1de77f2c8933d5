// Engine.IO servers with sessions, of today and of engine.io-session's years: real server, real clients, real store, on
// a free port, closed at the end of the test.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo, Socket as NetSocket } from "node:net";
import { runInThisContext } from "node:vm";
import { onTestFinished } from "vitest";
import WebSocket from "ws";
import eioSession, { type EioSession, type EioSessionOptions } from "../../../src/compat/engine.io-session.js";
import { Browser, type Transport } from "../../support/browser.js";
import { isToday, ofThisRun } from "./era.js";
import { fieldsOf, makeRoutes } from "./routes.js";

const today = createRequire(import.meta.url);
const old = createRequire(new URL("../../stacks/package.json", import.meta.url));

export interface EngineStack {
  readonly name: string;
  readonly protocol: 3 | 4;
  /** Options for Engine.IO's own cookie, named "io". */
  readonly ownCookie: object;
  engine(): any;
  client(url: string, options: object): any;
  app(): any;
  session(): any;
  cookieParser(secret?: string): any;
}

const modern = (express: string): EngineStack => ({
  name: `Engine.IO 6, ${express === "express" ? "Express 5" : "Express 4"}`,
  protocol: 4,
  ownCookie: { cookie: { name: "io" } },
  engine: () => today("engine.io"),
  client: (url, options) => new (today("engine.io-client").Socket)(url, options),
  app: () => today(express)(),
  session: () => today("express-session"),
  cookieParser: (secret) => today("cookie-parser")(secret),
});

const ofItsTime = (engine: string, client: string): EngineStack => ({
  name: `Engine.IO ${engine}, Connect 2.30`,
  protocol: 3,
  ownCookie: { cookie: "io" },
  engine: () => old(`engine.io-${engine}`),
  client: (url, options) => old(`engine.io-client-${client}`)(url, options),
  app: () => old("connect-2.30")(),
  session: () => old("connect-2.30").session,
  cookieParser: (secret) => old("connect-2.30").cookieParser(secret),
});

const all: readonly EngineStack[] = [
  modern("express"),
  modern("express4"),
  ofItsTime("3.6", "3.5"),
  ofItsTime("1.6", "1.6"),
];

/** Those of this run. */
export const engineStacks = ofThisRun(all, ({ name }) => name.endsWith("Express 5"));

/** The one that every rule is tried on, not only the smoke tests: today's, or the oldest. */
export const outermost = engineStacks.at(isToday ? 0 : -1) as EngineStack;

/** How the plugin is given the sockets. */
export type How = "on connection" | "attach";

export interface EngineOptions {
  readonly how?: How;
  /** Of the Engine.IO server. By default without a cookie of its own. */
  readonly engine?: object;
  /** By default the stack's own MemoryStore. */
  readonly store?: any;
  /** Further options of the HTTP session. */
  readonly session?: object;
  /** Of the plugin, besides what it must share with the HTTP session. */
  readonly plugin?: Partial<EioSessionOptions>;
  /** Called when the plugin has the server, before it listens. */
  readonly setup?: (app: Pick<EngineApp, "server" | "store" | "plugin">) => void;
}

export interface Meeting {
  readonly client: any;
  /** The server's side. */
  readonly socket: any;
  readonly session: any;
}

export interface EngineApp {
  readonly url: string;
  readonly server: any;
  readonly store: any;
  readonly plugin: EioSession;
  browser(): Browser;
  /** A browser that set these fields over HTTP, and so has a session. */
  login(fields?: object): Promise<Browser>;
  /** Engine.IO's own client, connected; by "upgrade" when it is upgraded. */
  connect(via: Transport, cookie?: string, heard?: string[]): Promise<any>;
  /** The same, and what the server's `session` event says. The client's messages go to `heard`. */
  meet(via: Transport, cookie?: string, heard?: string[]): Promise<Meeting>;
  /** A client that speaks the protocol itself and so sees the headers of each answer. */
  handshake(via: "polling" | "websocket", cookie?: string): Promise<Answer>;
}

/** The Set-Cookie headers of an answer to a handshake. */
export interface Answer {
  readonly cookies: string[];
  /** Those of the answer to the next poll. */
  poll(): Promise<string[]>;
}

export const key = "sid";
export const secret = "your secret here";

export async function startEngine(stack: EngineStack, options: EngineOptions = {}): Promise<EngineApp> {
  const { how = "on connection" } = options;
  const session = stack.session();
  const store = options.store ?? new session.MemoryStore();
  const app = stack.app();
  app.use(session({ store, key, name: key, secret, resave: false, saveUninitialized: false, ...options.session }));
  app.use(makeRoutes((found) => ({ id: found.id, ...fieldsOf(found) })));
  const http = createServer(app);
  const server = stack.engine().attach(http, { cookie: false, ...options.engine });
  const plugin = eioSession({ cookieParser: stack.cookieParser(), store, key, secret, ...options.plugin });
  if (how === "attach") plugin.attach(server);
  else server.on("connection", plugin);
  options.setup?.({ server, store, plugin });

  const connections = new Set<NetSocket>();
  http.on("connection", (connection) => {
    connections.add(connection);
    connection.once("close", () => connections.delete(connection));
  });
  const clients: { close(): unknown }[] = [];
  onTestFinished(() => {
    for (const client of clients) client.close();
    server.close();
    http.close();
    for (const connection of connections) connection.destroy();
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const path = `/engine.io/?EIO=${stack.protocol}&b64=1&transport=`;

  const made: EngineApp = {
    url,
    server,
    store,
    plugin,
    browser: () => new Browser(url),
    async login(fields = { user: "ada" }) {
      const browser = made.browser();
      await browser.post("/set", fields);
      return browser;
    },
    async connect(via, cookie, heard) {
      const transports = via === "upgrade" ? ["polling", "websocket"] : [via];
      const client = stack.client(url, { transports, ...(cookie && { extraHeaders: { cookie } }) });
      clients.push(client);
      client.on("message", (data: string) => heard?.push(data));
      await new Promise<void>((resolve, reject) => {
        client.once(via === "upgrade" ? "upgrade" : "open", () => resolve());
        client.once("error", reject);
        client.once("close", (reason: string) => reject(new Error(reason)));
      });
      return client;
    },
    async meet(via, cookie, heard) {
      const told = once(server, "session");
      const client = await made.connect(via, cookie, heard);
      const [socket, found] = await told;
      return { client, socket, session: found };
    },
    async handshake(via, cookie) {
      const headers = cookie === undefined ? {} : { cookie };
      if (via === "websocket") {
        const client = new WebSocket(url.replace("http", "ws") + path + via, { headers });
        clients.push(client);
        const [response] = (await once(client, "upgrade")) as [IncomingMessage];
        return { cookies: response.headers["set-cookie"] ?? [], poll: () => Promise.reject(new Error("no polls")) };
      }
      const response = await fetch(url + path + via, { headers });
      if (!response.ok) throw new Error(`refused: ${response.status}`);
      const { sid } = JSON.parse(/\{[^}]*\}/.exec(await response.text())?.[0] ?? "") as { sid: string };
      return {
        cookies: response.headers.getSetCookie(),
        async poll() {
          const polled = await fetch(`${url}${path}${via}&sid=${sid}`, { headers });
          await polled.text();
          return polled.headers.getSetCookie();
        },
      };
    },
  };
  return made;
}

/** Runs a program of ../examples as it stands, but on a free port, and with what it logs given back. */
export async function runExample(file: string, framework: string, engine: string) {
  const from = engine === "engine.io" ? today : old;
  const logged: unknown[] = [];
  const http = createServer();
  const modules: Record<string, unknown> = {
    http: { createServer: (app: never) => ({ listen: () => http.on("request", app).listen(0, "127.0.0.1") }) },
    connect: framework.startsWith("connect") && from(framework),
    express: framework.startsWith("express") && from(framework),
    "engine.io": from(engine),
    "socket-session/compat/engine.io-session": eioSession,
  };
  const program = readFileSync(new URL(`../examples/${file}`, import.meta.url), "utf8");
  runInThisContext(`(function (require, console) {${program}\n})`, { filename: file })(
    (name: string) => modules[name] ?? from(name),
    { log: (value: unknown) => logged.push(value) },
  );
  const clients: { close(): unknown }[] = [];
  onTestFinished(() => {
    for (const client of clients) client.close();
    http.close();
    http.closeAllConnections();
  });
  await once(http, "listening");
  const browser = new Browser(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
  const connectClient = async (via: string, cookie?: string): Promise<void> => {
    const settings = { transports: [via], ...(cookie && { extraHeaders: { cookie } }) };
    const stack = engineStacks.find(({ engine: made }) => made() === modules["engine.io"]) as EngineStack;
    const client = stack.client(browser.url, settings);
    clients.push(client);
    await new Promise((resolve) => client.once("open", resolve));
  };
  return { logged, browser, connectClient };
}

/** The client's side has got what the server sent before: nothing is under way any more. */
export async function roundTrip({ client, socket }: Pick<Meeting, "client" | "socket">): Promise<void> {
  socket.once("message", (data: unknown) => socket.send(data));
  const echo = new Promise((resolve) => client.once("message", resolve));
  client.send("echo");
  await echo;
}
