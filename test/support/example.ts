// A program of examples/ as its user starts it: its folder as a project that has the packed package.
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Running, runFile } from "../docs/run.js";
import { Project, type ProjectOptions } from "./project.js";

const root = join(import.meta.dirname, "../..");

export interface ExampleManifest {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** The text of a file below examples/. */
export const readExample = (file: string): string => readFileSync(join(root, "examples", file), "utf8");

export const manifestOf = (name: string): ExampleManifest =>
  JSON.parse(readExample(join(name, "package.json"))) as ExampleManifest;

/** A copy of an example; packages of other places than the repository's node_modules as in `from`. */
export function copyExample(name: string, { from = {}, ...options }: ProjectOptions = {}): Project {
  const { dependencies, devDependencies = {} } = manifestOf(name);
  const packages = Object.keys({ ...dependencies, ...devDependencies }).filter((one) => one !== "socket-session");
  const project = new Project({ ...options, packages, from });
  cpSync(join(root, "examples", name), project.dir, { recursive: true });
  return project;
}

/** Starts the file that `npm start` ends with; resolves with its address. */
export async function startExample(name: string, project: Project): Promise<{ url: string; server: Running }> {
  const [, file = "server.js"] = /node (\S+)$/.exec(manifestOf(name).scripts["start"] ?? "") ?? [];
  const server = runFile(project, file);
  return { url: `http://127.0.0.1:${await server.ready}`, server };
}
