// The house rules that no compiler knows: imports point one way, no file grows large, and whatever is exported is explained.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { declarationsOf, importsOf, reexportsOf, type SourceFile, sources } from "./support/source.js";

const longest = 350;
const foundation = ["errors", "warnings", "statuses", "internal"];
const store = ["store", ...foundation];
const session = ["session", ...store];
const handshake = ["handshake", ...session];
const servers = ["transports", "http", ...handshake];

/** What each part of src may import beside itself. */
const layers: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  internal: ["errors"],
  warnings: ["errors", "internal"],
  statuses: ["errors"],
  store: foundation,
  session: store,
  handshake: session,
  http: handshake,
  transports: handshake,
  // Beside the transports: it shares their tools, and knows no live session.
  compat: ["transports", "http", "handshake", ...store],
  target: servers,
  options: ["target", ...servers],
  // Looks at all of them, from inside and from outside.
  check: servers,
  events: ["options", "target", ...servers],
  sessions: ["check", "events", "options", "target", ...servers],
  "create-sessions": ["check", "sessions", "events", "options", "target", ...servers],
  index: ["check", "create-sessions", "sessions", "events", "options", "target", ...servers],
  nest: ["check", "create-sessions", "sessions", "events", "options", "target", ...servers],
  fastify: ["check", "create-sessions", "sessions", "events", "options", "target", ...servers],
  // For the tests of applications: nothing imports it.
  testing: ["http", "store", ...foundation],
  redis: store,
  postgres: store,
  // The page's half: nothing of the server.
  client: [],
  react: ["client"],
};

/** Folders of which each folder stands alone: neither the others nor the files around them import it. */
const families = ["store/drivers", "transports"];
/** The list of the kinds of servers knows them all. */
const lists = ["transports/servers.ts"];

describe("imports", () => {
  it("point from the entry points down to the errors, never up", () => expect(upward(sources)).toEqual([]));
  it("lead from no driver to another, and from no kind of server to another", () =>
    expect(acrossFamilies(sources)).toEqual([]));
  it("go round in no circle, types included", () => expect(circles(sources)).toEqual([]));
});

describe("a file", () => {
  it(`has at most ${longest} lines`, () => expect(tooLong(sources)).toEqual([]));
  it("explains what it exports, and each of its classes", () => expect(unexplained(sources)).toEqual([]));
});

it("each public function and class has an example", () => expect(withoutExample(sources)).toEqual([]));

describe("these rules notice", () => {
  const file = (path: string, text: string): SourceFile => ({ path, text });

  it("an import upward, of a type too, and a part without a layer", () => {
    const found = upward([
      file("store/record/merge.ts", `import type { Registry } from "../../session/registry.js";`),
      file("session/view.ts", `import {\n  a,\n  b,\n} from "../store/live-store.js";`),
      file("internal/safely.ts", `type Code = import("../warnings.js").WarningCode;`),
      file("client/tabs.ts", `export { tell } from "../errors.js";`),
      file("helpers/strings.ts", ""),
    ]);
    expect(found).toEqual([
      "store/record/merge.ts imports session/registry.ts",
      "internal/safely.ts imports warnings.ts",
      "client/tabs.ts imports errors.ts",
      "helpers/strings.ts belongs to no layer",
    ]);
  });

  it("a driver or a kind of server that another one imports", () => {
    const found = acrossFamilies([
      file("store/drivers/redis/redis-store.ts", `import "../postgres/table.js";\nimport "../driver.js";`),
      file("transports/claims.ts", `import { attach } from "./ws/attach.js";`),
      file("transports/ws/attach.ts", `import { claim } from "../claims.js";`),
    ]);
    expect(found).toEqual([
      "store/drivers/redis/redis-store.ts imports store/drivers/postgres/table.ts",
      "transports/claims.ts imports transports/ws/attach.ts",
    ]);
  });

  it("a circle of three", () => {
    const found = circles([
      file("a.ts", `import "./b.js";`),
      file("b.ts", `import type { C } from "./c.js";`),
      file("c.ts", `export * from "./a.js";`),
    ]);
    expect(found).toEqual(["a.ts → b.ts → c.ts → a.ts"]);
  });

  it("a file of 351 lines", () => {
    const lines = (count: number): string => "\n".repeat(count);
    expect(tooLong([file("a.ts", lines(350)), file("b.ts", lines(351))])).toEqual(["b.ts: 351"]);
  });

  it("an export without a comment, and a public function without an example", () => {
    const files = [
      file("index.ts", `export { a, type B } from "./a.js";`),
      file("a.ts", `/** A. */\nexport function a(): void {}\n\nexport interface B {}\nclass C {}\nfunction d() {}\n`),
    ];
    expect(unexplained(files)).toEqual(["a.ts: B", "a.ts: C"]);
    expect(withoutExample(files)).toEqual(["a.ts: a"]);
  });
});

