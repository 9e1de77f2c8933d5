// missing: "create": a handshake without a session gets one, with its cookie beside those of the application.
import { once } from "node:events";
import { type IncomingMessage, request as httpRequest, type ServerResponse } from "node:http";
import cookieParser from "cookie-parser";
import { Server as EngineServer } from "engine.io";
import { type SessionData } from "express-session";
import { describe, expect, test } from "vitest";
import WebSocket from "ws";
import { secret, startApp } from "../support/app.js";
import { LineStore } from "../support/stores.js";

test('missing: "create" does not ask the store for a session that is live here', async () => {
  const line = new LineStore();
  const { login } = await startApp({ sessions: { store: line, lease: 60_000 }, attach: { missing: "create" } });
  const ada = await login();
  await ada.connect();
  line.asked.get = 0;
  await ada.connect();
  expect(line.asked.get).toBe(0);
});

describe('missing: "create" beside cookies of the application', () => {
  const withCookie = () =>
    startApp({
      attach: false,
      setup({ io, sessions }) {
        io.engine.on("initial_headers", (headers: Record<string, string>) => {
          headers["Set-Cookie"] = "theme=dark";
        });
        sessions.attach(io, { missing: "create" });
      },
    });
  const both = [expect.stringMatching("^connect.sid="), "theme=dark"];

  test("sets its own and keeps theirs, over polling", async () => {
    const { url } = await withCookie();
    const response = await fetch(`${url}/socket.io/?EIO=4&transport=polling`);
    await response.text();
    expect(response.headers.getSetCookie().toSorted()).toEqual(both);
  });

  test("sets its own and keeps theirs, over websocket", async () => {
    const { url } = await withCookie();
    const ws = new WebSocket(`${url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`);
    // Both come within one turn.
    const [[response]] = (await Promise.all([once(ws, "upgrade"), once(ws, "open")])) as [[IncomingMessage], unknown];
    ws.terminate();
    expect(response.headers["set-cookie"]?.toSorted()).toEqual(both);
  });
});

test('missing: "create" keeps cookies that a middleware has set on the response', async () => {
  const { url } = await startApp({
    attach: false,
    setup({ io, sessions }) {
      io.engine.use((_request: unknown, response: ServerResponse, next: () => void) => {
        response.setHeader("Set-Cookie", "theme=dark");
        next();
      });
      sessions.attach(io, { missing: "create" });
    },
  });
  const response = await fetch(`${url}/socket.io/?EIO=4&transport=polling`);
  await response.text();
  expect(response.headers.getSetCookie().toSorted()).toEqual([expect.stringMatching("^connect.sid="), "theme=dark"]);
});

test('missing: "create" issues a session also where a cookie parser has read the old one', async () => {
  const app = await startApp({
    attach: false,
    setup({ io, sessions }) {
      io.engine.use(cookieParser(secret));
      sessions.attach(io, { missing: "create" });
    },
  });
  const ada = await app.login();
  await ada.post("/logout");
  const response = await ada.fetch("/socket.io/?EIO=4&transport=polling");
  expect(response.headers.getSetCookie()).toEqual([expect.stringMatching("^connect.sid=")]);
});

test('missing: "create" sets no cookie for a session that could not be stored', async () => {
  class FullStore extends LineStore {
    override set(_id: string, _data: SessionData, done: (error?: unknown) => void = () => {}): void {
      done(new Error("disk full"));
    }
  }
  const app = await startApp({ sessions: { store: new FullStore() }, attach: { missing: "create" } });
  const errors: unknown[] = [];
  app.sessions.on("error", (error) => errors.push(error));
  const response = await fetch(`${app.url}/socket.io/?EIO=4&transport=polling`);
  await response.text();
  expect(response.headers.getSetCookie()).toEqual([]);
  expect(errors).toEqual([expect.objectContaining({ code: "STORE_UNAVAILABLE" })]);
});

test.each(["polling", "websocket"] as const)(
  'missing: "create" while the store is down sends nobody away for good, over %s',
  async (via) => {
    const line = new LineStore();
    const app = await startApp({ sessions: { store: line }, attach: { missing: "create" } });
    line.state = "fails";
    expect(await app.browser().refused("/", { via })).toEqual({ code: "STORE_UNAVAILABLE", retry: true });
  },
);

describe("cookies of a handshake", () => {
  const origin = "http://app.example.com";

  /** The names of the cookies that a handshake over polling sets. */
  async function cookiesOf(url: string): Promise<string[]> {
    const asked = httpRequest(url, { headers: { origin } }).end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    response.resume();
    return (response.headers["set-cookie"] ?? []).map((cookie) => cookie.split("=")[0] as string).toSorted();
  }

  test.each([
    ["Engine.IO", undefined],
    ["Engine.IO", { origin, credentials: true }],
    ["Socket.IO", undefined],
    ["Socket.IO", { origin, credentials: true }],
  ])("the session's and the application's stand beside each other: %s, cors %j", async (kind, cors) => {
    const mine = (headers: Record<string, unknown>): unknown => (headers["set-cookie"] = "mine=1");
    const engine = new EngineServer({ ...(cors && { cors }) });
    const { url } = await startApp({
      attach: false,
      io: { ...(cors && { cors }) },
      setup({ http, io, sessions }) {
        if (kind === "Engine.IO") engine.attach(http);
        const emitter = kind === "Engine.IO" ? engine : io.engine;
        emitter.on("initial_headers", mine);
        sessions.attach(kind === "Engine.IO" ? engine : io, { missing: "create", origins: [origin] });
      },
    });
    const path = kind === "Engine.IO" ? "/engine.io/" : "/socket.io/";
    expect(await cookiesOf(`${url}${path}?EIO=4&transport=polling`)).toEqual(["connect.sid", "mine"]);
  });
});
