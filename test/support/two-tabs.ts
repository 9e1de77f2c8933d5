// What the quickstart and most examples do, seen by a user: two tabs of a browser share the session, live, and a logout
// closes both.
import type { Browser, BrowserContext } from "playwright-core";
import { onTestFinished } from "vitest";

/** Drives a page in two tabs; `whileLoggedIn` is called after one like, with their browser. */
export async function driveTwoTabs(
  chromium: Browser,
  url: string,
  whileLoggedIn?: (context: BrowserContext) => Promise<void>,
): Promise<void> {
  const context = await chromium.newContext();
  onTestFinished(() => context.close());
  const [first, second] = [await context.newPage(), await context.newPage()];
  const say = (text: string): Promise<unknown> =>
    Promise.all([first, second].map((page) => page.locator("#text", { hasText: text }).waitFor()));
  for (const page of [first, second]) await page.goto(url);
  await say("No session: SESSION_MISSING");
  await first.click("#login");
  await say("ada: 0 likes");
  await second.click("#like");
  await say("ada: 1 likes");
  await whileLoggedIn?.(context);
  await first.click("#logout");
  await say("No session: SESSION_DESTROYED");
}
