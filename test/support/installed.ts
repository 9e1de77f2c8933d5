// A user's folder outside the repository, in which npm installs the packed package, and programs run as a shell starts
// them. Slower than a `Project`, which has links into the repository's packages.
import { execFile, spawn } from "node:child_process";
import { cpSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { inject } from "vitest";
import { freePort } from "./private-server.js";
import "./packed.js";

const run = promisify(execFile);

export interface Started {
  readonly url: string;
  stop(): void;
}

export class InstalledProject {
  readonly dir = realpathSync(mkdtempSync(join(tmpdir(), "socket-session-installed-")));
  /** The packed package, for commands that name it. */
  readonly tarball = inject("packed").tarball;

  /** Writes files by name: text, or an object as JSON. */
  write(files: Readonly<Record<string, string | object>>): this {
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(this.dir, name), typeof content === "string" ? content : JSON.stringify(content, null, 2));
    }
    return this;
  }

  /** Takes a folder's files, without what is installed or built there. */
  copy(folder: string): this {
    const built = /[\\/](?:node_modules|dist|\.next)(?:[\\/]|$)/;
    cpSync(folder, this.dir, { recursive: true, filter: (file) => !built.test(file.slice(folder.length)) });
    return this;
  }

  /** Runs a command of a shell, with this folder of programs before all others; resolves with what it printed. */
  async shell(command: string, programs?: string): Promise<string> {
    const options = { cwd: this.dir, env: environment(programs), timeout: 240_000 };
    const { stdout } = await run(command, { ...options, shell: true });
    return stdout;
  }

  /** Installs the packed package, and whatever package.json names. */
  install(...names: string[]): Promise<string> {
    return this.shell(`npm install ${[this.tarball, ...names].join(" ")} --no-audit --no-fund --loglevel=error`);
  }

  /** Starts a server with a command of a shell; resolves when it answers. */
  async serve(command: string, { path = "/", programs }: { path?: string; programs?: string } = {}): Promise<Started> {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const env = { ...environment(programs), PORT: String(port) };
    // A group of its own: a shell does not pass on what ends it.
    const child = spawn(command, {
      cwd: this.dir,
      env,
      shell: true,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let printed = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    }
    const stop = (): void => {
      try {
        process.kill(-(child.pid as number), "SIGKILL");
      } catch {
        // It has ended.
      }
    };
    for (const end = Date.now() + 240_000; ;) {
      const response = await fetch(url + path).catch(() => undefined);
      if (response?.ok) return { url, stop };
      if (child.exitCode === null && Date.now() < end) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        continue;
      }
      stop();
      throw new Error(`${command} does not serve ${path}: ${printed}`);
    }
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function environment(programs = dirname(process.execPath)): NodeJS.ProcessEnv {
  // Tests have a mode of their own, which users do not have.
  const { NODE_ENV: _, ...env } = process.env;
  return { ...env, PATH: [programs, process.env["PATH"]].join(delimiter) };
}
