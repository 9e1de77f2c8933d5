// A server program that a test starts for itself, in a folder of its own, and may stop, pause, kill and start again.
import { type ChildProcess, execFileSync, spawn, type SpawnOptions } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly options?: SpawnOptions;
  /** Resolves when the server answers; asked again until it does. */
  isReady(): Promise<void>;
}

export class PrivateServer {
  readonly #program: Program;
  readonly #folder: string;
  #process: ChildProcess | undefined;
  #guard: ChildProcess | undefined;
  #output = "";

  constructor(folder: string, program: Program) {
    this.#folder = folder;
    this.#program = program;
  }

  get pid(): number {
    return this.#process?.pid as number;
  }

  /** Starts it, or starts it again with what it had stored. */
  async start(): Promise<void> {
    try {
      await this.#start();
    } catch {
      // What was left of one that was killed may be in the way for a moment.
      await new Promise((resolve) => setTimeout(resolve, 500));
      await this.#start();
    }
  }

  async #start(): Promise<void> {
    const { command, args, options } = this.#program;
    const started = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    this.#process = started;
    this.#output = "";
    for (const stream of [started.stdout, started.stderr]) {
      stream?.on("data", (chunk: Buffer) => (this.#output = (this.#output + chunk.toString()).slice(-4000)));
    }
    this.#guard = guard(started.pid, this.#folder);
    let failure: unknown;
    started.once("error", (error) => (failure = error));
    const end = Date.now() + 30_000;
    for (;;) {
      if (failure !== undefined || started.exitCode !== null) {
        throw new Error(`${command} did not start: ${this.#output}`, { cause: failure });
      }
      try {
        return await this.#program.isReady();
      } catch (cause) {
        if (Date.now() > end) throw new Error(`${command} does not answer: ${this.#output}`, { cause });
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  /** Ends it as its operator would. */
  stop(): Promise<void> {
    return this.#end("SIGINT");
  }

  /** Ends it as a crash would. */
  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /**
   * Restarts it and remembers what it has stored by then. The returned function kills it and starts it with that: what
   * was written since is lost, as in a failover to a replica that was behind.
   */
  async remember(): Promise<() => Promise<void>> {
    const copy = join(this.#folder, ".before");
    const stored = (): string[] => readdirSync(this.#folder).filter((name) => ![".before", "native"].includes(name));
    // Files keep their owner, who need not be the user that runs the tests.
    const bring = (names: readonly string[], to: string): void => {
      if (names.length > 0) execFileSync("cp", ["-a", ...names, to]);
    };
    await this.stop();
    mkdirSync(copy);
    bring(
      stored().map((name) => join(this.#folder, name)),
      copy,
    );
    await this.start();
    return async () => {
      await this.kill();
      for (const name of stored()) rmSync(join(this.#folder, name), { recursive: true });
      bring(
        readdirSync(copy).map((name) => join(copy, name)),
        this.#folder,
      );
      rmSync(copy, { recursive: true });
      await this.start();
    };
  }

  /** It keeps its connections, and answers nobody. */
  pause(): void {
    this.#signal("SIGSTOP");
  }

  resume(): void {
    this.#signal("SIGCONT");
  }

  /** Ends it and removes what it stored. */
  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** To the program and its children: PostgreSQL has a process for each connection. */
  #signal(signal: NodeJS.Signals): void {
    if (!this.#process?.pid) return;
    for (const pid of [this.#process.pid, ...childrenOf(this.#process.pid)]) {
      try {
        process.kill(pid, signal);
      } catch {
        // It has just ended.
      }
    }
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const ending = this.#process;
    if (!ending) return;
    this.#guard?.kill("SIGKILL");
    if (ending.exitCode === null && ending.signalCode === null) {
      const ended = once(ending, "exit");
      if (signal === "SIGKILL") this.#signal(signal);
      else ending.kill(signal);
      // One that is paused hears of a signal when it goes on.
      this.#signal("SIGCONT");
      await ended;
    }
    this.#process = undefined;
  }
}

/** Ends the server and removes its folder when this process is gone, in whichever way: then the pipe closes. */
function guard(pid: number | undefined, folder: string): ChildProcess {
  const script = 'cat > /dev/null; kill -9 "$0"; rm -rf "$1"';
  const watcher = spawn("sh", ["-c", script, `${pid}`, folder], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  watcher.unref();
  return watcher;
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

export function temporaryFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `socket-session-${name}-`));
}

/** How many ports each worker has for itself, below those that systems give to who asks for any. */
const ports = { first: 20_000, perWorker: 1000, workers: 12 };
let portsTaken = Math.floor(Math.random() * ports.perWorker);

/** A port that is free, and that nobody is given who asks for any: its server may leave it and come back. */
export async function freePort(): Promise<number> {
  const worker = Number(process.env["VITEST_POOL_ID"] ?? 0) % ports.workers;
  for (let tries = 0; tries < ports.perWorker; tries++) {
    const port = ports.first + worker * ports.perWorker + (portsTaken++ % ports.perWorker);
    if (await isFree(port)) return port;
  }
  throw new Error("no port is free");
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    await new Promise((resolve) => server.close(resolve));
    return true;
  } catch {
    return false;
  }
}
