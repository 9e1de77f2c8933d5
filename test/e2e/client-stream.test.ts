// The client with an EventSource in real pages: it hears what a Socket.IO client hears, comes back where that can help,
// and stays away where it cannot.
import type { Browser as Chromium, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { liveStore, type SessionStream, type StreamOptions } from "../../src/index.js";
import type { AppOptions } from "../support/app.js";
import { launchChromium } from "../support/chromium.js";
import { type ClientApp, heard, hears, openContext, openPage, sees, startClientApp } from "../support/client.js";
import { LineStore } from "../support/stores.js";

let chromium: Chromium;
beforeAll(async () => {
  chromium = await launchChromium();
});
afterAll(() => chromium?.close());

interface StreamApp extends ClientApp {
  readonly streams: SessionStream[];
}

async function startStreamApp(sessions: AppOptions["sessions"] = {}, options?: StreamOptions): Promise<StreamApp> {
  const streams: SessionStream[] = [];
  const app = await startClientApp({
    sessions,
    setup({ app, sessions: own }) {
      app.get("/events", (req, res) => void streams.push(own.stream(req, res, options).open()));
      app.post("/rotate", (req, res, next) => {
        req.session.regenerate((error) => {
          if (error) return next(error);
          req.session.user = "bob";
          res.json({});
        });
      });
    },
  });
  return { ...app, streams };
}

/** A page that has logged in and follows the stream. */
async function follow(app: ClientApp, options: object = {}): Promise<Page> {
  const page = await openPage(await openContext(chromium), app.url);
  await page.evaluate(`post("/login", { user: "ada" })`);
  await page.evaluate(`follow("/events", ${JSON.stringify(options)})`);
  await sees(page, { user: "ada" });
  return page;
}

it("shows the view at once and when it has changed, beside the application's events", async () => {
  const app = await startStreamApp();
  const page = await follow(app);
  app.streams[0]?.send("news", { id: 1 });
  await hears(page, "news", { id: 1 });
  await page.evaluate(`post("/set", { user: "Ada Lovelace" })`);
  await hears(page, "change", { user: "Ada Lovelace" });
  expect(await heard(page, "change")).toHaveLength(2);
});

it("tells the end once, and the EventSource stays away", async () => {
  const app = await startStreamApp();
  const page = await follow(app);
  await page.evaluate(`post("/logout")`);
  await hears(page, "end", { code: "SESSION_DESTROYED" });
  // Longer than an EventSource waits.
  await page.waitForTimeout(5000);
  expect(await page.evaluate("source.readyState")).toBe(2);
  expect(app.streams).toHaveLength(1);
  expect(await heard(page, "end")).toHaveLength(1);
  expect(await page.evaluate("[session.view, session.ended]")).toEqual([undefined, "SESSION_DESTROYED"]);
});

it("tells once that it may not be here any more, and stays away", async () => {
  const app = await startStreamApp({}, { allow: ({ user }) => user !== "mallory" });
  const page = await follow(app);
  await page.evaluate(`post("/set", { user: "mallory" })`);
  await hears(page, "end", { code: "SESSION_FORBIDDEN" });
  expect(await page.evaluate("[source.readyState, session.ended]")).toEqual([2, "SESSION_FORBIDDEN"]);
  expect(await heard(page, "end")).toHaveLength(1);
  expect(app.streams).toHaveLength(1);
});

it("comes back after a rotation, with the new cookie", async () => {
  const app = await startStreamApp();
  const page = await follow(app);
  await page.evaluate(`post("/rotate")`);
  await hears(page, "change", { user: "bob" });
  expect(await heard(page, "end")).toEqual([]);
  expect(await page.evaluate("source.readyState")).toBe(1);
});

it(
  "comes back after an outage that has closed it, however often it is refused meanwhile",
  { timeout: 60_000 },
  async () => {
    const line = new LineStore();
    const app = await startStreamApp({ store: liveStore(line), lease: 50, maxStale: 200 });
    const page = await follow(app);
    line.state = "fails";
    await expect.poll(() => app.streams.length, { timeout: 20_000 }).toBeGreaterThan(2);
    line.state = "up";
    const open = app.streams.length;
    await expect
      .poll(() => app.streams.slice(open - 1).some(({ signal }) => !signal.aborted), { timeout: 20_000 })
      .toBe(true);
    await page.evaluate(`post("/set", { user: "back" })`);
    await sees(page, { user: "back" });
    expect(await heard(page, "end")).toEqual([]);
  },
);

it("tells why the server refuses it from the start", async () => {
  const app = await startStreamApp();
  const page = await openPage(await openContext(chromium), app.url);
  await page.evaluate(`follow("/events")`);
  await hears(page, "end", { code: "SESSION_MISSING" });
});

it("warns before the session expires", async () => {
  const app = await startStreamApp({ cookie: { maxAge: 3000 } });
  const page = await follow(app, { warnBefore: 1500 });
  await hears(page, "expiring");
  await hears(page, "end", { code: "SESSION_EXPIRED" });
});

it("without the client an EventSource stops at the answer that refuses it", async () => {
  const app = await startStreamApp();
  const page = await openPage(await openContext(chromium), app.url);
  await page.evaluate(`post("/login", { user: "ada" })`);
  await page.evaluate(`source = new EventSource("/events"); source.onopen = () => log.push(["open"])`);
  await hears(page, "open");
  await page.evaluate(`post("/logout")`);
  await expect.poll(() => page.evaluate("source.readyState"), { timeout: 10_000 }).toBe(2);
  expect(app.streams).toHaveLength(2);
});
