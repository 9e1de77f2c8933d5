// The tests of docs/guide/testing.md in a user's project, for one runner of tests or another.
import type { Project } from "../support/project.js";
import { namedFileOf } from "./compile.js";
import { blocksOf } from "./page.js";

const firstLine = /^import \{ afterEach, test \} from "node:test";$/m;

/** Writes the page's files into a project, with this in place of the first line of tests; answers with their number. */
export function writeTests(project: Project, line: string): number {
  let count = 0;
  for (const block of blocksOf.get("docs/guide/testing.md") ?? []) {
    const name = namedFileOf(block);
    if (name === undefined) continue;
    const isTest = firstLine.test(block.code);
    if (isTest) count++;
    project.write({ [name]: `${block.code.replace(firstLine, line)}\n` });
  }
  return count;
}
