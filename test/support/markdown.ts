// The parts of a Markdown page that tests look at: fenced code blocks and tables, each with the headings above it.

export interface Block {
  /** As in "```ts run": the language, then words. */
  readonly language: string;
  readonly words: readonly string[];
  readonly code: string;
  /** Where the code starts, counted from 1. */
  readonly line: number;
  /** The headings that it stands under, from the page's title down. */
  readonly headings: readonly string[];
}

export interface Row {
  /** Column title (in lower case) → cell. */
  readonly cells: ReadonlyMap<string, string>;
  /** The first cell. */
  readonly first: string;
  readonly headings: readonly string[];
}

export function parse(page: string): { blocks: Block[]; rows: Row[] } {
  const blocks: Block[] = [];
  const rows: Row[] = [];
  const headings: string[] = [];
  const lines = page.split(/\r?\n/);
  let titles: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const fence = /^( *)(`{3,}|~{3,})\s*(.*)$/.exec(line);
    const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(line);
    if (fence) {
      const [, indent = "", mark = "", info = ""] = fence;
      const [language = "", ...words] = info.trim().split(/\s+/);
      const code: string[] = [];
      const start = at + 2;
      while (++at < lines.length && !(lines[at] ?? "").trimStart().startsWith(mark)) {
        code.push((lines[at] ?? "").slice(indent.length));
      }
      blocks.push({ language, words, code: code.join("\n"), line: start, headings: headings.filter(Boolean) });
    } else if (heading) {
      const level = heading[1]?.length ?? 1;
      headings.length = level - 1;
      // A level may be left out.
      headings[level - 1] = heading[2] ?? "";
    } else if (/^\s*\|/.test(line)) {
      const cells = cellsOf(line);
      if (titles.length === 0) titles = cells.map((cell) => cell.toLowerCase());
      else if (!cells.every((cell) => /^:?-+:?$/.test(cell))) {
        const named = new Map(titles.map((title, column) => [title, cells[column] ?? ""]));
        rows.push({ cells: named, first: cells[0] ?? "", headings: headings.filter(Boolean) });
      }
      continue;
    }
    titles = [];
  }
  return { blocks, rows };
}

function cellsOf(line: string): string[] {
  return line
    .trim()
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
}
