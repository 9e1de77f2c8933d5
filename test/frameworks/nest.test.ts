// The module, the adapters, the guard and the decorator for NestJS, with each of its versions, platforms and adapters.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { WebSocket } from "ws";
import { fileOf } from "../docs/compile.js";
import { Browser, closed, next } from "../support/browser.js";
import { Project } from "../support/project.js";
import { ownPrefix, useRedis } from "../support/redis.js";
import { blocksOf, clientAt, hold, viaSocketIo, viaWebSocket } from "./host.js";

const versions = ["11", "12"] as const;
const platforms = ["express", "fastify"] as const;
const preload = join(import.meta.dirname, "../docs/listen.js");
const source = readFileSync(join(import.meta.dirname, "nest/app.ts"), "utf8");

/** How Nest compiles applications. */
const nestOptions = {
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  noEmit: false,
  outDir: "out",
  skipLibCheck: true,
  noPropertyAccessFromIndexSignature: false,
};

const packages = ["common", "core", "platform-express", "platform-fastify", "platform-socket.io", "platform-ws"];

function createProject(version: string): Project {
  const folder = `test/stacks/nest-${version}/node_modules`;
  const nest = [...packages, "testing", "websockets"].map((name) => `@nestjs/${name}`);
  const names = [...nest, "reflect-metadata", "rxjs", "fastify"];
  return new Project({
    packages: ["ws", "@types/ws"],
    from: Object.fromEntries(names.map((name) => [name, join(folder, name)])),
  });
}

interface Started {
  readonly url: string;
  readonly process: ChildProcess;
  /** What it wrote. */
  printed(): string;
}

async function open(project: Project, file: string, env: Record<string, string> = {}): Promise<Started> {
  const child = project.fork(file, ["--import", preload], { PORT: "0", SESSION_SECRET: "a secret for tests", ...env });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (text += String(chunk)));
  const ended = once(child, "exit").then(([status]) => {
    throw new Error(`ended with ${status}: ${text}`);
  });
  ended.catch(() => undefined);
  const [message] = (await Promise.race([once(child, "message"), ended])) as [{ port: number }];
  return { url: `http://127.0.0.1:${message.port}`, process: child, printed: () => text };
}

/** For one test. */
async function start(...values: Parameters<typeof open>): Promise<Started> {
  const started = await open(...values);
  onTestFinished(() => void started.process.kill("SIGKILL"));
  return started;
}

function visit(url: string, of?: Browser): Browser {
  const browser = new Browser(url);
  for (const [name, value] of of?.cookies ?? []) browser.cookies.set(name, value);
  onTestFinished(() => browser.close());
  return browser;
}

async function login(url: string): Promise<Browser> {
  const browser = visit(url);
  expect((await browser.post("/login")).status).toBe(200);
  return browser;
}

/** As Nest's WsAdapter speaks. */
const viaNestWebSocket = viaWebSocket("/", JSON.stringify({ event: "like" }));

