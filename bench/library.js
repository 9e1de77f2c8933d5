// Another build of this library: that of a commit, in a folder below .cache.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const folder = join(root, ".cache", "bench", "commits");

/** The commit to compare with where none is named: the last release, else what the working tree was made from. */
export function commitToCompare() {
  try {
    return git("describe", "--tags", "--abbrev=0", "--match", "v*");
  } catch {
    return git("status", "--porcelain", "--", "src") === "" ? "HEAD~1" : "HEAD";
  }
}

/** Builds the library of a commit, unless that is done; answers with its name and folder. */
export function buildCommit(name) {
  const commit = git("rev-parse", "--verify", `${name}^{commit}`);
  const built = join(folder, commit);
  if (!existsSync(join(built, "dist"))) {
    // One at a time is enough.
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(built, { recursive: true });
    const archive = execFileSync("git", ["archive", commit], { cwd: root, maxBuffer: 2 ** 30 });
    execFileSync("tar", ["-x"], { cwd: built, input: archive });
    symlinkSync(join(root, "node_modules"), join(built, "node_modules"));
    execFileSync(process.execPath, ["scripts/build.js"], { cwd: built, stdio: "inherit" });
  }
  return { title: `${name} (${commit.slice(0, 9)})`, library: built };
}

function git(...args) {
  return execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
}
