// The chat's page, as its users use it.
import type { Page } from "playwright-core";
import { expect } from "vitest";

export async function enterName(page: Page, name: string, word = ""): Promise<void> {
  await page.getByLabel("Your name").fill(name);
  await page.getByLabel("Secret word").fill(word);
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByRole("heading", { name: "Your session" }).waitFor();
}

/** Logs out; resolves when the answer has taken the cookie away: that of a login before it would be lost. */
export async function logOut(page: Page): Promise<void> {
  const answered = page.waitForResponse((response) => response.url().endsWith("/logout"));
  await page.getByRole("button", { name: "Log out", exact: true }).click();
  await answered;
}

export async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.getByLabel("Message", { exact: true }).press("Enter");
}

/** The tab goes to the background: nobody sees its messages. */
export const lookAway = (page: Page): Promise<unknown> => setVisible(page, "hidden");

/** The tab comes to the front. */
export const lookAt = (page: Page): Promise<unknown> => setVisible(page, "visible");

function setVisible(page: Page, state: "hidden" | "visible"): Promise<unknown> {
  return page.evaluate(`Object.defineProperty(document, "visibilityState", { value: "${state}", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));`);
}

/** The session's field, as the page shows it. */
export async function shows(
  page: Page,
  field: "name" | "unread" | "tabs" | "draft" | "streams",
  value: string,
): Promise<void> {
  await expect.poll(() => page.locator(`#field-${field}`).textContent(), { timeout: 10_000 }).toBe(value);
}

export async function isSignedOut(page: Page, code: string): Promise<void> {
  await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  await expect.poll(() => page.locator("#reason-code").textContent()).toBe(code);
  await page.locator("#chat").waitFor({ state: "hidden" });
}
