// The architecture page names files and functions: they are there, and its flows can be followed by them.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { importsOf, sources } from "../support/source.js";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/inside/architecture.md"), "utf8");
const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => file.endsWith(".ts"));

/** A line of a flow: its file below src/, and the function there. */
interface Step {
  readonly file: string;
  readonly name: string;
}

/** The steps of each flow, by its title. */
function flows(): [title: string, steps: Step[]][] {
  const section = page.slice(page.indexOf("\n## Three flows\n")).split("\n## ")[1] ?? "";
  return section
    .split("\n### ")
    .slice(1)
    .map((flow) => [
      flow.slice(0, flow.indexOf("\n")),
      [...flow.matchAll(/^\d+\. `([\w./-]+\.ts)` → `(\w+)`/gm)].map(([, file = "", name = ""]) => ({ file, name })),
    ]);
}

describe("the architecture page", () => {
  it("names files that exist", () => {
    const named = [...page.matchAll(/`(?:src\/)?([\w./-]+\.ts)`/g)].map(([, file = ""]) => file);
    expect(named.length).toBeGreaterThan(20);
    const isThere = (file: string): boolean => files.some((one) => one === file || one.endsWith(`/${file}`));
    expect(named.filter((file) => !isThere(file))).toEqual([]);
  });

  it("draws arrows from parts to parts that they import, and none that leads back", () => {
    const arrows = [...page.matchAll(/^ {2}(\w+)(?:\["([^"]*)"\])? --> (\w+)(?:\["([^"]*)"\])?$/gm)];
    expect(arrows.length).toBeGreaterThan(8);
    const labels = new Map(
      arrows
        .flatMap(([, from, label, to, other]) => [[from, label] as const, [to, other] as const])
        .filter(([, label]) => label),
    );
    const partsOf = (name = ""): string[] =>
      (labels.get(name) ?? name).replace(/^entry points: |: .*$/g, "").split(", ");
    const imports = (from: string[], to: string[]): boolean =>
      sources.some(
        (file) => from.includes(partOf(file.path)) && importsOf(file).some((path) => to.includes(partOf(path))),
      );
    const drawn = arrows.map(([, from, , to]) => [partsOf(from), partsOf(to)] as const);
    expect(drawn.filter(([from, to]) => !imports(from, to))).toEqual([]);
    expect(drawn.filter(([from, to]) => imports(to, from))).toEqual([]);
  });

  it("has three flows", () => expect(flows()).toHaveLength(3));

  describe.each(flows())("%s", (_, steps) => {
    it("has ten lines, each with a file and a function that is defined there", () => {
      expect(steps).toHaveLength(10);
      const missing = steps.filter(({ file, name }) => !files.includes(file) || !defines(file, name));
      expect(missing).toEqual([]);
    });

    it("enters no file more than twice", () => {
      const entered = steps.filter(({ file }, index) => file !== steps[index - 1]?.file).map(({ file }) => file);
      const often = entered.filter((file) => entered.filter((other) => other === file).length > 2);
      expect(often).toEqual([]);
    });
  });
});

/** The folder of a file, or its name where it is in none. */
function partOf(path: string): string {
  return path.replace(/\/.*|\.tsx?$/, "");
}

/** Whether a file has such a function, or a class in it such a method. */
function defines(file: string, name: string): boolean {
  const code = readFileSync(join(root, "src", file), "utf8");
  const method = `^  (?:[a-z]+ )*#?${name}(?:<\\w+>)?\\((?:.*\\{)?$`;
  return new RegExp(`^(?:export )?(?:async )?function ${name}\\b|${method}`, "m").test(code);
}
