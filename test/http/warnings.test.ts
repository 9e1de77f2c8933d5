// Misconfiguration that is noticed while running: each with a code, a sentence and the fix, once.
import session from "express-session";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createSessions, liveStore, memoryStore } from "../../src/index.js";
import { texts, type WarningCode } from "../../src/warnings.js";
import { Server } from "socket.io";
import { secret, startApp } from "../support/app.js";

let seen: (Error & { code?: string })[] = [];
const onWarning = (warning: Error): void => void seen.push(warning);

beforeEach(() => {
  seen = [];
  process.on("warning", onWarning);
});
afterEach(() => {
  process.off("warning", onWarning);
  vi.unstubAllEnvs();
});

async function warned(code: WarningCode): Promise<number> {
  await new Promise(setImmediate);
  const found = seen.filter((warning) => warning.code === code);
  for (const warning of found) expect(warning.message).toContain(texts[code]);
  return found.length;
}

test("a secure cookie without trust proxy behind TLS termination", async () => {
  const app = await startApp({ sessions: { cookie: { secure: true } } });
  const ada = app.browser();
  await ada.fetch("/session");
  expect(await warned("SECURE_COOKIE_UNSEEN")).toBe(0);
  for (let index = 0; index < 2; index++) await ada.fetch("/session", { headers: { "x-forwarded-proto": "https" } });
  expect(await warned("SECURE_COOKIE_UNSEEN")).toBe(1);
});

test("a handshake that is foreign only because the proxy is not trusted", async () => {
  const app = await startApp();
  const ada = await app.login();
  await ada.refused("/", {
    extraHeaders: {
      origin: "https://public.example",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "public.example",
    },
  });
  expect(await warned("PROXY_UNTRUSTED")).toBe(1);
});

test("cors without credentials while cookies are missing", async () => {
  const origin = "https://app.example.com";
  const fine = await startApp({ io: { cors: { origin, credentials: true } } });
  await fine.browser().refused("/", { extraHeaders: { origin } });
  expect(await warned("CORS_WITHOUT_CREDENTIALS")).toBe(0);
  const wrong = await startApp({ io: { cors: { origin } } });
  await wrong.browser().refused("/", { extraHeaders: { origin } });
  expect(await warned("CORS_WITHOUT_CREDENTIALS")).toBe(1);
});

test("two session middlewares with different stores: on the guide's engine, and in HTTP", async () => {
  const app = await startApp({
    setup({ io }) {
      io.engine.use(session({ secret, resave: false, saveUninitialized: false }));
    },
  });
  const ada = await app.login();
  const socket = await ada.connect();
  expect(socket.connected).toBe(true);
  expect(await warned("STORES_DIFFER")).toBe(1);
});

test("a cookie path that leaves out the Socket.IO path", async () => {
  createSessions({ secret, cookie: { path: "/" } }).attach(new Server());
  createSessions({ secret, cookie: { path: "/socket.io" } }).attach(new Server());
  createSessions({ secret, cookie: { path: "/app" } }).attach(new Server({ path: "/app/live" }));
  expect(await warned("COOKIE_PATH_EXCLUDES_SOCKETS")).toBe(0);
  createSessions({ secret, cookie: { path: "/app" } }).attach(new Server());
  createSessions({ secret, cookie: { path: "/app" } }).attach(new Server());
  expect(await warned("COOKIE_PATH_EXCLUDES_SOCKETS")).toBe(1);
});

test("memory stores in production, the default one and express-session's", async () => {
  memoryStore();
  expect(await warned("MEMORY_STORE_IN_PRODUCTION")).toBe(0);
  vi.stubEnv("NODE_ENV", "production");
  createSessions({ secret });
  liveStore(new session.MemoryStore());
  expect(await warned("MEMORY_STORE_IN_PRODUCTION")).toBe(1);
});

test("a flood of refused origins does not silence the other warnings", async () => {
  // One that has not warned yet.
  vi.resetModules();
  const { warnOnce } = await import("../../src/warnings.js");
  const emitted = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  for (let index = 0; index < 300; index++) warnOnce("ORIGIN_REFUSED", `https://${index}.example`);
  emitted.mockClear();
  warnOnce("SECURE_COOKIE_UNSEEN");
  expect(emitted).toHaveBeenCalledOnce();
  emitted.mockRestore();
});
