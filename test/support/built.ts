// The compiled package, for tests that run it in processes of their own.
import { execFileSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** Builds dist/ where it is older than its sources: npm test has just built it, one who runs vitest alone may not have. */
export function ensureBuilt(): void {
  if (isStale()) execFileSync(process.execPath, ["scripts/build.js"], { cwd: root, stdio: "inherit" });
}

function isStale(): boolean {
  const built = statSync(join(root, "dist/cjs/package.json"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const inputs = ["src", "tsconfig.json", "tsconfig.build.json", "scripts/build.js"].map((name) => join(root, name));
  const sources = filesIn(join(root, "src")).map((name) => join(root, "src", name));
  return [...inputs, ...sources].some((file) => statSync(file).mtimeMs > built);
}

/** All files below a folder, with `/` in their paths. */
export function filesIn(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(dir.length + 1)
        .replaceAll("\\", "/"),
    )
    .toSorted();
}