describe.each(versions)("Nest %s", (version) => {
  let project: Project;
  const page = blocksOf("nest.md");
  const [program] = page;
  beforeAll(async () => {
    project = createProject(version);
    project.write({ "app.ts": source });
    const said = await project.tsc(["app.ts"], nestOptions);
    expect(said).toEqual({ status: 0, text: "" });
  }, 90_000);
  afterAll(() => project.remove());

  it("runs as its page says", async () => {
    const own = createProject(version);
    onTestFinished(() => own.remove());
    const files = Object.fromEntries(page.map((block) => [fileOf(block), block.code]));
    own.write(files);
    expect(await own.tsc(Object.keys(files), nestOptions)).toEqual({ status: 0, text: "" });
    const { url } = await start(own, join("out", fileOf(program as never).replace(/\.(m?)ts$/, ".$1js")));
    await hold(url, viaSocketIo);
    const refused = await visit(url).fetch("/likes");
    expect([refused.status, await refused.json()]).toEqual([401, { code: "SESSION_MISSING", retry: false }]);
  });

  it("is mounted in a testing module, too, which gets its platform late; Nest's packages are one for require()", async () => {
    project.write({
      "testing.cjs": `
        require("reflect-metadata");
        const { Controller, Get } = require("@nestjs/common");
        const { Test } = require("@nestjs/testing");
        const { Session, SessionIoAdapter, SessionModule, Sessions } = require("socket-session/nest");
        const { IoAdapter } = require("@nestjs/platform-socket.io");
        class Kinds {
          see(session) {
            return typeof session;
          }
        }
        Get()(Kinds.prototype, "see", Object.getOwnPropertyDescriptor(Kinds.prototype, "see"));
        Session()(Kinds.prototype, "see", 0);
        Controller()(Kinds);
        (async () => {
          const imports = [SessionModule.forRoot({ secret: "s" })];
          const testing = await Test.createTestingModule({ imports, controllers: [Kinds] }).compile();
          const app = testing.createNestApplication();
          const adapter = new SessionIoAdapter(app);
          app.useWebSocketAdapter(adapter);
          await app.listen(0);
          const response = await fetch(await app.getUrl());
          console.log(await response.text(), adapter instanceof IoAdapter, app.get(Sessions).size);
          await app.close();
        })();`,
    });
    expect(await project.node("testing.cjs")).toEqual({ status: 0, text: "object true 0\n" });
  });

  describe.each(platforms)("on %s", (platform) => {
    const env = { PLATFORM: platform };
    // One of each adapter serves all tests that leave it as it was; the last one closes it.
    let io: Started;
    let ws: Started;
    beforeAll(async () => {
      io = await open(project, "out/app.js", { ...env, ADAPTER: "io" });
      ws = await open(project, "out/app.js", { ...env, ADAPTER: "ws" });
    });
    afterAll(() => {
      for (const started of [io, ws]) started.process.kill("SIGKILL");
    });

    it("logs in over HTTP, writes on a socket, reads over HTTP, and closes the socket at the logout", async () => {
      await hold(io.url, viaSocketIo);
      await hold(ws.url, viaNestWebSocket);
    });

    it("gives the session to all gateways, middlewares, and what main.ts mounts; the adapter can be extended", async () => {
      const ada = await login(io.url);
      const [root, chat] = [await ada.connect("/"), await ada.connect("/chat")];
      expect([await root.emitWithAck("like"), await chat.emitWithAck("like")]).toEqual([1, 11]);
      expect(await ada.get("/seen")).toEqual({ main: "ada", middleware: "ada", extended: true });
    });

    it("closes sockets that are not allowed any more", async () => {
      const ada = await login(io.url);
      const [root, chat] = [await ada.connect("/"), await ada.connect("/chat")];
      const ends = [closed(root), closed(chat)];
      await ada.post("/leave");
      for (const end of ends) expect((await end).told).toEqual([{ code: "SESSION_FORBIDDEN", retry: false }]);
      expect(await ada.refused()).toEqual({ code: "SESSION_FORBIDDEN", retry: false });
    });

    it("guards routes and messages by the same function", async () => {
      const asked = async (browser: Browser, path: string): Promise<unknown[]> => {
        const response = await browser.fetch(path);
        return [response.status, await response.json()];
      };
      expect(await asked(visit(io.url), "/private")).toEqual([401, { code: "SESSION_MISSING", retry: false }]);
      const ada = await login(io.url);
      expect(await asked(ada, "/private")).toEqual([200, { fine: true }]);
      expect(await asked(ada, "/admins")).toEqual([403, { code: "SESSION_FORBIDDEN", retry: false }]);
      const socket = await ada.connect();
      const refused = next(socket, "exception");
      socket.emit("admin");
      expect(await refused).toEqual({ code: "SESSION_FORBIDDEN", retry: false });
      await ada.post("/promote");
      expect(await asked(ada, "/admins")).toEqual([200, { fine: true }]);
      const answered = next(socket, "admin");
      socket.emit("admin");
      expect(await answered).toBe("ada");
    });

    it("has the session on routes under a global prefix", async () => {
      const { url } = await start(project, "out/app.js", { ...env, GLOBAL_PREFIX: "api" });
      const ada = visit(url);
      await ada.post("/api/login");
      expect(await ada.get("/api/private")).toEqual({ fine: true });
    });

    it("shares sessions with other nodes on Redis, saved at a shutdown by a signal", async () => {
      const { url: redis } = await useRedis();
      const shared = { ...env, ADAPTER: "io", REDIS_URL: redis, PREFIX: ownPrefix() };
      const run = (): Promise<Started> => start(project, "out/app.js", shared);
      const [one, two] = await Promise.all([run(), run()]);
      const ada = await login(one.url);
      const [here, there] = [await ada.connect(), await visit(two.url, ada).connect("/", { reconnection: true })];
      const away = closed(there);
      there.emit("like");
      await expect.poll(() => ada.get("/likes")).toEqual({ likes: 1 });
      const exit = once(two.process, "exit");
      two.process.kill("SIGTERM");
      expect(await away).toEqual({ told: [], reason: "transport close" });
      expect(there.active).toBe(true);
      expect(await exit).toEqual([null, "SIGTERM"]);
      const end = closed(here);
      await ada.post("/logout");
      expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
    });

    it("closes on Redis the sockets of a session that ends on another node", async () => {
      const { url: redis } = await useRedis();
      const shared = { ...env, ADAPTER: "ws", REDIS_URL: redis, PREFIX: ownPrefix() };
      const run = (): Promise<Started> => start(project, "out/app.js", shared);
      const [one, two] = await Promise.all([run(), run()]);
      const ada = clientAt(one.url);
      await ada.login("/login");
      const there = ada.at(two.url);
      const like = await viaNestWebSocket(there);
      like();
      await expect.poll(() => ada.get("/likes")).toEqual({ likes: 1 });
      await ada.post("/logout");
      expect(await there.ended()).toBe("SESSION_DESTROYED");
    });

    it("closes sockets at app.close() so that they come back, and leaves no timer", async () => {
      const exits = [once(io.process, "exit"), once(ws.process, "exit")];
      const ada = await login(io.url);
      const sockets = [await ada.connect("/", { reconnection: true, via: "polling" }), await ada.connect("/chat")];
      const ends = sockets.map(closed);
      io.process.send("close");
      for (const end of ends) expect(await end).toEqual({ told: [], reason: "transport close" });
      expect(sockets[0]?.active).toBe(true);
      const bob = clientAt(ws.url);
      await bob.login("/login");
      const end = once(await bob.webSocket<WebSocket>(), "close");
      ws.process.send("close");
      expect((await end)[0]).toBe(1001);
      // By itself: nothing keeps the process.
      for (const exit of exits) expect(await exit).toEqual([0, null]);
      expect([io.printed(), ws.printed()]).toEqual(["", ""]);
    });
  });
});
