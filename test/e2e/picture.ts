// Makes the README's moving picture, docs/demo.gif, from the demo in a real Chromium: `npm run picture`. Two tabs of one
// browser, side by side.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { applyPalette, GIFEncoder, quantize } from "gifenc";
import type { Page } from "playwright-core";
import { PNG } from "pngjs";
import { expect, onTestFinished, test } from "vitest";
import { ensureBuilt } from "../support/built.js";
import { startDemo } from "../support/chat-demo.js";
import { isSignedOut, shows } from "../support/chat-page.js";
import { launchChromium } from "../support/chromium.js";

const tab = { width: 400, height: 480 };
const gap = 10;
const width = 2 * tab.width + gap;

interface Frame {
  /** RGBA, row by row. */
  readonly pixels: Uint8Array;
  /** How long it is shown, in ms. */
  readonly delay: number;
}

test("the moving picture shows two tabs, one session and its end", async () => {
  ensureBuilt();
  const [browser, demo] = await Promise.all([launchChromium(), startDemo()]);
  onTestFinished(async () => {
    await browser.close();
    await demo.stop();
  });
  const context = await browser.newContext({ viewport: tab, reducedMotion: "reduce", locale: "en-GB" });
  const left = await context.newPage();
  const right = await context.newPage();
  for (const page of [left, right]) {
    await page.goto(demo.url);
    await page.getByLabel("Your name").waitFor();
  }

  const frames: Frame[] = [];
  const shoot = async (delay: number): Promise<void> => {
    frames.push({ pixels: await sideBySide(left, right), delay });
  };
  const type = async (page: Page, text: string, done: (text: string) => Promise<unknown>): Promise<void> => {
    for (let at = 2; at <= text.length + 1; at += 2) {
      await page.keyboard.type(text.slice(at - 2, at));
      await done(text.slice(0, at));
      await shoot(110);
    }
  };

  await shoot(1200);
  await left.getByLabel("Your name").focus();
  await type(left, "Ada", async () => undefined);
  await left.getByRole("button", { name: "Join" }).click();
  for (const page of [left, right]) {
    await shows(page, "tabs", "2");
    await page.getByRole("button", { name: "Session" }).waitFor();
  }
  await shoot(1300);
  await left.getByLabel("Message", { exact: true }).focus();
  await type(left, "Two tabs, one session.", (text) => shows(right, "draft", text));
  await shoot(900);
  await right.getByLabel("Message", { exact: true }).press("Enter");
  for (const page of [left, right]) await page.locator(".mine", { hasText: "one session" }).waitFor();
  for (const page of [left, right]) await shows(page, "draft", "empty");
  await shoot(1300);
  await right.getByRole("button", { name: "Session" }).click();
  await right.getByRole("button", { name: "Log out", exact: true }).hover();
  await shoot(1300);
  await right.getByRole("button", { name: "Log out", exact: true }).click();
  for (const page of [left, right]) await isSignedOut(page, "SESSION_DESTROYED");
  await shoot(3000);

  const picture = encode(frames);
  expect(picture.length).toBeLessThan(500_000);
  writeFileSync(join(import.meta.dirname, "../../docs/demo.gif"), picture);
}, 120_000);

async function sideBySide(...pages: readonly Page[]): Promise<Uint8Array> {
  const whole = new PNG({ width, height: tab.height, fill: true });
  whole.data.fill(0x88);
  for (const [at, page] of pages.entries()) {
    const shot = PNG.sync.read(await page.screenshot({ caret: "initial" }));
    PNG.bitblt(shot, whole, 0, 0, tab.width, tab.height, at * (tab.width + gap), 0);
  }
  return whole.data;
}

/** A GIF with one palette. Of each frame only what differs from the one before is written. */
function encode(frames: readonly Frame[]): Uint8Array {
  const sample = new Uint8Array(frames.flatMap(({ pixels }, at) => (at % 8 === 0 ? [...pixels] : [])));
  const palette = quantize(sample, 63);
  const transparentIndex = palette.length;
  const gif = GIFEncoder();
  let before: Uint8Array | undefined;
  for (const { pixels, delay } of frames) {
    const index = applyPalette(pixels, palette);
    const seen = before;
    const written = seen ? index.map((colour, at) => (colour === seen[at] ? transparentIndex : colour)) : index;
    gif.writeFrame(written, width, tab.height, {
      palette: before ? undefined : [...palette, [0, 0, 0]],
      delay,
      transparent: seen !== undefined,
      transparentIndex,
      dispose: 1,
    });
    before = index;
  }
  gif.finish();
  return gif.bytes();
}
