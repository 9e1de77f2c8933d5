// Runs a document's own example program as it stands in its file: what it requires is what the test says, its HTTP
// server listens on a free port, and it is closed at the end of the test.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http, { type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { compileFunction } from "node:vm";
import { onTestFinished } from "vitest";

export interface Program {
  readonly url: string;
  /** What it has logged with console.log(), line by line; `logged()` resolves at the next. */
  readonly log: unknown[][];
  logged(): Promise<unknown[]>;
}

/** Runs a file of test/compat/examples/; `modules` are what it may require besides "http". */
export async function runProgram(file: string, modules: Readonly<Record<string, unknown>>): Promise<Program> {
  const servers: Server[] = [];
  const known: Record<string, unknown> = {
    ...modules,
    http: {
      ...http,
      createServer(app: never) {
        const server = http.createServer(app);
        servers.push(server);
        return server;
      },
    },
  };
  const require = (name: string): unknown => {
    if (name in known) return known[name];
    throw new Error(`the test does not say what ${name} is`);
  };
  const log: unknown[][] = [];
  const waiting: ((line: unknown[]) => void)[] = [];
  const console = {
    log(...line: unknown[]) {
      log.push(line);
      waiting.shift()?.(line);
    },
  };
  const text = readFileSync(new URL(`../examples/${file}`, import.meta.url), "utf8");
  const process = { env: { PORT: "0" } };
  compileFunction(text, ["require", "console", "process"])(require, console, process);
  const [server] = servers;
  if (!server) throw new Error("the program has made no HTTP server");
  const connections = new Set<Socket>();
  server.on("connection", (connection) => connections.add(connection));
  onTestFinished(() => {
    server.close();
    for (const connection of connections) connection.destroy();
  });
  if (!server.listening) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  }
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, log, logged: () => new Promise((resolve) => waiting.push(resolve)) };
}
