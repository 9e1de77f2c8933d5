// npm run test:mutants: Stryker changes the code of a folder, one place at a time, and the folder's own tests must notice.
// The survivors are in .cache/mutants-FOLDER.html; a later run repeats only what has changed since.
//
//   npm run test:mutants                                        store/record, handshake and session, one after the other
//   npm run test:mutants -- handshake                           one folder
//   npm run test:mutants -- store/record merge.ts               one file of it
//   npm run test:mutants -- transports/stream listeners.ts      a stream's files are judged one by one
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const root = join(import.meta.dirname, "..");
const [folder, file = "**/*.ts"] = process.argv.slice(2);
let isGreen = true;

for (const name of folder ? [folder] : ["store/record", "handshake", "session"]) {
  const label = name.replace("/", "-");
  const config = {
    testRunner: "vitest",
    vitest: { configFile: "test/mutants.config.ts", related: false },
    mutate: [`src/${name}/${file}`],
    plugins: ["@stryker-mutator/*", "./scripts/mutants-ignore-debug.js"],
    ignorers: ["debug"],
    coverageAnalysis: "perTest",
    // What is evaluated when a module loads would need all tests for each mutant.
    ignoreStatic: true,
    incremental: true,
    incrementalFile: `.cache/mutants-${label}.json`,
    tempDirName: `.cache/stryker-${label}`,
    ignorePatterns: [".cache", ".github", "bench", "coverage", "dist", "docs", "examples", "test/{e2e,stacks}"],
    reporters: ["clear-text", "progress", "html"],
    htmlReporter: { fileName: `.cache/mutants-${label}.html` },
    concurrency: Number(process.env.MUTANTS_CONCURRENCY ?? 2),
    timeoutMS: 20_000,
    // It would rewrite the compiler's settings, with an API that TypeScript 7 has not.
    tsconfigFile: "none.json",
  };
  const path = join(".cache", `stryker-${label}.conf.json`);
  mkdirSync(join(root, ".cache"), { recursive: true });
  writeFileSync(join(root, path), JSON.stringify(config));
  console.log(`\n== ${name}`);
  const { status } = spawnSync(process.execPath, ["scripts/tool.js", "stryker", "run", path], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, MUTATED_FOLDER: name, MUTATED_FILE: basename(file, ".ts") },
  });
  isGreen &&= status === 0;
}
process.exitCode = isGreen ? 0 : 1;
