// Runs a program of test/tools or of the repository: `node scripts/tool.js oxlint --type-aware`. Installs them before where
// need be.
import { spawnSync } from "node:child_process";
import { install, pathWithTools } from "./install.js";

const [program, ...args] = process.argv.slice(2);
install();
const { status, error } = spawnSync(program, args, {
  stdio: "inherit",
  env: { ...process.env, PATH: pathWithTools() },
  shell: process.platform === "win32",
});
if (error) throw error;
process.exitCode = status ?? 1;
