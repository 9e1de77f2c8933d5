// The client as it is shipped: its size, what it needs, its types.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { Project } from "../support/project.js";

const packed = inject("packed");
const script = join(packed.dir, "dist/client/socket-session.min.js");

/** The ES module as a bundler puts it into a page. */
async function bundled(): Promise<{ text: string; inputs: string[] }> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: 'export { withSession } from "./index.js";', resolveDir: join(packed.dir, "dist/esm/client") },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    metafile: true,
  });
  return {
    text: (outputFiles[0] as { text: string }).text,
    inputs: Object.keys(metafile.inputs).filter((file) => file !== "<stdin>"),
  };
}

describe("the client", () => {
  it.each([
    ["as an ES module", async () => (await bundled()).text],
    ["as a script", async () => readFileSync(script, "utf8")],
  ])("is at most 2.7 kB, compressed, %s", async (_, read) => {
    const text = await read();
    expect(gzipSync(text, { level: 9 }).length).toBeLessThanOrEqual(2700);
    expect(brotliCompressSync(text).length).toBeLessThanOrEqual(2700);
  });

  it("consists of its own files, and asks for no others", async () => {
    const { text, inputs } = await bundled();
    expect(inputs.filter((file) => !file.includes("dist/esm/client/"))).toEqual([]);
    expect(text).not.toMatch(/\bimport\b|\brequire\b/);
    expect(readFileSync(script, "utf8")).not.toMatch(/\bimport\b|\brequire\b|\bexport\b/);
  });
});

describe("in a user's project", () => {
  let project: Project;
  beforeAll(() => {
    project = new Project({ packages: ["socket.io-client", "react", "@types/react"], without: ["express-session"] });
  });
  afterAll(() => project.remove());

  it.each(["import", "require"])("is there by %s, and so is useSession()", async (way) => {
    const isImport = way === "import";
    const load = (name: string): string => (isImport ? `await import("${name}")` : `require("${name}")`);
    const file = isImport ? "names.mjs" : "names.cjs";
    project.write({
      [file]: `console.log(Object.keys(${load("socket-session/client")}).sort().join(), Object.keys(${load("socket-session/react")}).join())`,
    });
    expect(await project.node(file)).toEqual({ status: 0, text: "shouldRetry,withSession useSession\n" });
  });

  const source = `
    import { io, type Socket } from "socket.io-client";
    import { withSession, type ClientSession } from "socket-session/client";
    import { useSession } from "socket-session/react";
    interface View { name: string }
    const session = withSession<View>(io(), { url: "/session", warnBefore: 30_000, ticket: false });
    session.on("change", (view) => { const name: string = view.name; void name; });
    session.on("end", ({ code }) => { const known: "SESSION_EXPIRED" | "SESSION_DESTROYED" | string = code; void known; });
    session.on("expiring", ({ expiresIn }) => { const ms: number = expiresIn; void ms; });
    session.on("renewed", ({ expiresIn }) => { const ms: number | null = expiresIn; void ms; }).off("renewed", () => {});
    const renewed: Promise<boolean> = session.renew();
    void renewed;
    // Typed events are no hindrance.
    declare const typed: Socket<{ news: (text: string) => void }, { say: (text: string, done: () => void) => void }>;
    const same: ClientSession<unknown> = withSession(typed);
    void same;
    export function name(): string | undefined {
      const { view, ended, expiring } = useSession(session);
      void ended; void expiring?.expiresIn;
      return view?.name;
    }
    // @ts-expect-error: read only
    session.view = { name: "x" };
    // @ts-expect-error: the view has no such field
    session.on("change", (view) => view.age);
    // @ts-expect-error: no such event
    session.on("logout", () => {});
    // @ts-expect-error: a number of ms
    withSession(io(), { warnBefore: "soon" });
    // @ts-expect-error: not a socket
    withSession({});`;

  it.each([
    ["with the browser's types", { lib: ["es2023", "dom"], types: [], module: "esnext", moduleResolution: "bundler" }],
    ["with Node's types", { types: ["node"] }],
  ])("is typed, %s", async (_, options) => {
    project.write({ "page.ts": source });
    // The types of socket.io-client need those of a browser.
    expect(await project.tsc(["page.ts"], { skipLibCheck: true, ...options })).toEqual({ status: 0, text: "" });
  });
});
