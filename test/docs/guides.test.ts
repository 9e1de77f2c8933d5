// The code of the guides: what stands for today's code compiles. (What an older module needed is left out.)
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "../support/markdown.js";
import { manifest, Project } from "../support/project.js";
import { compile, kinds, nameOf } from "./compile.js";

const folder = join(import.meta.dirname, "../../docs");
const pages = ["deploy.md", ...readdirSync(join(folder, "migrate")).map((name) => join("migrate", name))];

/** What the snippets of these pages rely on beside the names of the README's. */
const names = [
  `  const sessionStore: import("express-session").Store;`,
  `  const cookieParser: typeof import("cookie-parser");`,
  `  const httpServer: import("node:http").Server;`,
  `  const engine: typeof import("engine.io");`,
  `  const sio: typeof import("socket-session/compat/socket.io-sessions").default;`,
  `  const eioSession: typeof import("socket-session/compat/engine.io-session").default;`,
];

let project: Project;
beforeAll(() => {
  const packages = Object.keys(manifest.devDependencies).filter((name) => !name.startsWith("@vitest"));
  project = new Project({ packages });
});
afterAll(() => project.remove());

describe.each(pages)("%s", (page) => {
  const { blocks } = parse(readFileSync(join(folder, page), "utf8"));
  const programs = blocks.filter(({ language }) => language in kinds);

  it("has code", () => expect(programs.length).toBeGreaterThan(0));

  it.each(programs.map((block) => [nameOf(block), block] as const))("compiles: %s", async (_, block) => {
    const own = names.filter(
      (line) => !new RegExp(`(const|let|var|function|import) +${/const (\w+)/.exec(line)?.[1]}\\b`).test(block.code),
    );
    expect((await compile(project, block, own)).text).toBe("");
  });
});
