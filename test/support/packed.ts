// Global setup of the tests that look at what is shipped: packs the package once, as `npm publish` would, and unpacks it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { ensureBuilt, filesIn } from "./built.js";

declare module "vitest" {
  interface ProvidedContext {
    /** The tarball, the folder that it was unpacked to, and the paths in that. */
    packed: { tarball: string; dir: string; files: string[] };
  }
}

const root = join(import.meta.dirname, "../..");

export function setup(project: TestProject): () => void {
  ensureBuilt();
  const temp = realpathSync(mkdtempSync(join(tmpdir(), "socket-session-packed-")));
  const npm = ["pack", "--silent", "--ignore-scripts", "--pack-destination", temp];
  execFileSync("npm", npm, { cwd: root, stdio: ["ignore", "ignore", "inherit"], shell: process.platform === "win32" });
  const [name = ""] = readdirSync(temp);
  execFileSync("tar", ["-xzf", name], { cwd: temp });
  const dir = join(temp, "package");
  project.provide("packed", { tarball: join(temp, name), dir, files: filesIn(dir) });
  return () => rmSync(temp, { recursive: true, force: true });
}
