// The demo as its users meet it: a real server process, a real Chromium, tabs and browsers.
import { once } from "node:events";
import { connect } from "node:net";
import type { BrowserContext, Page } from "playwright-core";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { startDemo, useDemo } from "../support/chat-demo.js";
import { enterName, isSignedOut, logOut, lookAt, lookAway, say, shows } from "../support/chat-page.js";
import { openContext } from "../support/client.js";
import { freePort } from "../support/private-server.js";

const running = useDemo();
/** What no page may report: scripts that throw, refused by the content security policy. */
const faults: string[] = [];

afterEach(() => {
  expect(faults.splice(0)).toEqual([]);
});

describe("the start", () => {
  test("says in three lines where the demo is, and what to do", () => {
    expect(running.demo.printed).toEqual([
      `The demo of socket-session is at ${running.demo.url}`,
      expect.stringContaining("two tabs"),
      expect.stringContaining("log out"),
    ]);
  });

  test("takes another port where its own is taken, and says so", async () => {
    const { port } = new URL(running.demo.url);
    const second = await startDemo({ PORT: port });
    onTestFinished(async () => expect(await second.stop()).toBe(0));
    expect(second.printed[0]).toBe(`The demo of socket-session is at ${second.url} (port ${port} is taken)`);
    expect((await fetch(second.url)).status).toBe(200);
  });
});

describe("log in", () => {
  test("shows the form, without a reason, to whoever comes first", async () => {
    const page = await openTab(await openContext(running.browser));
    await page.getByRole("heading", { name: "Join the chat" }).waitFor();
    expect(await page.locator("#reason").isVisible()).toBe(false);
    expect(await page.getByRole("textbox", { name: "Message" }).isVisible()).toBe(false);
  });

  test.each(["", "x", "<b>Ada</b>", "-".repeat(20)])("refuses the name %j, and makes no session", async (name) => {
    const context = await openContext(running.browser);
    const page = await openTab(context);
    await page.getByLabel("Your name").fill(name);
    await page.getByRole("button", { name: "Join" }).click();
    await page.getByRole("alert").filter({ hasText: "A name has 2 to 20" }).waitFor();
    expect(await page.getByLabel("Your name").getAttribute("aria-invalid")).toBe("true");
    expect(await context.cookies()).toEqual([]);
  });

  test("takes no name that the form would not send, and no form of another site", async () => {
    const { request } = await openContext(running.browser);
    const logInWith = (name: string, headers = {}) =>
      request.post(`${running.demo.url}/login`, { form: { name }, headers });
    expect((await logInWith("x".repeat(21))).status()).toBe(400);
    expect((await request.post(`${running.demo.url}/login`, { data: { name: ["Ada"] } })).status()).toBe(400);
    expect((await logInWith("Ada", { "sec-fetch-site": "cross-site" })).status()).toBe(403);
    expect((await request.get(`${running.demo.url}/session`)).status()).toBe(401);
  });

  test("in one tab is a login in all: their sockets have one live session", async () => {
    const context = await openContext(running.browser);
    const early = await openTab(context);
    await early.getByLabel("Your name").waitFor();
    const first = await logIn(context, "Ada");
    const late = await openTab(context);
    for (const tab of [first, early, late]) {
      await shows(tab, "name", "Ada");
      await shows(tab, "tabs", "3");
    }
    await late.close();
    await shows(first, "tabs", "2");
  });

  test("lasts over a reload, with all that the session holds", async () => {
    const page = await logIn(await openContext(running.browser), "Reloader");
    await say(page, "said before");
    await page.getByRole("listitem").filter({ hasText: "said before" }).waitFor();
    await page.getByLabel("Message", { exact: true }).fill("half a sentence");
    await shows(page, "draft", "half a sentence");
    await page.reload();
    await shows(page, "name", "Reloader");
    await page
      .getByRole("listitem")
      .filter({ hasText: /You.*said before/ })
      .waitFor();
    await shows(page, "tabs", "1");
    await boxHolds(page, "half a sentence");
  });

  test("never tells the page its session id", async () => {
    const context = await openContext(running.browser);
    const page = await openTab(context);
    const seen: string[] = [];
    page.on("websocket", (socket) => {
      socket.on("framereceived", ({ payload }) => seen.push(payload.toString()));
    });
    await enterName(page, "Secretive");
    await page.getByRole("button", { name: "Show what HTTP sees" }).click();
    await page.locator("#http-view").waitFor();
    seen.push((await page.locator("#http-view").textContent()) ?? "");
    await shows(page, "name", "Secretive");
    const [cookie] = await context.cookies();
    const id = decodeURIComponent(cookie?.value ?? "")
      .slice(2)
      .split(".", 1)[0] as string;
    expect(id.length).toBeGreaterThan(20);
    await expect.poll(() => seen.length).toBeGreaterThan(2);
    expect(seen.filter((text) => text.includes(id))).toEqual([]);
    expect(cookie?.httpOnly).toBe(true);
  });
});

