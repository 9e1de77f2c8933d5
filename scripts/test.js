// Runs every check and every test, whatever fails before, and ends with the line "N passed, N failed":
// the tests, and one for each of the other checks. With CI=true a skipped test counts as failed.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const isCi = /^(true|1)$/i.test(process.env.CI ?? "");
const minutes = 60_000;
const temp = mkdtempSync(join(tmpdir(), "socket-session-test-"));
const tarball = join(temp, `${manifest.name}-${manifest.version}.tgz`);
const env = { ...process.env, PATH: [join(root, "node_modules", ".bin"), process.env.PATH].join(delimiter) };

let passed = 0;
const failures = [];

function run(command, args, timeout = 2 * minutes) {
  const { status, signal, error } = spawnSync(command, args, {
    cwd: root,
    env,
    stdio: ["ignore", "inherit", "inherit"],
    shell: process.platform === "win32",
    timeout,
  });
  if (error) console.log(`${command}: ${error.message}`);
  else if (signal) console.log(`${command}: ended by ${signal}`);
  return status === 0;
}

function heading(name) {
  console.log(`\n== ${name}`);
}

function check(name, command, ...args) {
  heading(name);
  if (run(command, args)) passed++;
  else failures.push(`check: ${name}`);
}

function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

function tests() {
  heading("tests");
  const file = join(temp, "tests.json");
  const skips = join(temp, "skips.json");
  env.SKIPS_FILE = skips;
  const reporters = ["default", "json", "./scripts/skip-reporter.js"].map((name) => `--reporter=${name}`);
  const isGreen = run("vitest", ["run", ...reporters, `--outputFile.json=${file}`], 15 * minutes);
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

try {
  check("format", "oxfmt", "--check");
  check("lint", "oxlint", "--type-aware");
  check("unused files, exports and dependencies", "knip");
  check("build", process.execPath, "scripts/build.js");
  check("types", "tsc", "-p", ".");
  check("pack", "npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", temp);
  check("package: publint", "publint", "--strict", tarball);
  check("package: types of the exports", "attw", tarball, "--profile", "node16", "--no-color");
  tests();
} finally {
  rmSync(temp, { recursive: true, force: true });
}

heading("result");
for (const failure of failures) console.log(`failed: ${failure.replaceAll(`${root}/`, "")}`);
console.log(`${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length > 0 ? 1 : 0;
