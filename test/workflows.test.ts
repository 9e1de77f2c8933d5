// What runs elsewhere cannot be run here, but read: the workflows and forms of .github are valid and name what exists.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseDocument } from "yaml";

interface Job {
  readonly "runs-on": string;
  readonly "timeout-minutes"?: number;
  readonly permissions?: Record<string, string>;
  readonly environment?: string;
  readonly strategy?: { readonly matrix: { readonly include: readonly Cell[] } };
}
interface Cell {
  readonly name: string;
  readonly node: number;
  readonly run: string;
}
interface Workflow {
  readonly permissions?: Record<string, string>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const root = join(import.meta.dirname, "..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly engines: { readonly node: string };
  readonly scripts: Readonly<Record<string, string>>;
};
const files = readdirSync(join(root, ".github"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".yml"))
  .map((name) => ({ name: name.replaceAll("\\", "/"), text: readFileSync(join(root, ".github", name), "utf8") }));
const workflows = files
  .filter(({ name }) => name.startsWith("workflows/"))
  .map(({ name, text }) => ({ ...(parseDocument(text).toJS() as Workflow), name, text }));

describe.each(files)("$name", ({ text }) => {
  it("is YAML without errors and doubled keys", () => {
    const { errors, warnings } = parseDocument(text);
    expect([...errors, ...warnings]).toEqual([]);
  });
});

describe.each(workflows)("$name", ({ text, permissions, jobs }) => {
  it("takes each action by its commit, with the version beside it", () => {
    const actions = text.split("\n").filter((line) => /\buses:/.test(line));
    expect(actions.length).toBeGreaterThan(0);
    for (const line of actions) expect(line).toMatch(/uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  it("may write nothing, but where a job says what", () => {
    expect(Object.values(permissions ?? { all: "write" }).filter((right) => right !== "read")).toEqual([]);
  });

  it("ends by itself", () => {
    for (const job of Object.values(jobs)) expect(job["timeout-minutes"]).toBeLessThanOrEqual(60);
  });

  it("runs scripts and tests that exist", () => {
    for (const [, name = ""] of text.matchAll(/\bnpm run ([\w:]+)/g))
      expect(Object.keys(manifest.scripts)).toContain(name);
    const folders = readdirSync(join(root, "test"));
    for (const [, name = ""] of text.matchAll(/ test\/(\w+)/g)) expect(folders).toContain(name);
  });
});

describe("the matrix", () => {
  const cells = workflows.flatMap(({ jobs }) => jobs["test"]?.strategy?.matrix.include ?? []);

  it("has the oldest Node that the package allows, and each even one after it", () => {
    const oldest = Number(/\d+/.exec(manifest.engines.node)?.[0]);
    expect([...new Set(cells.map(({ node }) => node))]).toEqual([oldest, oldest + 2, oldest + 4, oldest + 6]);
  });

  it("is what npm run test:matrix runs", () => {
    const listed = execFileSync(process.execPath, ["scripts/test-matrix.js", "--list"], {
      cwd: root,
      encoding: "utf8",
    });
    expect(listed.trim().split("\n")).toEqual(cells.map(({ name }) => name));
  });
});

it("a release waits for a human, and no other job may publish", () => {
  const publishing = workflows.flatMap(({ name, jobs }) =>
    Object.values(jobs).flatMap(({ permissions, environment }) =>
      permissions?.["id-token"] === "write" ? [`${name} in ${environment}`] : [],
    ),
  );
  expect(publishing).toEqual(["workflows/release.yml in npm"]);
});
