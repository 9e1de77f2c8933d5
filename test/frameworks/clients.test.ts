// Clients that reconnect by themselves, as their pages say: each runs the page's very code against the page's server, in
// what stands for a browser.
import { on } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { run, written } from "../docs/run.js";
import { Project } from "../support/project.js";
import { addressOf, blocksOf, compile, start } from "./host.js";

const pages = [
  { name: "graphql-ws", page: "graphql-ws.md", packages: ["graphql", "graphql-ws"] },
  { name: "tRPC", page: "trpc.md", packages: ["@trpc/server", "@trpc/client"] },
  { name: "partysocket", page: "partysocket.md", packages: ["partysocket"] },
];

/** What the program around the page's client tells. */
interface Told {
  readonly said?: string;
  readonly opened?: true;
  readonly answer?: string;
}

/** The page's client. */
class PageClient {
  readonly said: string[] = [];
  opened = 0;
  readonly #child;

  constructor(project: Project, page: string, url: string, { logsIn = true } = {}) {
    const client = blocksOf(page).find(({ words }) => words.includes("client"));
    if (!client) throw new Error(`${page} has no client`);
    const browser = ["--import", join(import.meta.dirname, "page.js")];
    this.#child = project.fork(written(project, client), browser, { PAGE_URL: url, PAGE_LOGS_IN: String(logsIn) });
    onTestFinished(() => void this.#child.kill());
    this.#child.stderr?.on("data", (chunk: Buffer) => this.said.push(String(chunk)));
    this.#child.on("message", ({ said, opened }: Told) => {
      if (opened) this.opened++;
      if (said !== undefined) this.said.push(said);
    });
  }

  /** Sends a request with the page's cookies. */
  async fetch(method: string, path: string): Promise<string> {
    const answers = on(this.#child, "message");
    this.#child.send({ method, path });
    for await (const [{ answer }] of answers as AsyncIterable<[Told]>) if (answer !== undefined) return answer;
    throw new Error("unreachable");
  }
}

/** Starts the page's server with more code: each text that it replaces must be there once. */
function startWith(project: Project, page: string, additions: Readonly<Record<string, string>>): Promise<string> {
  const program = blocksOf(page).find(({ words }) => words.includes("run"));
  if (!program) throw new Error(`${page} has no server`);
  let { code } = program;
  for (const [place, text] of Object.entries(additions)) {
    if (code.split(place).length !== 2) throw new Error(`${page} does not have this once: ${place}`);
    code = code.replace(place, () => text);
  }
  return addressOf(run(project, { ...program, code }));
}

/** The page's server with a store that the test can break, and that is not waited for longer than `maxStale`. */
function startBreakable(project: Project, page: string, maxStale: number): Promise<string> {
  return startWith(project, page, {
    "const app = express();": `
      import { faultyStore } from "socket-session/testing";
      const store = faultyStore();
      const app = express();
      app.post("/fail", (_req, res) => void res.json(store.fail()));
      app.post("/recover", (_req, res) => void res.json(store.recover()));`,
    "createSessions({": `createSessions({ store, lease: 20, maxStale: ${maxStale}, `,
  });
}

/** The page's server with an `allow`, and with the page's own rule for those who ask over HTTP. */
function startAllowing(project: Project, page: string): Promise<string> {
  const rule = blocksOf(page).find(({ headings }) => headings.includes("With allow"));
  return startWith(project, page, {
    ".attach(wss)": ".attach(wss, { allow: (session) => Boolean(session.user) })",
    'app.use("/session", sessions.routes);': `
      ${rule?.code}
      app.use("/session", sessions.routes);
      app.post("/forget", (req, res) => void res.json(delete req.session.user));
      app.post("/rotate", (req, res) => void req.session.regenerate(() => res.json((req.session.likes = 7))));`,
  });
}

describe.each(pages)("$name", ({ page, packages }) => {
  let project: Project;
  beforeAll(() => {
    project = new Project({ packages: ["ws", "@types/ws", ...packages] });
  });
  afterAll(() => project.remove());

  it("compiles, in strict TypeScript", async () => {
    expect(await compile(project, page, { app: `import("express").Express` })).toBe("");
  });

  it("writes to the session, comes back after a login, and stays away after a logout", async () => {
    const client = new PageClient(project, page, await start(project, page));
    await expect.poll(() => client.said).toEqual(["ada"]);
    await expect.poll(() => client.fetch("GET", "/likes")).toBe(`{"likes":1}`);
    await client.fetch("POST", "/login");
    await expect.poll(() => client.said).toEqual(["ada", "ada"]);
    const { opened } = client;
    await client.fetch("POST", "/logout");
    await expect.poll(() => client.said).toEqual(["ada", "ada", "over"]);
    expect(client.opened).toBe(opened);
  });

  it("asks over HTTP where an upgrade is refused, and gives up where nobody is logged in", async () => {
    const client = new PageClient(project, page, await start(project, page), { logsIn: false });
    await expect.poll(() => client.said).toEqual(["over"]);
  });

  it("stays away when it is no longer allowed", async () => {
    const client = new PageClient(project, page, await startAllowing(project, page));
    await expect.poll(() => client.said).toEqual(["ada"]);
    await client.fetch("POST", "/forget");
    await expect.poll(() => client.said).toEqual(["ada", "over"]);
    expect(client.opened).toBe(1);
  });

  it("comes back to a session that is not allowed, is refused there, and gives up", async () => {
    const client = new PageClient(project, page, await startAllowing(project, page));
    await expect.poll(() => client.said).toEqual(["ada"]);
    await client.fetch("POST", "/rotate");
    await expect.poll(() => client.said).toEqual(["ada", "over"]);
    expect(await client.fetch("GET", "/likes")).toBe(`{"likes":7}`);
  });

  it("stays while the store does not answer for two seconds, and its session goes on", async () => {
    const client = new PageClient(project, page, await startBreakable(project, page, 60_000));
    await expect.poll(() => client.fetch("GET", "/likes")).toBe(`{"likes":1}`);
    await client.fetch("POST", "/fail");
    await delay(2000);
    await client.fetch("POST", "/recover");
    expect([client.said, client.opened]).toEqual([["ada"], 1]);
    await client.fetch("POST", "/login");
    await expect.poll(() => client.said).toEqual(["ada", "ada"]);
  });

  it("closed in an outage, it asks on until the store answers, and has its session again", async () => {
    const client = new PageClient(project, page, await startBreakable(project, page, 50));
    await expect.poll(() => client.fetch("GET", "/likes")).toBe(`{"likes":1}`);
    await client.fetch("POST", "/fail");
    // The first line, and one that is refused at least.
    await expect.poll(() => client.opened).toBeGreaterThan(1);
    expect(client.said).toEqual(["ada"]);
    await client.fetch("POST", "/recover");
    await expect.poll(() => client.said, { timeout: 30_000 }).toEqual(["ada", "ada"]);
    expect(await client.fetch("GET", "/likes")).toBe(`{"likes":1}`);
  });
});
