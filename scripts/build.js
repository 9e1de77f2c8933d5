// Builds dist/: the same sources once as ES modules, once as CommonJS. The `module-sync` condition in package.json
// gives import and require one and the same ES modules on Node; dist/cjs is for tools that know only CommonJS.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";

const cjs = "dist/.cjs-src";
const tsc = ["node_modules/typescript/bin/tsc", "-p"];
const run = (...args) => execFileSync(process.execPath, [...tsc, ...args], { stdio: "inherit" });

rmSync("dist", { recursive: true, force: true });
run("tsconfig.build.json");

// The CommonJS pass compiles a copy of src/ that stands in a package of type commonjs.
mkdirSync(cjs, { recursive: true });
cpSync("src", `${cjs}/src`, { recursive: true });
writeFileSync(`${cjs}/package.json`, '{ "type": "commonjs" }\n');
writeFileSync(
  `${cjs}/tsconfig.json`,
  JSON.stringify({
    extends: "../../tsconfig.build.json",
    compilerOptions: { rootDir: "src", outDir: "../cjs" },
    include: ["src"],
  }),
);
run(`${cjs}/tsconfig.json`);
rmSync(cjs, { recursive: true });
writeFileSync("dist/cjs/package.json", '{ "type": "commonjs" }\n');
