// The README's quickstart from an empty folder, on each runtime that users have: its install command and its program, which
// all runtimes get word for word, and its page in two tabs of a real Chromium.
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { folderOfNode, folderOfRuntime } from "../../scripts/runtimes.js";
import { blocksOf } from "../docs/page.js";
import { launchChromium } from "../support/chromium.js";
import { InstalledProject } from "../support/installed.js";
import { driveTwoTabs } from "../support/two-tabs.js";

const readme = blocksOf.get("README.md") ?? [];
const [program = "", declarations = ""] = ["js", "ts"].map(
  (wanted) =>
    readme.find(({ language, headings }) => language === wanted && headings.includes("Quickstart"))?.code ?? "",
);
const [, packages = ""] = /^npm install socket-session (.+)$/m.exec(readme[0]?.code ?? "") ?? [];

const files = {
  "server.mjs": program,
  "server.cjs": program.replaceAll(/^import (.+) from (.+);$/gm, "const $1 = require($2);"),
  "server.mts": `${declarations}\n${program}`,
};

interface Runtime {
  readonly name: string;
  /** The folder of its program; installs that where it is missing. */
  readonly folder: () => string;
  /** How a file is started. */
  readonly start: string;
  /** How packages are installed, where not with npm. */
  readonly add?: string;
  /** Whether it runs TypeScript as it is. */
  readonly hasTypeScript: boolean;
}

const runtimes: Runtime[] = [
  ...[20, 22, 24, 26].map((major) => ({
    name: `Node ${major}`,
    folder: () => folderOfNode(major),
    start: "node",
    hasTypeScript: major >= 22,
  })),
  { name: "Bun 1.4", folder: () => folderOfRuntime("bun@1.4"), start: "bun", add: "bun add", hasTypeScript: true },
  { name: "Deno 2.9", folder: () => folderOfRuntime("deno@2.9"), start: "deno run -A", hasTypeScript: true },
];

let chromium: Browser;
let withNpm: InstalledProject;
beforeAll(async () => {
  chromium = await launchChromium();
  withNpm = new InstalledProject();
  await withNpm.shell(`npm install ${withNpm.tarball} ${packages}`);
}, 300_000);
afterAll(async () => {
  await chromium?.close();
  withNpm?.remove();
});

describe.each(runtimes)("$name", ({ name, folder, start, add, hasTypeScript }) => {
  let project: InstalledProject;
  let programs: string;
  beforeAll(async () => {
    programs = folder();
    project = add ? new InstalledProject() : withNpm;
    if (add) await project.shell(`${add} ${project.tarball} ${packages}`, programs);
    project.write(files);
  }, 300_000);
  afterAll(() => void (project !== withNpm && project?.remove()));

  it("is the one that is meant", async () => {
    expect(await project.shell(`${start.split(" ", 1)[0]} --version`, programs)).toContain(name.split(" ")[1]);
  });

  it.each(Object.keys(files).filter((file) => hasTypeScript || !file.endsWith("ts")))("runs %s", async (file) => {
    const { url, stop } = await project.serve(`${start} ${file}`, { programs });
    onTestFinished(stop);
    await driveTwoTabs(chromium, url);
  });
});
