// A host of sessions as its page in docs/frameworks sets it up: the page's program, run in a user's project.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { createTestClient, type TestClient } from "../../src/testing/index.js";
import { fileOf, kinds } from "../docs/compile.js";
import { run, type Running } from "../docs/run.js";
import { type Block, parse } from "../support/markdown.js";
import type { Project } from "../support/project.js";

const pages = join(import.meta.dirname, "../../docs/frameworks");

/** Where a package of test/stacks is, for `from`. */
export const inStacks = (...names: string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, join("test/stacks/node_modules", name)]));

/** Loads a package of test/stacks into the test's own process. */
export const loadFromStacks = createRequire(join(import.meta.dirname, "../stacks/package.json"));

/** The blocks of a page that have code. */
export function blocksOf(page: string): Block[] {
  return parse(readFileSync(join(pages, page), "utf8")).blocks.filter(({ language }) => language in kinds);
}

/**
 * What the compiler says of all the code of a page, whose declarations count for its programs, too. `names` are those of
 * its program that its snippets use, with their types.
 */
export async function compile(project: Project, page: string, names: Record<string, string>): Promise<string> {
  // A client's program may take types from the server's.
  const nameOf = (block: Block): string =>
    kinds[block.language] === "ts" && block.words.includes("run") ? "server.ts" : `compiled-${fileOf(block)}`;
  const files = Object.fromEntries(blocksOf(page).map((block) => [nameOf(block), block.code]));
  const declared = Object.entries({ sessions: `import("socket-session").Sessions`, ...names });
  const lines = declared.map(([name, type]) => `declare const ${name}: ${type};`);
  project.write({ ...files, "names.d.ts": lines.join("\n") });
  const { text } = await project.tsc([...Object.keys(files), "names.d.ts"], {
    lib: ["es2023", "dom"],
    allowJs: true,
    checkJs: true,
    noImplicitAny: false,
    skipLibCheck: true,
    // Not all of these frameworks' types go with those of ws by it.
    exactOptionalPropertyTypes: false,
    moduleDetection: "auto",
    allowImportingTsExtensions: true,
  });
  return text;
}

/**
 * The first program of a page, or that below a heading, started in this project; answers with its address. Stopped when
 * the test is over.
 */
export async function start(project: Project, page: string, heading?: string): Promise<string> {
  const isMeant = ({ words, headings }: Block): boolean =>
    words.includes("run") && (heading === undefined || headings.includes(heading));
  const program = blocksOf(page).find(isMeant);
  if (!program) throw new Error(`${page} has no such block that is marked "run"`);
  return addressOf(run(project, program));
}

/** Where a running program serves. It is stopped when the test is over. */
export async function addressOf({ ready, stop }: Running): Promise<string> {
  onTestFinished(stop);
  return `http://127.0.0.1:${await ready}`;
}

/** A client at this address, closed when the test is over. */
export function clientAt(url: string): TestClient {
  const client = createTestClient(url);
  onTestFinished(() => client.close());
  return client;
}

/** Opens a client's line to the program; answers with what writes to the session over it. */
export type Connect = (client: TestClient) => Promise<() => void>;

export const viaSocketIo: Connect = async (client) => {
  const socket = await client.socket();
  return () => void socket.emit("like");
};

export const viaWebSocket =
  (path = "/", message = "like"): Connect =>
  async (client) => {
    const socket = await client.webSocket(path);
    return () => void socket.send(message);
  };

/** What a page that checks a password takes. */
export const credentials = { username: "ada", password: "for development only" };

/** Logs in over HTTP, writes on a socket, reads over HTTP, logs out: the socket is closed with its code. */
export async function hold(url: string, connect: Connect, codes = ["SESSION_DESTROYED"]): Promise<void> {
  await expect(connect(clientAt(url))).rejects.toMatchObject({ name: "ConnectionRefused" });
  const ada = clientAt(url);
  await ada.login("/login", credentials);
  const like = await connect(ada);
  like();
  like();
  await expect.poll(() => ada.get("/likes")).toEqual({ likes: 2 });
  expect((await ada.post("/logout")).ok).toBe(true);
  expect(codes).toContain(await ada.ended());
  await expect(connect(ada)).rejects.toMatchObject({ name: "ConnectionRefused" });
}
