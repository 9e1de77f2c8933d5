// Each code and warning has its page, as the script writes it from the sources and the notes.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { errorPages, notes, pagesFolder } from "../../scripts/error-pages.js";
import { help, seePage, SessionError } from "../../src/errors.js";
import { closeCodeOf, statusOf } from "../../src/statuses.js";
import { texts } from "../../src/warnings.js";
import { parse } from "../support/markdown.js";

const tables = { help, texts, statusOf, closeCodeOf };
const pages = errorPages(tables, notes);
const codes = [...new Set([...Object.keys(help), ...Object.keys(texts)])];

test("docs/errors is what the sources and the notes say; `npm run error-pages` writes it anew", () => {
  expect(readdirSync(pagesFolder).toSorted()).toEqual([...codes.map((code) => `${code}.md`), "index.md"].toSorted());
  for (const [name, text] of pages) expect(readFileSync(join(pagesFolder, name), "utf8")).toBe(text);
});

test("a code without notes, notes without a part, and notes on a code that is none are refused", () => {
  const more = { ...texts, NEW_WARNING: "It happened. Fix: mend it." };
  expect(() => errorPages({ ...tables, texts: more }, notes)).toThrow("NEW_WARNING");
  expect(() => errorPages(tables, notes.replace("### Why it is so", "### Why"))).toThrow("Why it is so");
  expect(() => errorPages(tables, `${notes}\n## OLD_CODE\n`)).toThrow("OLD_CODE");
});

test("a message ends with the page of its code, and so does that of a store that must be mended", () => {
  const root = join(import.meta.dirname, "../..");
  for (const code of Object.keys(help) as (keyof typeof help)[]) {
    const { message } = new SessionError(code, { detail: "It is a test." });
    expect(message.endsWith(seePage(code))).toBe(true);
    const [page = ""] = /\S+$/.exec(message) ?? [];
    expect(readFileSync(join(root, page), "utf8")).toContain(`# ${code}\n`);
  }
  const cause = new SessionError("STORE_NOT_READY");
  expect(new SessionError("STORE_UNAVAILABLE", { cause }).message.endsWith(seePage("STORE_NOT_READY"))).toBe(true);
});

describe.each(codes)("%s", (code) => {
  const page = pages.get(`${code}.md`) ?? "";

  test("says in 10 to 30 lines what to see and what to write, with a line of code", () => {
    const lines = page.split("\n").filter((line) => line !== "");
    expect(lines.length).toBeGreaterThanOrEqual(10);
    expect(lines.length).toBeLessThanOrEqual(30);
    expect(parse(page).blocks.filter(({ headings }) => headings.includes("The fix"))).toHaveLength(1);
  });

  test("has no sentence of more than 25 words", () => {
    const text = page.replaceAll(/^```[^]*?^```/gm, "").replaceAll(/`[^`]*`/g, "code");
    const sentences = text.split(/\n\n|(?<=[.:])\s/);
    expect(sentences.filter((sentence) => sentence.split(/\s+/).length > 25)).toEqual([]);
  });
});
