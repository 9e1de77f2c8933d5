// How the demo looks, and that nobody is left out: axe, a phone, the dark. The pictures are in .cache/screenshots/.
import { join } from "node:path";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { useDemo } from "../support/chat-demo.js";
import { enterName, isSignedOut, logOut, say, shows } from "../support/chat-page.js";
import { openContext, openPage } from "../support/client.js";

const desktop = { viewport: { width: 1280, height: 800 } };
const phone = { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

const running = useDemo();

describe.each([
  { name: "desktop", options: desktop },
  { name: "desktop, dark", options: { ...desktop, colorScheme: "dark" } },
  { name: "phone", options: phone },
  { name: "phone, dark", options: { ...phone, colorScheme: "dark" } },
])("on a $name", ({ name, options }) => {
  test("axe finds nothing, from the door to the end", async () => {
    const context = await openContext(running.browser, { ...options, reducedMotion: "reduce" });
    const page = await openPage(context, running.demo.url);
    await page.getByRole("heading", { name: "Join the chat" }).waitFor();
    const look = async (scene: string): Promise<void> => {
      const path = join(import.meta.dirname, `../../.cache/screenshots/${name.replace(", ", "-")}-${scene}.png`);
      await page.screenshot({ path });
      // Nothing sticks out to the side.
      expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth"), scene).toBe(0);
      expect(await faultsOf(page), scene).toEqual([]);
    };
    await look("door");
    await page.getByLabel("Your name").fill("x");
    await page.getByRole("button", { name: "Join" }).click();
    await page.locator("#name-error", { hasText: "2 to 20" }).waitFor();
    await look("refused");
    await joinAs(page, `Ada ${name.length}`);
    const other = await openPage(await openContext(running.browser), running.demo.url);
    await enterName(other, "Grace");
    await say(other, "Who else is here?");
    await say(page, "Me, in two tabs at once.");
    const second = await openPage(context, running.demo.url);
    await second.getByLabel("Message", { exact: true }).fill("And what I type is in both …");
    await page.locator("#field-draft", { hasText: "in both" }).waitFor({ state: "attached" });
    await look("chat");
    if (name.startsWith("phone")) {
      await page.getByRole("button", { name: "Session" }).click();
      await page.getByRole("button", { name: "Close", exact: true }).waitFor();
      await look("session");
    }
    await page.getByRole("button", { name: "Open a stream" }).click();
    await page.locator("#clock", { hasText: "the server has" }).waitFor();
    await page.getByRole("button", { name: "Show what HTTP sees" }).click();
    await page.locator("#http-view").waitFor();
    await page.locator("#http-view").scrollIntoViewIfNeeded();
    await look("stream");
    await logOut(page);
    await isSignedOut(page, "SESSION_DESTROYED");
    await look("end");
  }, 60_000);
});

describe("on a phone", () => {
  test("a tap beside the session closes it; what lies behind is out of reach while it is open", async () => {
    const page = await openPage(await openContext(running.browser, phone), running.demo.url);
    await joinAs(page, "Tapper");
    const inert = (): Promise<string[]> =>
      page.evaluate<string[]>(`[...document.querySelectorAll("[inert]")].map(({ id }) => id)`);
    expect(await inert()).toEqual(["panel"]);
    await page.getByRole("button", { name: "Session" }).click();
    await expect.poll(inert).toEqual(["top", "room"]);
    await expect.poll(() => page.evaluate("document.activeElement.id")).toBe("panel-close");
    await page.touchscreen.tap(195, 20);
    await expect.poll(inert).toEqual(["panel"]);
    await expect.poll(() => page.evaluate("document.activeElement.id")).toBe("panel-toggle");
    await page.getByRole("button", { name: "Session" }).click();
    await page.keyboard.press("Escape");
    await expect.poll(inert).toEqual(["panel"]);
    // On a wide screen both are beside each other.
    await page.setViewportSize({ width: 1280, height: 800 });
    await expect.poll(inert).toEqual([]);
  });

  test("inputs have letters of 16 px, and what is tapped is 44 px high", async () => {
    const page = await openPage(await openContext(running.browser, phone), running.demo.url);
    await page.getByLabel("Your name").waitFor();
    const small = (): Promise<string[]> =>
      page.evaluate<string[]>(`[...document.querySelectorAll("input, textarea, button, .steps a")]
      .filter((part) => part.checkVisibility({ visibilityProperty: true }))
      .filter((part) => Math.round(part.getBoundingClientRect().height) < 44
        || (part.matches("input, textarea") && parseFloat(getComputedStyle(part).fontSize) < 16))
      .map((part) => part.outerHTML.slice(0, 80))`);
    expect(await small()).toEqual([]);
    await joinAs(page, "Fat Finger");
    expect(await small()).toEqual([]);
    await page.getByRole("button", { name: "Session" }).click();
    await page.getByRole("button", { name: "Close", exact: true }).waitFor();
    expect(await small()).toEqual([]);
  });
});

/** Logs in; on a phone the session is not in sight then. */
async function joinAs(page: Page, name: string): Promise<void> {
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByLabel("Message", { exact: true }).waitFor();
  await shows(page, "name", name);
}

/** What axe finds, as far as it is sure. */
async function faultsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate<string[]>(`axe.run().then(({ violations }) =>
    violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => id + ": " + html.slice(0, 120) + " " + failureSummary)))`);
}
