// What the demo teaches, as somebody sees it who tries it for the first time: in a real Chromium.
import type { BrowserContext, Page } from "playwright-core";
import { describe, expect, onTestFinished, test } from "vitest";
import { startDemo, useDemo } from "../support/chat-demo.js";
import { enterName, isSignedOut, logOut, lookAway, say, shows } from "../support/chat-page.js";
import { openContext, openPage } from "../support/client.js";
import { freePort } from "../support/private-server.js";

const running = useDemo();

describe("the page", () => {
  test("has the library's name, and leads to its own source", async () => {
    const page = await openPage(await openContext(running.browser), running.demo.url);
    expect(await page.title()).toBe("socket-session demo");
    await page.locator("#door").getByText("socket-session demo").waitFor();
    await enterName(page, "Reader");
    await page.getByRole("heading", { name: "socket-session demo", level: 1 }).waitFor();
    for (const [name, text] of [
      ["the server", "createSessions({"],
      ["the page", 'account.on("change"'],
    ] as const) {
      const path = await page.locator("#panel").getByRole("link", { name }).getAttribute("href");
      const response = await page.request.get(running.demo.url + path);
      expect(response.headers()["content-type"]).toContain("text/plain");
      expect(await response.text()).toContain(text);
    }
  });

  test("has four steps that tick themselves, in all tabs", async () => {
    const { context, first } = await firstTab("Pupil");
    const done = (page: Page): Promise<string[]> =>
      page.evaluate(`[...document.querySelectorAll(".done")].map(({ dataset }) => dataset.step)`);
    expect(await done(first)).toEqual([]);
    const [second] = await Promise.all([
      context.waitForEvent("page"),
      first.getByRole("link", { name: "Open a second tab" }).click(),
    ]);
    for (const tab of [first, second]) await expect.poll(() => done(tab)).toEqual(["tab"]);
    // What the tab itself types is no lesson.
    await first.getByLabel("Message", { exact: true }).fill("here");
    await shows(second, "draft", "here");
    await first.locator("#log").getByText("this tab → server: draft").waitFor();
    await expect.poll(() => done(second)).toEqual(["tab", "type"]);
    await second.getByRole("button", { name: "Renew the id" }).click();
    await expect.poll(() => done(first)).toEqual(["tab", "type", "renew"]);
    await shows(first, "tabs", "2");
    await logOut(second);
    for (const tab of [first, second]) {
      await expect.poll(() => done(tab)).toEqual(["tab", "type", "renew", "logout"]);
      await tab.getByText("That is what one live session is.").waitFor();
    }
    await first.getByRole("button", { name: "Start again" }).click();
    for (const tab of [first, second]) await expect.poll(() => done(tab)).toEqual([]);
  });
});

describe("what happened", () => {
  test("comes first, in words: who told whom, and what", async () => {
    const { first, second } = await twoTabs("Teller");
    expect(await first.locator("#panel h3").first().textContent()).toBe("What happened");
    await first.getByLabel("Message", { exact: true }).fill("a word");
    await first.locator("#log").getByText("this tab → server: draft", { exact: true }).waitFor();
    await second.locator("#log").getByText("server → this tab: draft", { exact: true }).waitFor();
    await second.getByRole("button", { name: "On my way." }).click();
    await second.locator("#log").getByText("this tab → HTTP: POST /draft", { exact: true }).waitFor();
    expect(await first.locator("#log time").first().textContent()).toMatch(/^\d\d:\d\d:\d\d$/);
  });

  test("folds the changes of one field", async () => {
    const { first, second } = await twoTabs("Folder");
    await first.getByLabel("Message", { exact: true }).pressSequentially("abcdef");
    await shows(second, "draft", "abcdef");
    await first.locator("#log").getByText("this tab → server: draft ×6", { exact: true }).waitFor();
    expect(await second.locator("#log").getByText("server → this tab: draft").count()).toBe(1);
  });
});

describe("the fingerprint", () => {
  test("flips in all tabs when the id is renewed, and is no part of the id", async () => {
    const { context, first, second } = await twoTabs("Flipper");
    const fingerprint = (tab: Page): Promise<string | null> => tab.locator("#field-fingerprint").textContent();
    const before = await fingerprint(first);
    expect(before).toMatch(/^[0-9a-f]{6}$/);
    expect(await fingerprint(second)).toBe(before);
    await first.getByRole("button", { name: "Renew the id" }).click();
    for (const tab of [first, second]) {
      await expect.poll(() => fingerprint(tab)).not.toBe(before);
      await tab.locator("#field-fingerprint.changed").waitFor();
    }
    const [cookie] = await context.cookies();
    expect(cookie?.value).not.toContain((await fingerprint(first)) as string);
  });
});

