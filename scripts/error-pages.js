// Writes docs/errors: a page for each code of an error or a warning, and their index. What a message says comes from the
// sources, what only a reader of the page needs from error-notes.md. A test holds the pages against both.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const sections = ["How to see it", "The fix", "Why it is so"];

/** Where the pages stand. */
export const pagesFolder = join(root, "docs/errors");

/** The notes of all codes, in one text. */
export const notes = readFileSync(join(root, "scripts/error-notes.md"), "utf8");

/** The pages, by their file's name: made of the tables of the sources and of the text of the notes. */
export function errorPages(tables, text) {
  const { help, texts } = tables;
  const codes = [...new Set([...Object.keys(help), ...Object.keys(texts)])];
  const noteOf = parseNotes(text);
  const strange = [...noteOf.keys()].filter((code) => !codes.includes(code));
  if (strange.length > 0) throw new Error(`scripts/error-notes.md: no such code: ${strange.join(", ")}`);
  const pages = codes.map((code) => [`${code}.md`, page(code, tables, noteOf.get(code))]);
  return new Map([["index.md", index(tables)], ...pages]);
}

/** Code → what its notes begin with (under ""), and what they say under each heading. */
function parseNotes(text) {
  const parts = text.split(/^## /m).slice(1);
  return new Map(
    parts.map((part) => {
      const [code, ...lines] = part.split("\n");
      const [first, ...under] = lines.join("\n").split(/^### /m);
      const titled = under.map((one) => [one.slice(0, one.indexOf("\n")), one.slice(one.indexOf("\n")).trim()]);
      return [code, new Map([["", first.trim()], ...titled])];
    }),
  );
}

function page(code, tables, note) {
  const missing = sections.filter((title) => !note?.get(title));
  if (missing.length > 0) throw new Error(`scripts/error-notes.md: ${code} has no "${missing.join('", "')}"`);
  const { what, cause, fix } = wordsOf(code, tables);
  const paragraphs = [
    `# ${code}`,
    "## What happened",
    prose(what),
    cause && prose(`Likely cause: ${lowerFirst(cause)}`),
    note.get(""),
    factsOf(code, tables),
    "## How to see it",
    note.get("How to see it"),
    "## The fix",
    fix && prose(fix),
    note.get("The fix"),
    "## Why it is so",
    note.get("Why it is so"),
    "[All codes](index.md)",
  ];
  return `${paragraphs.filter(Boolean).join("\n\n")}\n`;
}

/** What the message of a code says, in its parts. A warning is one text, in which the fix comes last. */
function wordsOf(code, { help, texts }) {
  if (Object.hasOwn(help, code)) return help[code];
  const [what, fix = ""] = texts[code].split(" Fix: ");
  // A fix that begins with code stays as it is.
  return { what, fix: /^[a-z]+ /.test(fix) ? fix[0].toUpperCase() + fix.slice(1) : fix };
}

function factsOf(code, { help, texts, statusOf, closeCodeOf }) {
  const facts = [];
  if (Object.hasOwn(statusOf, code)) {
    facts.push(`Clients see it, with \`retry: ${help[code].retry === true}\`.`);
    facts.push(`Over HTTP the status is ${statusOf[code]}, on a WebSocket the close code is ${closeCodeOf[code]}.`);
  } else if (Object.hasOwn(help, code)) facts.push("Only the developer sees it, as the `code` of a `SessionError`.");
  if (Object.hasOwn(texts, code)) facts.push("Node prints a warning with this code.");
  return facts.join(" ");
}

function index({ help, texts, statusOf, closeCodeOf }) {
  const retry = (code) => (help[code].retry ? "yes" : "no");
  const rows = (codes, cells) => codes.map((code) => `| [\`${code}\`](${code}.md) | ${cells(code).join(" | ")} |`);
  const isSeen = (code) => Object.hasOwn(statusOf, code);
  const codes = Object.keys(help);
  return `${[
    "# Each code and warning",
    "",
    "The message of an error or a warning ends with its page. How to handle them: [codes](../reference/codes.md).",
    "",
    "## What clients see",
    "",
    "| code | what happened | retry | HTTP status | close code |",
    "| --- | --- | --- | --- | --- |",
    ...rows(codes.filter(isSeen), (code) => [prose(help[code].what), retry(code), statusOf[code], closeCodeOf[code]]),
    "",
    "## What only the developer sees",
    "",
    "| code | what happened | retry |",
    "| --- | --- | --- |",
    ...rows(
      codes.filter((code) => !isSeen(code)),
      (code) => [prose(help[code].what), retry(code)],
    ),
    "",
    "## Warnings",
    "",
    "| code | what happened |",
    "| --- | --- |",
    ...rows(Object.keys(texts), (code) => [prose(texts[code].split(" Fix: ")[0])]),
  ].join("\n")}\n`;
}

/** A message as Markdown: its code is set as code, and the pages that it names are links. */
function prose(text) {
  const call = String.raw`[\w.]+\((?:[^()]|\([^()]*\))*\)`;
  const group = String.raw`\[[^\]]*\]|(?:\w+: )?\{ (?:\{[^}]*\}|[^{}])+ \}`;
  const name = String.raw`\b(?:cookie|sessions)\.\w+|\b[a-z]+[A-Z]\w*(?:: true)?|\b[A-Z]+(?:_[A-Z]+)+\b`;
  return text
    .replaceAll(new RegExp(`${call}|${group}|${name}`, "g"), "`$&`")
    .replaceAll(/docs\/([\w/-]+\.md)/g, "[docs/$1](../$1)");
}

/** For the middle of a sentence; a word of capitals stays. */
function lowerFirst(text) {
  return /^[A-Z][a-z ]/.test(text) && !/^(Passport|Redis)/.test(text) ? text[0].toLowerCase() + text.slice(1) : text;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const built = (file) => import(new URL(`../dist/esm/${file}.js`, import.meta.url).href);
  const tables = { ...(await built("errors")), ...(await built("warnings")), ...(await built("statuses")) };
  const pages = errorPages(tables, notes);
  rmSync(pagesFolder, { recursive: true, force: true });
  mkdirSync(pagesFolder);
  for (const [name, text] of pages) writeFileSync(join(pagesFolder, name), text);
}
