// A ws server in all its modes, and what is said where: HTTP statuses, close codes, headers.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { type ServerOptions, WebSocket, WebSocketServer } from "ws";
import { type AttachOptions, createSessions, liveStore, type Sessions } from "../../src/index.js";
import { type App, type AppOptions, secret, startApp } from "../support/app.js";
import type { Browser } from "../support/browser.js";
import { faults } from "../support/faults.js";
import { inTime } from "../support/pace.js";
import { LineStore } from "../support/stores.js";

interface Setup {
  ws?: ServerOptions;
  attach?: AttachOptions;
  sessions?: AppOptions["sessions"];
}

async function start({ ws, attach, sessions }: Setup = {}): Promise<App & { wss: WebSocketServer }> {
  let wss: WebSocketServer | undefined;
  const app = await startApp({
    ...(sessions && { sessions }),
    attach: false,
    setup({ http, sessions, app }) {
      wss = new WebSocketServer({ server: http, path: "/ws", ...ws });
      sessions.attach(wss, attach);
      // No casts: `session` is typed.
      wss.on("connection", (socket) => socket.on("message", () => socket.send(socket.session.user ?? "nobody")));
      app.post("/rotate", (req, res) => req.session.regenerate(() => res.json({})));
    },
  });
  return { ...app, wss: wss as WebSocketServer };
}

function open(browser: Browser, headers: Record<string, string> = {}, path = "/ws"): WebSocket {
  const socket = new WebSocket(browser.url.replace("http", "ws") + path, {
    headers: { ...(browser.cookies.size > 0 && { cookie: browser.cookie }), ...headers },
  });
  onTestFinished(() => socket.terminate());
  return socket;
}

async function connect(browser: Browser): Promise<WebSocket> {
  const socket = open(browser);
  await once(socket, "open");
  return socket;
}

async function ask(socket: WebSocket): Promise<string> {
  socket.send("user");
  const [answer] = (await once(socket, "message")) as [Buffer];
  return answer.toString();
}

async function refused(socket: WebSocket): Promise<{ status: number | undefined; body: string; retry: unknown }> {
  socket.on("error", () => undefined);
  const [, response] = (await once(socket, "unexpected-response")) as [
    unknown,
    AsyncIterable<Buffer> & { statusCode?: number; headers: Record<string, string> },
  ];
  let body = "";
  for await (const piece of response) body += piece.toString();
  return { status: response.statusCode, body, retry: response.headers["retry-after"] };
}

async function ended(socket: WebSocket): Promise<[number, string]> {
  const [code, reason] = (await once(socket, "close")) as [number, Buffer];
  return [code, reason.toString()];
}

test("a refused upgrade is answered over HTTP, before a socket exists", async () => {
  const line = new LineStore();
  const { browser, login, wss, sessions } = await start({ sessions: { store: liveStore(line) } });
  let sockets = 0;
  wss.on("connection", () => sockets++);
  expect(await refused(open(browser()))).toEqual({
    status: 401,
    body: '{"code":"SESSION_MISSING","retry":false}',
    retry: undefined,
  });
  const ada = await login();
  expect(await refused(open(ada, { origin: "https://evil.example.com" }))).toMatchObject({
    status: 403,
    body: '{"code":"ORIGIN_REFUSED","retry":false}',
  });
  line.state = "fails";
  expect(await refused(open(ada))).toEqual({
    status: 503,
    body: '{"code":"STORE_UNAVAILABLE","retry":true}',
    retry: "1",
  });
  expect(sockets).toBe(0);
  expect(sessions.size).toBe(0);
});

