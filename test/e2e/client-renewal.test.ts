// Renewal: the cookie lasts as long as the session, whatever the number of tabs, and an idle page keeps nothing alive.
import type { Browser as Chromium, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AppOptions } from "../support/app.js";
import { launchChromium } from "../support/chromium.js";
import {
  type ClientApp,
  heard,
  hears,
  logIn,
  openContext,
  openPage,
  sees,
  start,
  startClientApp,
} from "../support/client.js";

const second = 1000;
const minute = 60 * second;

let chromium: Chromium;
beforeAll(async () => {
  chromium = await launchChromium();
});
afterAll(() => chromium?.close());

describe("renewal", { timeout: 60_000 }, () => {
  it("sends the cookie anew when the user does something, and tells all tabs", async () => {
    const app = await startClientApp();
    const pages = await logIn(chromium, app.url, 2);
    const [page] = pages;
    const response = page.waitForResponse("**/session/renew");
    await page.locator("#button").click();
    expect(await (await response).headerValue("set-cookie")).toMatch(/^connect\.sid=.*Expires=/);
    for (const tab of pages) await hears(tab, "renewed", { expiresIn: expect.closeTo(60_000, -4) });
    expect(app.asked).toEqual(["/renew"]);
  });

  it("follows messages of the socket, too: they prolong the session on the server", async () => {
    const app = await startClientApp();
    const [page] = await logIn(chromium, app.url);
    await page.evaluate(`socket.emit("anything")`);
    await hears(page, "renewed", { expiresIn: expect.closeTo(60_000, -4) });
  });

  it("is not for a page that nobody uses", async () => {
    const app = await startClientApp({ sessions: { cookie: { maxAge: 6000 } } });
    const [page] = await logIn(chromium, app.url, 1, { warnBefore: 1000 });
    await hears(page, "end", { code: "SESSION_EXPIRED" });
    expect(app.asked).toEqual([]);
  });

  it("comes soon, then at the end of the interval for what was done in it, and not again", async () => {
    const { app, context } = await startSlowly();
    const page = await openSlowPage(context, app);
    await page.keyboard.press("a");
    await until(context, async () => (await heard(page, "renewed")).length === 1);
    await page.keyboard.press("b");
    await pass(context, 40);
    expect(app.asked).toHaveLength(1);
    await until(context, async () => (await heard(page, "renewed")).length === 2);
    await pass(context, 5 * 60);
    expect(app.asked).toHaveLength(2);
  });

  it("is not made again for a page that is loaded again within the interval", async () => {
    const { app, context } = await startSlowly();
    const page = await openSlowPage(context, app);
    await page.keyboard.press("a");
    await until(context, async () => (await heard(page, "renewed")).length === 1);
    await page.reload();
    await start(page);
    await sees(page, { user: "ada" });
    await page.keyboard.press("b");
    await pass(context, 40);
    expect(app.asked).toHaveLength(1);
    await until(context, () => app.asked.length === 2);
  });

  it("that fails is tried again after the interval, and is no end", async () => {
    const { app, context } = await startSlowly();
    const page = await openSlowPage(context, app);
    await page.route("**/session/renew", (route) => route.abort(), { times: 1 });
    let failures = 0;
    page.on("requestfailed", () => failures++);
    await page.keyboard.press("a");
    await until(context, () => failures === 1);
    expect(await page.evaluate("session.ended")).toBe(undefined);
    await pass(context, 40);
    expect(app.asked).toEqual([]);
    await until(context, async () => (await heard(page, "renewed")).length === 1);
  });

  it("does not race with a login that the same click makes", async () => {
    const { app, context } = await startSlowly({
      setup({ app: routes }) {
        routes.post("/rotate", (req, res) => {
          req.session.regenerate(() => {
            req.session.user = "bob";
            req.session.save(() => res.json({}));
          });
        });
      },
    });
    const page = await openSlowPage(context, app);
    await page.evaluate(`button.onclick = () => post("/rotate")`);
    await page.locator("#button").click();
    await until(context, async () => (await page.evaluate<{ user?: string }>("session.view")).user === "bob");
    await pass(context, 40);
    expect(app.asked).toEqual([]);
    await page.keyboard.press("a");
    await until(context, () => app.asked.length === 1);
  });

  it("follows a login that gives a shorter session in its own interval", async () => {
    const { app, context } = await startSlowly({
      setup({ app: routes }) {
        routes.post("/rotate", (req, res) => {
          req.session.regenerate(() => {
            req.session.user = "bob";
            req.session.cookie.maxAge = 2 * minute;
            req.session.save(() => res.json({}));
          });
        });
      },
    });
    const page = await openSlowPage(context, app);
    await page.evaluate(`post("/rotate")`);
    await until(context, async () => (await page.evaluate<{ user?: string }>("session.view")).user === "bob");
    await page.keyboard.press("a");
    await pass(context, 30);
    await expect.poll(() => app.asked).toEqual(["/renew"]);
  });

  it("goes on where a listener throws, and so do the other listeners", async () => {
    const { app, context } = await startSlowly();
    const page = await openSlowPage(context, app);
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    await page.evaluate(`{
      session.on("renewed", () => { throw new Error("of the page") });
      session.on("renewed", (value) => log.push(["also", value]));
    }`);
    for (const times of [1, 2]) {
      await page.keyboard.press("a");
      await until(context, async () => (await heard(page, "also")).length === times);
    }
    expect(app.asked).toHaveLength(2);
    await expect.poll(() => errors).toEqual(["of the page", "of the page"]);
  });

  it("is not kept from the other tabs by one that hangs", async () => {
    const app = await startClientApp();
    const [first, other] = await logIn(chromium, app.url, 2, { warnBefore: second });
    await first.keyboard.press("a");
    await hears(other, "renewed");
    // Nobody answers it.
    const dialog = new Promise((resolve) => first.on("dialog", resolve));
    first.evaluate("alert()").catch(() => undefined);
    await dialog;
    await other.bringToFront();
    await other.keyboard.press("b");
    await expect.poll(() => app.asked.length, { timeout: 30_000 }).toBe(2);
  });

  it(
    "is made once per interval at most in ten minutes, in ten tabs that are all in use",
    { timeout: 120_000 },
    async () => {
      const { app, context } = await startSlowly();
      // The page's own time, at which it asks.
      await context.addInitScript(`{
        const ask = fetch;
        globalThis.renewedAt = [];
        globalThis.fetch = (url, init) => {
          if (url.endsWith("/renew")) renewedAt.push(Date.now());
          return ask(url, init);
        };
      }`);
      const pages: Page[] = [];
      while (pages.length < 10) pages.push(await openSlowPage(context, app));
      for (let seconds = 0; seconds < 600; seconds += 10) {
        for (const page of pages) await page.keyboard.press("a");
        await context.clock.runFor(10 * second);
      }
      const ofEach = await Promise.all(pages.map((page) => page.evaluate<number[]>("renewedAt")));
      const times = ofEach.flat().toSorted((a, b) => a - b);
      const gaps = times.slice(1).map((time, index) => time - (times[index] as number));
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(minute);
      expect(times.length).toBeGreaterThanOrEqual(8);
      expect(app.asked).toHaveLength(times.length);
    },
  );

  it("in one tab is enough for what was done in all", async () => {
    const { app, context } = await startSlowly();
    for (const page of [await openSlowPage(context, app), await openSlowPage(context, app)]) {
      await page.keyboard.press("a");
    }
    await until(context, () => app.asked.length === 1);
    await pass(context, 3 * 60);
    expect(app.asked).toHaveLength(1);
  });

  it("takes turns by locks alone, where the tabs can tell each other nothing", async () => {
    const { app, context } = await startSlowly();
    await context.addInitScript(`
      Object.defineProperty(globalThis, "localStorage", { get() { throw new Error("blocked"); } });
      delete globalThis.BroadcastChannel;
    `);
    for (const page of [await openSlowPage(context, app), await openSlowPage(context, app)]) {
      await page.keyboard.press("a");
    }
    await until(context, () => app.asked.length === 1);
    await pass(context, 40);
    expect(app.asked).toHaveLength(1);
    await until(context, () => app.asked.length === 2);
  });

  it("takes turns without locks, too, as on a page without TLS", async () => {
    const { app, context } = await startSlowly();
    await context.addInitScript(`Object.defineProperty(navigator, "locks", { value: undefined })`);
    const [first, other] = [await openSlowPage(context, app), await openSlowPage(context, app)];
    // Those who wait for the same moment wait a random time longer.
    await first.evaluate("void (Math.random = () => 0)");
    await other.evaluate("void (Math.random = () => 0.5)");
    for (const page of [first, other]) await page.keyboard.press("a");
    await until(context, () => app.asked.length === 1);
    for (const page of [first, other]) {
      await hears(page, "renewed");
      await page.keyboard.press("b");
    }
    await pass(context, 40);
    expect(app.asked).toHaveLength(1);
    await until(context, () => app.asked.length === 2);
  });
});

