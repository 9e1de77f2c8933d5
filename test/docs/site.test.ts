// The site of docs/ as its readers get it: built, served, and read in a real Chromium.
import type { ChildProcess } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import axe from "axe-core";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { buildDocs, serveDocs } from "../../scripts/docs.js";
import { launchChromium } from "../support/chromium.js";
import { exportedNames } from "../support/source.js";
import { freePort } from "../support/private-server.js";

const docs = join(import.meta.dirname, "../../docs");
const dist = join(docs, ".vitepress/dist");
const parts = readdirSync(docs, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !/^(?:\.|node_modules$|project$)/.test(entry.name))
  .map(({ name }) => name);
/** The pages that are written by hand, as paths of the site. */
const written = ["", ...parts.flatMap((part) => pagesOf(part).map((page) => `${part}/${page}`))];

let server: ChildProcess;
let browser: Browser;
let site: string;

beforeAll(async () => {
  await buildDocs();
  const port = await freePort();
  site = `http://localhost:${port}/`;
  server = serveDocs(port);
  browser = await launchChromium();
  await vi.waitFor(() => fetch(site), { timeout: 30_000 });
}, 300_000);

afterAll(async () => {
  await browser?.close();
  server?.kill();
});

test("every page is there, and in the list of its part", async () => {
  const page = await openPage("");
  const links = await page.locator(".VPSidebar a").all();
  const listed = await Promise.all(links.map(async (link) => (await link.getAttribute("href"))?.slice(1)));
  expect(written.filter((path) => !existsSync(fileOf(path)))).toEqual([]);
  expect(written.filter((path) => path !== "" && !listed.includes(path.replace(/index$/, "")))).toEqual([]);
});

test("every public name is in the reference", () => {
  const modules = [
    "index",
    "redis",
    "postgres",
    "react",
    "client/index",
    "testing/index",
    "nest/index",
    "fastify/index",
    ...readdirSync(join(docs, "../src/compat"), { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => `compat/${name.replace(/\.ts$/, "")}`),
  ];
  for (const module of modules) {
    const path = module === "index" ? "" : `/${module.replace(/\/index$/, "")}`;
    const page = readFileSync(join(docs, `reference/api/socket-session${path}.md`), "utf8");
    const listed = [...page.matchAll(/^#{2,3} (\w+)/gm)].map(([, name]) => name);
    expect({ path, missing: exportedNames(`${module}.ts`).filter((name) => !listed.includes(name)) }).toEqual({
      path,
      missing: [],
    });
  }
});

test("the search finds a code and an option by their names", async () => {
  const page = await openPage("");
  const firstFor = async (words: string): Promise<string | null> => {
    await page.locator(".VPNavBarSearchButton, .DocSearch-Button").first().click();
    await page.locator("#localsearch-input").fill(words);
    const first = page.locator("#localsearch-list a").first();
    await first.waitFor();
    const href = await first.getAttribute("href");
    await page.keyboard.press("Escape");
    return href;
  };
  expect(await firstFor("SESSION_ROTATED")).toMatch(/^\/errors\/SESSION_ROTATED/);
  expect(await firstFor("maxUnsaved")).toMatch(/^\/reference\/options/);
});

test("a diagram is drawn at build, for light and dark", () => {
  for (const path of written) {
    const source = path === "" ? "index" : path;
    const diagrams = readFileSync(join(docs, `${source}.md`), "utf8").match(/^```mermaid$/gm)?.length ?? 0;
    const drawn =
      readFileSync(fileOf(path), "utf8").match(/<div class="diagram"[^>]*>\s*<svg role="img"/g)?.length ?? 0;
    expect({ path, drawn }).toEqual({ path, drawn: diagrams });
  }
});

// The largest page of each part has the most of whatever can be wrong.
describe.each(["", ...parts.map(largestOf), "reference/api/socket-session"])("/%s", (path) => {
  test("weighs at most 200 KB at first load, all of it from here", async () => {
    const context = await browser.newContext();
    onTestFinished(() => context.close());
    const page = await context.newPage();
    const devtools = await context.newCDPSession(page);
    let bytes = 0;
    const foreign: string[] = [];
    devtools.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
    page.on("request", (request) => {
      if (!request.url().startsWith(site) && !request.url().startsWith("data:")) foreign.push(request.url());
    });
    await devtools.send("Network.enable");
    await page.goto(site + path, { waitUntil: "networkidle" });
    expect(foreign).toEqual([]);
    expect(bytes).toBeGreaterThan(20_000);
    expect(bytes).toBeLessThanOrEqual(200_000);
  });

  test("has nothing that axe finds, light and dark", async () => {
    const page = await openPage(path, { colorScheme: "light" });
    await page.evaluate(axe.source);
    const found = { light: await page.evaluate(askAxe), dark: [] as unknown };
    await page.emulateMedia({ colorScheme: "dark" });
    await page.locator("html.dark").waitFor();
    found.dark = await page.evaluate(askAxe);
    expect(found).toEqual({ light: [], dark: [] });
  });

  test("fits a phone, and has its menu there", async () => {
    const page = await openPage(path, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
    expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0);
    await page.getByRole("button", { name: "Menu", exact: true }).tap();
    await page.locator(".VPSidebar.open").waitFor();
  });
});

/** For the page: what axe finds there, as a rule and where. */
const askAxe = `axe.run().then(({ violations }) => violations.map(({ id, nodes }) =>
  id + ": " + nodes.slice(0, 5).map(({ html }) => html.slice(0, 200)).join(" ")))`;

/** A page that throws nothing and logs no error. */
async function openPage(path: string, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("pageerror", ({ message }) => faults.push(message));
  page.on("console", (message) => void (message.type() === "error" && faults.push(message.text())));
  onTestFinished(async () => {
    await context.close();
    expect(faults).toEqual([]);
  });
  await page.goto(site + path, { waitUntil: "networkidle" });
  return page;
}

function pagesOf(part: string): string[] {
  return readdirSync(join(docs, part))
    .filter((name) => name.endsWith(".md"))
    .map((name) => name.slice(0, -".md".length));
}

function largestOf(part: string): string {
  const size = (page: string): number => statSync(join(docs, part, `${page}.md`)).size;
  const [largest = "index"] = pagesOf(part).toSorted((a, b) => size(b) - size(a));
  return `${part}/${largest.replace(/^index$/, "")}`;
}

function fileOf(path: string): string {
  return join(dist, `${path === "" ? "index" : path}.html`);
}
