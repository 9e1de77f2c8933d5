// A real Chromium for end-to-end tests: the one inside @sparticuz/chromium, else one from the PATH.
import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { type Browser, chromium } from "playwright-core";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

// Not the package's own list: that turns the same-origin policy off, which is part of what is tested.
const args = ["--no-sandbox", "--font-render-hinting=none"];

/** Starts Chromium, with more arguments if need be, or tells what is missing and the command that brings it. */
export async function launchChromium(more: readonly string[] = []): Promise<Browser> {
  const candidates = [
    { name: "@sparticuz/chromium", find: unpacked },
    ...names.map((name) => ({ name, find: async () => onPath(name) })),
  ];
  const failures: string[] = [];
  for (const { name, find } of candidates) {
    try {
      const executablePath = await find();
      if (executablePath === undefined) failures.push(`${name}: not on the PATH`);
      else return await chromium.launch({ executablePath, args: [...args, ...more], headless: true });
    } catch (error) {
      failures.push(`${name}: ${reasonOf(error)}`);
    }
  }
  const tried = failures.map((failure) => `  ${failure}`).join("\n");
  throw new Error(
    `No Chromium can be started for the end-to-end tests. Install one: apt-get install -y chromium\n${tried}`,
  );
}

/** Unpacks the package once for all its users: aside, so that no other process meets a part of it. */
async function unpacked(): Promise<string> {
  const cache = join(import.meta.dirname, "../../.cache");
  const tools = join(import.meta.dirname, "../tools/package.json");
  const { dependencies } = JSON.parse(readFileSync(tools, "utf8")) as { dependencies: Record<string, string> };
  const folder = join(cache, `chromium-${dependencies["@sparticuz/chromium"]}`);
  if (existsSync(folder)) return join(folder, "chromium");
  mkdirSync(cache, { recursive: true });
  const temp = mkdtempSync(`${folder}-`);
  try {
    const entry = pathToFileURL(createRequire(tools).resolve("@sparticuz/chromium")).href;
    const unpack = `import packaged from "${entry}"; await packaged.executablePath();`;
    const env = { ...process.env, TMPDIR: temp, TEMP: temp };
    await promisify(execFile)(process.execPath, ["--input-type=module", "-e", unpack], { env });
    if (!existsSync(folder)) renameSync(temp, folder);
  } catch (error) {
    // Another process may have done the same meanwhile.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(temp, { recursive: true, force: true });
  }
  return join(folder, "chromium");
}

function onPath(name: string): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The line that matters: a library that is missing, or the first line. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const library = /error while loading shared libraries: (\S+?):/.exec(text)?.[1];
  return library === undefined ? (text.split("\n", 1)[0] as string) : `the library ${library} is missing`;
}
