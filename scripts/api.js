// Writes docs/api.txt, the report of the public types: what each entry point exports, and the types that this reaches,
// from the built declarations. A test holds it against the build, so that a change of the public face is seen in review.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Where the report stands. */
export const reportPath = join(root, "docs/api.txt");

/** The report of a package in this folder. */
export function apiReport(packageDir) {
  const { name, exports } = JSON.parse(readFileSync(join(packageDir, "package.json"), "utf8"));
  const read = reader(packageDir);
  const entries = Object.entries(exports).flatMap(([path, { import: module }]) =>
    module ? [{ title: `${name}${path.slice(1)}`, file: join(module.types) }] : [],
  );
  /** Which entry point exports a declaration. */
  const homes = new Map();
  for (const { title, file } of entries) {
    for (const key of exportsOf(file, read).keys()) if (!homes.has(key)) homes.set(key, title);
  }
  const sections = entries.map(({ title, file }) => `=== ${title}\n\n${section(title, file, homes, read)}`);
  return `What users of ${name} see. Written by \`npm run api\`.\n\n${sections.join("\n")}`;
}

/** What an entry point exports, by where it is declared. */
function exportsOf(path, read) {
  const exported = new Map();
  for (const [publicName, { from, name, isType }] of read(path).exports) {
    const { file, local } = origin(from, name, read);
    const key = `${file} ${local}`;
    // A module may export one thing by two names.
    const before = exported.get(key);
    exported.set(key, { file, local, publicName: before ? `${before.publicName}, ${publicName}` : publicName, isType });
  }
  return exported;
}

function section(title, path, homes, read) {
  const exported = exportsOf(path, read);
  const shown = new Map(exported);
  const elsewhere = new Set();
  // Grows while it is walked: what is reached may reach more.
  for (const { file, local } of shown.values()) {
    const { imports, declarations } = read(file);
    for (const [word] of declarations
      .get(local)
      .join("\n")
      .matchAll(/[\w$]+/g)) {
      const { from, name } = imports.get(word) ?? { from: file, name: word };
      if (!imports.has(word) && !declarations.has(word)) continue;
      const found = origin(from, name, read);
      const key = `${found.file} ${found.local}`;
      if ((homes.get(key) ?? title) !== title) elsewhere.add(`${found.local} of ${homes.get(key)}`);
      else if (!shown.has(key)) shown.set(key, { ...found, publicName: found.local });
    }
  }
  const list = (isExported) =>
    [...shown]
      .filter(([key]) => exported.has(key) === isExported)
      .map(([, one]) => one)
      .toSorted((a, b) => (a.publicName < b.publicName ? -1 : 1))
      .map((one) => `${declarationOf(one, read)}\n`);
  const augmented = read(path).sideEffects.flatMap((file) => read(file).augmentations);
  const reached = [...list(false), ...[...elsewhere].toSorted().map((one) => `${one}\n`)];
  const parts = [...list(true), ...augmented.map((text) => `${text}\n`)];
  if (reached.length > 0) parts.push("--- reached, not exported here\n", ...reached);
  return parts.join("\n");
}

function declarationOf({ file, local, publicName, isType }, read) {
  const text = read(file).declarations.get(local).join("\n");
  const isValue = !/^(?:interface|type) /.test(text);
  return `${publicName === local ? "" : `export ${local} as ${publicName}\n`}${isType && isValue ? "type-only " : ""}${text}`;
}

/** The module that declares a name, through all that only hand it on. */
function origin(file, name, read) {
  const { declarations, exports, imports } = read(file);
  if (declarations.has(name)) return { file, local: name };
  const next = exports.get(name) ?? imports.get(name);
  if (!next || next.from === file) throw new Error(`${file} does not declare ${name}`);
  return origin(next.from, next.name, read);
}

function reader(packageDir) {
  const modules = new Map();
  return (path) => {
    if (!modules.has(path)) modules.set(path, parse(readFileSync(join(packageDir, path), "utf8"), path));
    return modules.get(path);
  };
}

/** A declaration file: what it imports from files beside it, exports and declares, by name. */
function parse(source, path) {
  const module = {
    imports: new Map(),
    exports: new Map(),
    declarations: new Map(),
    augmentations: [],
    sideEffects: [],
  };
  const pathOf = (specifier) => join(path, "..", specifier.replace(/\.js$/, ".d.ts"));
  for (const statement of statementsOf(withoutInternals(source))) {
    const from = /from "(\.[^"]*)";$/.exec(statement)?.[1];
    const bare = /^import "(\.[^"]*)";$/.exec(statement)?.[1];
    const named = /^(import|export) (?:type )?(?:\w+, )?\{([^}]*)\}/.exec(statement);
    if (bare !== undefined) module.sideEffects.push(pathOf(bare));
    else if (named && (from !== undefined || named[1] === "export")) {
      for (const one of named[2].split(",").map((part) => part.trim())) {
        if (one === "") continue;
        const [name, alias = name] = one.replace(/^type /, "").split(" as ");
        const isType = one.startsWith("type ") || statement.startsWith("export type ");
        const target = { from: from === undefined ? path : pathOf(from), name, isType };
        if (named[1] === "import") module.imports.set(alias, target);
        else module.exports.set(alias.replaceAll('"', ""), target);
      }
    } else if (statement.startsWith("export default ")) {
      module.exports.set("default", { from: path, name: /(\w+);$/.exec(statement)[1] });
    } else if (statement.startsWith("declare module ")) module.augmentations.push(statement);
    else {
      const declared =
        /^(export )?(?:declare )?(?:abstract )?(?:interface|class|type|function|const|let) ([\w$]+)/.exec(statement);
      if (!declared) continue;
      const [, isExported, name] = declared;
      if (isExported) module.exports.set(name, { from: path, name });
      const text = statement.replace(/^export /, "").replace(/^declare /, "");
      module.declarations.set(name, [...(module.declarations.get(name) ?? []), text]);
    }
  }
  return module;
}

/** Without comments, and without what is private or marked as internal. */
function withoutInternals(source) {
  return source
    .replaceAll(/^ *\/\*\*(?:(?!\*\/)[\s\S])*@internal[\s\S]*?\*\/\n.*\n/gm, "")
    .replaceAll(/\/\*[\s\S]*?\*\//g, "")
    .replaceAll(/^ *(?:#private;|private .*;|\/\/.*)\n/gm, "")
    .replaceAll(/^\s*\n/gm, "");
}

function statementsOf(source) {
  const statements = [];
  let statement = "";
  for (const line of source.split("\n")) {
    statement += statement === "" ? line : `\n${line}`;
    // A declaration ends where a line of no indentation does.
    if (!/^\S.*;$|^\}$/.test(line)) continue;
    statements.push(statement);
    statement = "";
  }
  return statements;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(reportPath, apiReport(root));
