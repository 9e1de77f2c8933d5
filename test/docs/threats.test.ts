// Each threat of docs/security/threats.md names tests that are there, by file and title.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const folder = join(import.meta.dirname, "../../docs/security");
const page = readFileSync(join(folder, "threats.md"), "utf8");
const threats = page
  .split(/^### /m)
  .slice(1)
  .map((text) => ({ name: text.split("\n", 1)[0] ?? "", text: text.split(/^## /m, 1)[0] ?? "" }));

describe.each(threats)("$name", ({ text }) => {
  // "- [promises/doors](../test/promises/doors.test.ts): `the title`"; without a title all of the file is meant.
  const tests = [...text.matchAll(/^- \[[^\]]*\]\(([^)]+)\)(?::\s+`([^`]+)`)?/gm)];

  it("is tested", () => expect(tests.length).toBeGreaterThan(0));

  it.each(tests.map(([, file = "", title]) => ({ file, title })))("by $file: $title", ({ file, title = "" }) => {
    const path = join(folder, file);
    expect(existsSync(path), file).toBe(true);
    expect(readFileSync(path, "utf8").replaceAll('\\"', '"')).toContain(title);
  });
});
