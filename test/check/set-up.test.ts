// sessions.check(): each fault of a set-up is found, with the line to write, and a set-up without faults is fine.
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import session from "express-session";
import { createClient } from "redis";
import { Server } from "socket.io";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import type { CheckFinding, CheckOptions } from "../../src/index.js";
import { type AttachOptions, createSessions, liveStore, memoryStore } from "../../src/index.js";
import type { CreateOptions } from "../../src/options.js";
import { redisStore } from "../../src/redis.js";
import { startApp } from "../support/app.js";
import { LineStore } from "../support/stores.js";
import { startRedis, useRedis } from "../support/redis.js";

const secret = "f4c0a0b1-2d3e-4f50-8a6b-7c8d9e0f1a2b";
const cookie = { sameSite: "lax", maxAge: 60_000 } as const;

interface Checked {
  options?: Partial<CreateOptions>;
  attach?: AttachOptions;
  io?: Server;
  url?: string;
}

/** What a check of these options finds, without what is fine. */
async function faultsOf({ options, attach, io = new Server(createServer()), url }: Checked): Promise<CheckFinding[]> {
  const sessions = createSessions({ secret, cookie, ...options });
  onTestFinished(() => sessions.close());
  sessions.attach(io, attach);
  const { findings } = await sessions.check({ url });
  return findings.filter(({ level, topic }) => level !== "fine" && topic !== "routes");
}

afterEach(() => vi.unstubAllEnvs());

test("a set-up without faults is fine, in a line for each topic", async () => {
  const app = await startApp({
    sessions: { secret, cookie },
    setup: ({ app: express, sessions }) => express.use("/session", sessions.routes),
  });
  const check = await app.sessions.check({ url: app.url });
  expect(check.isFine).toBe(true);
  expect(check.findings.map(({ level }) => level)).toEqual(Array(8).fill("fine"));
  expect(String(check)).toContain("Problems: 0, hints: 0, fine: 8.");
  expect(String(check)).not.toContain(secret);
});

