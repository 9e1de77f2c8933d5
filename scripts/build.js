// Builds dist/: the same sources once as ES modules, once as CommonJS, and the client for a script tag. The `module-sync` condition in package.json
// gives import and require one and the same ES modules on Node; dist/cjs is for tools that know only CommonJS.
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
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
  for (const name of ["http/package-folder.ts", "internal/load.ts"]) {
    const file = join(cjs, "src", name);
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replace("import.meta.dirname", "__dirname").replace("import.meta.url", "__filename"));
  }
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
  for (const file of readdirSync("src/compat")) {
    if (file.endsWith(".ts")) giveAsModule(join(made, "cjs", "compat", basename(file, ".ts")));
  }

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

/** Makes require() of a compat module give what the older module gave. Node does so itself for the ES module. */
function giveAsModule(path) {
  appendFileSync(`${path}.js`, 'module.exports = exports["module.exports"];\n');
  writeFileSync(`${path}.d.ts`, withExportAssignment(readFileSync(`${path}.d.ts`, "utf8"), path));
}

/** The types of `module.exports = …`: `export =` takes no other exports beside it, but a namespace of the same name. */
function withExportAssignment(types, path) {
  const name = /^export default (\w+);$/m.exec(types)?.[1];
  const named = [];
  const text = types
    .replace(/^export default (\w+);$/m, "export = $1;")
    .replace(/^export \{ \w+ as "module\.exports" \};\n/m, "")
    .replace(/^export type \{ ([^}]+) \} from ("[^"]+");$/gm, (_, list, module) =>
      // Under another name: the module may import it for itself, too. As an alias, not as an import: a namespace that
      // holds nothing but types may have the name of a constant.
      list
        .split(", ")
        .map((type) => {
          named.push(`Public${type} as ${type}`);
          return `type Public${type} = import(${module}).${type};`;
        })
        .join("\n"),
    )
    .replace(/^export (?:declare )?(interface|type) (\w+)/gm, (_, kind, type) => {
      named.push(type);
      return `${kind} ${type}`;
    });
  if (name === undefined || /^export (?!= )/m.test(text)) {
    throw new Error(
      `${basename(path)} exports more than "export default x;", 'export { x as "module.exports" };', types`,
    );
  }
  if (named.length === 0) return text;
  return `${text}declare namespace ${name} {\n    export { ${named.map((type) => `type ${type}`).join(", ")} };\n}\n`;
}
