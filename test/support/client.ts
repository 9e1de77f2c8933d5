// Pages that use the client, in a real Chromium: an app that serves them, and what they tell a test.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { buildSync } from "esbuild";
import type { Request, Response } from "express";
import type { Browser as Chromium, BrowserContext, Page } from "playwright-core";
import { expect, onTestFinished } from "vitest";
import { type App, type AppOptions, startApp } from "./app.js";

/** The client as a script, from the sources. */
export const clientScript = bundle(
  'import { withSession } from "./src/client/index.js"; globalThis.SocketSession = { withSession };',
);

/** Bundles a program of the repository for a page. */
export function bundle(contents: string): string {
  const { outputFiles } = buildSync({
    stdin: { contents, resolveDir: process.cwd(), loader: "tsx" },
    bundle: true,
    write: false,
    format: "iife",
    target: "es2022",
    jsx: "automatic",
    define: { "process.env.NODE_ENV": '"production"' },
  });
  return (outputFiles[0] as { text: string }).text;
}

const require = createRequire(import.meta.url);

/** Socket.IO's own script. Not from the server: pages of other sites need it, too. */
export const socketIoScript = readFileSync(
  require.resolve("socket.io-client/package.json").replace("package.json", "dist/socket.io.min.js"),
  "utf8",
);

/**
 * A page that does nothing until it is told to: `start(url, options for io(), options for withSession())`. It then
 * notes what it hears in `log`.
 */
export const html = `<!doctype html><meta charset="utf-8"><title>A page</title><button id="button">A button</button>
<script>
  // What is cut off finds nobody, see cutOff().
  let isCutOff = false;
  WebSocket = class extends WebSocket {
    constructor(url, protocols) {
      super(isCutOff ? "ws://127.0.0.1:1" : url, protocols);
    }
  };
</script><script src="/socket.io.js"></script><script src="/client.js"></script><script>
  const log = [];
  let socket, session;
  function start(url, ioOptions, options) {
    socket = io(url, { transports: ["websocket"], reconnectionDelay: 100, reconnectionDelayMax: 200, ...ioOptions });
    use(socket, options);
    socket.on("connect", () => log.push(["connect"]));
  }
  let source;
  function follow(path, options) {
    source = new EventSource(path);
    use(source, options);
    source.addEventListener("open", () => log.push(["open"]));
    source.addEventListener("news", ({ data }) => log.push(["news", JSON.parse(data)]));
  }
  function use(socket, options) {
    session = SocketSession.withSession(socket, options);
    for (const event of ["end", "change", "expiring", "renewed"]) {
      session.on(event, (value) => log.push([event, value]));
    }
  }
  const post = (path, body) => fetch(path, {
    method: "POST", body: JSON.stringify(body ?? {}), headers: { "content-type": "application/json" },
  }).then((response) => response.text());
</script>`;

/** Serves the page and its scripts. */
export function servePage({ app }: Pick<App, "app">): void {
  const serve = (type: string, text: string) => (_request: Request, response: Response) => {
    response.type(type).send(text);
  };
  app.get("/", serve("html", html));
  app.get("/client.js", serve("js", clientScript));
  app.get("/socket.io.js", serve("js", socketIoScript));
}

export interface ClientApp extends App {
  /** Paths of POSTs to the session routes, in order. */
  readonly asked: string[];
}

/** An app with the session routes, a view of the user's name, and pages. */
export async function startClientApp(options: AppOptions = {}): Promise<ClientApp> {
  const asked: string[] = [];
  const app = await startApp({
    ...options,
    sessions: {
      cookie: { maxAge: 60_000 },
      view: ({ user }) => ({ user: user ?? null }),
      ...options.sessions,
    },
    setup(parts) {
      parts.app.use("/session", (request, _response, next) => {
        if (request.method === "POST") asked.push(request.path);
        next();
      });
      parts.app.use("/session", parts.sessions.routes);
      servePage(parts);
      options.setup?.(parts);
    },
  });
  return { ...app, asked };
}

/** A browser of its own: its own cookies. Closed at the end of the test. */
export async function openContext(chromium: Chromium, options: object = {}): Promise<BrowserContext> {
  const context = await chromium.newContext(options);
  context.setDefaultTimeout(10_000);
  onTestFinished(() => context.close());
  return context;
}

/** One tab, which has not started its client yet. */
export async function openPage(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

/** Starts the page's client. */
export async function start(page: Page, options: object = {}, ioOptions: object = {}, url?: string): Promise<Page> {
  await page.evaluate(`start(${JSON.stringify(url)}, ${JSON.stringify(ioOptions)}, ${JSON.stringify(options)})`);
  return page;
}

/** A browser that has logged in, with so many tabs, two at least to be named. */
export async function logIn(
  chromium: Chromium,
  url: string,
  tabs = 1,
  options: object = {},
): Promise<[Page, Page, ...Page[]]> {
  const context = await openContext(chromium);
  const first = await openPage(context, url);
  await first.evaluate(`post("/login", { user: "ada" })`);
  const pages = [first];
  while (pages.length < tabs) pages.push(await openPage(context, url));
  for (const page of pages) {
    await start(page, options);
    await sees(page, { user: "ada" });
  }
  return pages as [Page, Page, ...Page[]];
}

/** Cuts the page off from its socket server; what is returned lets it through again. */
export async function cutOff(page: Page): Promise<() => Promise<unknown>> {
  await page.evaluate("isCutOff = true; socket.io.engine.close()");
  return () => page.evaluate("isCutOff = false");
}

/** Waits until the page's view is this one. */
export async function sees(page: Page, view: unknown): Promise<void> {
  await expect.poll(() => page.evaluate("session.view"), { timeout: 10_000 }).toEqual(view);
}

/** Waits until the page has heard this. */
export async function hears(page: Page, event: string, value?: unknown): Promise<void> {
  const heard = (): Promise<unknown> =>
    page.evaluate(`log.filter(([event]) => event === ${JSON.stringify(event)}).at(-1)`);
  await expect.poll(heard, { timeout: 10_000 }).toEqual(value === undefined ? expect.anything() : [event, value]);
}

/** What the page has heard so far, by the names of events. */
export async function heard(page: Page, ...events: string[]): Promise<[string, unknown][]> {
  const all = await page.evaluate<[string, unknown][]>("log");
  return all.filter(([event]) => events.includes(event));
}
