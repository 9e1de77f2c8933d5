// The client of socket-session/testing: a browser in the process of the test.
import { createServer } from "node:http";
import type { Socket } from "node:net";
import express from "express";
import { Server } from "socket.io";
import { describe, expect, it, onTestFinished, test } from "vitest";
import { WebSocketServer } from "ws";
import { createSessions } from "../../src/index.js";
import { clock, ConnectionRefused, createTestClient, type Testable, type TestClient } from "../../src/testing/index.js";
import { next } from "../support/browser.js";
import { closeServers } from "../support/closing.js";

const minute = 60_000;

/** An application that listens nowhere yet, with a socket of each kind and a stream. */
function makeApp() {
  const app = express();
  const server = createServer(app);
  const sessions = createSessions({ secret: "s", cookie: { maxAge: 30 * minute } });
  app.use(sessions.middleware, express.json());
  app.post("/login", (req, res) => {
    const { user } = req.body as { user?: string };
    if (user === undefined) return void res.status(403).send("no");
    req.session.user = user;
    res.json({ user });
  });
  app.post("/logout", (req, res, done) => {
    sessions.destroy(req).then(() => res.clearCookie("connect.sid").json({}), done);
  });
  app.post("/rotate", (req, res) => {
    const { user } = req.session;
    req.session.regenerate(() => {
      req.session.user = user as string;
      res.json({});
    });
  });
  app.get("/me", (req, res) => void res.json({ user: req.session.user ?? null }));
  app.get("/headers", (req, res) => void res.json(req.headers));
  app.post("/headers", (req, res) => void res.json(req.headers));
  app.get("/go", (_req, res) => res.redirect("/me"));
  app.get("/events", (req, res) => {
    const stream = sessions.stream(req, res);
    void stream.ready.then(() => {
      stream.send("hello", { user: stream.session.user });
      stream.send("news", "two\nlines");
    });
  });
  app.get("/mistake", (_req, res) => void res.sendStatus(500));
  const io = new Server(server);
  sessions.attach(io);
  io.on("connection", (socket) => {
    socket.on("who", (done: (user?: string) => void) => done(socket.session.user));
    socket.on("headers", (done: (headers: object) => void) => done(socket.handshake.headers));
  });
  const wss = new WebSocketServer({ noServer: true });
  server.on("upgrade", (req, line, head) => {
    if (req.url === "/ws") wss.handleUpgrade(req, line, head, (socket) => wss.emit("connection", socket, req));
  });
  sessions.attach(wss);
  wss.on("connection", (socket) => {
    socket.on("message", () => socket.send(String(socket.session.user)));
  });
  onTestFinished(async () => {
    wss.close();
    await closeServers(io, server);
    await sessions.close();
  });
  return { app, server, sessions, io };
}

function clientOf(app: Testable, options = {}): TestClient {
  const client = createTestClient(app, options);
  onTestFinished(() => client.close());
  return client;
}

const connections: Record<string, (client: TestClient) => Promise<unknown>> = {
  "Socket.IO": (client) => client.socket(),
  "Socket.IO, polling": (client) => client.socket("/", { transports: ["polling"] }),
  ws: (client) => client.webSocket("/ws"),
  "a stream": (client) => client.stream("/events"),
};

describe.each(Object.entries(connections))("over %s", (_, connect) => {
  it("a stranger is refused, with the code", async () => {
    const refused = await connect(clientOf(makeApp().server)).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ConnectionRefused);
    expect(refused).toMatchObject({ code: "SESSION_MISSING", message: /was refused: SESSION_MISSING$/ });
  });

  it("who has logged in gets in, and hears of the logout", async () => {
    const client = clientOf(makeApp().server);
    await client.login("/login", { user: "ada" });
    await connect(client);
    await client.post("/logout");
    expect(await client.ended()).toBe("SESSION_DESTROYED");
    await expect(connect(client)).rejects.toMatchObject({ code: "SESSION_MISSING" });
  });

  it("hears of the expiry when the clock is moved, and the cookie is gone by then", async () => {
    const client = clientOf(makeApp().server);
    await client.login("/login", { user: "ada" });
    await connect(client);
    await clock.advance("31m");
    expect(await client.ended()).toBe("SESSION_EXPIRED");
    expect(client.cookies.get("connect.sid")).toBeUndefined();
  });

  it("hears of a rotation, and comes back with the new cookie", async () => {
    const client = clientOf(makeApp().server);
    await client.login("/login", { user: "ada" });
    await connect(client);
    await client.login((self) => self.post("/rotate"));
    await connect(client);
    await client.post("/logout");
    expect(await client.ended()).toBe("SESSION_DESTROYED");
  });

  it("a page of another origin is refused", async () => {
    const client = clientOf(makeApp().server, { origin: "https://evil.example" });
    await client.login("/login", { user: "eve" });
    await expect(connect(client)).rejects.toMatchObject({ code: "ORIGIN_REFUSED" });
  });
});

