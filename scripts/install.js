// Installs what only tests and checks need (test/package.json, test/tools/package.json), where it is missing or outdated:
// who only wants to see the demo need not wait for a browser and a database.
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { delimiter, join } from "node:path";

const root = join(import.meta.dirname, "..");

/** Installs the packages of these folders, by their lock files. */
export function install(folders = ["test", "test/tools"]) {
  for (const folder of folders.map((name) => join(root, name))) {
    if (isInstalled(folder)) continue;
    console.error(`Installing the packages of ${folder.slice(root.length + 1)}, once …`);
    execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: folder,
      stdio: ["ignore", "ignore", "inherit"],
      shell: process.platform === "win32",
    });
  }
}

/** The PATH, with the installed programs first. */
export function pathWithTools() {
  const folders = ["", "test/tools"].map((name) => join(root, name, "node_modules", ".bin"));
  return [...folders, process.env.PATH].join(delimiter);
}

function isInstalled(folder) {
  const changed = (name) => statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  // npm writes its hidden lock file when it has installed everything.
  return changed("node_modules/.package-lock.json") >= changed("package-lock.json");
}
