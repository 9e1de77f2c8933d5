// The commands of each example's README, as they stand there, in a copy outside of the repository: npm installs what the
// example declares, and the packed package as the README says, and the started page answers.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { readExample } from "../support/example.js";
import { InstalledProject } from "../support/installed.js";
import { manifest } from "../support/project.js";

const folder = join(import.meta.dirname, "../../examples");
// The demo and its cluster belong to the repository: test/e2e starts them.
const names = readdirSync(folder).filter((name) => !["chat", "cluster"].includes(name));

interface Commands {
  /** Where they are given: below the example's folder. */
  readonly place: string;
  readonly instead: string;
  readonly start: string;
}

/** The commands of an example's README; where it offers folders (`cd esm # or cjs, or ts`), once for each. */
function commandsOf(name: string): Commands[] {
  const readme = readExample(join(name, "README.md"));
  const [, block = ""] = /```sh\n([^]*?)```/.exec(readme) ?? [];
  const [, instead = ""] = /`(npm install PATH\/\S+\.tgz)`/.exec(readme) ?? [];
  const start = block.replace(/^cd .+\n/, "").trim();
  const [, choices] = /^cd (.+)/.exec(block) ?? [];
  const places = choices === undefined ? [""] : choices.split(/ # or |, or /);
  return places.map((place) => ({ place: join(name, place), instead, start }));
}

it.each(names.flatMap(commandsOf).map((commands) => [commands.place, commands.start, commands] as const))(
  "%s: %s",
  async (_, start, { place, instead }) => {
    const project = new InstalledProject().copy(join(folder, place));
    onTestFinished(() => project.remove());
    expect(instead).toContain(`socket-session-${manifest.version}.tgz`);
    await project.shell(instead.replace(/PATH\/\S+/, project.tarball));
    const { url, stop } = await project.serve(start);
    onTestFinished(stop);
    expect(await (await fetch(url)).text()).toMatch(/<button|<div id="root">|Nobody is logged in/);
  },
  600_000,
);