describe("an author", () => {
  test("keeps what he said when the browser logs in as someone else", async () => {
    const { first } = await firstTab("Once");
    await say(first, "said as Once");
    await first.locator("li.mine", { hasText: "said as Once" }).waitFor();
    await first.getByLabel("New name").fill("Now");
    await first.getByRole("button", { name: "Change" }).click();
    await shows(first, "name", "Now");
    const old = first.locator(".message", { hasText: "said as Once" });
    await expect.poll(() => old.getAttribute("class")).not.toContain("mine");
    expect(await old.locator(".who b").textContent()).toBe("Once");
    await first.reload();
    await shows(first, "name", "Now");
    expect(await old.locator(".who b").textContent()).toBe("Once");
  });

  test("is a stranger where only the name is the same, and the same with a secret word", async () => {
    const { first } = await firstTab("Twin");
    const { first: stranger } = await firstTab("Twin");
    await say(first, "from the first Twin");
    const message = (page: Page) => page.locator(".message", { hasText: "from the first Twin" });
    await message(stranger).waitFor();
    expect(await message(stranger).getAttribute("class")).not.toContain("mine");
    const desk = await openPage(await openContext(running.browser), running.demo.url);
    const phone = await openPage(await openContext(running.browser), running.demo.url);
    for (const page of [desk, phone]) await enterName(page, "Twin", "sesame");
    await say(desk, "from my desk");
    await phone.locator("li.mine", { hasText: "from my desk" }).waitFor();
  });
});

describe("what is shown is so", () => {
  test("what HTTP saw goes when the session changes", async () => {
    const { first, second } = await twoTabs("Looker");
    await first.getByRole("button", { name: "Show what HTTP sees" }).click();
    await first.locator("#http-view", { hasText: '"draft": ""' }).waitFor();
    await second.getByLabel("Message", { exact: true }).fill("newer");
    await first.locator("#http-view").waitFor({ state: "hidden" });
    await first.getByRole("button", { name: "Show what HTTP sees" }).click();
    await first.locator("#http-view", { hasText: '"draft": "newer"' }).waitFor();
  });

  test("messages that are seen are read, those of a tab in the background are not", async () => {
    const { first } = await firstTab("Watcher");
    const { first: away } = await firstTab("Away");
    const { first: bob } = await firstTab("Bob");
    await lookAway(away);
    await say(bob, "look here");
    await shows(away, "unread", "1");
    await first.locator("#log").getByText("this tab → server: read").first().waitFor();
    await shows(first, "unread", "0");
    // Somebody who reads older messages has not seen the newest.
    await first.setViewportSize({ width: 1000, height: 420 });
    for (const text of ["one", "two", "three", "four", "five", "six"]) await say(bob, text);
    await first.getByRole("log").getByText("six", { exact: true }).waitFor();
    // All seven are counted, for everybody: a message comes before it is.
    await shows(away, "unread", "7");
    await shows(first, "unread", "0");
    await first.evaluate(`document.getElementById("scroller").scrollTo(0, 0)`);
    await say(bob, "seven");
    await shows(first, "unread", "1");
    await first.getByRole("button", { name: "1 unread" }).click();
    await shows(first, "unread", "0");
  });

  test("a server that is away is said at the button", async () => {
    const own = await startDemo({ PORT: `${await freePort()}` });
    onTestFinished(async () => void (await own.stop()));
    const page = await openPage(await openContext(running.browser), own.url);
    const late = await openPage(await openContext(running.browser), own.url);
    await enterName(page, "Patient");
    await own.stop();
    for (const name of ["Renew the id", "On my way.", "Change"]) {
      const form = page.locator("form", { has: page.getByRole("button", { name, exact: true }) });
      await form.getByRole("button", { name, exact: true }).click();
      await form.locator("+ [role=alert]", { hasText: "The server does not answer." }).waitFor();
    }
    await say(page, "kept");
    await page.locator("#composer-note", { hasText: "The server does not answer: your draft is kept." }).waitFor();
    await late.getByLabel("Your name").fill("Late");
    await late.getByRole("button", { name: "Join" }).click();
    await late.locator("#name-error", { hasText: "The server does not answer." }).waitFor();
  });

  test("a server that is away is said at the button that keeps the session", async () => {
    const own = await startDemo({ SESSION_MAX_AGE: "32" });
    onTestFinished(async () => void (await own.stop()));
    const page = await openPage(await openContext(running.browser), own.url);
    await enterName(page, "Stayer");
    const stay = page.getByRole("button", { name: "Stay signed in" });
    await stay.waitFor();
    await own.stop();
    await stay.click();
    await page.locator("#warning + [role=alert]", { hasText: "The server does not answer." }).waitFor();
  });

  test("what HTTP saw does not come when the session has changed meanwhile", async () => {
    const { first, second } = await twoTabs("Overtaken");
    let answer = (): void => {};
    const isAsked = new Promise<void>((asked) => {
      void first.route("**/session", async (route) => {
        const response = await route.fetch();
        await new Promise<void>((resolve) => {
          answer = resolve;
          asked();
        });
        await route.fulfill({ response });
      });
    });
    await first.getByRole("button", { name: "Show what HTTP sees" }).click();
    await isAsked;
    await second.getByLabel("Message", { exact: true }).fill("newer");
    await expect.poll(() => first.getByLabel("Message", { exact: true }).inputValue()).toBe("newer");
    const answered = first.waitForResponse("**/session");
    answer();
    await (await answered).finished();
    await first.evaluate("new Promise((resolve) => setTimeout(resolve))");
    expect(await first.locator("#http-view").isVisible()).toBe(false);
  });

  test("the caret stays where it is when another tab writes", async () => {
    const { first, second } = await twoTabs("Typist");
    const box = first.getByLabel("Message", { exact: true });
    await box.fill("one three");
    await shows(second, "draft", "one three");
    await second.evaluate(`document.getElementById("draft").setSelectionRange(4, 4)`);
    await box.fill("zero one three");
    await shows(second, "draft", "zero one three");
    await second.getByLabel("Message", { exact: true }).pressSequentially("two ");
    await shows(first, "draft", "zero one two three");
  });
});