describe("one session", () => {
  test("what a socket changes, the other tab and HTTP see", async () => {
    const { first, second } = await twoTabs("Writer");
    await first.getByLabel("Message", { exact: true }).pressSequentially("typed in tab one");
    await shows(second, "draft", "typed in tab one");
    await boxHolds(second, "typed in tab one");
    expect(await overHttp(first)).toMatchObject({ name: "Writer", unread: 0, draft: "typed in tab one" });
    await second.getByLabel("Message", { exact: true }).press("End");
    await second.getByLabel("Message", { exact: true }).pressSequentially(", finished in tab two");
    await boxHolds(first, "typed in tab one, finished in tab two");
  });

  test("what an HTTP form changes, all tabs see", async () => {
    const { first, second } = await twoTabs("Former");
    await first.getByRole("button", { name: "On my way." }).click();
    for (const tab of [first, second]) {
      await shows(tab, "draft", "On my way.");
      await boxHolds(tab, "On my way.");
    }
    const response = await first.request.post(`${running.demo.url}/draft`, { form: { text: "from a request" } });
    expect(response.status()).toBe(204);
    for (const tab of [first, second]) await boxHolds(tab, "from a request");
    await second.getByRole("button", { name: "Clear the draft" }).click();
    for (const tab of [first, second]) await boxHolds(tab, "");
  });

  test("of another browser is another one", async () => {
    const ada = await logIn(await openContext(running.browser), "Ada One");
    const bob = await logIn(await openContext(running.browser), "Bob One");
    await ada.getByLabel("Message", { exact: true }).fill("for Ada's eyes");
    await shows(ada, "draft", "for Ada's eyes");
    await bob.getByLabel("Message", { exact: true }).fill("for Bob's eyes");
    await shows(bob, "draft", "for Bob's eyes");
    expect(await overHttp(ada)).toMatchObject({ name: "Ada One", draft: "for Ada's eyes" });
    expect(await overHttp(bob)).toMatchObject({ name: "Bob One", draft: "for Bob's eyes" });
  });

  test("keeps its data and its tabs when it gets a new id", async () => {
    const { context, first, second } = await twoTabs("Renewed");
    await first.getByLabel("Message", { exact: true }).fill("kept");
    await shows(second, "draft", "kept");
    const before = await context.cookies();
    await first.getByRole("button", { name: "Renew the id" }).click();
    for (const tab of [first, second]) {
      await tab.locator("#log").getByText("session:end SESSION_ROTATED").waitFor();
      await shows(tab, "tabs", "2");
      await statusIs(tab, "Live");
      await boxHolds(tab, "kept");
    }
    expect((await context.cookies())[0]?.value).not.toBe(before[0]?.value);
    await second.getByLabel("Message", { exact: true }).fill("still one session");
    await boxHolds(first, "still one session");
  });
});

