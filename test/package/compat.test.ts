// The older modules' entry points as npm would publish them: whoever changes the name in his require() or import gets
// what the older module gave, from whatever tool, and is told what to use instead.
import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { execFile } from "node:child_process";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { Project, strict } from "../support/project.js";

const packed = inject("packed");
const root = join(import.meta.dirname, "../..");

interface Entry {
  readonly name: string;
  /** An expression about `x`, what the module gave: prints the same with the older module, as far as it had it. */
  readonly shape: string;
  readonly prints: string;
  /** A correct use in TypeScript. */
  readonly use: string;
}

const entries: Entry[] = [
  {
    name: "engine.io-session",
    shape: `typeof x({ cookieParser() {}, store: { get() {}, set() {}, destroy() {} }, secret: "s" })`,
    prints: "function",
    use: `export const plugin = x({ cookieParser: () => undefined, store: new MemoryStore(), secret: "s" });`,
  },
  {
    name: "express-socket.io-session",
    shape: `x(() => undefined, { autoSave: true }).length`,
    prints: "2",
    use: `export const middleware = x(session({ secret: "s" }), { autoSave: true });`,
  },
  {
    name: "session.io",
    shape: `typeof x(() => undefined, { load() {} })`,
    prints: "function",
    use: `export const authorization = x((_request: unknown, _response: unknown, next: () => void) => next(), new MemoryStore());`,
  },
  {
    name: "session.socket.io",
    shape: `typeof new x({ on() {} }, { get() {} }, () => undefined).getSession`,
    prints: "function",
    use: `export const name: string = x.name;`,
  },
  {
    name: "socket.io-sessions",
    shape: `[typeof x.enable, typeof x.version].join()`,
    prints: "function,string",
    use: `export const version: string = x.version; x.enable({} as never);`,
  },
];

describe("the entry points", () => {
  it("are the files of src/compat, and nothing that these share", async () => {
    const files = (format: string): string[] =>
      packed.files
        .filter((file) => file.startsWith(`dist/${format}/compat/`) && file.endsWith(".js"))
        .map((file) => file.slice(`dist/${format}/compat/`.length))
        .filter((file) => !file.includes("/"))
        .map((file) => file.replace(/\.js$/, ""));
    const names = entries.map(({ name }) => name);
    expect(files("esm")).toEqual(names);
    expect(files("cjs")).toEqual(names);

    const manifest = (await import(join(packed.dir, "package.json"), { with: { type: "json" } })) as {
      default: { exports: Record<string, Record<string, { types: string; default: string }>> };
    };
    const published = Object.keys(manifest.default.exports).filter((path) => path.startsWith("./compat/"));
    expect(published).toEqual(names.map((name) => `./compat/${name}`));
    for (const path of published) {
      for (const { types, default: script } of Object.values(manifest.default.exports[path] ?? {})) {
        expect(existsSync(join(packed.dir, types)), types).toBe(true);
        expect(existsSync(join(packed.dir, script)), script).toBe(true);
      }
    }
  });

  it("have a page each for who comes from the older module", () => {
    expect(readdirSync(join(root, "docs/migrate"))).toEqual(
      expect.arrayContaining(entries.map(({ name }) => `${name}.md`)),
    );
  });
});

const peers = `import session, { MemoryStore } from "express-session"; void session; void MemoryStore;`;
const wrong = `// @ts-expect-error: it is typed\nexport const wrong: number = x;`;

/** Each way to import an entry in TypeScript, by file. */
function sourcesOf({ name }: Entry, kind: string, rest: readonly string[]): Record<string, string> {
  const path = `socket-session/compat/${name}`;
  return {
    [`${name}/${kind}.mts`]: [`import x from "${path}";`, ...rest].join("\n"),
    [`${name}/${kind}.cts`]: [`import x from "${path}";`, ...rest].join("\n"),
    [`${name}/${kind}-required.cts`]: [`import x = require("${path}");`, ...rest].join("\n"),
  };
}