test("an end is a close code, and the code as reason", async () => {
  const line = new LineStore();
  const { login } = await start({
    sessions: { store: liveStore(line), lease: 20, maxStale: 50, cookie: { maxAge: 60_000 } },
  });
  const gone = await login();
  const destroyed = ended(await connect(gone));
  await gone.post("/logout");
  expect(await destroyed).toEqual([4401, "SESSION_DESTROYED"]);

  const moved = await login();
  const rotated = ended(await connect(moved));
  await moved.post("/rotate");
  expect(await rotated).toEqual([4205, "SESSION_ROTATED"]);

  const socket = await connect(await login());
  const unavailable = ended(socket);
  line.state = "fails";
  const asking = setInterval(() => socket.send("user"), 30);
  expect(await unavailable.finally(() => clearInterval(asking))).toEqual([1013, "STORE_UNAVAILABLE"]);
});

test("an expiry closes with 4401", async () => {
  const maxAge = 300;
  const { login } = await start({ sessions: { cookie: { maxAge } } });
  const socket = await inTime(maxAge, async () => connect(await login()));
  expect(await ended(socket)).toEqual([4401, "SESSION_EXPIRED"]);
});

test("noServer: the application upgrades", async () => {
  const wss = new WebSocketServer({ noServer: true });
  const { login, browser, http, sessions } = await startApp({ attach: false });
  sessions.attach(wss);
  const seen: unknown[] = [];
  http.on("upgrade", (request, socket, head) => {
    if (request.url !== "/ws") return;
    wss.handleUpgrade(request, socket, head, (webSocket) => {
      seen.push(webSocket.session.user);
      webSocket.on("message", () => webSocket.send(webSocket.session.user ?? "nobody"));
    });
  });
  expect(await ask(await connect(await login()))).toBe("ada");
  expect((await refused(open(browser()))).status).toBe(401);
  expect(seen).toEqual(["ada"]);
});

test("port: the server has a port of its own", async () => {
  const app = await startApp({ attach: false });
  const wss = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  onTestFinished(() => wss.close());
  await once(wss, "listening");
  // Another port is another origin, but the same site: clients that are no page send none.
  app.sessions.attach(wss);
  wss.on("connection", (socket) => socket.on("message", () => socket.send(socket.session.user ?? "nobody")));
  const ada = await app.login();
  const socket = new WebSocket(`ws://127.0.0.1:${(wss.address() as AddressInfo).port}`, {
    headers: { cookie: ada.cookie },
  });
  onTestFinished(() => socket.terminate());
  await once(socket, "open");
  expect(await ask(socket)).toBe("ada");
});

test("the application's own verifyClient is asked first, in both forms", async () => {
  const line = new LineStore();
  const forms = [
    { verifyClient: ({ req }: { req: { url?: string } }) => !req.url?.includes("no") },
    {
      verifyClient(
        this: ServerOptions,
        { req }: { req: { url?: string } },
        done: (verified: boolean, code?: number, message?: string) => void,
      ) {
        expect(this.path).toBe("/ws");
        setImmediate(() => (req.url?.includes("no") ? done(false, 418, "teapot") : done(true)));
      },
    },
  ];
  for (const [at, ws] of forms.entries()) {
    const { login } = await start({ ws: ws as ServerOptions, sessions: { store: liveStore(line) } });
    const ada = await login();
    const before = line.asked.get;
    const answer = await refused(open(ada, {}, "/ws?no"));
    expect(answer.status).toBe(at === 0 ? 401 : 418);
    expect(line.asked.get).toBe(before);
    expect(await ask(await connect(ada))).toBe("ada");
  }
});

test("the session is on the socket and on the request, the same object", async () => {
  const { login, wss, sessions } = await start();
  const seen: boolean[] = [];
  wss.on("connection", (socket, request) => {
    seen.push((request as unknown as { session: unknown }).session === socket.session);
    seen.push(sessions.get(socket)?.data === socket.session);
  });
  await connect(await login());
  expect(seen).toEqual([true, true]);
});

test("messages wait in order while a session is checked, and binary ones stay binary", async () => {
  const line = new LineStore();
  const { login, wss } = await start({ sessions: { store: liveStore(line), lease: 1 } });
  const got: unknown[] = [];
  wss.on("connection", (socket) =>
    socket.on("message", (data, isBinary) => got.push([(data as Buffer).toString(), isBinary])),
  );
  const socket = await connect(await login());
  line.latency = 30;
  for (let at = 0; at < 5; at++) socket.send(at % 2 === 0 ? String(at) : Buffer.from(String(at)));
  await expect.poll(() => got.length).toBe(5);
  expect(got).toEqual([0, 1, 2, 3, 4].map((at) => [String(at), at % 2 === 1]));
});