describe("a login over the socket", () => {
  test("gives the browser another session, without a break in this tab, and all tabs show the name", async () => {
    const { context, first, second } = await twoTabs("Before");
    await first.getByLabel("Message", { exact: true }).fill("kept");
    await shows(second, "draft", "kept");
    const before = await context.cookies();
    await first.getByLabel("New name").fill("After");
    await first.getByRole("button", { name: "Change" }).click();
    for (const tab of [first, second]) {
      await shows(tab, "name", "After");
      await shows(tab, "tabs", "2");
      await boxHolds(tab, "kept");
    }
    await second.locator("#log").getByText("session:end SESSION_ROTATED").waitFor();
    expect(await first.locator("#log").getByText("session:end").count()).toBe(0);
    expect((await context.cookies())[0]?.value).not.toBe(before[0]?.value);
    expect(await overHttp(first)).toMatchObject({ name: "After", unread: 0, draft: "kept" });
  });

  test("refuses a name that is none", async () => {
    const page = await logIn(await openContext(running.browser), "Unchanged");
    await page.getByLabel("New name").fill("x");
    await page.getByRole("button", { name: "Change" }).click();
    await page.getByRole("alert").filter({ hasText: "A name has 2 to 20" }).waitFor();
    await shows(page, "name", "Unchanged");
  });
});

describe("messages", () => {
  test("reach the other browser, as text", async () => {
    const ada = await logIn(await openContext(running.browser), "Ada Two");
    const bob = await logIn(await openContext(running.browser), "Bob Two");
    const text = `<img src="x" onerror="document.title = 'broken into'"> hello`;
    await say(ada, text);
    await bob.getByRole("log").getByText(text, { exact: true }).waitFor();
    expect(await bob.locator("#messages img").count()).toBe(0);
    await say(bob, "hello Ada Two");
    await ada.getByRole("log").getByText("hello Ada Two", { exact: true }).waitFor();
    await boxHolds(bob, "");
  });

  test("are counted as unread, once per session, until they are read in one tab", async () => {
    const { first, second } = await twoTabs("Counter");
    for (const tab of [first, second]) await lookAway(tab);
    const bob = await logIn(await openContext(running.browser), "Bob Three");
    const eve = await logIn(await openContext(running.browser), "Eve Three");
    await Promise.all([say(bob, "one"), say(eve, "two")]);
    await say(bob, "three");
    for (const tab of [first, second]) {
      await shows(tab, "unread", "3");
      await tab.getByRole("button", { name: "3 unread" }).waitFor();
      await expect.poll(() => tab.title()).toBe("(3) socket-session demo");
    }
    expect(await overHttp(first)).toMatchObject({ unread: 3 });
    await lookAt(second);
    await shows(first, "unread", "0");
    await first.getByRole("button", { name: "unread" }).waitFor({ state: "hidden" });
    await expect.poll(() => first.title()).toBe("socket-session demo");
  });

  test("that are empty or of another type are refused", async () => {
    const page = await logIn(await openContext(running.browser), "Typist");
    const answers = await page.evaluate<unknown[]>(`(async () => {
      const { socket } = await import("/tab.js");
      const ask = (...values) => new Promise((resolve) => socket.emit(...values, resolve));
      socket.emit("message"); // no answer wanted, none given
      return [
        await ask("message", "   "),
        await ask("message", { text: "an object" }),
        await ask("message", "x".repeat(501)),
        await ask("message"),
        await ask("draft", ["a list"]),
        await ask("draft", null),
      ];
    })()`);
    const message = { error: "A message has 1 to 500 characters." };
    const draft = { error: "A draft has at most 500 characters." };
    expect(answers).toEqual([message, message, message, message, draft, draft]);
    expect(await overHttp(page)).toMatchObject({ draft: "" });
  });
});