describe("the warning", { timeout: 60_000 }, () => {
  it("comes in time, and is taken back in all tabs by the button of one", async () => {
    const { app, context } = await startSlowly();
    const pages = [await openSlowPage(context, app), await openSlowPage(context, app)];
    await context.clock.runFor(8.5 * minute);
    for (const page of pages) expect(await heard(page, "expiring")).toEqual([]);
    await context.clock.runFor(minute);
    for (const page of pages) {
      const [[, warning] = []] = await heard(page, "expiring");
      expect((warning as { expiresIn: number }).expiresIn).toBeGreaterThan(50 * second);
      expect((warning as { expiresIn: number }).expiresIn).toBeLessThanOrEqual(minute);
      expect(await page.evaluate("session.expiring")).toEqual(warning);
    }
    expect(await pages[0]?.evaluate("session.renew()")).toBe(true);
    for (const page of pages) {
      await hears(page, "renewed", { expiresIn: expect.closeTo(10 * minute, -4) });
      expect(await page.evaluate("session.expiring")).toBe(undefined);
    }
    await context.clock.runFor(8 * minute);
    for (const page of pages) expect(await heard(page, "expiring")).toHaveLength(1);
  });

  it("has a settable time", async () => {
    const { app, context } = await startSlowly();
    const page = await openSlowPage(context, app, { warnBefore: 5 * minute });
    await context.clock.runFor(4 * minute);
    expect(await heard(page, "expiring")).toEqual([]);
    await context.clock.runFor(minute);
    expect(await heard(page, "expiring")).toHaveLength(1);
  });
});

