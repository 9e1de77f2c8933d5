// A server program that a test starts for itself, in a folder of its own, and may stop, pause, kill and start again.
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
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
    const { command, args, options } = this.#program;
    const started = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    this.#process = started;
    this.#output = "";
    for (const stream of [started.stdout, started.stderr]) {
      stream?.on("data", (chunk: Buffer) => (this.#output = (this.#output + chunk.toString()).slice(-4000)));
    }
    process.once("exit", this.#killed);
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

  /** It keeps its connections, and answers nobody. */
  pause(): void {
    this.#process?.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Ends it and removes what it stored. */
  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  readonly #killed = (): void => void this.#process?.kill("SIGKILL");

  async #end(signal: NodeJS.Signals): Promise<void> {
    const ending = this.#process;
    this.#process = undefined;
    process.off("exit", this.#killed);
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
    const ended = once(ending, "exit");
    ending.kill(signal);
    // One that is paused hears of a signal when it goes on.
    ending.kill("SIGCONT");
    await ended;
  }
}

export function temporaryFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `socket-session-${name}-`));
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
