// The README, or what stands in for it. README_FILE lets a writer check a draft.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Block, parse, type Row } from "../support/markdown.js";

const file = process.env["README_FILE"] ?? join(import.meta.dirname, "../../README.md");

export const hasReadme = existsSync(file);
export const noReadme = "README.md is not written yet";

export const { blocks, rows }: { blocks: Block[]; rows: Row[] } = parse(hasReadme ? readFileSync(file, "utf8") : "");