test.each(["Socket.IO", "ws", "a stream"])("over %s, a server that goes without a word is an error", async (name) => {
  const { server } = makeApp();
  const lines: Socket[] = [];
  server.on("connection", (line) => lines.push(line));
  const client = clientOf(server);
  await client.login("/login", { user: "ada" });
  await connections[name]?.(client);
  const ended = client.ended();
  for (const line of lines) line.destroy();
  await expect(ended).rejects.toThrow(/without a code/);
});

describe("HTTP", () => {
  it("keeps cookies, and forgets those that the server clears", async () => {
    const client = clientOf(makeApp().server);
    expect(await client.get("/me")).toEqual({ user: null });
    await client.login("/login", { user: "ada" });
    expect(await client.get("/me")).toEqual({ user: "ada" });
    await client.post("/logout");
    expect(client.cookies.get("connect.sid")).toBeUndefined();
    expect(await client.get<{ cookie?: string }>("/headers")).not.toHaveProperty("cookie");
  });

  it.each([
    ["JSON", undefined, '{"likes":2}', { likes: 2 }],
    ["JSON", "application/problem+json", '{"likes":2}', { likes: 2 }],
    ["text", undefined, "two likes", "two likes"],
    ["text", "text/plain", "2", "2"],
  ])("gets %s with the content type %s", async (_, type, sent, got) => {
    const client = clientOf((_req, res) => void (type ? res.setHeader("content-type", type) : res).end(sent));
    expect(await client.get("/")).toEqual(got);
  });

  it("two clients have nothing in common", async () => {
    const { server } = makeApp();
    const [ada, bob] = [clientOf(server), clientOf(server)];
    await ada.login("/login", { user: "ada" });
    await bob.login("/login", { user: "bob" });
    expect([await ada.get("/me"), await bob.get("/me")]).toEqual([{ user: "ada" }, { user: "bob" }]);
  });

  it("sends cookies where their path says, up to their end", async () => {
    const app = express();
    app.get("/", (_req, res) => {
      res.append("set-cookie", ["root=a%20b=c", "deep=2; Path=/deep", "short=3; Max-Age=60", "old=4; Max-Age=0"]);
      res.append("set-cookie", "dated=5; Expires=Thu, 01 Jan 1970 00:00:00 GMT").end();
    });
    app.get(/./, (req, res) => void res.json(req.headers.cookie ?? null));
    const client = clientOf(app);
    await client.fetch("/");
    expect(await client.get("/deep")).toBe("root=a%20b=c; deep=2; short=3");
    expect(await client.get("/deep/er?a=/deep")).toBe("root=a%20b=c; deep=2; short=3");
    expect(await client.get("/deeper")).toBe("root=a%20b=c; short=3");
    await clock.advance("61s");
    expect(await client.get("/deeper")).toBe("root=a%20b=c");
    client.cookies.clear("root");
    expect(await client.get("/deeper")).toBeNull();
  });

  it("sends the origin as a browser does: with what may change something", async () => {
    const { server } = makeApp();
    const headersOf = async (client: TestClient): Promise<unknown[]> => [
      (await client.get<{ origin?: string }>("/headers")).origin,
      ((await (await client.post("/headers")).json()) as { origin?: string }).origin,
    ];
    const client = clientOf(server);
    expect(await headersOf(client)).toEqual([undefined, await client.url()]);
    expect(await headersOf(clientOf(server, { origin: "https://a.example" }))).toEqual(
      Array(2).fill("https://a.example"),
    );
    expect(await headersOf(clientOf(server, { origin: false }))).toEqual([undefined, undefined]);
  });

  it("follows no redirect", async () => {
    const response = await clientOf(makeApp().server).fetch("/go");
    expect([response.status, response.headers.get("location")]).toEqual([302, "/me"]);
  });

  it("get() tells of a status that is no success", async () => {
    await expect(clientOf(makeApp().server).get("/mistake")).rejects.toThrow(/status 500: Internal/);
  });
});

describe("login()", () => {
  it("tells of a status that is no success", async () => {
    await expect(clientOf(makeApp().server).login("/login")).rejects.toThrow(
      "POST /login was answered with status 403: no",
    );
  });

  it("tells where no cookie came", async () => {
    await expect(clientOf(makeApp().server).login("/headers")).rejects.toThrow(/there is no cookie/);
  });
});

