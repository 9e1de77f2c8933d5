// Pages name the tests that show what they say, by file and title: they are there. Each threat and each row of the pages
// of outages and restarts names some.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const docs = join(import.meta.dirname, "../../docs");
const read = (page: string): string => readFileSync(join(docs, page), "utf8");
const pages = readdirSync(docs, { recursive: true, encoding: "utf8" })
  .map((page) => page.replaceAll("\\", "/"))
  .filter((page) => /^[^/]+(?:\/[^/]+)?\.md$/.test(page) && testsOf(read(page)).length > 0);

describe.each(pages)("%s names tests that are there", (page) => {
  it.each(testsOf(read(page)))("$file: $title", ({ file, title }) => {
    const path = join(docs, page, "..", file);
    expect(existsSync(path), file).toBe(true);
    if (title !== undefined) expect(titlesIn(path)).toContain(title);
  });
});

describe("each threat is shown by a test:", () => {
  const threats = read("security/threats.md")
    .split(/^### |^## (?=Login)/m)
    .slice(1)
    .map((text) => ({ name: text.split("\n", 1)[0] ?? "", text: text.split(/^## /m, 1)[0] ?? "" }));

  it("there are some", () => expect(threats.length).toBeGreaterThan(30));
  it.each(threats)("$name", ({ text }) => expect(testsOf(text)).not.toEqual([]));
});

it("each statement of the outage page's last table is shown by a test", () => {
  const rows =
    read("operate/outage.md")
      .split("## Tests")[1]
      ?.match(/^\| (?!-|statement).*$/gm) ?? [];
  expect(rows.length).toBeGreaterThan(5);
  expect(rows.filter((row) => testsOf(row).length === 0)).toEqual([]);
});

/** "[`the title`](../../test/promises/doors.test.ts)"; without a title all of the file is meant. */
function testsOf(text: string): { title: string | undefined; file: string }[] {
  return [...text.matchAll(/\[(?:`([^`]+)`|[^\]`]+)\]\(([^)]*\/test\/[^)]+\.ts)\)/g)].map(([, title, file = ""]) => ({
    title,
    file,
  }));
}

/** The titles of a file's tests: what stands alone in quotes, before a comma. */
function titlesIn(path: string): string[] {
  const titles = readFileSync(path, "utf8").matchAll(/(["'`])((?:\\.|(?!\1)[^\n\\])+)\1,/g);
  return [...titles].map(([, , title = ""]) => title.replaceAll(/\\(.)/g, "$1"));
}