test("a client that sends and closes at once gets the reply, though the session has to be read first", async () => {
  const line = new LineStore();
  const { login, wss } = await start({ sessions: { store: liveStore(line), lease: 1 } });
  const closes: number[] = [];
  wss.on("connection", (socket) => socket.on("close", (code) => closes.push(code)));
  for (const count of [1, 3]) {
    const socket = await connect(await login());
    const replies: string[] = [];
    socket.on("message", (reply) => replies.push((reply as Buffer).toString()));
    line.latency = 30;
    for (let at = 0; at < count; at++) socket.send("user");
    socket.close(4321);
    expect(await ended(socket)).toEqual([4321, ""]);
    expect(replies).toEqual(Array.from({ length: count }, () => "ada"));
  }
  await expect.poll(() => closes).toEqual([4321, 4321]);
});

test("a client that sends, closes and is cut off leaves no socket behind", async () => {
  const line = new LineStore();
  const { login, wss, sessions } = await start({ sessions: { store: liveStore(line), lease: 1 } });
  const heard: string[] = [];
  wss.on("connection", (socket) => {
    socket.on("message", () => heard.push("message"));
    socket.on("close", () => heard.push("close"));
  });
  const socket = await connect(await login());
  line.state = "waits";
  // From now on nobody looks, and the last look is more than a lease ago.
  await delay(10);
  socket.send("user");
  socket.close();
  // Its message waits for the store.
  await expect.poll(() => [...wss.clients].map((client) => client.isPaused)).toEqual([true]);
  socket.terminate();
  line.answerAll();
  await expect.poll(() => heard).toEqual(["message", "close"]);
  expect(wss.clients.size).toBe(0);
  await expect.poll(() => sessions.size).toBe(0);
});

test("what comes after the server has closed the socket reaches no handler", async () => {
  const line = new LineStore();
  const { login, wss } = await start({
    sessions: { store: liveStore(line), lease: 10, maxStale: 20 },
  });
  const got: string[] = [];
  const closing = new Promise<void>((resolve) =>
    wss.on("connection", (socket) => {
      socket.on("message", (data) => {
        if (socket.readyState === socket.OPEN) got.push("open");
        else got.push(`late: ${(data as Buffer).toString()}`);
      });
      const timer = setInterval(() => {
        if (socket.readyState !== socket.CLOSING) return;
        clearInterval(timer);
        resolve();
      }, 5);
    }),
  );
  const socket = await connect(await login());
  line.state = "fails";
  const asking = setInterval(() => socket.send("early"), 5);
  // It does not see the server's close frame, so that both sides stay half open.
  socket.pause();
  await closing;
  clearInterval(asking);
  line.state = "up";
  // Now the store is known to be back.
  await login();
  for (let at = 0; at < 20; at++) socket.send("too late");
  const closed = once(socket, "close");
  socket.resume();
  await closed;
  expect(got.filter((text) => text.startsWith("late"))).toEqual([]);
});

test("another session middleware before the upgrade is reported", async () => {
  const warnings: string[] = [];
  const onWarning = (warning: Error & { code?: string }): void => void warnings.push(warning.code ?? "");
  process.on("warning", onWarning);
  onTestFinished(() => void process.off("warning", onWarning));
  const wss = new WebSocketServer({ noServer: true });
  const { login, http, sessions } = await startApp({ attach: false });
  sessions.attach(wss);
  const other = createSessions({ secret: "another" }).middleware;
  http.on("upgrade", (request, socket, head) =>
    other(request, { end() {} } as never, () => wss.handleUpgrade(request, socket, head, () => undefined)),
  );
  await connect(await login());
  await expect.poll(() => warnings).toContain("STORES_DIFFER");
});

