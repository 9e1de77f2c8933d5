// The files of src as texts: which imports which, and what each exports. A small parser for this code's own style.
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

export interface SourceFile {
  /** Inside src, as in "store/live-store.ts". */
  readonly path: string;
  readonly text: string;
}

export interface Declaration {
  readonly kind: string;
  readonly name: string;
  readonly isExported: boolean;
  /** The doc comment right above; empty where there is none. */
  readonly comment: string;
}

const folder = join(import.meta.dirname, "../../src");

export const sources: readonly SourceFile[] = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .map((name) => name.replaceAll("\\", "/"))
  .filter((path) => /\.tsx?$/.test(path))
  .toSorted()
  .map((path) => ({ path, text: readFileSync(join(folder, path), "utf8") }));

/** The files of src that a file imports, those that it only takes types from included. */
export function importsOf({ path, text }: SourceFile): string[] {
  const statements = /^(?:(?:import|export)\b[^;"]*?\bfrom|import)\s*"(\.[^"]*)"|\bimport\(\s*"(\.[^"]*)"/gm;
  const found = [...text.matchAll(statements)].map(([, stated, inline]) => stated ?? inline ?? "");
  return [...new Set(found)].map((name) => posix.join(posix.dirname(path), name).replace(/\.js$/, ".ts"));
}

/** What a file declares at its top level. Of an overloaded function the first declaration counts. */
export function declarationsOf({ text }: SourceFile): Declaration[] {
  const pattern =
    /^(export )?(?:default |declare )*(?:abstract |async )*(function|class|const|let|interface|type|enum|namespace)\*? +([\w$]+)/;
  const declared = new Map<string, Declaration>();
  const lines = text.split(/\r?\n/);
  for (const [at, line] of lines.entries()) {
    const [, exported, kind = "", name = ""] = pattern.exec(line) ?? [];
    if (name === "" || declared.has(name)) continue;
    declared.set(name, { kind, name, isExported: exported !== undefined, comment: commentAbove(lines, at) });
  }
  return [...declared.values()];
}

/** The names that a file of src exports, its own and those of others. */
export function exportedNames(path: string): string[] {
  const source = sources.find((one) => one.path === path);
  if (source === undefined) throw new Error(`no src/${path}`);
  const own = declarationsOf(source).flatMap(({ isExported, name }) => (isExported ? [name] : []));
  return [...own, ...[...reexportsOf(source).values()].flat()];
}

/** The names that a file hands on from others, as they are called there: file → names. */
export function reexportsOf({ path, text }: SourceFile): Map<string, string[]> {
  const handedOn = new Map<string, string[]>();
  for (const [, names = "", from = ""] of text.matchAll(/^export (?:type )?\{([^}]*)\} from "(\.[^"]*)"/gm)) {
    const file = posix.join(posix.dirname(path), from).replace(/\.js$/, ".ts");
    const plain = names.split(",").map(
      (name) =>
        name
          .trim()
          .replace(/^type /, "")
          .split(" as ")[0] ?? "",
    );
    handedOn.set(file, [...(handedOn.get(file) ?? []), ...plain.filter(Boolean)]);
  }
  return handedOn;
}

function commentAbove(lines: readonly string[], at: number): string {
  if (!lines[at - 1]?.trimEnd().endsWith("*/")) return "";
  let start = at - 1;
  while (start > 0 && !lines[start]?.trimStart().startsWith("/**")) start--;
  return lines.slice(start, at).join("\n");
}
