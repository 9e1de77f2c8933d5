// Runs the program of a page as a user would: a file in a project that has the packed package.
import { once } from "node:events";
import { join } from "node:path";
import { transformSync } from "esbuild";
import type { Block } from "../support/markdown.js";
import type { Project } from "../support/project.js";
import { fileOf, kinds } from "./compile.js";

export interface Running {
  /** Resolves when the program has ended well, or with the port that it listens on. */
  readonly ready: Promise<number | undefined>;
  stop(): void;
}

const preload = join(import.meta.dirname, "listen.js");

/** Runs a block. */
export function run(project: Project, block: Block): Running {
  return runFile(project, written(project, block));
}

/** Writes a block as a file that every Node can run; gives its name. */
export function written(project: Project, block: Block): string {
  const isTypeScript = kinds[block.language] === "ts";
  const file = fileOf(block).replace(/ts$/, "js");
  project.write({ [file]: isTypeScript ? transformSync(block.code, { loader: "ts" }).code : block.code });
  return file;
}

/** Runs a file of the project, where a user tries it, or as `mode` says. */
export function runFile(project: Project, file: string, mode = ""): Running {
  const env = { PORT: "0", SESSION_SECRET: "a secret for tests", NODE_ENV: mode };
  const child = project.fork(file, ["--import", preload], env);
  let printed = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  const listening = once(child, "message").then(([message]) => (message as { port: number }).port);
  const ended = once(child, "exit").then(([status, signal]) => {
    if (status !== 0) throw new Error(`It ended with ${status ?? signal}: ${printed}`);
    return undefined;
  });
  const slow = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`It neither ends nor listens: ${printed}`)), 60_000).unref();
  });
  ended.catch(() => undefined);
  slow.catch(() => undefined);
  return { ready: Promise.race([listening, ended, slow]), stop: () => child.kill() };
}