describe("ended()", () => {
  it("without a connection there is nothing to wait for", async () => {
    const client = clientOf(makeApp().server);
    await client.login("/login", { user: "ada" });
    await expect(client.ended()).rejects.toThrow(/open a connection first/);
  });

  it("a connection that the test closes itself is no end", async () => {
    const client = clientOf(makeApp().server);
    await client.login("/login", { user: "ada" });
    const socket = await client.socket();
    await client.webSocket("/ws");
    socket.disconnect();
    await client.post("/logout");
    expect(await client.ended()).toBe("SESSION_DESTROYED");
  });
});

test("a Socket.IO socket has the session, its own headers, and the origin", async () => {
  const client = clientOf(makeApp().server, { headers: { "x-all": "1" } });
  await client.login("/login", { user: "ada" });
  const socket = await client.socket("/", { extraHeaders: { "x-one": "2" } });
  expect(await socket.emitWithAck("who")).toBe("ada");
  expect(await socket.emitWithAck("headers")).toMatchObject({ "x-all": "1", "x-one": "2", origin: await client.url() });
});

test("a socket that connects later, or again, has the cookies of then", async () => {
  const client = clientOf(makeApp().server);
  const socket = await client.socket("/", { autoConnect: false, reconnection: true, reconnectionDelay: 10 });
  expect(socket.connected).toBe(false);
  await client.login("/login", { user: "ada" });
  socket.connect();
  expect(await socket.emitWithAck("who")).toBe("ada");
  const again = next(socket as never, "connect");
  await client.post("/rotate");
  await again;
  expect(await socket.emitWithAck("who")).toBe("ada");
});

test("a WebSocket has the session", async () => {
  const client = clientOf(makeApp().server);
  await client.login("/login", { user: "ada" });
  const socket = await client.webSocket("/ws");
  socket.send("who?");
  expect(await new Promise((resolve) => socket.once("message", (data: Buffer) => resolve(String(data))))).toBe("ada");
});

test("a stream has its events, one after the other, by name, and as text", async () => {
  const client = clientOf(makeApp().server);
  await client.login("/login", { user: "ada" });
  const stream = await client.stream("/events");
  expect(await stream.next("news")).toMatchObject({ event: "news", data: "two\nlines" });
  expect(stream.text).toContain('data: {"user":"ada"}\n\n');
  await client.post("/logout");
  const events = [];
  for await (const { event } of stream) events.push(event);
  expect(events).toEqual(["session:end"]);
  await expect(stream.next("news")).rejects.toThrow("The stream is over, without news.");
});

describe("what is tested", () => {
  it("is an Express application, whose port is closed with its last client", async () => {
    const { app } = makeApp();
    const [one, other] = [createTestClient(app), createTestClient(app)];
    const url = await one.url();
    expect(await other.url()).toBe(url);
    await one.close();
    await fetch(`${url}/me`);
    await other.close();
    await expect(fetch(`${url}/me`)).rejects.toThrow();
    await expect(one.get("/me")).rejects.toThrow("The test client is closed.");
  });

  it("is a server that listens already, and goes on", async () => {
    const { server } = makeApp();
    await new Promise<void>((resolve) => server.listen(0, resolve));
    const client = createTestClient(server);
    const url = await client.url();
    expect(await client.get("/me")).toEqual({ user: null });
    await client.close();
    expect((await fetch(`${url}/me`)).status).toBe(200);
  });

  it("is an address", async () => {
    const url = await clientOf(makeApp().server).url();
    for (const address of [url, `${url}/`, new URL(url)]) {
      expect(await clientOf(address).get("/me")).toEqual({ user: null });
    }
  });

  it("is nothing else", async () => {
    expect(() => clientOf({} as never)).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
  });
});

test("one browser can talk to several nodes", async () => {
  const nodes = [makeApp(), makeApp()] as const;
  const client = clientOf(nodes[0].server);
  const there = client.at(nodes[1].server);
  await client.login("/login", { user: "ada" });
  // They have nothing in common here, but the cookie comes.
  await expect(there.socket()).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
  expect(await there.url()).not.toBe(await client.url());
});

test("is closed at the end of its block", async () => {
  const { app } = makeApp();
  const client = createTestClient(app);
  const url = await client.url();
  await client[Symbol.asyncDispose]();
  await expect(fetch(`${url}/me`)).rejects.toThrow();
});
