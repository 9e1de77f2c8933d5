// A private Redis for the demo: on a free port, in a folder of its own, both gone when it is stopped.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { findRedis } from "../../scripts/find-redis.js";
import { freePort } from "../../scripts/free-port.js";

/** Starts the server. It may need a moment until it answers; clients wait for it. */
export async function startRedis() {
  const { command, env } = findRedis();
  const folder = mkdtempSync(join(tmpdir(), "chat-cluster-"));
  const port = await freePort();
  const settings = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"];
  const server = spawn(command, settings, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "inherit"],
    // Ctrl-C goes to all processes of a terminal: this one has to outlive the nodes, which save what they have.
    detached: true,
  });
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const kill = () => {
    server.kill("SIGKILL");
    remove();
  };
  process.once("exit", kill);
  await once(server, "spawn");
  return {
    url: `redis://127.0.0.1:${port}`,
    async stop() {
      process.off("exit", kill);
      if (server.exitCode === null && server.signalCode === null) {
        server.kill("SIGTERM");
        await once(server, "exit");
      }
      remove();
    },
  };
}
