// Compiles the code blocks of a page as a user would who pasted them, with the names that the page's snippets rely on.
import { existsSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import type { Block } from "../support/markdown.js";
import type { Project } from "../support/project.js";

export const kinds: Record<string, "ts" | "js"> = {
  ts: "ts",
  typescript: "ts",
  mts: "ts",
  cts: "ts",
  js: "js",
  javascript: "js",
  mjs: "js",
  cjs: "js",
};
const isBrowserCode = (block: Block): boolean =>
  /from "socket\.io-client"|\bnew EventSource\(|\b(document|window)\./.test(block.code);

/**
 * What the compiler says of each block of a page. Blocks that need the same settings and declare the same session fields
 * are compiled together. `others` are further declarations that they may rely on.
 */
export async function compileAll(
  project: Project,
  blocks: readonly Block[],
  others: readonly string[] = [],
): Promise<ReadonlyMap<Block, string>> {
  const programs = new Map<string, Block[]>();
  for (const block of blocks) {
    const key = JSON.stringify([optionsOf(block), sessionFieldsOf(block)]);
    programs.set(key, [...(programs.get(key) ?? []), block]);
  }
  const said = new Map<Block, string>();
  for (const program of programs.values()) await compile(project, program, others, said);
  return said;
}

async function compile(
  project: Project,
  blocks: readonly Block[],
  others: readonly string[],
  said: Map<Block, string>,
): Promise<void> {
  const [first] = blocks as [Block];
  // Two pages may have blocks on the same line.
  const files = blocks.map((block, index) => `${index}-${fileOf(block)}`);
  const declarations = {
    // Of what the page calls a file others import by that name.
    ...Object.fromEntries(
      blocks.flatMap((block, index) => {
        const name = namedFileOf(block);
        return name === undefined ? [] : [[name, `export * from "./${files[index]}";\n`]];
      }),
    ),
    "prelude.d.ts": prelude(first, others),
    "foreign.d.ts": blocks.map((block) => foreignModules(project, block)).join("\n"),
  };
  project.write({ ...declarations, ...Object.fromEntries(blocks.map(({ code }, index) => [files[index], code])) });
  const { text } = await project.tsc([...files, ...Object.keys(declarations)], optionsOf(first));
  // An error begins with its file, and goes on in indented lines; one that names none of the blocks is everybody's.
  const errors = text.split(/\n(?! |$)/).filter((error) => error.trim() !== "");
  for (const [index, block] of blocks.entries()) {
    const isOthers = (error: string): boolean => files.some((file, at) => at !== index && error.startsWith(`${file}(`));
    said.set(block, errors.filter((error) => !isOthers(error)).join("\n"));
  }
}

function optionsOf(block: Block): object {
  return {
    lib: isBrowserCode(block) ? ["es2023", "dom"] : ["es2023"],
    // JavaScript is checked as far as it can be without annotations.
    ...(kinds[block.language] === "js" && { allowJs: true, checkJs: true, noImplicitAny: false }),
    skipLibCheck: true,
  };
}

/** Where a block declares session fields itself: what it declares, up to the end of the declaration. */
function sessionFieldsOf({ code }: Block): string | undefined {
  return /declare module "express-session" *\{[^}]*\}/.exec(code)?.[0];
}

export function nameOf({ headings, line, language }: Block): string {
  return `${headings.at(-1) ?? "the top"} (${language}, line ${line})`;
}

/** What a page calls a block: "```js file=app.js". */
export function namedFileOf({ words }: Block): string | undefined {
  return words.find((word) => word.startsWith("file="))?.slice("file=".length);
}

export function fileOf({ language, code, line }: Block): string {
  const isCommonJs = language === "cjs" || language === "cts" || /\brequire\(/.test(code);
  return `line-${line}.${isCommonJs ? "c" : "m"}${kinds[language] ?? "js"}`;
}

/** What a snippet may rely on: these names, and session fields where it does not declare its own. */
function prelude(block: Block, others: readonly string[]): string {
  const lines = [
    `import type {} from "socket-session";`,
    `declare global {`,
    `  const app: import("express").Express;`,
    `  const express: typeof import("express").default;`,
    `  const server: import("node:http").Server;`,
    `  const io: import("socket.io").Server;`,
    `  const socket: import("socket.io").Socket;`,
    `  const session: typeof import("express-session").default;`,
    `  const sessions: import("socket-session").Sessions;`,
    `  const store: import("socket-session").LiveStore;`,
    `  const secret: string;`,
    ...others,
    `}`,
  ];
  if (sessionFieldsOf(block) === undefined) {
    lines.push(`declare module "express-session" { interface SessionData { [field: string]: any } }`);
  }
  return lines.join("\n");
}

/** Packages that the repository does not install: their types are not ours to check. */
function foreignModules(project: Project, { code }: Block): string {
  const lines: string[] = [];
  for (const [, , name = ""] of code.matchAll(/(from|import|require\()\s*"([^".][^"]*)"/g)) {
    const [scope = "", rest] = name.split("/");
    const folder = scope.startsWith("@") ? `${scope}/${rest}` : scope;
    if (folder === "socket-session" || isBuiltin(name) || isTyped(project, folder)) continue;
    lines.push(`declare module "${name}";`);
  }
  return lines.join("\n");
}

function isTyped({ dir }: Project, name: string): boolean {
  const types = `node_modules/@types/${name.replace("@", "").replace("/", "__")}`;
  const own = join(dir, "node_modules", name, "package.json");
  if (existsSync(join(dir, types))) return true;
  return existsSync(own) && /"types"|"typings"|\.d\.[mc]?ts"/.test(readFileSync(own, "utf8"));
}
