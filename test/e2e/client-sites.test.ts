// Pages and socket servers on different sites, behind TLS: tickets where the cookie does not go, and what a foreign
// page can do with the session routes.
import type { Browser as Chromium, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { memoryStore } from "../../src/index.js";
import { launchChromium } from "../support/chromium.js";
import { heard, hears, openContext, openPage, sees, start } from "../support/client.js";
import { type SecureApp, type SecureAppOptions, startSecureApp } from "../support/https.js";

let chromium: Chromium;
beforeAll(async () => {
  chromium = await launchChromium();
});
afterAll(() => chromium?.close());

describe("a page on another site than its socket server, where third-party cookies are blocked", () => {
  it("has no session without a ticket, although the socket server has set its own cookie", async () => {
    const { site, sockets } = await startTwoSites({ attach: { tickets: true } });
    const context = await openSecureContext();
    // The socket server's cookie, as first party.
    const own = await openPage(context, sockets.otherUrl);
    await own.evaluate(`post("/login")`);
    const page = await openBlockedPage(context, site.url);
    await start(page, {}, polling, sockets.otherUrl);
    await hears(page, "end", { code: "SESSION_MISSING" });
    // The same page, were they not blocked.
    const unblocked = await openPage(context, site.url);
    await start(unblocked, {}, polling, sockets.otherUrl);
    await sees(unblocked, { user: "ada" });
  });

  it("connects by ticket to another node, each time by a new one", async () => {
    const { site, sockets } = await startTwoSites({ attach: { tickets: true } });
    const context = await openSecureContext();
    const page = await openBlockedPage(context, site.url);
    await page.evaluate(`post("/login")`);
    await start(page, { ticket: true }, polling, sockets.otherUrl);
    await sees(page, { user: "ada" });
    for (const [, socket] of sockets.io.sockets.sockets) socket.conn.close();
    await expect.poll(() => heard(page, "connect")).toHaveLength(2);
    await page.evaluate(`post("/login", { user: "bob" })`);
    await sees(page, { user: "bob" });
    expect(await heard(page, "end")).toEqual([]);
  });

  it("sends its own auth beside the ticket, and a ticket is in no address", async () => {
    const { site, sockets } = await startTwoSites({ attach: { tickets: true } });
    const context = await openSecureContext();
    const page = await openBlockedPage(context, site.url);
    await page.evaluate(`post("/login")`);
    const addresses: string[] = [];
    page.on("request", (request) => addresses.push(request.url()));
    const ticket = page.waitForResponse("**/session/ticket");
    await start(page, { ticket: true }, { ...polling, auth: { from: "the page" } }, sockets.otherUrl);
    await sees(page, { user: "ada" });
    const { ticket: used } = (await (await ticket).json()) as { ticket: string };
    const [socket] = sockets.io.sockets.sockets.values();
    expect(socket?.handshake.auth["from"]).toBe("the page");
    expect(addresses.length).toBeGreaterThan(1);
    expect(addresses.filter((address) => address.includes(used.slice(0, 20)))).toEqual([]);
  });

  it("is refused where the server takes no tickets", async () => {
    const { site, sockets } = await startTwoSites();
    const context = await openSecureContext();
    const page = await openBlockedPage(context, site.url);
    await page.evaluate(`post("/login")`);
    await start(page, { ticket: true }, polling, sockets.otherUrl);
    await hears(page, "end", { code: "SESSION_MISSING" });
  });

  it("is told the end by the ticket route, where its session is over", async () => {
    const { site, sockets } = await startTwoSites({ attach: { tickets: true } });
    const page = await openBlockedPage(await openSecureContext(), site.url);
    await start(page, { ticket: true }, polling, sockets.otherUrl);
    await hears(page, "end", { code: "SESSION_MISSING" });
    expect(await page.evaluate("socket.active")).toBe(false);
  });

  it("comes back when the ticket route answers again", async () => {
    const { site, sockets } = await startTwoSites({ attach: { tickets: true } });
    const page = await openBlockedPage(await openSecureContext(), site.url);
    await page.evaluate(`post("/login")`);
    await page.route("**/session/ticket", (route) => route.abort(), { times: 2 });
    await start(page, { ticket: true }, polling, sockets.otherUrl);
    await sees(page, { user: "ada" });
    expect(await heard(page, "end")).toEqual([]);
  });
});

describe("a page on another site than the routes, where third-party cookies are not blocked", () => {
  it("that the server lists may use them, over CORS", async () => {
    const origins: string[] = [];
    const app = await startSecureApp({ sessions: { routes: { origins: (origin) => origins.includes(origin) } } });
    origins.push(app.otherUrl);
    app.io.engine.opts.cors = { origin: origins, credentials: true };
    const context = await openSecureContext();
    const own = await openPage(context, app.url);
    await own.evaluate(`post("/login")`);
    const page = await openPage(context, app.otherUrl);
    await start(page, { url: `${app.url}/session` }, { withCredentials: true }, app.url);
    await sees(page, { user: "ada" });
    expect(await page.evaluate("session.renew()")).toBe(true);
  });

  it.each(["renew", "ticket", "collect"])(
    "that it does not list does nothing by a forged POST to /%s",
    async (route) => {
      const app = await startSecureApp();
      const context = await openSecureContext();
      const own = await openPage(context, app.url);
      await own.evaluate(`post("/login")`);
      const before = await context.cookies();
      const evil = await openPage(context, app.otherUrl);
      const address = `${app.url}/session/${route}`;
      const response = evil.waitForResponse(address);
      const forged = `fetch("${address}", { method: "POST", mode: "no-cors", credentials: "include" })
      .then((response) => response.text())`;
      expect(await evil.evaluate(forged)).toBe("");
      expect((await response).status()).toBe(403);
      expect(app.withCookie).toContain(`/session/${route}`);
      // A form, which no CORS keeps from being sent, and whose answer the browser goes to.
      const answer = evil.waitForResponse(address);
      await evil.evaluate(`{
      const form = document.createElement("form");
      form.method = "post";
      form.action = "${address}";
      document.body.append(form);
      form.submit();
    }`);
      expect((await answer).status()).toBe(403);
      expect(await (await answer).headerValue("set-cookie")).toBe(null);
      expect(await context.cookies()).toEqual(before);
      expect(await own.evaluate(`fetch("/session").then((response) => response.json())`)).toMatchObject({
        view: { user: "ada" },
      });
    },
  );
});

/** A site with pages and HTTP, and a socket server on another one: two nodes on one store. */
async function startTwoSites(options: SecureAppOptions = {}): Promise<{ site: SecureApp; sockets: SecureApp }> {
  const store = memoryStore();
  onTestFinished(() => store.close());
  const site = await startSecureApp({ sessions: { store } });
  const sockets = await startSecureApp({
    ...options,
    sessions: { store },
    io: { cors: { origin: [site.url], credentials: true } },
  });
  return { site, sockets };
}

/** A page that sends no cookie to other sites, whatever they allow. Chromium lets a test block them for HTTP alone. */
async function openBlockedPage(context: BrowserContext, url: string): Promise<Page> {
  const page = await openPage(context, url);
  const devtools = await context.newCDPSession(page);
  await devtools.send("Network.enable");
  await devtools.send(
    "Network.setCookieControls" as "Network.enable",
    {
      enableThirdPartyCookieRestriction: true,
      disableThirdPartyCookieMetadata: true,
      disableThirdPartyCookieHeuristics: true,
    } as object,
  );
  await page.reload();
  return page;
}

const polling = { transports: ["polling"], withCredentials: true };

function openSecureContext(): Promise<BrowserContext> {
  return openContext(chromium, { ignoreHTTPSErrors: true });
}
