// The chat's page, as its users use it.
import type { Page } from "playwright-core";
import { expect } from "vitest";

export async function enterName(page: Page, name: string): Promise<void> {
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByRole("heading", { name: "Your session" }).waitFor();
}

export async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.getByLabel("Message", { exact: true }).press("Enter");
}

/** The session's field, as the page shows it. */
export async function shows(page: Page, field: "name" | "unread" | "tabs" | "draft", value: string): Promise<void> {
  await expect.poll(() => page.locator(`#field-${field}`).textContent(), { timeout: 10_000 }).toBe(value);
}

export async function isSignedOut(page: Page, code: string): Promise<void> {
  await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  await expect.poll(() => page.locator("#reason-code").textContent()).toBe(code);
  await page.locator("#chat").waitFor({ state: "hidden" });
}
