// The code of the README and its pages is code: every block compiles, those marked `run` run, and the quickstart serves a logged-in client.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Browser } from "../support/browser.js";
import type { Block } from "../support/markdown.js";
import { manifest, Project } from "../support/project.js";
import { compileAll, kinds, nameOf } from "./compile.js";
import { blocksOf, read } from "./page.js";
import { run } from "./run.js";

const programsOf = new Map(
  [...blocksOf].map(([file, blocks]) => [file, blocks.filter((block) => block.language in kinds)]),
);
const programs = [...programsOf.values()].flat();
const quickstart = programs.find((block) => kinds[block.language] === "js" && block.headings.includes("Quickstart"));
let project: Project;
let said: ReadonlyMap<Block, string>;
beforeAll(async () => {
  // Recipes may use what the repository has installed for its own tests, too.
  const packages = Object.keys(manifest.devDependencies).filter((name) => !name.startsWith("@vitest"));
  project = new Project({ packages });
  said = await compileAll(project, programs);
}, 90_000);
afterAll(() => project.remove());

describe("the README", () => {
  it("is short, and so is its quickstart", () => {
    expect(read("README.md").split("\n").length).toBeLessThanOrEqual(200);
    expect(Buffer.byteLength(read("README.md"))).toBeLessThanOrEqual(9 * 1024);
    expect((quickstart as Block).code.split("\n").length).toBeLessThanOrEqual(25);
  });

  it.each(["express-session", "Passport", "Nest", "Fastify", "Koa", "Next", "Socket.IO's guide"])(
    "has a row for %s",
    (host) => {
      expect(read("README.md")).toMatch(
        new RegExp(`^\\| [^|]*${host}[^|]*\\| \\[[^\\]]+\\]\\(docs/[\\w./-]+\\) +\\|$`, "m"),
      );
    },
  );

  const running = programs.filter((block) => block.words.includes("run") && block !== quickstart);
  it.each(running.map((block) => [nameOf(block), block] as const))("runs: %s", async (_, block) => {
    const program = run(project, block);
    await program.ready;
    program.stop();
  });

  it("has a quickstart that serves a client over HTTP and, when logged in, its socket", async () => {
    const block = quickstart as Block;
    const program = run(project, block);
    let browser: Browser | undefined;
    try {
      const port = await program.ready;
      expect(port, "the quickstart starts a server").toBeDefined();
      const url = `http://127.0.0.1:${port}`;
      if (!block.code.includes("missing:")) {
        expect(await new Browser(url).refused()).toEqual({ code: "SESSION_MISSING", retry: false });
      }
      browser = new Browser(url);
      await logIn(browser, block.code);
      const socket = await browser.connect();
      expect(socket.connected).toBe(true);
    } finally {
      browser?.close();
      program.stop();
    }
  });
});

describe.each([...programsOf].filter(([, blocks]) => blocks.length > 0))("%s", (_, blocks) => {
  it.each(blocks.map((block) => [nameOf(block), block] as const))("compiles: %s", (_, block) =>
    expect(said.get(block)).toBe(""),
  );
});

/** Tries the routes that a quickstart has, those that log in first, until one has set the session cookie. */
async function logIn(browser: Browser, code: string): Promise<void> {
  const routes = [...code.matchAll(/\.(get|post)\(\s*["'](\/[^"':*]*)["']/g)].map(([, method = "", path = ""]) => ({
    method,
    path,
  }));
  const ranked = routes.toSorted((a, b) => Number(b.path.includes("login")) - Number(a.path.includes("login")));
  const name = "ada";
  for (const { method, path } of ranked) {
    const response = await (method === "get"
      ? browser.fetch(`${path}?name=${name}&user=${name}&username=${name}`)
      : browser.post(path, { name, user: name, username: name, password: name }));
    expect(response.status, `${method} ${path}`).toBeLessThan(500);
    if (browser.cookies.size > 0) return;
  }
  throw new Error(`No route of the quickstart sets a cookie: ${JSON.stringify(ranked)}`);
}
