// The page about sizing says what its calculator says.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "../support/markdown.js";

const docs = join(import.meta.dirname, "../../docs");

test("the example in the page is what the calculator's formulas give", async () => {
  const { costOf, example } = (await import(join(docs, ".vitepress/theme/sizing.js"))) as {
    costOf(input: object): Record<string, number>;
    example: object;
  };
  const page = parse(readFileSync(join(docs, "operate/sizing.md"), "utf8"));
  const shown = page.rows.flatMap(({ cells }) => cells.get("cost")?.split(" ")[0] ?? []);
  const round = (cost: number): string => cost.toLocaleString("en", { maximumSignificantDigits: 3 });
  expect(shown).toEqual(Object.values(costOf(example)).map(round));
});
