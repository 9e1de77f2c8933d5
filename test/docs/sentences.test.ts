// A sentence of the pages has at most 25 words. Code, tables and what a program wrote do not count.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const most = 25;
/** Not by TypeDoc, bench or the scripts, nor by others. */
const isWritten = (page: string): boolean =>
  page.endsWith(".md") &&
  !/(?:^|\/)(?:node_modules|project|errors|reference\/api|benchmarks\.md|options\.md)/.test(page);
const pages = [
  "README.md",
  "SECURITY.md",
  "CONTRIBUTING.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" }).map((page) => join("docs", page)),
].filter((page) => isWritten(page.replaceAll("\\", "/")));

it.each(pages)("%s has no sentence that is too long", (page) => {
  expect(tooLong(readFileSync(join(root, page), "utf8"))).toEqual([]);
});

describe("this check", () => {
  const words = (count: number): string => Array.from({ length: count }, (_, at) => `word${at}`).join(" ");

  it("finds a long sentence in a paragraph, in a list and over several lines", () => {
    const long = words(26).replaceAll(" word1", "\nword1");
    const text = `Short. ${long}. Short.\n\n- Short.\n- ${long}:\n  \`code\`.\n`;
    expect(tooLong(text)).toHaveLength(2);
  });

  it("finds none in code, tables, titles and comments, and counts a link and a code as they are read", () => {
    const long = words(26);
    const skipped = `\`\`\`js\n${long}\n\`\`\`\n\n| ${long} |\n\n# ${long}\n\n<!-- ${long} -->\n`;
    const link = `[a link](https://example.com/${"a-".repeat(40)}) \`${long}\``;
    expect(tooLong(`${skipped}\n${words(22)} ${link}.\n`)).toEqual([]);
  });
});

/** The sentences of a page with too many words, as they are read. */
function tooLong(markdown: string): string[] {
  const text = markdown
    .replaceAll(/<!--[^]*?-->/g, "")
    .replaceAll(/^ *(`{3,})[^]*?^ *\1/gm, "\n")
    .replaceAll(/^ *\|.*$/gm, "\n")
    .replaceAll(/<[^>\n]+>/g, " ")
    .replaceAll(/(`+)(?!`)(?:(?!\n\n)[^])*?(?<!`)\1(?!`)/g, "Code")
    .replaceAll(/!?\[((?:[^[\]]|\[[^\]]*\])*)\]\([^)]*\)/g, "$1")
    .replaceAll(/[*_]/g, "");
  // A paragraph, or an item of a list.
  const blocks = text.split(/\n\s*\n|\n(?= *(?:[-*]|\d+\.) )|\n(?=#)|^(?=#)/);
  return blocks
    .filter((block) => !block.trimStart().startsWith("#"))
    .flatMap((block) => block.replaceAll(/\s+/g, " ").split(/(?<=[.!?:]["')]*) (?=["'(“]*[\p{Lu}\d])/u))
    .filter((sentence) => sentence.split(" ").filter((word) => /[\p{L}\d]/u.test(word)).length > most);
}
