// Runs checks and tests, whatever fails before, and ends with the line "N passed, N failed": the tests, and one for each
// of the other checks. Without arguments all that each change needs; "all", or the names of suites, for other selections.
// With CI=true a skipped test counts as failed.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { install, pathWithTools } from "./install.js";

/** The suites: "checks" are those below, the others are projects in vitest.config.ts. */
const always = ["checks", "library", "shipped"];
const all = [...always, "stacks", "browser", "site", "nodes", "endurance"];

const given = process.argv.slice(2);
const suites = given.length === 0 ? always : given.includes("all") ? all : given;
const unknown = suites.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.log(`no such suite: ${unknown.join(", ")}. There are: ${all.join(", ")}; "all" means all of them`);
  process.exit(1);
}

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const isCi = /^(true|1)$/i.test(process.env.CI ?? "");
const minutes = 60_000;
const temp = mkdtempSync(join(tmpdir(), "socket-session-test-"));
const tarball = join(temp, `${manifest.name}-${manifest.version}.tgz`);
const env = { ...process.env, PATH: pathWithTools() };

let passed = 0;
const failures = [];

/** Runs a program; what it prints goes to `print` as one text at its end, else to the terminal at once. */
function run(command, args, { print, timeout = 10 * minutes } = {}) {
  return new Promise((resolve) => {
    const out = print ? "pipe" : "inherit";
    const shell = process.platform === "win32";
    const child = spawn(command, args, { cwd: root, env, stdio: ["ignore", out, out], shell, timeout });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (text += chunk));
    const finish = (isGreen, trouble = "") => {
      print?.(text);
      if (trouble) console.log(`${command}: ${trouble}`);
      resolve(isGreen);
    };
    child.on("error", (error) => finish(false, error.message));
    child.on("close", (status, signal) => finish(status === 0, signal ? `ended by ${signal}` : ""));
  });
}

function heading(name) {
  console.log(`\n== ${name}`);
}

async function check(name, command, ...args) {
  const print = (text) => {
    heading(name);
    process.stdout.write(text);
  };
  if (await run(command, args, { print })) passed++;
  else failures.push(`check: ${name}`);
}

/** What the tests stand on: they look at what is built. */
async function build() {
  await check("format", "oxfmt", "--check");
  await check("build", process.execPath, "scripts/build.js");
}

/** Side by side with the tests, which wait for time to pass. */
async function checks() {
  await check("lint", "oxlint", "--type-aware");
  await check("types", "tsc", "-p", ".");
  await check("unused files, exports and dependencies", "knip");
  await check("pack", "npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", temp);
  await check("package: publint", "publint", "--strict", tarball);
  await check("package: types of the exports", "attw", tarball, "--profile", "strict", "--no-color");
  // The tests of the site build it, too. Here it may have to install its tools first.
  if (!suites.includes("site")) {
    await check("site: builds, without a dead link", process.execPath, "scripts/docs.js", "build");
  }
}

function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

async function tests(projects) {
  heading("tests");
  const file = join(temp, "tests.json");
  const skips = join(temp, "skips.json");
  env.SKIPS_FILE = skips;
  const options = [
    ...projects.map((name) => `--project=${name}`),
    ...["default", "json", "./scripts/skip-reporter.js"].map((name) => `--reporter=${name}`),
    `--outputFile.json=${file}`,
  ];
  const isGreen = await run("vitest", ["run", ...options], { timeout: 20 * minutes });
  const report = readReport(file);
  const skipped = readReport(skips) ?? [];
  const before = failures.length;

  for (const { name, status, message, assertionResults } of report?.testResults ?? []) {
    const of = (...wanted) => assertionResults.filter((test) => wanted.includes(test.status));
    passed += of("passed").length;
    const failed = of("failed");
    for (const test of failed) failures.push(`${name} > ${test.fullName}`);
    // A file that does not load, or whose beforeAll fails.
    if (status === "failed" && failed.length === 0) failures.push(`${name}: ${message || "did not run"}`);
  }
  for (const { name, reason } of skipped) {
    console.log(`skipped: ${name}: ${reason ?? "no reason given"}`);
    if (!reason) failures.push(`${name}: skipped without a reason; use context.skip("because …")`);
    else if (isCi) failures.push(`${name}: skipped in CI: ${reason}`);
  }
  if (!report?.testResults.length) failures.push("vitest did not run any test");
  else if (!isGreen && failures.length === before) failures.push("vitest failed outside of a test, see above");
}

install();
try {
  const hasChecks = suites.includes("checks");
  if (hasChecks) await build();
  const projects = suites.filter((name) => name !== "checks");
  await Promise.all([hasChecks && checks(), projects.length > 0 && tests(projects)]);
} finally {
  rmSync(temp, { recursive: true, force: true });
}

heading("result");
for (const failure of failures) console.log(`failed: ${failure.replaceAll(`${root}/`, "")}`);
console.log(`${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length > 0 ? 1 : 0;
