// The site of docs/: installs its tools where they are missing, writes what is generated, and builds it. Without an
// argument it also serves the site and opens it; "build" only builds; "dev" shows each change of a page at once.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "./free-port.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const docs = join(root, "docs");

/** Builds the site into docs/.vitepress/dist. */
export async function buildDocs() {
  await generate();
  await tool("vitepress/bin/vitepress.js", "build");
}

async function generate() {
  // TypeDoc reads the types of what the sources import.
  if (!existsSync(join(root, "node_modules"))) await install(root);
  if (!isInstalled(docs)) await install(docs);
  const { papers } = await import("../docs/.vitepress/markdown.js");
  const project = join(docs, "project");
  rmSync(project, { recursive: true, force: true });
  mkdirSync(project);
  for (const name of papers) writeFileSync(join(project, name.toLowerCase()), moved(name));
  await tool("typedoc/bin/typedoc", "--logLevel", "Error");
}

/** A paper of the root, with links that lead from its copy. */
function moved(name) {
  const text = readFileSync(join(root, name), "utf8");
  const from = (path) => relative(join(docs, "project"), join(root, path)).replaceAll("\\", "/");
  return text.replaceAll(/\]\((?![a-z]+:|#)([^)#\s]+)/g, (_, path) => `](${from(path)}`);
}

function isInstalled(folder) {
  const changed = (name) => statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  // npm writes its hidden lock file when it has installed everything.
  return changed("node_modules/.package-lock.json") >= changed("package-lock.json");
}

async function install(folder) {
  const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  await run("npm", ["ci", ...options], { shell: process.platform === "win32", cwd: folder });
}

/** Runs a tool of docs/. */
function tool(file, ...args) {
  return run(process.execPath, [join(docs, "node_modules", file), ...args]);
}

function run(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: docs, stdio: "inherit", ...options });
    child.on("error", reject);
    child.on("close", (status) =>
      status === 0 ? resolve() : reject(new Error(`${command} ${args.join(" ")} ended with ${status}`)),
    );
  });
}

/** Shows an address in the browser, where a person sits at the terminal. */
function open(url) {
  if (!process.stdout.isTTY) return;
  const opener = { darwin: "open", win32: "explorer" }[process.platform] ?? "xdg-open";
  spawn(opener, [url], { stdio: "ignore" }).on("error", () => {});
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [what = "serve"] = process.argv.slice(2);
  if (what === "dev") {
    await generate();
    await tool("vitepress/bin/vitepress.js", "dev", "--open");
  } else {
    await buildDocs();
    if (what === "serve") {
      const port = await freePort();
      open(`http://localhost:${port}/`);
      await tool("vitepress/bin/vitepress.js", "preview", "--port", String(port));
    }
  }
}
