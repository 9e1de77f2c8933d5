// The examples that have a framework, from the packed package, their pages in a real Chromium.
import { join } from "node:path";
import type { Browser as Chromium } from "playwright-core";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { launchChromium } from "../support/chromium.js";
import { copyExample, manifestOf, startExample } from "../support/example.js";
import type { Project } from "../support/project.js";
import { inStacks } from "./host.js";

let chromium: Chromium;
beforeAll(async () => {
  chromium = await launchChromium();
});
afterAll(() => chromium?.close());

/** For one test. */
function copy(...values: Parameters<typeof copyExample>): Project {
  const project = copyExample(...values);
  onTestFinished(() => project.remove());
  return project;
}

/** What each of these examples does: two tabs share the session, HTTP reads what a socket wrote, a logout closes both. */
async function drive(name: string, project: Project): Promise<void> {
  const { url, server } = await startExample(name, project);
  onTestFinished(() => server.stop());
  const context = await chromium.newContext();
  onTestFinished(() => context.close());
  const pages = await Promise.all([context.newPage(), context.newPage()]);
  const say = (text: string): Promise<unknown> =>
    Promise.all(pages.map((page) => page.locator("#text", { hasText: text }).waitFor()));
  for (const page of pages) await page.goto(url);
  const [first, second] = pages as [(typeof pages)[0], (typeof pages)[0]];
  await say("No session: SESSION_MISSING");
  await first.click("#login");
  await say("ada: 0 likes");
  await second.click("#like");
  await say("ada: 1 likes");
  await expect.poll(async () => (await context.request.get(`${url}/likes`)).json()).toEqual({ likes: 1 });
  await first.click("#logout");
  await say("No session: SESSION_DESTROYED");
}

it("fastify", async () => {
  await drive("fastify", copy("fastify", { from: inStacks("fastify") }));
});

it("nest", async () => {
  const { dependencies } = manifestOf("nest");
  const own = Object.keys(dependencies).filter((name) => /^@nestjs|^reflect-metadata$|^rxjs$/.test(name));
  const project = copy("nest", {
    from: Object.fromEntries(own.map((name) => [name, join("test/stacks/nest-12/node_modules", name)])),
  });
  const compiled = await project.node(project.path("node_modules/typescript/bin/tsc"), "-p", ".");
  expect(compiled).toEqual({ status: 0, text: "" });
  await drive("nest", project);
});

it("react: Vite builds the page with the packed client", async () => {
  const own = ["vite", "@vitejs/plugin-react", "react", "react-dom"];
  const project = copy("react", {
    from: Object.fromEntries(own.map((name) => [name, join("test/stacks/vite/node_modules", name)])),
  });
  const built = await project.node(project.path("node_modules/vite/bin/vite.js"), "build");
  expect(built.status, built.text).toBe(0);
  await drive("react", project);
});
