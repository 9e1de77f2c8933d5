// Compiles a code block of a page as a user would who pasted it, with the names that the page's snippets rely on.
import { existsSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import type { Block } from "../support/markdown.js";
import type { Output, Project } from "../support/project.js";

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
const isBrowserCode = (block: Block): boolean => /from "socket\.io-client"|\b(document|window)\./.test(block.code);

/** What the compiler says of a block. `others` are further declarations that it may rely on. */
export function compile(project: Project, block: Block, others: readonly string[] = []): Promise<Output> {
  const file = fileOf(block);
  project.write({
    [file]: block.code,
    "prelude.d.ts": prelude(block, others),
    "foreign.d.ts": foreignModules(project, block),
  });
  return project.tsc([file, "prelude.d.ts", "foreign.d.ts"], {
    lib: isBrowserCode(block) ? ["es2023", "dom"] : ["es2023"],
    // JavaScript is checked as far as it can be without annotations.
    ...(kinds[block.language] === "js" && { allowJs: true, checkJs: true, noImplicitAny: false }),
    skipLibCheck: true,
  });
}

export function nameOf({ headings, line, language }: Block): string {
  return `${headings.at(-1) ?? "the top"} (${language}, line ${line})`;
}

export function fileOf({ language, code, line }: Block): string {
  const isCommonJs = language === "cjs" || language === "cts" || /\brequire\(/.test(code);
  return `line-${line}.${isCommonJs ? "c" : "m"}${kinds[language] ?? "js"}`;
}

/** What a snippet may rely on: these names, and session fields where it does not declare its own. */
function prelude({ code }: Block, others: readonly string[]): string {
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
  if (!/declare module "express-session"/.test(code)) {
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
