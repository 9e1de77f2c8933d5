// The README's program, pasted into an empty project with its declarations: strict, with each TypeScript that users have.
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { blocksOf } from "../docs/page.js";
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

let folder: string;
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "socket-session-typescript-")));
  const usual = ["express", "express-session", "socket.io", "@types/express", "@types/node"];
  const dependencies = {
    ...Object.fromEntries(usual.map((name) => [name, manifest.devDependencies[name]])),
    ...Object.fromEntries(versions.map((version) => [`typescript-${version}`, `npm:typescript@~${version}`])),
  };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "a-project", private: true, dependencies }));
  const npm = (...words: string[]): Buffer =>
    execFileSync("npm", [...words, "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: folder,
      shell: process.platform === "win32",
    });
  npm("pack", "--ignore-scripts", inject("packed").dir);
  npm("install", `./${readdirSync(folder).find((name) => name.endsWith(".tgz"))}`);
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

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
    writeFileSync(join(folder, file), code ?? "");
    const config = { compilerOptions: { ...compilerOptions, ...options }, files: [file] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const tsc = join(folder, `node_modules/typescript-${version}/bin/tsc`);
    const said = await new Promise((resolve) => {
      execFile(process.execPath, [tsc, "-p", "."], { cwd: folder }, (error, stdout) => resolve(error ? stdout : ""));
    });
    expect(said).toBe("");
  });
});
