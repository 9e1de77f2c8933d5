// The site of docs/: installs its tools where they are missing, writes what is generated, and builds it. Without an
// argument it also serves the site and opens it; "build" only builds; "dev" shows each change of a page at once.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "./free-port.js";
import { install } from "./install.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const docs = join(root, "docs");

/** Builds the site into docs/.vitepress/dist. */
export async function buildDocs() {
  await generate();
  await tool("vitepress/bin/vitepress.js", "build");
}

/** Serves what was built, until the process that it gives is ended. */
export function serveDocs(port) {
  const vitepress = join(docs, "node_modules/vitepress/bin/vitepress.js");
  return spawn(process.execPath, [vitepress, "preview", "--port", String(port)], { cwd: docs, stdio: "inherit" });
}

async function generate() {
  // TypeDoc reads the types of what the sources import.
  install(existsSync(join(root, "node_modules")) ? ["docs"] : [".", "docs"]);
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

/** Runs a tool of docs/. */
function tool(file, ...args) {
  return new Promise((resolve, reject) => {
    const program = [join(docs, "node_modules", file), ...args];
    const child = spawn(process.execPath, program, { cwd: docs, stdio: "inherit" });
    child.on("error", reject);
    child.on("close", (status) => (status === 0 ? resolve() : reject(new Error(`${file} ended with ${status}`))));
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
      serveDocs(port);
    }
  }
}
