// Runs the cells of CI's matrix (.github/workflows/ci.yml) on this machine, one after the other, as far as it can:
// other Nodes and packages come from the npm registry into .cache, a Redis server has to be on the PATH. A cell that
// cannot be had is named with the command that brings it; with CI=true it fails.
//
//   npm run test:matrix                                  all
//   npm run test:matrix -- --node 22 --socket.io 4.6.0   some
//   npm run test:matrix -- --node 22 --tests test/store  other tests than the cell's
//   npm run test:matrix -- --list                        their names
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { parse } from "yaml";
import { folderOfNode, folderOfRuntime, npm } from "./runtimes.js";

const root = join(import.meta.dirname, "..");
const cache = join(root, ".cache");
const isCi = /^(true|1)$/i.test(process.env.CI ?? "");
const systems = { "macos-latest": "darwin", "windows-latest": "win32" };

const workflow = parse(readFileSync(join(root, ".github/workflows/ci.yml"), "utf8"));
const cells = workflow.jobs.test.strategy.matrix.include;
const { names, tests, isList } = readArguments(process.argv.slice(2));
const picked = names.length > 0 ? names.map(cellOf) : cells;

if (isList) {
  for (const { name } of picked) console.log(name);
} else {
  const results = picked.map((cell) => ({ name: cell.name, ...resultOf(cell) }));
  console.log("\n== matrix");
  for (const { name, status, reason } of results) console.log(`${status}: ${name}${reason ? `: ${reason}` : ""}`);
  const count = (wanted) => results.filter(({ status }) => status === wanted).length;
  console.log(`${count("passed")} passed, ${count("failed")} failed, ${count("left out")} left out`);
  process.exitCode = count("failed") > 0 ? 1 : 0;
}

/** `--node 22` picks the cell "Node 22". */
function readArguments(words) {
  const options = [];
  for (let at = 0; at < words.length; at++) {
    const [, option] = /^--(.+)/.exec(words[at]) ?? [];
    if (option === undefined) throw new Error(`"${words[at]}" belongs to no option.`);
    options.push(option === "list" ? [option] : [option, words[++at] ?? ""]);
  }
  return {
    isList: options.some(([option]) => option === "list"),
    tests: options.find(([option]) => option === "tests")?.[1],
    names: options.filter(([option]) => option !== "list" && option !== "tests").map((option) => option.join(" ")),
  };
}

function cellOf(wanted) {
  const cell = cells.find(({ name }) => name.toLowerCase() === wanted.toLowerCase());
  if (cell) return cell;
  throw new Error(`There is no cell "${wanted}" but ${cells.map(({ name }) => name).join(", ")}.`);
}

function resultOf(cell) {
  console.log(`\n== ${cell.name}`);
  const system = systems[cell.os];
  // What no command brings is no failure, not in CI either.
  if (system !== undefined && system !== process.platform) return { status: "left out", reason: `needs ${cell.os}` };
  let env;
  let folder;
  try {
    env = environmentFor(cell);
    folder = cell.npm === undefined ? root : copyFor(cell, env);
  } catch (error) {
    return { status: isCi ? "failed" : "left out", reason: error.message };
  }
  const command = tests === undefined ? cell.run : `npm run build && npx vitest run ${tests}`;
  const version = execFileSync("node", ["--version"], { env, encoding: "utf8" }).trim();
  console.log(`node ${version}\n> ${command}`);
  const { status } = spawnSync(command, { cwd: folder, env, shell: true, stdio: ["ignore", "inherit", "inherit"] });
  return status === 0 ? { status: "passed" } : { status: "failed", reason: command };
}

/** The cell's Node before all others on the PATH, what runs tests in its place, and its Redis server. */
function environmentFor({ node, runtime, redis }) {
  const folders = [folderOfNode(node), runtime && folderOfRuntime(runtime), process.env.PATH];
  const env = { ...process.env, PATH: folders.filter(Boolean).join(delimiter) };
  if (redis === undefined) return env;
  env.REDIS_SERVER = redis;
  const find = `import { findRedis } from "./scripts/find-redis.js"; try { findRedis(); } catch ({ message }) { console.log(message); }`;
  const problem = execFileSync(process.execPath, ["--input-type=module", "-e", find], { cwd: root, env }).toString();
  if (problem !== "") throw new Error(problem.trim());
  return env;
}

/** A copy of the checkout with other versions of some packages than the lock file's. */
function copyFor(cell, env) {
  const folder = join(cache, "matrix", cell.name.toLowerCase().replaceAll(/[^\w.]+/g, "-"));
  rmSync(folder, { recursive: true, force: true });
  const listed = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
  const files = execFileSync("git", listed, { cwd: root, encoding: "utf8" }).split("\0").filter(Boolean);
  for (const file of files) if (existsSync(join(root, file))) cpSync(join(root, file), join(folder, file));
  npm(["ci"], { cwd: folder, env });
  npm(["install", "--no-save", ...cell.npm.split(" ")], { cwd: folder, env });
  return folder;
}
