// Clients that reconnect by themselves, as their pages say: each runs the page's very code against the page's server, in
// what stands for a browser.
import { on } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { written } from "../docs/run.js";
import { Project } from "../support/project.js";
import { blocksOf, compile, start } from "./host.js";

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

describe.each(pages)("$name", ({ page, packages }) => {
  let project: Project;
  beforeAll(() => {
    project = new Project({ packages: ["ws", "@types/ws", ...packages] });
  });
  afterAll(() => project.remove());

  it("compiles, in strict TypeScript", async () => {
    expect(await compile(project, page, {})).toBe("");
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
});
