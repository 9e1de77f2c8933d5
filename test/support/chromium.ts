// A real Chromium for end-to-end tests: the one inside @sparticuz/chromium, else one from the PATH.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import packaged from "@sparticuz/chromium";
import { type Browser, chromium } from "playwright-core";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

// Not the package's own list: that turns the same-origin policy off, which is part of what is tested.
const args = ["--no-sandbox", "--font-render-hinting=none"];

/** Starts Chromium, with more arguments if need be, or tells what is missing and the command that brings it. */
export async function launchChromium(more: readonly string[] = []): Promise<Browser> {
  const candidates = [
    { name: "@sparticuz/chromium", find: () => packaged.executablePath() },
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
