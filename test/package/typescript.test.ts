// The README's program, pasted into an empty project with its declarations: strict, with each TypeScript that users have.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { blocksOf } from "../docs/page.js";
import { InstalledProject } from "../support/installed.js";
import { manifest } from "../support/project.js";

const versions = ["5.4", "5.9", "6.0", "7.0"];
const code = blocksOf
  .get("README.md")
  ?.filter(({ headings, language }) => headings.includes("Quickstart") && ["js", "ts"].includes(language))
  .map((block) => block.code)
  .join("\n");

const settings: [string, string, object][] = [
  ["node16, ES module", "app.mts", { module: "node16" }],
  ["node16, CommonJS", "app.cts", { module: "node16" }],
  ["nodenext, ES module", "app.mts", { module: "nodenext" }],
  ["nodenext, CommonJS", "app.cts", { module: "nodenext" }],
  ["a bundler's resolution, esnext", "app.ts", { module: "esnext", moduleResolution: "bundler" }],
  ["a bundler's resolution, preserve", "app.ts", { module: "preserve" }],
];

let project: InstalledProject;
beforeAll(async () => {
  const usual = ["express", "express-session", "socket.io", "@types/express", "@types/node"];
  const dependencies = {
    ...Object.fromEntries(usual.map((name) => [name, manifest.devDependencies[name]])),
    ...Object.fromEntries(versions.map((version) => [`typescript-${version}`, `npm:typescript@~${version}`])),
  };
  project = new InstalledProject().write({ "package.json": { name: "a-project", private: true, dependencies } });
  await project.install();
}, 300_000);
afterAll(() => project.remove());

describe.each(versions)("TypeScript %s", (version) => {
  it.each(settings)("compiles it with %s", async (_, file, options) => {
    const compilerOptions = {
      target: "es2022",
      types: ["node"],
      strict: true,
      esModuleInterop: true,
      skipLibCheck: true,
      noEmit: true,
    };
    const config = { compilerOptions: { ...compilerOptions, ...options }, files: [file] };
    project.write({ [file]: code ?? "", "tsconfig.json": config });
    // What the compiler says it prints on stdout.
    const said = await project
      .shell(`node node_modules/typescript-${version}/bin/tsc -p .`)
      .catch(({ stdout }: { stdout: string }) => stdout);
    expect(said).toBe("");
  });
});