describe("renew()", () => {
  it("tells the end where there is nothing to renew", async () => {
    const app = await startClientApp();
    const [page] = await logIn(chromium, app.url);
    await page.context().clearCookies();
    expect(await page.evaluate("session.renew()")).toBe(false);
    await hears(page, "end", { code: "SESSION_MISSING" });
    expect(await page.evaluate("[socket.connected, socket.active]")).toEqual([false, false]);
  });

  it("resolves with false where the server does not answer, which is no end", async () => {
    const app = await startClientApp();
    const [page] = await logIn(chromium, app.url);
    await page.route("**/session/renew", (route) => route.abort());
    expect(await page.evaluate("session.renew()")).toBe(false);
    expect(await heard(page, "end")).toEqual([]);
  });

  it.each([
    ["the routes are not mounted", { status: 404, body: "Cannot POST /session/renew" }, "mount sessions.routes"],
    [
      "the routes are not for this page",
      { status: 403, body: '{"code":"ORIGIN_REFUSED","retry":false}' },
      "ORIGIN_REFUSED",
    ],
  ])("is no end where %s: the socket stays, and the console says it once", async (_, answer, says) => {
    const app = await startClientApp();
    const [page] = await logIn(chromium, app.url);
    const said: string[] = [];
    page.on("console", (message) => message.text().includes("socket-session") && said.push(message.text()));
    let asked = 0;
    await page.route("**/session/renew", (route) => {
      asked++;
      return route.fulfill(answer);
    });
    for (let index = 0; index < 2; index++) expect(await page.evaluate("session.renew()")).toBe(false);
    expect(said).toEqual([expect.stringContaining(says)]);
    expect(await heard(page, "end")).toEqual([]);
    expect(await page.evaluate("socket.connected")).toBe(true);
    // What the user does asks no more.
    await page.locator("#button").click();
    await page.evaluate("new Promise((resolve) => setTimeout(resolve, 1500))");
    expect(asked).toBe(2);
  });
});

