// examples/next on the real Next.js: its route handlers, its pages and the sockets share one session.
import { once } from "node:events";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { runFile } from "../docs/run.js";
import { Browser } from "../support/browser.js";
import { Project } from "../support/project.js";
import { addressOf, blocksOf, hold, viaSocketIo } from "./host.js";

const root = join(import.meta.dirname, "../..");
let project: Project;

beforeAll(() => {
  // Below the packages of test/stacks: its bundler follows no link out of the repository.
  project = new Project({ below: join(root, "test/stacks"), packages: ["socket.io-client"] });
  cpSync(join(root, "examples/next"), project.dir, { recursive: true });
});
afterAll(() => project.remove());

it("built: logs in over HTTP, writes on a socket, reads over HTTP, and closes the socket at the logout", async () => {
  const { status, text } = await project.node("../node_modules/next/dist/bin/next", "build");
  expect(status, text).toBe(0);
  const url = await addressOf(runFile(project, "server.js", "production"));
  await hold(url, viaSocketIo);
  const ada = new Browser(url);
  const shown = async (): Promise<string> => (await ada.fetch("/")).text();
  expect(await shown()).toContain("Nobody is logged in");
  await ada.post("/login");
  expect(await shown()).toContain("likes this");
}, 300_000);

it("in development mode, whose own WebSockets are left to Next", async () => {
  const url = await addressOf(runFile(project, "server.js"));
  await hold(url, viaSocketIo);
  // Next takes no other origin, then.
  const origin = "http://localhost";
  const reload = new WebSocket(`${url.replace("http", "ws")}/_next/hmr?id=a-page`, { origin });
  await once(reload, "open");
  reload.close();
});

it("the page shows its files", () => {
  const shown = blocksOf("next.md").filter(({ words }) => words[0]?.endsWith(".js"));
  expect(shown.length).toBeGreaterThan(1);
  for (const { words, code } of shown) {
    expect(readFileSync(join(root, "examples/next", words[0] as string), "utf8")).toContain(code);
  }
});
