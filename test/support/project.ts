// A user's project outside the repository: the shipped package in its node_modules as a real folder, what the user has
// installed beside it as links into ours. A dependency that the package forgot to declare is not found there.
import { execFile, fork, type ChildProcess } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { inject } from "vitest";
import "./packed.js";

const root = join(import.meta.dirname, "../..");

interface Manifest {
  readonly version: string;
  readonly dependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
  readonly peerDependencies: Record<string, string>;
}

export const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;

export interface Output {
  readonly status: number;
  /** What it printed, on stdout and stderr. */
  readonly text: string;
}

export interface ProjectOptions {
  /** Packages beside socket-session, its dependencies and its peers. */
  readonly packages?: readonly string[];
  /** Packages of another place than the repository's node_modules: name → folder in the repository. */
  readonly from?: Readonly<Record<string, string>>;
  /** Peers that this user does not have. */
  readonly without?: readonly string[];
  /** The folder that it is made in: one of the repository's for tools that look for packages above their files' real places. */
  readonly below?: string;
}

/** Compiler options of a careful user: everything strict, the libraries' types checked, too. */
export const strict = {
  target: "es2022",
  module: "nodenext",
  types: ["node"],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  esModuleInterop: true,
  skipLibCheck: false,
  moduleDetection: "force",
  noEmit: true,
};

const usual = ["express", "@types/express", "@types/node"];

export class Project {
  readonly dir: string;

  constructor({ packages = [], from = {}, without = [], below = tmpdir() }: ProjectOptions = {}) {
    this.dir = realpathSync(mkdtempSync(join(below, "socket-session-project-")));
    const names = [
      ...Object.keys(manifest.dependencies),
      // The repository has not all of them: some belong to frameworks that have an install of their own.
      ...Object.keys(manifest.peerDependencies).filter((name) => existsSync(join(root, "node_modules", name))),
      ...usual,
      ...packages,
    ];
    for (const name of new Set(names)) if (!without.includes(name) && !(name in from)) this.#link(name);
    for (const [name, folder] of Object.entries(from)) this.#link(name, folder);
    cpSync(inject("packed").dir, this.path("node_modules/socket-session"), { recursive: true });
    this.write({ "package.json": { name: "a-users-project", private: true, type: "module" } });
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  /** Writes files by path: text, or an object as JSON. */
  write(files: Record<string, string | object>): this {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(this.path(name)), { recursive: true });
      writeFileSync(this.path(name), typeof content === "string" ? content : JSON.stringify(content, null, 2));
    }
    return this;
  }

  /** Runs Node; resolves with what it printed, whatever its status. */
  node(...args: string[]): Promise<Output> {
    return new Promise((resolve) => {
      execFile(process.execPath, args, { cwd: this.dir, timeout: 240_000 }, (error, stdout, stderr) => {
        const status = error ? (typeof error.code === "number" ? error.code : 1) : 0;
        resolve({ status, text: stdout + stderr });
      });
    });
  }

  /** Starts a file that can send messages; for servers. */
  fork(file: string, execArgv: string[], env: Record<string, string> = {}): ChildProcess {
    return fork(this.path(file), { cwd: this.dir, execArgv, env: { ...process.env, ...env }, silent: true });
  }

  /** Compiles these files with plain tsc. */
  tsc(files: readonly string[], compilerOptions: object = {}): Promise<Output> {
    this.write({ "tsconfig.json": { compilerOptions: { ...strict, ...compilerOptions }, files } });
    return this.node(join(root, "node_modules/typescript/bin/tsc"), "-p", ".", "--pretty", "false");
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  #link(name: string, folder = join("node_modules", name)): void {
    const at = this.path(join("node_modules", name));
    const installed = join(root, folder);
    if (!existsSync(installed)) throw new Error(`${folder} is not installed in the repository`);
    mkdirSync(dirname(at), { recursive: true });
    symlinkSync(installed, at, "junction");
  }
}
