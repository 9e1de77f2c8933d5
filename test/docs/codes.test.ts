// Holds the documented codes against those in the sources: every code documented, none invented.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { help } from "../../src/errors.js";
import { texts } from "../../src/warnings.js";
import { manifest } from "../support/project.js";
import { hasReadme, noReadme, rows } from "./page.js";

const documented = rows.filter((row) => row.headings.includes("Codes"));
const codeOf = (cell: string): string | undefined => /^`([A-Z_]+)`/.exec(cell)?.[1];

describe("the papers", () => {
  it("have a table row for every code of an error or a warning, and for no other", (context) => {
    if (!hasReadme) return context.skip(noReadme);
    const codes = documented.map((row) => codeOf(row.first) ?? `not a code: ${row.first}`);
    expect([...new Set(codes)].toSorted()).toEqual(
      [...new Set([...Object.keys(help), ...Object.keys(texts)])].toSorted(),
    );
  });

  it("say of each error code whether coming back helps, as the code does", (context) => {
    if (!hasReadme) return context.skip(noReadme);
    for (const { first, cells } of documented) {
      const retry = cells.get("retry")?.toLowerCase();
      const code = codeOf(first) ?? "";
      if (retry === undefined || !Object.hasOwn(help, code)) continue;
      expect({ code, retry }).toEqual({ code, retry: help[code as keyof typeof help].retry ? "yes" : "no" });
    }
  });

  it("are read once: no message has a sentence of more than 25 words", () => {
    const messages = [
      ...Object.values(help).flatMap(({ what, cause, fix }) => [what, cause, fix]),
      ...Object.values(texts),
    ];
    const sentences = messages.flatMap((message) => message.split(/(?<=\.) /));
    expect(sentences.filter((sentence) => sentence.split(" ").length > 25)).toEqual([]);
  });

  it("are there: how to report a vulnerability, and what changed in this version", (context) => {
    if (!hasReadme) return context.skip(noReadme);
    const read = (name: string): string => readFileSync(join(import.meta.dirname, "../..", name), "utf8");
    expect(read("SECURITY.md")).toMatch(/report/i);
    expect(read("CHANGELOG.md")).toContain(manifest.version);
  });
});
