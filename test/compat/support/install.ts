// Global setup of the tests that need the stacks of earlier years: installs them where they are missing or outdated.
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";

const stacks = join(import.meta.dirname, "../../stacks");

export function setup(): void {
  // The versions of a framework whose packages find each other by name have a folder each.
  for (const folder of [stacks, join(stacks, "nest-11"), join(stacks, "nest-12")]) install(folder);
}

function install(folder: string): void {
  const changed = (name: string): number => statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  // npm writes its hidden lock file when it has installed everything.
  if (changed("node_modules/.package-lock.json") >= changed("package-lock.json")) return;
  const npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  execFileSync("npm", npm, {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
    shell: process.platform === "win32",
  });
}