function upward(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const own = layerOf(file.path);
    const allowed = layers[own];
    if (!allowed) return [`${file.path} belongs to no layer`];
    return importsOf(file)
      .filter((path) => layerOf(path) !== own && !allowed.includes(layerOf(path)))
      .map((path) => `${file.path} imports ${path}`);
  });
}

function acrossFamilies(files: readonly SourceFile[]): string[] {
  return families.flatMap((family) => {
    const memberOf = (path: string): string | undefined =>
      path.startsWith(`${family}/`) ? /^(.+?)\//.exec(path.slice(family.length + 1))?.[1] : undefined;
    return files
      .filter(({ path }) => layerOf(path) === layerOf(family) && !lists.includes(path))
      .flatMap((file) =>
        importsOf(file)
          .filter((path) => memberOf(path) !== undefined && memberOf(path) !== memberOf(file.path))
          .map((path) => `${file.path} imports ${path}`),
      );
  });
}

function circles(files: readonly SourceFile[]): string[] {
  const edges = new Map(files.map((file) => [file.path, importsOf(file)]));
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): void => {
    const start = way.indexOf(path);
    if (start >= 0) found.push([...way.slice(start), path].join(" → "));
    if (start >= 0 || done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...way, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return found;
}

function tooLong(files: readonly SourceFile[]): string[] {
  return files
    .map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }))
    .filter(({ lines }) => lines > longest)
    .map(({ path, lines }) => `${path}: ${lines}`);
}

function unexplained(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) =>
    declarationsOf(file)
      .filter(({ kind, isExported, comment }) => (isExported || kind === "class") && comment === "")
      .map(({ name }) => `${file.path}: ${name}`),
  );
}

function withoutExample(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  return entryPoints()
    .flatMap((path) => byPath.get(path) ?? [])
    .flatMap((entry) => {
      const own = [entry.path, [...namesOf(entry)]] as const;
      return [own, ...reexportsOf(entry)].flatMap(([path, names]) =>
        declarationsOf(byPath.get(path) ?? { path, text: "" })
          .filter(({ kind, name }) => names.includes(name) && ["function", "class"].includes(kind))
          .filter(({ comment }) => !comment.includes("@example"))
          .map(({ name }) => `${path}: ${name}`),
      );
    });
}

/** What an entry point declares itself and exports, by its default export, too. */
function* namesOf(entry: SourceFile): Iterable<string> {
  for (const { name, isExported } of declarationsOf(entry)) if (isExported) yield name;
  for (const [, name = ""] of entry.text.matchAll(/^export default (\w+);/gm)) yield name;
}

/** The sources behind the subpaths of package.json. */
function entryPoints(): string[] {
  const manifest = readFileSync(join(import.meta.dirname, "../package.json"), "utf8");
  const targets = [...manifest.matchAll(/"\.\/dist\/esm\/([^"]+)\.js"/g)].map(([, path = ""]) => `${path}.ts`);
  return [...new Set(targets)];
}

function layerOf(path: string): string {
  return (path.split("/")[0] ?? "").replace(/\.ts$/, "");
}
