// The README and the page about the client, or what stands in for them. README_FILE lets a writer check a draft.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Block, parse, type Row } from "../support/markdown.js";

const file = process.env["README_FILE"] ?? join(import.meta.dirname, "../../README.md");

export const hasReadme = existsSync(file);
export const noReadme = "README.md is not written yet";

const readme = parse(hasReadme ? readFileSync(file, "utf8") : "");
const client = parse(readFileSync(join(import.meta.dirname, "../../docs/client.md"), "utf8"));

export const rows: Row[] = readme.rows;
export const blocks: Block[] = [...readme.blocks, ...client.blocks];
