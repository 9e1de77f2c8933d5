// The README's quickstart as a newcomer tries it: its file in an empty project, its page in two tabs of a real Chromium.
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { launchChromium } from "../support/chromium.js";
import type { Block } from "../support/markdown.js";
import { Project } from "../support/project.js";
import { driveTwoTabs } from "../support/two-tabs.js";
import { blocksOf } from "./page.js";
import { run, runFile, type Running } from "./run.js";

const program = blocksOf.get("README.md")?.find(({ headings }) => headings.includes("Quickstart"));
let project: Project;
let browser: Browser;
let server: Running;
let url: string;

beforeAll(async () => {
  project = new Project({ packages: ["express", "express-session", "socket.io"] });
  server = run(project, program as Block);
  let port: number | undefined;
  [browser, port] = await Promise.all([launchChromium(), server.ready]);
  url = `http://127.0.0.1:${port}`;
}, 90_000);

afterAll(async () => {
  await browser?.close();
  server?.stop();
  project?.remove();
});

test("the quickstart's page explains this very program, and each line that it shows is one of it", () => {
  const [whole, ...parts] = (blocksOf.get("docs/start/quickstart.md") ?? []).filter(
    ({ language }) => language !== "sh",
  );
  expect(whole?.code).toBe(program?.code);
  expect(parts.length).toBeGreaterThan(5);
  const lines = program?.code.split("\n").map((line) => line.trim()) ?? [];
  const shown = parts.flatMap(({ code }) => code.split("\n")).map((line) => line.trim());
  expect(shown.filter((line) => !lines.some((one) => one.includes(line)))).toEqual([]);
});

test("two tabs share the session, live, and a logout closes both", () => driveTwoTabs(browser, url));

test("the page asks once where nobody has logged in, and does not load itself again", async () => {
  const page = await (await browser.newContext()).newPage();
  const loads: string[] = [];
  page.on("request", (request) => loads.push(new URL(request.url()).pathname));
  await page.goto(url);
  await page.locator("#text", { hasText: "No session: SESSION_MISSING" }).waitFor();
  // Nothing is under way any more.
  await page.waitForLoadState("networkidle");
  expect(loads.filter((path) => path === "/")).toHaveLength(1);
  expect(loads.filter((path) => path.startsWith("/session/")).length).toBeLessThanOrEqual(2);
});

test("with a secure cookie over plain http the page says so once after the login, and does not load itself again", async () => {
  const code =
    program?.code.replace("createSessions({ secret,", "createSessions({ secret, cookie: { secure: true },") ?? "";
  expect(code).not.toBe(program?.code);
  project.write({ "secure.js": code });
  const secure = runFile(project, "secure.js");
  onTestFinished(() => secure.stop());
  const page = await (await browser.newContext()).newPage();
  const loads: string[] = [];
  page.on("request", (request) => loads.push(`${request.method()} ${new URL(request.url()).pathname}`));
  await page.goto(`http://127.0.0.1:${await secure.ready}`);
  await page.locator("#text", { hasText: "No session: SESSION_MISSING" }).waitFor();
  const asked = (): number => loads.filter((load) => load === "GET /socket.io/").length;
  const before = asked();
  await page.click("#login");
  await expect.poll(asked, { timeout: 10_000 }).toBeGreaterThan(before);
  await page.waitForLoadState("networkidle");
  expect(loads.filter((load) => load === "GET /")).toHaveLength(1);
  expect(loads.filter((load) => load === "POST /login")).toHaveLength(1);
  expect(await page.locator("#text").textContent()).toBe("No session: SESSION_MISSING");
});

test("the client helper is asked for once, and then found unchanged", async () => {
  const response = await fetch(`${url}/session/client.js`);
  expect(response.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
  expect(await response.text()).toContain("SocketSession");
  const etag = response.headers.get("etag") ?? "";
  const again = await fetch(`${url}/session/client.js`, { headers: { "If-None-Match": etag } });
  expect(again.status).toBe(304);
  expect((await fetch(`${url}/session/client.js`, { method: "POST" })).status).toBe(404);
});
