// examples/next on the real Next.js: its route handlers, its pages and the sockets share one session.
import { once } from "node:events";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { runFile } from "../docs/run.js";
import { Project } from "../support/project.js";
import { addressOf, blocksOf, clientAt, hold, viaSocketIo } from "./host.js";

/** The other ways in which Next runs code of an application. */
const entries = {
  "pages/api/likes.js": `
    export default async function handler(req, res) {
      if (req.method === "POST") req.session.likes += 10;
      if (req.method === "PATCH") await globalThis.sessions.update(req, (session) => void (session.likes += 100));
      res.json({ likes: req.session.likes, live: globalThis.sessions.get(req)?.data.likes });
    }`,
  "pages/props.js": `
    export const getServerSideProps = ({ req }) => ({ props: { likes: req.session.likes } });
    export default ({ likes }) => <p>{likes + " in props"}</p>;`,
  "app/action/page.js": `
    import { session } from "../../session.js";
    async function like() {
      "use server";
      session().likes = (session().likes ?? 0) + 1000;
    }
    export default () => <form action={like} />;`,
  "app/edge/route.js": `
    import { requests } from "../../session.js";
    export const runtime = "edge";
    export const GET = () => Response.json({ seen: requests.getStore() ?? null });`,
  "proxy.js": `
    import { requests } from "./session.js";
    export const config = { matcher: "/proxied" };
    export const proxy = () => Response.json({ seen: requests.getStore().session.likes });`,
};

/** All of them see one session, which a form began, and what the others write to it. */
async function holdEntries(url: string): Promise<void> {
  const ada = clientAt(url);
  const text = async (path: string, init?: RequestInit): Promise<string> => (await ada.fetch(path, init)).text();
  const [, action] = /name="(\$ACTION_ID_[^"]+)"/.exec(await text("/action")) ?? [];
  const body = new FormData();
  body.set(action as string, "");
  await text("/action", { method: "POST", body });
  const socket = await ada.socket();
  socket.emit("like");
  await expect.poll(() => ada.get("/api/likes")).toEqual({ likes: 1001, live: 1001 });
  await text("/api/likes", { method: "POST" });
  await expect.poll(() => ada.get("/api/likes")).toEqual({ likes: 1011, live: 1011 });
  await text("/api/likes", { method: "PATCH" });
  expect(await ada.get("/api/likes")).toEqual({ likes: 1111, live: 1111 });
  expect(await text("/props")).toContain("1111 in props");
  expect(await ada.get("/proxied")).toEqual({ seen: 1111 });
  // It runs apart from the server.
  expect(await ada.get("/edge")).toEqual({ seen: null });
}

const root = join(import.meta.dirname, "../..");
let project: Project;

beforeAll(() => {
  // Below the packages of test/stacks: its bundler follows no link out of the repository.
  project = new Project({ below: join(root, "test/stacks"), packages: ["socket.io-client"], without: ["react"] });
  cpSync(join(root, "examples/next"), project.dir, { recursive: true });
  const server = readFileSync(project.path("server.js"), "utf8");
  project.write({ ...entries, "server.js": `${server}\nglobalThis.sessions = sessions;` });
});
afterAll(() => project.remove());

it("built: holds what every host holds, and all of its code but that of the edge sees the session", async () => {
  const { status, text } = await project.node("../node_modules/next/dist/bin/next", "build");
  expect(status, text).toBe(0);
  const url = await addressOf(runFile(project, "server.js", "production"));
  await hold(url, viaSocketIo);
  const ada = clientAt(url);
  const shown = async (): Promise<string> => (await ada.fetch("/")).text();
  expect(await shown()).toContain("Nobody is logged in");
  await ada.post("/login");
  expect(await shown()).toContain("likes this");
  await holdEntries(url);
}, 300_000);

it("in development mode the same, and its own WebSockets are left to Next", async () => {
  const url = await addressOf(runFile(project, "server.js"));
  await hold(url, viaSocketIo);
  await holdEntries(url);
  // Next takes no other origin, then.
  const origin = "http://localhost";
  const reload = new WebSocket(`${url.replace("http", "ws")}/_next/hmr?id=a-page`, { origin });
  await once(reload, "open");
  reload.close();
});

it("the page shows its files", () => {
  const shown = blocksOf("next.md").filter(({ words }) => words[0]?.endsWith(".js"));
  expect(shown.length).toBeGreaterThan(1);
  for (const { words, code } of shown) {
    expect(readFileSync(join(root, "examples/next", words[0] as string), "utf8")).toContain(code);
  }
});