describe("finds", () => {
  const https = "https://app.example.com";
  const faults: [what: string, level: "problem" | "hint", checked: Checked, ...says: string[]][] = [
    ["a secret of an example", "problem", { options: { secret: "keyboard cat" } }, "secret", "openssl rand -base64 32"],
    ["the secret of our own pages", "problem", { options: { secret: "for development only" } }, "stands in examples"],
    ["a short secret", "hint", { options: { secret: "Xy7-kq!" } }, "It has 7 characters"],
    [
      "a secure cookie over http",
      "problem",
      { options: { cookie: { ...cookie, secure: true } } },
      "SECURE_COOKIE_OVER_HTTP",
      'secure: "auto"',
    ],
    ["a cookie that is not secure", "problem", { url: https, options: { proxy: true } }, "cookie: { secure: true }"],
    ["a cookie for scripts", "problem", { options: { cookie: { ...cookie, httpOnly: false } } }, "Scripts of the page"],
    ["a cookie without SameSite", "hint", { options: { cookie: { maxAge: 1000 } } }, 'sameSite: "lax"'],
    ["a strict cookie", "hint", { options: { cookie: { ...cookie, sameSite: "strict" } } }, "a link from a mail"],
    [
      "SameSite=None without Secure",
      "problem",
      { options: { cookie: { ...cookie, sameSite: "none" } } },
      'sameSite: "none", secure: true',
    ],
    ["another domain", "problem", { options: { cookie: { ...cookie, domain: "example.com" } } }, "cookie.domain"],
    ["a cookie without an expiry", "hint", { options: { cookie: { sameSite: "lax" } } }, "maxAge: 86_400_000"],
    ["a __Host- cookie that is none", "problem", { options: { name: "__Host-id" } }, "browsers drop it otherwise"],
    ["trust without a proxy", "hint", { options: { proxy: true } }, "anybody can"],
    [
      "a name that hosts lacks",
      "problem",
      { url: "http://localhost:3000", options: { hosts: ["app.example.com"] } },
      "ORIGIN_REFUSED",
      "localhost:3000",
    ],
    ["development at a public address", "hint", { url: "http://app.example.com" }, "NODE_ENV=production"],
    ["a wildcard in cors", "problem", { io: new Server({ cors: { origin: "*" } }) }, "goes with no cookie"],
    [
      "all origins in cors",
      "problem",
      { io: new Server({ cors: { origin: true, credentials: true } }) },
      "the pages of anybody",
    ],
    [
      "cors without credentials",
      "problem",
      { io: new Server({ cors: { origin: ["https://a.example.com"] } }) },
      "CORS_WITHOUT_CREDENTIALS",
    ],
    [
      "an origin over http",
      "hint",
      { url: https, attach: { origins: ["http://a.example.com"] } },
      "Write https:// there",
    ],
    ["a wrapped store", "hint", { options: { store: liveStore(new session.MemoryStore()) } }, "within the lease"],
    ["a memory store in production", "problem", { url: https }, "MEMORY_STORE_IN_PRODUCTION"],
  ];

  test.each(faults)("%s", async (what, level, checked, ...says) => {
    if (what.includes("production")) vi.stubEnv("NODE_ENV", "production");
    // Engine.IO makes the engine, which has the cors option, with an HTTP server.
    const io = checked.io ?? new Server();
    io.attach((await startApp({ attach: false, io: { path: "/other" } })).http);
    const found = (await faultsOf({ ...checked, io })).filter((one) => one.level === level);
    const texts = found.map(({ topic, code, message }) => `${topic} ${code} ${message}`);
    expect(texts).toContainEqual(expect.stringContaining(says.at(-1) as string));
    for (const part of says) expect(texts.join("\n")).toContain(part);
  });

  test("a proxy that is not trusted, and nothing where it is", async () => {
    const untrusted = await startApp({ sessions: { secret, cookie: { ...cookie, secure: true } } });
    const { findings, isFine } = await untrusted.sessions.check({ url: https });
    expect(isFine).toBe(false);
    const codes = findings.filter(({ level }) => level === "problem").map(({ code }) => code);
    expect(codes).toEqual(["PROXY_UNTRUSTED", "SECURE_COOKIE_UNSEEN"]);
    untrusted.app.set("trust proxy", 1);
    expect((await untrusted.sessions.check({ url: https })).isFine).toBe(true);
  });

  test("TLS that needs no proxy", async () => {
    const io = new Server(createSecureServer());
    expect(await faultsOf({ io, url: https, options: { cookie: { ...cookie, secure: true } } })).toEqual([
      expect.objectContaining({ topic: "environment" }),
      expect.objectContaining({ topic: "store", message: expect.stringContaining(`pages are at ${https}`) }),
    ]);
  });

  test("no attach(), and namespaces that have none", async () => {
    const sessions = createSessions({ secret, cookie });
    onTestFinished(() => sessions.close());
    const find = async (level: string): Promise<string[]> =>
      (await sessions.check()).findings
        .filter((one) => one.topic === "sockets" && one.level === level)
        .map(({ message }) => message);
    expect(await find("problem")).toEqual([expect.stringContaining("sessions.attach(io) before server.listen()")]);
    const io = new Server();
    io.of("/admin");
    sessions.attach(io.of("/chat"));
    expect(await find("hint")).toEqual([
      expect.stringContaining("has no HTTP server yet"),
      expect.stringContaining('Sockets of "/", "/admin" have no session'),
    ]);
  });

  test("routes that nobody has mounted, until somebody does", async () => {
    const app = await startApp({ sessions: { secret, cookie } });
    const find = async (): Promise<CheckFinding | undefined> =>
      (await app.sessions.check()).findings.find(({ topic }) => topic === "routes");
    expect(await find()).toMatchObject({ level: "hint", message: /app\.use\("\/session", sessions\.routes\)/ });
    app.app.use("/session", app.sessions.routes);
    expect(await find()).toMatchObject({ level: "fine" });
  });

  test("a path of the cookie that leaves out the page, or the sockets", async () => {
    const options = { cookie: { ...cookie, path: "/app" } };
    expect(await faultsOf({ options })).toEqual([expect.objectContaining({ topic: "cookie", level: "problem" })]);
    expect(await faultsOf({ options, url: "http://localhost/app" })).toEqual([
      expect.objectContaining({
        code: "COOKIE_PATH_EXCLUDES_SOCKETS",
        message: expect.stringContaining("sockets are at /socket.io"),
      }),
    ]);
  });

  test("a cookie that does not go to pages of another site, which may connect", async () => {
    const secure = { ...cookie, secure: true };
    const attach = { origins: ["https://www.example.com", "https://shop.example.net"] };
    const io = (): Server => new Server(createSecureServer());
    vi.stubEnv("NODE_ENV", "production");
    const asked = { url: https, attach, options: { cookie: secure, store: liveStore(new LineStore()) } };
    const find = async (checked: Checked): Promise<string[]> =>
      (await faultsOf(checked)).filter(({ level }) => level === "problem").map(({ message }) => message);
    expect(await find({ ...asked, io: io() })).toEqual([expect.stringContaining("https://shop.example.net, another")]);
    const none = { ...asked.options, cookie: { ...secure, sameSite: "none" as const } };
    expect(await find({ ...asked, io: io(), options: none })).toEqual([]);
  });

  test("an adapter that knows one node, over a store that several share", async () => {
    const client = createClient(await useRedis()).on("error", () => undefined);
    await client.connect();
    onTestFinished(() => client.close());
    const faults = await faultsOf({ options: { store: redisStore({ client }) } });
    expect(faults).toEqual([
      expect.objectContaining({ topic: "sockets", message: expect.stringContaining("adapter") }),
    ]);
  });

  test("a Redis that drops sessions when it is full, and one that does not answer", async () => {
    const { url, server } = await startRedis(["--maxmemory", "50mb", "--maxmemory-policy", "volatile-lru"]);
    onTestFinished(() => server.close());
    const client = createClient({ url, disableOfflineQueue: true }).on("error", () => undefined);
    await client.connect();
    onTestFinished(() => client.destroy());
    const sessions = createSessions({ secret, cookie, store: redisStore({ client, timeout: 500 }) });
    onTestFinished(() => sessions.close());
    const find = async (): Promise<string[]> =>
      (await sessions.check()).findings
        .filter(({ topic, level }) => topic === "store" && level === "problem")
        .map(({ message }) => message);
    expect(await find()).toEqual([expect.stringMatching(/volatile-lru.*maxmemory-policy noeviction/)]);
    await client.sendCommand(["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    expect(await find()).toEqual([]);
    await server.stop();
    expect(await find()).toEqual([expect.stringContaining("It does not answer.")]);
  });
});

test("says nothing of the session that it makes to see the cookie, and stores none", async () => {
  const store = memoryStore();
  const sessions = createSessions({ secret, cookie, store });
  onTestFinished(() => sessions.close());
  await sessions.check();
  expect(await store.length()).toBe(0);
});

test("an address that is none is OPTION_INVALID", async () => {
  const sessions = createSessions({ secret });
  onTestFinished(() => sessions.close());
  for (const url of ["app.example.com", "ws://localhost", 3000])
    await expect(sessions.check({ url: url as string })).rejects.toMatchObject({ code: "OPTION_INVALID" });
  await expect(sessions.check({ url: "localhost:3000" })).rejects.toThrow('not a string ("localhost:3000")');
});

test("an address in place of the options, and an unknown option, are OPTION_INVALID", async () => {
  const sessions = createSessions({ secret });
  onTestFinished(() => sessions.close());
  const check = (options: unknown) => sessions.check(options as CheckOptions);
  await expect(check("https://a.example")).rejects.toThrow('sessions.check({ url: "https://a.example" })');
  await expect(check({ uri: "https://a.example" })).rejects.toThrow("Did you mean url?");
});

test("says what NODE_ENV is", async () => {
  const sessions = createSessions({ secret });
  onTestFinished(() => sessions.close());
  expect(String(await sessions.check())).toContain('environment: NODE_ENV is not "production", which is right');
  vi.stubEnv("NODE_ENV", "production");
  expect(String(await sessions.check())).toContain('environment: NODE_ENV is "production".');
});