test("what a client sends before it leaves is told before the close, also while the session is re-read", async () => {
  const line = new LineStore();
  const { login, wss, sessions } = await start({ sessions: { store: liveStore(line), lease: 1 } });
  const heard: string[] = [];
  wss.on("connection", (socket) => {
    socket.on("message", (data) => heard.push((data as Buffer).toString()));
    socket.on("close", () => heard.push("close"));
  });
  const socket = await connect(await login());
  line.latency = 40;
  for (let at = 0; at < 5; at++) socket.send(`${at}`);
  socket.close();
  await expect.poll(() => heard).toEqual(["0", "1", "2", "3", "4", "close"]);
  await expect.poll(() => sessions.size).toBe(0);
});

test("a client that floods while its session is re-read is not read further", async () => {
  const line = new LineStore();
  const { login, wss } = await start({ sessions: { store: liveStore(line, { timeout: 60_000 }), lease: 1 } });
  let got = 0;
  const connection = once(wss, "connection");
  const socket = await connect(await login());
  const [server] = (await connection) as [WebSocket];
  server.on("message", () => got++);
  line.state = "waits";
  const megabyte = Buffer.alloc(1 << 20);
  for (let at = 0; at < 30; at++) socket.send(megabyte);
  await expect.poll(() => server.isPaused, { interval: 5 }).toBe(true);
  // What is not read stays with the client, but for what the network holds.
  expect(socket.bufferedAmount).toBeGreaterThan(10 << 20);
  expect(got).toBe(0);
  line.answerAll();
  await expect.poll(() => got, { timeout: 15_000 }).toBe(30);
  expect(server.isPaused).toBe(false);
});

test("a second attach() throws; so does what is no server", () => {
  const sessions: Sessions = createSessions({ secret });
  const wss = new WebSocketServer({ noServer: true });
  sessions.attach(wss);
  expect(() => createSessions({ secret }).attach(wss)).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
  for (const wrong of [createServer(), {}, new WebSocket("ws://localhost", { autoPong: false })]) {
    if (wrong instanceof WebSocket) wrong.on("error", () => undefined).terminate();
    expect(() => sessions.attach(wrong as never)).toThrow(expect.objectContaining({ code: "SERVER_UNSUPPORTED" }));
  }
});

test('a "trust proxy" function that throws ends no process when a client sends a ticket', async () => {
  const found = faults();
  const { app, browser, sessions, url } = await start({ attach: { tickets: true } });
  const errors: unknown[] = [];
  sessions.on("error", (error) => errors.push(error));
  app.set("trust proxy", () => {
    throw new Error("no address");
  });
  await browser().fetch("/session");
  const client = new WebSocket(`${url.replace("http", "ws")}/ws`, ["session.ticket.abc", "x"], {
    headers: { "sec-fetch-site": "same-origin" },
  });
  const [error] = (await once(client, "error")) as [Error];
  expect(error.message).toContain("401");
  expect(errors).toContainEqual(new Error("no address"));
  expect(found).toEqual([]);
});

test("beside Socket.IO on one HTTP server, as the README says, both answer, also after a second", async () => {
  const line = new LineStore();
  const app = await startApp({
    sessions: { store: liveStore(line) },
    io: { destroyUpgrade: false },
    setup({ http, sessions }) {
      const live = new WebSocketServer({ noServer: true });
      sessions.attach(live);
      http.on("upgrade", (request, socket, head) => {
        if (request.url !== "/live") return;
        live.handleUpgrade(request, socket, head, (one) => live.emit("connection", one, request));
      });
    },
  });
  const ada = await app.login();
  await ada.connect("/", { via: "websocket" });
  await expect.poll(() => app.sessions.size).toBe(1);
  const bob = await app.login("bob");
  line.latency = 1200;
  const client = new WebSocket(`${app.url.replace("http", "ws")}/live`, { headers: { cookie: bob.cookie } });
  onTestFinished(() => client.terminate());
  await once(client, "open");
});