describe("a stream", () => {
  test("is one more connection of the session: it counts, comes back after a renewal, and ends with it", async () => {
    const { first, second } = await twoTabs("Streamer");
    await first.getByRole("button", { name: "Open a stream" }).click();
    await first.locator("#clock", { hasText: /the server has \d/ }).waitFor();
    for (const tab of [first, second]) {
      await shows(tab, "streams", "1");
      await shows(tab, "tabs", "2");
    }
    await second.getByRole("button", { name: "Renew the id" }).click();
    await first.locator("#log").getByText("stream → this tab: session:end SESSION_ROTATED").waitFor();
    await expect.poll(() => first.locator("#log").getByText("stream → this tab: open").count()).toBe(2);
    for (const tab of [first, second]) await shows(tab, "streams", "1");
    // One that nothing in the page closes: the server does.
    const code = first.evaluate<string>(`new Promise((resolve) => new EventSource("/clock")
      .addEventListener("session:end", ({ data }) => resolve(JSON.parse(data).code)))`);
    for (const tab of [first, second]) await shows(tab, "streams", "2");
    await logOut(second);
    await isSignedOut(first, "SESSION_DESTROYED");
    expect(await code).toBe("SESSION_DESTROYED");
    await enterName(first, "Streamer");
    expect(await first.locator("#clock").textContent()).toBe("not open");
  });

  test("is closed by its button", async () => {
    const { first } = await firstTab("Closer");
    await first.getByRole("button", { name: "Open a stream" }).click();
    await shows(first, "streams", "1");
    await first.getByRole("button", { name: "Close the stream" }).click();
    await shows(first, "streams", "0");
  });
});

async function firstTab(name: string): Promise<{ context: BrowserContext; first: Page }> {
  const context = await openContext(running.browser);
  const first = await openPage(context, running.demo.url);
  await enterName(first, name);
  return { context, first };
}

async function twoTabs(name: string): Promise<{ context: BrowserContext; first: Page; second: Page }> {
  const { context, first } = await firstTab(name);
  const second = await openPage(context, running.demo.url);
  for (const tab of [first, second]) await shows(tab, "tabs", "2");
  return { context, first, second };
}
