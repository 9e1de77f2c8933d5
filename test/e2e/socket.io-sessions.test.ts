// The example page of socket.io-sessions' document in a real Chromium, against Express and Socket.IO of today.
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import cookieParser from "cookie-parser";
import express from "express";
import session from "express-session";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { Server, type ServerOptions, type Socket } from "socket.io";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import sio from "../../src/compat/socket.io-sessions.js";
import { launchChromium } from "../support/chromium.js";
import { jump } from "../support/clocks.js";
import { closeServers } from "../support/closing.js";

/** The document's page, word for word. */
const examplePage = `
<script src="/socket.io/socket.io.js"></script>
<script src="/socket.io/socket.io-sessions.js"></script>
<script>
  var logmsg = function(msg){
    document.getElementById('msgbox').innerHTML += msg + '\\n'; 
  };
  var socket = io.connectWithSession();
  socket.on('connect', function(){
    logmsg('<b>Connect!</b>');
  });
  socket.on('message', function(message){
    logmsg('Message: ' + JSON.stringify(message));
  });
</script>
<input id="sendmsg" type="button" value="Ping!"
  onclick="socket.send('ping', function(){ logmsg('(msg sent)'); });" />
<pre id="msgbox"></pre>
`;

let browser: Browser;

beforeAll(async () => {
  browser = await launchChromium();
});

afterAll(() => browser?.close());

describe("the example page", () => {
  test("connects with its session, pings, and is told that the message was sent", async () => {
    const app = await startApp();
    const page = await openPage(app, await newBrowser());
    await shows(page, "Connect!");
    await shows(page, 'Message: "visit 1"');
    await page.getByRole("button", { name: "Ping!" }).click();
    await shows(page, "(msg sent)");
    await shows(page, 'Message: "got ping"');
    await page.reload();
    // What the first connection changed was saved when it ended.
    await shows(page, 'Message: "visit 2"');
  });

  test("works with a timestamp in the script's URL", async () => {
    const app = await startApp({
      page: examplePage.replace("socket.io-sessions.js", "socket.io-sessions.js?1234567890"),
    });
    await shows(await openPage(app, await newBrowser()), 'Message: "visit 1"');
  });

  test.each(["new io.SessionSocket()", "io.SessionSocket()"])("works with %s", async (call) => {
    const app = await startApp({ page: examplePage.replace("io.connectWithSession()", call) });
    await shows(await openPage(app, await newBrowser()), 'Message: "visit 1"');
  });

  test("may send before it is connected", async () => {
    const text = examplePage.replace("socket.on('connect'", "socket.send('early');\n  socket.on('connect'");
    const app = await startApp({ page: text });
    await shows(await openPage(app, await newBrowser()), 'Message: "got early"');
  });

  test("finds a server with another path by the path of the script", async () => {
    const page = examplePage.replaceAll('"/socket.io/', '"/live/io/');
    const app = await startApp({ page, io: { path: "/live/io" } });
    await shows(await openPage(app, await newBrowser()), 'Message: "visit 1"');
  });

  test.each(["with", "without"])(
    "has its session again after the server dropped the connection, %s cookie",
    async (kind) => {
      const app = await startApp();
      const context = await newBrowser();
      const page = await openPage(app, context);
      await shows(page, 'Message: "visit 1"');
      // Without a cookie the ticket of before serves again.
      if (kind === "without") await context.clearCookies();
      for (let visit = 2; visit <= 3; visit++) {
        for (const socket of app.io.sockets.sockets.values()) socket.conn.close();
        await shows(page, /Message: "visit \d"\n.*Message: "visit \d"/s);
        await reaches(app, visit);
      }
      expect(app.invalid.length).toBe(0);
      expect(app.connections.map((socket) => socket.handshake.headers.cookie !== undefined)).toEqual([
        true,
        kind === "with",
        kind === "with",
      ]);
    },
  );

  test("without cookie is told to refresh", async () => {
    const app = await startApp({ session: { saveUninitialized: false } });
    const page = await openPage(app, await newBrowser());
    await shows(page, 'Message: "please refresh"');
    expect(app.connections.length).toBe(0);
    expect(app.invalid.length).toBe(1);
  });
});

