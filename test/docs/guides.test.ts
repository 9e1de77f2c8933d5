// The code of the guides and of the codes' pages: what stands for today's code compiles. (What an older module needed is
// left out.)
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type Block, parse } from "../support/markdown.js";
import { manifest, Project } from "../support/project.js";
import { compileAll, kinds, nameOf } from "./compile.js";

const folder = join(import.meta.dirname, "../../docs");
const pagesIn = (name: string): string[] => readdirSync(join(folder, name)).map((page) => join(name, page));
const pages = ["operate", "migrate", "errors"].flatMap(pagesIn).filter((page) => /(?<!index)\.md$/.test(page));

/** What the snippets of these pages rely on beside the names of the README's. */
const names = [
  `  const createSessions: typeof import("socket-session").createSessions;`,
  `  const id: string;`,
  `  const sessionStore: import("express-session").Store;`,
  `  const cookieParser: typeof import("cookie-parser");`,
  `  const httpServer: import("node:http").Server;`,
  `  const engine: typeof import("engine.io");`,
  `  const sio: typeof import("socket-session/compat/socket.io-sessions").default;`,
  `  const eioSession: typeof import("socket-session/compat/engine.io-session").default;`,
];

const programsOf = new Map(
  pages.map((page) => {
    const { blocks } = parse(readFileSync(join(folder, page), "utf8"));
    return [page, blocks.filter(({ language }) => language in kinds)];
  }),
);

let said: ReadonlyMap<Block, string>;
beforeAll(async () => {
  const packages = Object.keys(manifest.devDependencies).filter((name) => !name.startsWith("@vitest"));
  const project = new Project({ packages });
  said = await compileAll(project, [...programsOf.values()].flat(), names);
  project.remove();
}, 90_000);

it("a page for who comes from an older module, or with a code, has something to write", () => {
  const bare = [...programsOf].filter(([, programs]) => programs.length === 0).map(([page]) => page);
  expect(bare.filter((page) => !page.startsWith("operate"))).toEqual([]);
});

describe.each([...programsOf].filter(([, programs]) => programs.length > 0))("%s", (_, programs) => {
  it.each(programs.map((block) => [nameOf(block), block] as const))("compiles: %s", (_, block) =>
    expect(said.get(block)).toBe(""),
  );
});
