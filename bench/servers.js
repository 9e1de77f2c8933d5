// The measured processes as the load generator sees them: start, ask, stop. Knows no contestant.
import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(new URL("server.js", import.meta.url));
const patience = 30_000;

/** One contestant's server process. */
export class ServerProcess {
  /** Session cookies, one per client, from real logins. */
  cookies = [];
  /** How many connections stay open all the time. */
  residents = 0;
  #child;
  #kill = () => this.#child.kill("SIGKILL");

  constructor(contestant, child, port) {
    this.contestant = contestant;
    this.#child = child;
    this.port = port;
    this.origin = `http://127.0.0.1:${port}`;
    // It must not outlive this process, however that ends.
    process.once("exit", this.#kill);
  }

  /** Starts a contestant's server on a free port. `library`: the folder of another build of this library. */
  static async start(
    contestant,
    { storage = { name: "memory" }, library, hasView = false, hasAllow = contestant.hasAllow } = {},
  ) {
    const module = new URL(`contestants/${contestant.module ?? contestant.name}.js`, import.meta.url).href;
    const { DEBUG: _, NODE_OPTIONS: __, ...env } = process.env;
    if (storage.url) env.STORE_URL = storage.url;
    if (library) env.LIBRARY = library;
    if (hasView) env.VIEW = "yes";
    if (hasAllow) env.ALLOW = "yes";
    // gc() would throw away what is compiled of code that has not run for a moment.
    const flags = ["--expose-gc", "--no-flush-bytecode"];
    const child = fork(script, [module, storage.name], { env, execArgv: flags });
    const { port } = await messageOf(child);
    return new ServerProcess(contestant, child, port);
  }

  /** Asks for one of the commands of server.js. */
  async ask(command) {
    const answered = messageOf(this.#child);
    this.#child.send(command);
    return (await answered).answer;
  }

  /** Resolves when no connection is open any more but those that stay. */
  async isEmpty() {
    while ((await this.ask("connections")) > this.residents) await setTimeout(5);
  }

  async stop() {
    process.off("exit", this.#kill);
    if (this.#child.exitCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.disconnect();
    await Promise.race([exited, setTimeout(5000, undefined, { ref: false }).then(this.#kill)]);
  }
}

async function messageOf(child) {
  const abort = new AbortController();
  const { signal } = abort;
  try {
    const exited = once(child, "exit", { signal }).then(([code]) => {
      throw new Error(`a server process ended with ${code}`);
    });
    const late = setTimeout(patience, undefined, { signal }).then(() => {
      throw new Error("a server process does not answer");
    });
    exited.catch(() => undefined);
    late.catch(() => undefined);
    const [message] = await Promise.race([once(child, "message", { signal }), exited, late]);
    return message;
  } finally {
    abort.abort();
  }
}
