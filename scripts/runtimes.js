// Programs that run JavaScript, from the npm registry into .cache: other Nodes than the one that runs this, Bun, Deno.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";

const cache = join(import.meta.dirname, "../.cache");

/** The folder of a Node of this major version: the one that runs this, or one from the registry. */
export function folderOfNode(major) {
  if (process.versions.node.startsWith(`${major}.`)) return dirname(process.execPath);
  const system = process.platform === "win32" ? "win" : process.platform;
  const name = `${system === "darwin" && process.arch === "arm64" ? "node-bin" : "node"}-${system}-${process.arch}`;
  return installed(`node-${major}`, `${name}@${major}`, join(name, "bin"));
}

/** The folder of a runtime's program, such as that of `bun@1.4`. */
export function folderOfRuntime(runtime) {
  return installed(runtime.replace("@", "-"), runtime, ".bin");
}

function installed(name, spec, place) {
  const folder = join(cache, name);
  const bin = join(folder, "node_modules", place);
  if (existsSync(bin)) return bin;
  mkdirSync(folder, { recursive: true });
  npm(["install", "--prefix", folder, spec], { cwd: folder });
  return bin;
}

/** Runs npm; what it said is in the error where it fails. */
export function npm(words, { cwd, env = process.env }) {
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  try {
    execFileSync("npm", [...words, ...quiet], { cwd, env, stdio: "pipe", shell: process.platform === "win32" });
  } catch (error) {
    throw new Error(`npm ${words.join(" ")} failed: ${error.stderr?.toString().trim() || error.message}`, {
      cause: error,
    });
  }
}
