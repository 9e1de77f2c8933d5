// The examples that need no framework of their own, from the packed package, their pages in a real Chromium; and what all
// examples have in common.
import { existsSync, readdirSync } from "node:fs";
import { builtinModules } from "node:module";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { blocksOf } from "../docs/page.js";
import { launchChromium } from "../support/chromium.js";
import { copyExample, manifestOf, readExample, startExample } from "../support/example.js";
import { manifest } from "../support/project.js";
import { driveTwoTabs } from "../support/two-tabs.js";

const folder = join(import.meta.dirname, "../../examples");
const [program, declarations] = (["js", "ts"] as const).map(
  (language) =>
    blocksOf.get("README.md")?.find((block) => block.language === language && block.headings.includes("Quickstart"))
      ?.code ?? "",
) as [string, string];

let chromium: Browser;
beforeAll(async () => {
  chromium = await launchChromium();
});
afterAll(() => chromium?.close());

/** Starts an example for one test; resolves with its address. */
async function start(name: string): Promise<string> {
  const project = copyExample(name);
  onTestFinished(() => project.remove());
  if (manifestOf(name).scripts["start"]?.startsWith("tsc ")) {
    const { dir } = project;
    expect(await project.node(join(dir, "node_modules/typescript/bin/tsc"), "-p", ".")).toEqual({
      status: 0,
      text: "",
    });
  }
  const { url, server } = await startExample(name, project);
  onTestFinished(() => server.stop());
  return url;
}

/** Starts an example for one test; resolves with what opens its page in a browser of its own. */
async function open(name: string): Promise<() => Promise<BrowserContext & { visit(): Promise<Page> }>> {
  const url = await start(name);
  return async () => {
    const context = await chromium.newContext();
    onTestFinished(() => context.close());
    const visit = async (): Promise<Page> => {
      const page = await context.newPage();
      await page.goto(url);
      return page;
    };
    return Object.assign(context, { visit });
  };
}

const say = (text: string, ...pages: Page[]): Promise<unknown> =>
  Promise.all(pages.map((page) => page.locator("#text", { hasText: text }).waitFor()));

describe("quickstart", () => {
  const importsOf = (code: string): string => code.replaceAll(/const (.+) = require\((.+)\);/g, "import $1 from $2;");

  it("is the README's program, word for word", () => {
    expect(readExample("quickstart/esm/server.js").trim()).toBe(program.trim());
    expect(importsOf(readExample("quickstart/cjs/server.js")).trim()).toBe(program.trim());
    const declared = declarations.replace(`import "socket-session";\n`, "").trim();
    const typed = readExample("quickstart/ts/server.ts");
    expect(typed).toContain(declared);
    expect(typed.replace(`\n${declared}\n\n`, "").trim()).toBe(program.trim());
  });

  it.each(["esm", "cjs", "ts"])("as %s: two tabs share the session, and a logout closes both", async (flavour) => {
    await driveTwoTabs(chromium, await start(`quickstart/${flavour}`));
  });
});

it("passport: sockets know the user, a logout closes a browser's tabs, or those of each device", async () => {
  const openBrowser = await open("passport");
  const [laptop, phone] = [await openBrowser(), await openBrowser()];
  const [first, second, third] = [await laptop.visit(), await laptop.visit(), await phone.visit()];
  await say("No session: SESSION_MISSING", first, second, third);
  await third.fill("[name=password]", "wrong");
  await third.click("text=Log in");
  await say("Wrong name or password", third);
  await third.fill("[name=password]", "for development only");
  await Promise.all([first, third].map((page) => page.click("text=Log in")));
  await say("ada: 0 likes", first, second, third);
  await first.click("#like");
  await say("ada: 1 likes", first, second);
  expect(await second.evaluate(`socket.emitWithAck("who")`)).toBe("ada");
  await second.click("#logout");
  await say("No session: SESSION_DESTROYED", first, second);
  await say("ada: 0 likes", third);
  await first.click("text=Log in");
  await say("ada: 0 likes", first, second);
  await first.click("#everywhere");
  await say("No session: SESSION_DESTROYED", first, second, third);
});

it("sse: likes and news arrive in each tab, and a logout ends the streams", async () => {
  const browser = await (await open("sse"))();
  const first = await browser.visit();
  await say("No session: SESSION_MISSING", first);
  await first.click("#login");
  await say("ada: 0 likes", first);
  const second = await browser.visit();
  await second.click("#like");
  await say("ada: 1 likes", first, second);
  await first.click("text=Send");
  await Promise.all([first, second].map((page) => page.locator("#news", { hasText: "ada: Hello" }).waitFor()));
  await second.click("#logout");
  await say("No session: SESSION_DESTROYED", first, second);
});

describe("each example", () => {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith("package.json") && !file.includes("node_modules"))
    // The demo belongs to the repository, and runs on its sources.
    .filter((file) => !file.startsWith("chat"))
    .map((file) => file.slice(0, -"/package.json".length).replaceAll("\\", "/"));

  it.each(names)("%s depends on what it imports, and on the package by its version", (name) => {
    const { dependencies, devDependencies } = manifestOf(name);
    const declared = Object.keys({ ...dependencies, ...devDependencies });
    const files = readdirSync(join(folder, name), { recursive: true, encoding: "utf8" });
    const code = files.filter((file) => /\.[jt]sx?$/.test(file) && !file.includes("node_modules"));
    const imported = code.flatMap((file) =>
      [...readExample(join(name, file)).matchAll(/(import type .+)?(?:from|import|require\() ?"([^".][^"]*)"/g)].map(
        ([, ofTypes, specifier = ""]) => {
          const [one] = /^(@[^/]+\/)?[^/]+/.exec(specifier) as RegExpExecArray;
          // The package itself may be another's dependency, as express is of Nest's platform.
          return ofTypes && declared.includes(`@types/${one}`) ? `@types/${one}` : one;
        },
      ),
    );
    const packages = imported.filter((one) => !one.startsWith("node:") && !builtinModules.includes(one));
    expect(declared).toEqual(expect.arrayContaining(packages));
    expect(dependencies["socket-session"]).toBe(`^${manifest.version}`);
  });

  it.each(names)("%s says how it is started", (name) => {
    const papers = [join(name, "README.md"), join(name, "../README.md")].filter((file) =>
      existsSync(join(folder, file)),
    );
    expect(readExample(papers[0] as string)).toContain("npm start");
  });
});
