// Each host of HTTP and sockets runs as its page says, with the page's very code and the real framework.
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { createSessions } from "../../src/index.js";
import { Project } from "../support/project.js";
import {
  blocksOf,
  clientAt,
  compile,
  type Connect,
  hold,
  inStacks,
  loadFromStacks,
  start,
  viaSocketIo,
  viaWebSocket,
} from "./host.js";

interface Host {
  readonly name: string;
  readonly page: string;
  /** Of its program, where the page has several. */
  readonly heading?: string;
  readonly connect: Connect;
  /** How the socket is closed at the logout. */
  readonly codes?: string[];
  readonly packages?: readonly string[];
  /** Packages that the repository does not have, or not by this name. */
  readonly from?: Record<string, string>;
  /** What the page's snippets use, with its type. */
  readonly names?: Record<string, string>;
}

/** What is used of Hono. */
interface HonoApp {
  use(handler: (c: HonoContext, next: () => Promise<void>) => Promise<void>): void;
  get(path: string, handler: (c: HonoContext) => Response): void;
  readonly fetch: unknown;
}

interface HonoContext {
  readonly req: { readonly raw: Request };
  readonly env: { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse };
  json(value: object): Response;
}

const hosts: readonly Host[] = [
  { name: "Express 5", page: "express.md", connect: viaSocketIo },
  { name: "Express 4", page: "express.md", connect: viaSocketIo, from: { express: "node_modules/express4" } },
  { name: "Connect 3", page: "connect.md", connect: viaSocketIo, from: inStacks("connect", "@types/connect") },
  {
    name: "Koa 3",
    page: "koa.md",
    connect: viaSocketIo,
    from: inStacks("koa", "@types/koa"),
    names: { app: `import("koa")` },
  },
  {
    name: "Hono 4 on Node",
    page: "hono.md",
    connect: viaSocketIo,
    from: inStacks("hono", "@hono/node-server"),
  },
  {
    name: "Hono 4 on Node, its own WebSockets",
    page: "hono.md",
    heading: "With Hono's own WebSockets",
    connect: viaWebSocket("/live"),
    from: inStacks("hono", "@hono/node-server"),
  },
  {
    name: "Fastify 5",
    page: "fastify.md",
    connect: viaSocketIo,
    from: inStacks("fastify", "@fastify/cookie", "@fastify/session"),
  },
  {
    name: "Fastify 5 with @fastify/session",
    page: "fastify-session.md",
    connect: viaSocketIo,
    from: inStacks("fastify", "@fastify/cookie", "@fastify/session"),
  },
  {
    name: "Passport 0.7",
    page: "passport.md",
    connect: viaSocketIo,
    packages: ["passport", "passport-local", "@types/passport", "@types/passport-local"],
    codes: ["SESSION_FORBIDDEN", "SESSION_ROTATED"],
  },
  { name: "crossws", page: "crossws.md", connect: viaWebSocket(), from: inStacks("crossws") },
];

it("each page with code is compiled and run by a test", () => {
  const tests = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".test.ts"));
  const code = tests.map((name) => readFileSync(join(import.meta.dirname, name), "utf8")).join("");
  const pages = readdirSync(join(import.meta.dirname, "../../docs/frameworks"));
  expect(pages.filter((page) => blocksOf(page).length > 0 && !code.includes(`"${page}"`))).toEqual([]);
});

it("Hono's request stands for its session, as its context does", async () => {
  const { Hono } = loadFromStacks("hono") as { Hono: new () => HonoApp };
  const { serve } = loadFromStacks("@hono/node-server") as { serve(options: object): Server };
  const sessions = createSessions({ secret: "a secret for tests" });
  const loadSession = promisify(sessions.middleware);
  const app = new Hono();
  app.use(async (c, next) => {
    await loadSession(c.env.incoming, c.env.outgoing);
    await next();
  });
  app.get("/", (c) => {
    const rooms = [c, c.req, c.env.incoming].map((target) => sessions.room(target));
    return c.json({ count: new Set(rooms).size });
  });
  const server = serve({ fetch: app.fetch, port: 0 });
  onTestFinished(async () => {
    server.close();
    await sessions.close();
  });
  await once(server, "listening");
  expect(await clientAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}`).get("/")).toEqual({ count: 1 });
});

describe.each(hosts)("$name", ({ page, heading, connect, packages = [], from, names = {}, codes }) => {
  let project: Project;
  beforeAll(() => {
    project = new Project({ packages: ["ws", "@types/ws", ...packages], ...(from && { from }) });
  });
  afterAll(() => project.remove());

  it("compiles, in strict TypeScript, with the types of the framework", async () => {
    expect(await compile(project, page, names)).toBe("");
  });

  it("logs in over HTTP, writes on a socket, reads over HTTP, and closes the socket at the logout", async () => {
    await hold(await start(project, page, heading), connect, codes);
  });
});
