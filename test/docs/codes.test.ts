// Holds the codeRows codes against those in the sources: every code codeRows, none invented.
import { describe, expect, it } from "vitest";
import { help } from "../../src/errors.js";
import { texts } from "../../src/warnings.js";
import { manifest } from "../support/project.js";
import { codeRows, read } from "./page.js";

const codeOf = (cell: string): string | undefined => /^\[`([A-Z_]+)`\]/.exec(cell)?.[1];

describe("the papers", () => {
  it("have a table row for every code of an error or a warning, and for no other", () => {
    const codes = codeRows.map((row) => codeOf(row.first) ?? `not a code: ${row.first}`);
    expect([...new Set(codes)].toSorted()).toEqual(
      [...new Set([...Object.keys(help), ...Object.keys(texts)])].toSorted(),
    );
  });

  it("say of each error code whether coming back helps, as the code does", () => {
    for (const { first, cells } of codeRows) {
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

  it("are there: how to report a vulnerability, and what changed in this version", () => {
    expect(read("SECURITY.md")).toMatch(/report/i);
    expect(read("CHANGELOG.md")).toContain(manifest.version);
  });
});
