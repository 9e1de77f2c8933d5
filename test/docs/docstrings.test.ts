// The examples of the docstrings are the reference's. Each compiles with what it needs of this package imported; names that
// stand for the reader's own code may be anything.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type Block, parse } from "../support/markdown.js";
import { manifest, Project } from "../support/project.js";
import { exportedNames } from "../support/source.js";
import { compileAll, kinds } from "./compile.js";

const folder = join(import.meta.dirname, "../../src");
const modules = ["index", "redis", "postgres", "react", "client/index", "testing/index", "nest/index", "fastify/index"];
/** Entry point → the names that it exports. */
const exportsOf = new Map(modules.map((file) => [file, exportedNames(`${file}.ts`)]));

const examplesOf = new Map(
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((file) => file.replaceAll("\\", "/"))
    // What follows an older module has its example in the JavaScript of then.
    .filter((file) => file.endsWith(".ts") && !file.startsWith("compat/"))
    .map((file) => [file, examplesIn(file)] as const)
    .filter(([, examples]) => examples.length > 0),
);

let said: ReadonlyMap<Block, string>;
beforeAll(async () => {
  const packages = Object.keys(manifest.devDependencies).filter((name) => !name.startsWith("@vitest"));
  const project = new Project({ packages });
  said = await compileAll(project, [...examplesOf.values()].flat());
  project.remove();
}, 90_000);

describe.each([...examplesOf])("%s", (_, examples) => {
  it.each(examples.map((block) => [block.line, block] as const))("compiles: line %i", (_, block) =>
    expect(
      said
        .get(block)
        ?.split("\n")
        .filter((line) => line !== "" && !isOfTheReader.test(line)),
    ).toEqual([]),
  );
});

/** A name that is not there, what has no type because of that, and Nest's decorators, which need a setting. */
const isOfTheReader = /: error TS(?:2304|2503|2552|18004|7006|7031|1206):/;

/** The code of the doc comments of a file, at its lines. */
function examplesIn(file: string): Block[] {
  const text = readFileSync(join(folder, file), "utf8");
  const comments = text.replaceAll(/^(?! *(?:\/\*\*| \*)).*$/gm, "").replaceAll(/^ *(?:\/\*\*| \*\/?) ?/gm, "");
  return parse(comments)
    .blocks.filter(({ language }) => language in kinds)
    .map((block) => ({ ...block, code: `${importsFor(block.code, file)}${block.code}` }));
}

/** Imports of what the code names, first from the entry point that its file belongs to. */
function importsFor(code: string, file: string): string {
  const words = new Set(code.replaceAll(/^import [^;]*;/gm, "").match(/[\w$]+/g));
  for (const [word] of code.matchAll(/(?<=^import [^;]*|\b(?:const|class) )\w+/gm)) words.delete(word);
  const isOwn = (module: string): boolean => file.startsWith(module.replace(/index$/, "")) && module !== "index";
  const ranked = [...exportsOf].toSorted(([one], [other]) => Number(isOwn(other)) - Number(isOwn(one)));
  let imports = "";
  for (const [module, names] of ranked) {
    const used = names.filter((name) => words.delete(name));
    if (used.length === 0) continue;
    const path = module.replace(/\/?index$/, "");
    imports += `import { ${used.join(", ")} } from "socket-session${path && `/${path}`}";\n`;
  }
  return imports;
}
