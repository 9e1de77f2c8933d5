// Builds dist/: the same sources once as ES modules, once as CommonJS, and the client for a script tag. The `module-sync` condition in package.json
// gives import and require one and the same ES modules on Node; dist/cjs is for tools that know only CommonJS.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));

// In a folder of its own, which becomes dist/ when it is complete: a test that runs meanwhile sees the old one or the
// new one. Within the project, so that the compiler finds node_modules/.
mkdirSync(".cache", { recursive: true });
const made = mkdtempSync(join(".cache", "build-"));
const cjs = join(made, ".cjs");
const tsc = (...args) =>
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", ...args], { stdio: "inherit" });

try {
  tsc("-p", "tsconfig.build.json", "--outDir", join(made, "esm"));

  // The CommonJS pass compiles a copy of src/ that stands in a package of type commonjs.
  mkdirSync(cjs);
  cpSync("src", join(cjs, "src"), { recursive: true });
  writeFileSync(join(cjs, "package.json"), '{ "type": "commonjs" }\n');
  writeFileSync(
    join(cjs, "tsconfig.json"),
    JSON.stringify({
      extends: "../../../tsconfig.build.json",
      compilerOptions: { rootDir: "src", outDir: "../cjs" },
      include: ["src"],
    }),
  );
  tsc("-p", cjs);
  rmSync(cjs, { recursive: true });
  writeFileSync(join(made, "cjs", "package.json"), '{ "type": "commonjs" }\n');

  // An object of its own, not esbuild's `globalName`: that carries a module's whole machinery for one function.
  await build({
    stdin: {
      contents: 'import { withSession } from "./client/index.js"; globalThis.SocketSession = { withSession };',
      resolveDir: join(made, "esm"),
    },
    outfile: join(made, "client/socket-session.min.js"),
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    logLevel: "warning",
  });

  rmSync("dist", { recursive: true, force: true });
  renameSync(made, "dist");
} catch (error) {
  rmSync(made, { recursive: true, force: true });
  // The compiler has printed what is wrong.
  if (error.status === undefined) throw error;
  process.exitCode = 1;
}
