// Pages lead to each other: each relative link goes to a file that is there, and to a heading that it has.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const pagesIn = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: folder !== ".", encoding: "utf8" })
    // Not the tools of the site, nor what it generates.
    .filter((name) => name.endsWith(".md") && !/^(?:node_modules|project|reference.api)\b/.test(name))
    .map((name) => join(root, folder, name));
const pages = [".", "docs", ".changeset", ".github"].flatMap(pagesIn);

describe.each(pages.map((page) => [relative(root, page), page] as const))("%s", (_, page) => {
  it("has links that lead somewhere", () => {
    const dead = linksOf(page).filter(({ file, anchor }) => !existsSync(file) || !hasAnchor(file, anchor));
    expect(dead.map(({ link }) => link)).toEqual([]);
  });
});

describe("a page that is read before the first use is short:", () => {
  const linesOf = (name: string): number => readFileSync(join(root, name), "utf8").trimEnd().split("\n").length;
  it("SECURITY.md", () => expect(linesOf("SECURITY.md")).toBeLessThanOrEqual(60));
  it("CONTRIBUTING.md", () => expect(linesOf("CONTRIBUTING.md")).toBeLessThanOrEqual(120));
});

it("a heading's anchor is made as GitHub makes it", () => {
  const anchors = anchorsOf(
    "# `maxAge`, and more_ of: it\n## Same\n## Same\n```md\n# No heading\n```\n## [A](b.md) link\n",
  );
  expect(anchors).toEqual(["maxage-and-more_-of-it", "same", "same-1", "a-link"]);
});

function linksOf(page: string): { link: string; file: string; anchor: string | undefined }[] {
  const text = readFileSync(page, "utf8")
    .replaceAll(/^ *(`{3,})[^]*?^ *\1/gm, "")
    .replaceAll(/`[^`\n]*`/g, "");
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link = ""]) => link)
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => {
      const [path = "", anchor] = link.split("#");
      return { link, anchor, file: path === "" ? page : join(dirname(page), path) };
    });
}

function hasAnchor(file: string, anchor: string | undefined): boolean {
  return anchor === undefined || anchorsOf(readFileSync(file, "utf8")).includes(anchor);
}

function anchorsOf(text: string): string[] {
  const seen = new Map<string, number>();
  return [...text.replaceAll(/^ *(`{3,})[^]*?^ *\1/gm, "").matchAll(/^#{1,6} +(.+?) *$/gm)].map(([, title = ""]) => {
    const plain = title.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const name = plain.replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(/\s/g, "-");
    const before = seen.get(name) ?? 0;
    seen.set(name, before + 1);
    return before === 0 ? name : `${name}-${before}`;
  });
}
