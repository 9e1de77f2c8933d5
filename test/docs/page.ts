// The README and the pages that its parts became: their code, and the rows of their tables.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Block, parse, type Row } from "../support/markdown.js";

const root = join(import.meta.dirname, "../..");
const folders = ["start", "guide", "servers", "stores", "security", "inside", "reference"].flatMap((folder) =>
  readdirSync(join(root, "docs", folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${folder}/${name}`),
);

/** The code of each page, by the page's file. */
export const blocksOf: ReadonlyMap<string, Block[]> = new Map(
  ["README.md", ...folders].map((file) => [file, parse(read(file)).blocks]),
);

/** The tables of codes. */
export const codeRows: Row[] = parse(read("docs/errors/index.md")).rows;

/** The text of one of the project's files. */
export function read(file: string): string {
  return readFileSync(join(root, file), "utf8");
}
