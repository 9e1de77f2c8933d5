// The page of options is what their docstrings say, and these say of each option what counts where it is left out.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { optionsPage, pagePath, readSources } from "../../scripts/options-page.js";

const sources = readSources();

test("docs/reference/options.md is what the sources say; `npm run options-page` writes it anew", () => {
  expect(readFileSync(pagePath, "utf8")).toBe(optionsPage(sources));
});

test("it has every option that is checked by name", () => {
  const page = optionsPage(sources);
  const lists = [...sources.matchAll(/: NamesOf<\w+> = \{([^}]*)\}/g)].map(([, names = ""]) => names);
  const names = lists.flatMap((list) => [...list.matchAll(/(\w+): true/g)].map(([, name = ""]) => name));
  expect(names.length).toBeGreaterThan(30);
  expect(names.filter((name) => !page.includes(`| \`${name}\` |`))).toEqual([]);
});

test("an option whose docstring says no default is refused", () => {
  const silent = sources.replace("in ms. Default 30,000. */\n  lease", "in ms. */\n  lease");
  expect(silent).not.toBe(sources);
  expect(() => optionsPage(silent)).toThrow("LiveOptions.lease");
});
