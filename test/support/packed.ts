// Global setup of the tests that look at what is shipped: packs the package once, as `npm publish` would, and unpacks it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, realpathSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** The folder that the tarball was unpacked to, and the paths in it. */
    packed: { dir: string; files: string[] };
  }
}

const root = join(import.meta.dirname, "../..");

export function setup(project: TestProject): () => void {
  // npm test has just built it; somebody who runs vitest alone may not have.
  if (isStale()) execFileSync(process.execPath, ["scripts/build.js"], { cwd: root, stdio: "inherit" });
  const temp = realpathSync(mkdtempSync(join(tmpdir(), "socket-session-packed-")));
  const npm = ["pack", "--silent", "--ignore-scripts", "--pack-destination", temp];
  execFileSync("npm", npm, { cwd: root, stdio: ["ignore", "ignore", "inherit"], shell: process.platform === "win32" });
  const tarball = readdirSync(temp)[0] ?? "";
  execFileSync("tar", ["-xzf", tarball], { cwd: temp });
  const dir = join(temp, "package");
  project.provide("packed", { dir, files: filesIn(dir) });
  return () => rmSync(temp, { recursive: true, force: true });
}

function isStale(): boolean {
  const built = statSync(join(root, "dist/cjs/package.json"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const inputs = ["src", "tsconfig.json", "tsconfig.build.json", "scripts/build.js"].map((name) => join(root, name));
  const sources = filesIn(join(root, "src")).map((name) => join(root, "src", name));
  return [...inputs, ...sources].some((file) => statSync(file).mtimeMs > built);
}

function filesIn(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(dir.length + 1)
        .replaceAll("\\", "/"),
    )
    .toSorted();
}
