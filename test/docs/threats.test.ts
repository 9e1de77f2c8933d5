// Each threat of docs/security/threats.md names tests that are there, by file and title.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const folder = join(import.meta.dirname, "../../docs/security");
const page = readFileSync(join(folder, "threats.md"), "utf8");
const threats = page
  .split(/^### |^## (?=Login)/m)
  .slice(1)
  .map((text) => ({ name: text.split("\n", 1)[0] ?? "", text: text.split(/^## /m, 1)[0] ?? "" }));

it("there are threats", () => expect(threats.length).toBeGreaterThan(30));

describe.each(threats)("$name", ({ text }) => {
  // "- [`the title`](../../test/promises/doors.test.ts)"; without a title all of the file is meant.
  const tests = [...text.matchAll(/^- \[(?:`(.+)`|[^\]`]+)\]\(([^)]+\.ts)\)/gm)];

  it("is tested", () => expect(tests.length).toBeGreaterThan(0));

  it.each(tests.map(([, title, file = ""]) => ({ file, title })))("by $file: $title", ({ file, title }) => {
    const path = join(folder, file);
    expect(existsSync(path), file).toBe(true);
    if (title !== undefined) expect(titlesIn(path)).toContain(title);
  });
});

/** The titles of a file's tests: what stands alone in quotes, before a comma. */
function titlesIn(path: string): string[] {
  const titles = readFileSync(path, "utf8").matchAll(/(["'`])((?:\\.|(?!\1)[^\n\\])+)\1,/g);
  return [...titles].map(([, , title = ""]) => title.replaceAll(/\\(.)/g, "$1"));
}