describe("the script", () => {
  test("renews its ticket before that runs out, also under a content security policy", async () => {
    const page = examplePage.replaceAll("<script", '<script nonce="abc"');
    // Without heartbeats: a clock that jumps would end the connection, and the next one renews a ticket, too.
    const app = await startApp({ page, csp: "script-src 'nonce-abc'", io: { pingInterval: 60 * 60_000 } });
    const tab = await (await newBrowser()).newPage();
    await tab.clock.install();
    await tab.goto(app.url);
    await shows(tab, 'Message: "visit 1"');
    const first = app.scripts.length;
    const renewed = tab.waitForResponse(/socket\.io-sessions\.js\?\d+$/);
    await tab.clock.fastForward(5 * 60_000);
    const response = await renewed;
    expect(response.status()).toBe(200);
    expect(app.scripts.length).toBe(first + 1);
    expect(app.connections.length).toBe(1);
    await expect.poll(() => tab.evaluate("typeof io.takeSessionTicket")).toBe("undefined");
    // The page is the one of before, and its element is gone again.
    expect(await tab.locator("script").count()).toBe(3);
    await shows(tab, "Connect!");
  });

  test("renews its ticket when it connects again after a sleep, before it tells it", async () => {
    const app = await startApp({ stripsCookies: true });
    const page = await openPage(app, await newBrowser());
    await shows(page, 'Message: "visit 1"');
    const before = app.scripts.length;
    // The clocks went on, the timers did not.
    await page.evaluate("(() => { const now = Date.now(); Date.prototype.getTime = () => now + 8 * 3_600_000; })()");
    jump(8 * 3_600_000);
    for (const socket of app.io.sockets.sockets.values()) socket.conn.close();
    await reaches(app, 2);
    expect(app.scripts.length).toBe(before + 1);
    expect(app.invalid.length).toBe(0);
  });

  test("cannot be read by a page of another origin", async () => {
    const app = await startApp({ session: { cookie: { sameSite: false } } });
    const context = await newBrowser();
    await shows(await openPage(app, context), 'Message: "visit 1"');
    for (const host of ["127.0.0.1", "localhost"]) {
      const foreign = await startApp({ page: "<p>foreign</p>", host });
      const page = await openPage(foreign, context);
      const outcome = await page.evaluate(`(async (url) => {
        const script = document.createElement("script");
        script.src = url;
        const loaded = await new Promise((resolve) => {
          script.onload = () => resolve("loaded");
          script.onerror = () => resolve("refused");
          document.head.append(script);
        });
        const read = await fetch(url, { credentials: "include" }).then(() => "read", () => "refused");
        return { loaded, read };
      })("${app.url}/socket.io/socket.io-sessions.js")`);
      expect(outcome).toEqual({ loaded: "refused", read: "refused" });
    }
  });
});

interface AppOptions {
  readonly page?: string;
  readonly csp?: string;
  readonly host?: string;
  /** The handshakes of sockets get here without their cookies, and only tickets serve. */
  readonly stripsCookies?: boolean;
  readonly io?: Partial<ServerOptions>;
  readonly session?: Partial<session.SessionOptions>;
}

interface App {
  readonly url: string;
  readonly io: Server;
  /** The sockets that got their session, and those that did not. */
  readonly connections: Socket[];
  readonly invalid: Socket[];
  /** The URLs that the client script was asked for at. */
  readonly scripts: string[];
}

declare module "express-session" {
  interface SessionData {
    visits?: number;
  }
}

/** A server with the document's page; it is closed when the test is over. */
async function startApp(options: AppOptions = {}): Promise<App> {
  const { page = examplePage, csp, host = "127.0.0.1" } = options;
  const secret = "a secret for tests";
  const app = express();
  const http = createServer(app);
  const io = new Server(http, { ...options.io });
  const store = new session.MemoryStore();
  app.use(session({ secret, store, resave: false, saveUninitialized: true, ...options.session }));
  app.get("/", (_, res) => {
    if (csp !== undefined) res.set("Content-Security-Policy", csp);
    res.type("html").send(`<!doctype html><html><head><title>ping</title></head><body>${page}</body></html>`);
  });
  app.get("/favicon.ico", (_, res) => void res.status(204).end());
  const connections: Socket[] = [];
  const invalid: Socket[] = [];
  const scripts: string[] = [];
  const socket = sio.enable({ socket: io, store, parser: cookieParser(secret) });
  socket.on("sconnection", (client, data) => {
    connections.push(client);
    data.visits = (data.visits ?? 0) + 1;
    client.send(`visit ${data.visits}`);
    client.on("message", (message: string) => client.send(`got ${message}`));
  });
  socket.on("sinvalid", (client) => {
    invalid.push(client);
    client.send("please refresh");
  });
  const emit = http.emit as (event: string, ...values: unknown[]) => boolean;
  http.emit = (event: string, ...values: unknown[]): boolean => {
    const { url } = event === "request" ? (values[0] as IncomingMessage) : {};
    if (url?.includes("socket.io-sessions.js")) scripts.push(url);
    return emit.call(http, event, ...values);
  };
  for (const event of options.stripsCookies === true ? ["request", "upgrade"] : []) {
    http.prependListener(event, (request: IncomingMessage) => {
      if (request.url?.startsWith("/socket.io/?")) delete request.headers.cookie;
    });
  }
  http.listen(0, host);
  await once(http, "listening");
  onTestFinished(async () => {
    await closeServers(io, http);
  });
  return { url: `http://${host}:${(http.address() as AddressInfo).port}`, io, connections, invalid, scripts };
}

/** A browser of its own: its own cookies. Closed at the end of the test. */
async function newBrowser(): Promise<BrowserContext> {
  const context = await browser.newContext();
  context.setDefaultTimeout(10_000);
  onTestFinished(() => context.close());
  return context;
}

async function openPage(app: App, context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await page.goto(app.url);
  return page;
}

/** Socket.IO's client waits a second or more before it comes back. */
async function reaches(app: App, connections: number): Promise<void> {
  await expect.poll(() => app.connections.length, { timeout: 10_000 }).toBe(connections);
}

async function shows(page: Page, text: string | RegExp): Promise<void> {
  const content = expect.poll(() => page.locator("#msgbox").textContent(), { timeout: 10_000 });
  await (typeof text === "string" ? content.toContain(text) : content.toMatch(text));
}