describe("each entry point", () => {
  // No user of an entry point needs more than the peers it is about: here nobody has Socket.IO.
  let project: Project;
  /** What the compiler and the linter say of the files of all entry points. */
  let compiled: string;
  let linted: string;
  beforeAll(async () => {
    project = new Project({ packages: ["@types/express-session"], without: ["socket.io"] });
    const right = Object.assign({}, ...entries.map((entry) => sourcesOf(entry, "compiled", [peers, entry.use, wrong])));
    project.write(right);
    compiled = (await project.tsc(Object.keys(right))).text;
    const used = Object.assign({}, ...entries.map((entry) => sourcesOf(entry, "linted", [peers, entry.use])));
    project.write({
      ...used,
      "tsconfig.json": { compilerOptions: strict, files: Object.keys(used) },
      ".oxlintrc.json": {
        plugins: ["typescript"],
        categories: { correctness: "off" },
        rules: { "typescript/no-deprecated": "error" },
      },
    });
    linted = await lint(project, Object.keys(used));
  }, 90_000);
  afterAll(() => project.remove());

  describe.each(entries)("$name", (entry) => {
    const { name, shape, prints } = entry;
    const path = `socket-session/compat/${name}`;

    it("require() gives what that of the older module gave", async () => {
      project.write({ "app.cjs": `const x = require("${path}"); console.log(${shape})` });
      expect(await project.node("app.cjs")).toEqual({ status: 0, text: `${prints}\n` });
    });

    it("import gives the same", async () => {
      project.write({
        "app.js": `
          import { createRequire } from "node:module";
          import x from "${path}";
          console.log(${shape}, createRequire(import.meta.url)("${path}") === x);`,
      });
      expect(await project.node("app.js")).toEqual({ status: 0, text: `${prints} true\n` });
    });

    it("require() gives the same to tools that know only CommonJS, such as Jest", async () => {
      project.write({
        "jest.cjs": `
          const { readFileSync } = require("node:fs");
          const { dirname, join } = require("node:path");
          const manifest = require("socket-session/package.json");
          const script = join(
            dirname(require.resolve("socket-session/package.json")),
            manifest.exports["./compat/${name}"].require.default,
          );
          if (/^import |^export /m.test(readFileSync(script, "utf8"))) throw new Error("not CommonJS");
          const x = require(script);
          console.log(${shape});`,
      });
      expect(await project.node("jest.cjs")).toEqual({ status: 0, text: `${prints}\n` });
    });

    it("compiles in an ES module, and in CommonJS with import as with import = require()", () => {
      // An error that is not in a file of another one counts.
      const ofOthers = entries.filter((other) => other !== entry).map((other) => `${other.name}/`);
      const errors = compiled.split("\n").filter((line) => !ofOthers.some((folder) => line.startsWith(folder)));
      expect(errors.join("\n").trim()).toBe("");
    });

    it("is marked as deprecated where it is used, and says what to use instead", () => {
      const files = Object.keys(sourcesOf(entry, "linted", []));
      for (const file of files) expect(linted).toContain(`[${file}:`);
      // Each message stands above the lines that it is about.
      const told = linted
        .split(/\n(?=.*no-deprecated)/)
        .filter((one) => files.some((file) => one.includes(`[${file}:`)));
      expect(told.length).toBeGreaterThanOrEqual(3);
      for (const one of told) expect(one.split("\n")[0]).toContain("createSessions()");
    });
  });
});

describe("in TypeScript, with Socket.IO", () => {
  it("express-socket.io-session fits io.use(), types the session, and names its types", async () => {
    const project = new Project({ packages: ["cookie-parser", "@types/cookie-parser"] });
    const path = "socket-session/compat/express-socket.io-session";
    const program = `
      import cookieParser from "cookie-parser";
      import session from "express-session";
      import { Server } from "socket.io";
      declare module "express-session" { interface SessionData { user: string } }
      const io = new Server<{ login: (user: string) => void }>();
      const middleware = session({ secret: "s" });
      const options: SharedSessionOptions = { autoSave: true, saveUninitialized: false };
      const shared: SocketIoSharedSessionMiddleware = x(middleware, cookieParser(), options);
      io.use(shared);
      io.use(x(middleware));
      io.of("/chat").use(x(middleware, { autoSave: true }));
      io.on("connection", (socket) => {
        const { session, sessionID }: SharedHandshake = socket.handshake;
        const user: string | undefined = session?.user;
        const id: string | undefined = sessionID;
        session?.save((error) => void [error, user, id]);
        // @ts-expect-error: no such field
        void session?.nothing;
      });
      // @ts-expect-error: no such option
      x(middleware, { autosave: true });
      // @ts-expect-error: the middleware is mandatory
      x();`;
    const named = `import x, { type SharedHandshake, type SharedSessionOptions, type SocketIoSharedSessionMiddleware } from "${path}";`;
    const ofNamespace = `
      import x = require("${path}");
      type SharedHandshake = x.SharedHandshake;
      type SharedSessionOptions = x.SharedSessionOptions;
      type SocketIoSharedSessionMiddleware = x.SocketIoSharedSessionMiddleware;`;
    const files = {
      "app.mts": named + program,
      "app.cts": named + program,
      "required.cts": ofNamespace + program,
    };
    project.write(files);
    expect(await project.tsc(Object.keys(files))).toEqual({ status: 0, text: "" });
    project.remove();
  });
});

/** What the linter says of files of the project. */
function lint(project: Project, files: readonly string[]): Promise<string> {
  const tools = join(root, "test/tools/node_modules");
  const args = [join(tools, "oxlint/bin/oxlint"), "--type-aware", ...files];
  return new Promise((resolve) => {
    const { CI: _ci, ...env } = process.env;
    // It starts its helper for types, which is beside it.
    env["PATH"] = [join(tools, ".bin"), env["PATH"]].join(delimiter);
    // Elsewhere it may be coloured, and in CI it is.
    env["NO_COLOR"] = "1";
    execFile(process.execPath, args, { cwd: project.dir, env }, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
}