it("close() also lets go of a renewal that is under way", async () => {
  const app = await startClientApp();
  const [page] = await logIn(chromium, app.url);
  let answer = (): void => {};
  const asked = new Promise<void>((resolve) => {
    void page.route("**/session/renew", async (route) => {
      const answered = new Promise<void>((go) => (answer = go));
      resolve();
      await answered;
      await route.fulfill({ status: 401, json: { code: "SESSION_MISSING", retry: false } });
    });
  });
  await page.evaluate("void (globalThis.renewal = session.renew())");
  await asked;
  await page.evaluate("session.close()");
  answer();
  expect(await page.evaluate("renewal")).toBe(false);
  expect(await page.evaluate("[session.ended, socket.connected]")).toEqual([undefined, true]);
  expect(await heard(page, "end")).toEqual([]);
});

it("close() lets go of the socket: nothing is told, nothing is renewed any more", async () => {
  const app = await startClientApp();
  const [page] = await logIn(chromium, app.url);
  await page.evaluate("session.close()");
  await page.keyboard.press("a");
  await page.evaluate(`post("/set", { user: "bob" })`);
  await page.evaluate(`post("/logout")`);
  await expect.poll(() => page.evaluate("socket.connected")).toBe(false);
  expect((await heard(page, "change", "end", "renewed")).length).toBe(1);
  expect(app.asked).toEqual([]);
});

/** A session of ten minutes, which is renewed every minute; pages whose time is the test's. */
async function startSlowly(options: AppOptions = {}): Promise<{ app: ClientApp; context: BrowserContext }> {
  const app = await startClientApp({
    ...options,
    sessions: { cookie: { maxAge: 10 * minute } },
    io: { pingInterval: 60 * minute, pingTimeout: 60 * minute },
  });
  const context = await openContext(chromium);
  const page = await openPage(context, app.url);
  await page.evaluate(`post("/login")`);
  await page.close();
  // One clock for all tabs.
  await context.clock.install({ time: new Date(2030, 0, 1) });
  await context.clock.pauseAt(new Date(2030, 0, 1, 0, 0, 1));
  return { app, context };
}

async function openSlowPage(context: BrowserContext, app: ClientApp, options: object = {}): Promise<Page> {
  const page = await context.newPage();
  await page.goto(app.url);
  await start(page, options);
  await sees(page, { user: "ada" });
  return page;
}

/** Second by second, so that what the pages do in between, in real time, is done. */
async function pass(context: BrowserContext, seconds: number): Promise<void> {
  for (let passed = 0; passed < seconds; passed++) await context.clock.runFor(second);
}

/** Lets time pass until something has happened: a page that has waited for a lock starts its timers later. */
async function until(context: BrowserContext, hasHappened: () => boolean | Promise<boolean>): Promise<void> {
  const look = async (): Promise<boolean> => {
    await context.clock.runFor(second);
    return hasHappened();
  };
  await expect.poll(look, { timeout: 40_000, interval: 20 }).toBe(true);
}