describe("the end", () => {
  test("comes to all tabs when one logs out; a new login brings all back", async () => {
    const { context, first, second } = await twoTabs("Leaver");
    const bob = await logIn(await openContext(running.browser), "Bob Four");
    await logOut(second);
    for (const tab of [first, second]) await isSignedOut(tab, "SESSION_DESTROYED");
    await shows(bob, "tabs", "1");
    // The socket tells the end, the response takes the cookie away.
    await expect.poll(() => context.cookies()).toEqual([]);
    expect((await first.request.get(`${running.demo.url}/session`)).status()).toBe(401);
    await enterName(first, "Leaver");
    for (const tab of [first, second]) await shows(tab, "tabs", "2");
  });

  test("comes to every browser of a user who logs out everywhere, and to nobody else", async () => {
    const desk = await logIn(await openContext(running.browser), "Everywhere", "sesame");
    const phone = await logIn(await openContext(running.browser), "Everywhere", "sesame");
    const bob = await logIn(await openContext(running.browser), "Bob Five");
    const namesake = await logIn(await openContext(running.browser), "Everywhere");
    await shows(desk, "tabs", "1");
    await desk.getByRole("button", { name: "Log out everywhere" }).click();
    for (const page of [desk, phone]) await isSignedOut(page, "SESSION_DESTROYED");
    await phone.reload();
    await isSignedOut(phone, "SESSION_UNKNOWN");
    await say(bob, "still here");
    for (const page of [bob, namesake]) await page.getByRole("log").getByText("still here", { exact: true }).waitFor();
  });

  test("is announced half a minute before, and put off by a button in one tab for all", async () => {
    const brief = await startDemo({ SESSION_MAX_AGE: "34" });
    onTestFinished(async () => void (await brief.stop()));
    const context = await openContext(running.browser);
    const first = await openTab(context, brief.url);
    await enterName(first, "Stayer");
    const second = await openTab(context, brief.url);
    for (const tab of [first, second]) await tab.getByText(/You will be signed out in \d+ s\./).waitFor();
    await second.getByRole("button", { name: "Stay signed in" }).click();
    for (const tab of [first, second]) await tab.locator("#warning").waitFor({ state: "hidden" });
  });

  test("comes by itself to a session that nobody uses", async () => {
    const brief = await startDemo({ SESSION_MAX_AGE: "6" });
    onTestFinished(async () => void (await brief.stop()));
    const page = await openTab(await openContext(running.browser), brief.url);
    await enterName(page, "Sleeper");
    await isSignedOut(page, "SESSION_EXPIRED");
  });

  test("is found out when the server comes back and knows nobody", async () => {
    const before = await startDemo({ PORT: `${await freePort()}` });
    onTestFinished(async () => void (await before.stop()));
    const page = await openTab(await openContext(running.browser), before.url);
    await enterName(page, "Survivor");
    expect(await before.stop()).toBe(0);
    await statusIs(page, "Reconnecting");
    const after = await startDemo({ PORT: new URL(before.url).port });
    onTestFinished(async () => void (await after.stop()));
    await isSignedOut(page, "SESSION_INVALID");
  });
});

test("stops while a browser holds a connection that it opened for later", async () => {
  const own = await startDemo();
  const unused = connect(Number(new URL(own.url).port), "localhost");
  unused.on("error", () => undefined); // it may be reset
  onTestFinished(() => void unused.destroy());
  await once(unused, "connect");
  expect(await own.stop()).toBe(0);
});

// --- the demo and its pages ---

async function openTab(context: BrowserContext, url = running.demo.url): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    if (message.text().includes("Content Security Policy")) faults.push(message.text());
  });
  await page.goto(url);
  return page;
}

async function logIn(context: BrowserContext, name: string, word = ""): Promise<Page> {
  const page = await openTab(context);
  await enterName(page, name, word);
  return page;
}

async function twoTabs(name: string): Promise<{ context: BrowserContext; first: Page; second: Page }> {
  const context = await openContext(running.browser);
  const first = await logIn(context, name);
  const second = await openTab(context);
  for (const tab of [first, second]) await shows(tab, "tabs", "2");
  return { context, first, second };
}

async function statusIs(page: Page, text: "Live" | "Reconnecting"): Promise<void> {
  await expect.poll(() => page.getByRole("status").textContent(), { timeout: 10_000 }).toBe(text);
}

/** The text in the box for messages. */
async function boxHolds(page: Page, text: string): Promise<void> {
  await expect.poll(() => page.getByLabel("Message", { exact: true }).inputValue(), { timeout: 10_000 }).toBe(text);
}

/** The session, as an HTTP request of this browser sees it. */
async function overHttp(page: Page): Promise<unknown> {
  const { view } = (await (await page.request.get(`${running.demo.url}/session`)).json()) as { view: unknown };
  return view;
}
