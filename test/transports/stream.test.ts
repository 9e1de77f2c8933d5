// Streams over HTTP as connections of their sessions: behind the session middleware, with a client that sees all that
// is on the wire.
import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Request, Response } from "express";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type AttachOptions, liveStore, type SessionStream, type StreamOptions } from "../../src/index.js";
import { monotonicNow } from "../../src/internal/monotonic.js";
import { type App, type AppOptions, startApp } from "../support/app.js";
import type { Browser } from "../support/browser.js";
import { type ClientStream, eventSource, openStream, type StreamRequest } from "../support/stream.js";
import { LineStore } from "../support/stores.js";

interface Setup {
  sessions?: AppOptions["sessions"];
  stream?: StreamOptions;
  attach?: AttachOptions;
  setup?: AppOptions["setup"];
  /** What the route does with its stream; else it opens it. */
  route?: (stream: SessionStream, request: Request, response: Response) => unknown;
  /** What it does before. */
  before?: (request: Request, response: Response) => unknown;
}

interface Running extends App {
  readonly streams: SessionStream[];
  open(browser: Browser, asked?: StreamRequest): Promise<ClientStream>;
}

async function start(setup: Setup = {}): Promise<Running> {
  const streams: SessionStream[] = [];
  const app = await startApp({
    ...(setup.sessions && { sessions: setup.sessions }),
    setup(parts) {
      setup.setup?.(parts);
      parts.app.all("/events", async (req, res) => {
        await setup.before?.(req, res);
        const stream = parts.sessions.stream(req, res, setup.stream);
        streams.push(stream);
        await (setup.route ? setup.route(stream, req, res) : stream.open());
      });
    },
  });
  return {
    ...app,
    streams,
    async open(browser, asked) {
      const client = await openStream(browser, "/events", asked);
      onTestFinished(client.close);
      return client;
    },
  };
}

function codeOf(stream: SessionStream | undefined): unknown {
  return (stream?.signal.reason as { code?: unknown } | undefined)?.code;
}

/** When the session would end as it is stored. */
async function expiresOf({ sessions }: App, browser: Browser): Promise<number> {
  const stored = await sessions.store.get(browser.sessionId);
  return Number(new Date(stored?.cookie.expires as never));
}

describe("a stream is a connection of its session", () => {
  test("counted, and found, on this node and by user", async () => {
    const { login, open, sessions, app } = await start({
      sessions: { user: ({ user }) => user },
      setup: ({ app, sessions }) =>
        app.get("/count", (req, res) => void res.json({ count: sessions.get(req)?.connections ?? 0 })),
    });
    const ada = await login();
    const [one] = [await open(ada), await open(ada)];
    expect(await ada.get("/count")).toEqual({ count: 2 });
    expect((await sessions.ofUser("ada")).map(({ connections }) => connections)).toEqual([2]);
    one.close();
    await expect.poll(async () => (await sessions.ofUser("ada"))[0]?.connections).toBe(1);
    expect(app).toBeDefined();
  });

  test("with live data, whose changes are saved", async () => {
    const { login, open, streams, sessions } = await start();
    const ada = await login();
    await open(ada);
    const [stream] = streams as [SessionStream];
    await ada.post("/set", { other: "from HTTP" });
    expect(stream.session.other).toBe("from HTTP");
    stream.session.nested = { list: [1] };
    stream.session.nested.list?.push(2);
    await stream.session.save();
    expect(await ada.get("/session")).toMatchObject({ nested: { list: [1, 2] } });
    expect(sessions.get(stream)?.data).toBe(stream.session);
    expect(await sessions.update(stream, (session) => (session.count = 7))).toBe(7);
  });

  test("ends with session:end as its last event, with an aborted signal, and without its session", async () => {
    const { login, open, streams, sessions } = await start();
    const ada = await login();
    const client = await open(ada);
    const [stream] = streams as [SessionStream];
    const aborted = once(stream.signal, "abort");
    const touched = vi.spyOn(sessions.store, "touch");
    const written = vi.spyOn(sessions.store, "set");
    await ada.post("/logout");
    expect(await client.over).toBe("complete");
    // What express-session does when an answer is over.
    expect([touched.mock.calls.length, written.mock.calls.length]).toEqual([0, 0]);
    expect(client.events.at(-1)).toMatchObject({
      event: "session:end",
      data: JSON.stringify({ code: "SESSION_DESTROYED", retry: false }),
    });
    await aborted;
    expect(codeOf(stream)).toBe("SESSION_DESTROYED");
    expect(stream.send("news", 1)).toBe(false);
    expect(await stream.ready).toBe(false);
    expect(stream.session.user).toBe("ada");
    expect(sessions.size).toBe(0);
  });

  test("is let go of when the client leaves, and its signal is aborted", async () => {
    const { login, open, streams, sessions } = await start();
    const client = await open(await login());
    const [stream] = streams as [SessionStream];
    const aborted = once(stream.signal, "abort");
    client.close();
    await aborted;
    expect((stream.signal.reason as Error).name).toBe("AbortError");
    expect(sessions.size).toBe(0);
  });

  test("a client that has left before finds nothing open", async () => {
    const leaving = new AbortController();
    const { login, sessions, streams, url } = await start({
      before(_, res) {
        leaving.abort();
        return once(res, "close");
      },
    });
    const ada = await login();
    await expect(fetch(`${url}/events`, { headers: { cookie: ada.cookie }, signal: leaving.signal })).rejects.toThrow();
    await expect.poll(() => streams.length).toBe(1);
    expect(streams[0]?.signal.aborted).toBe(true);
    expect(sessions.size).toBe(0);
  });

  test("a complete answer aborts nothing", async () => {
    const { login, open, streams, sessions } = await start({
      route: (stream, _, res) => {
        expect(stream.signal.aborted).toBe(false);
        res.end("done");
      },
    });
    const client = await open(await login());
    expect(await client.over).toBe("complete");
    await expect.poll(() => sessions.size).toBe(0);
    expect(streams[0]?.signal.aborted).toBe(false);
  });

  test("sessions.close() ends it, and an EventSource comes back", async () => {
    const { login, open, streams, sessions } = await start();
    const client = await open(await login());
    await sessions.close();
    expect(await client.over).toBe("complete");
    expect(client.text()).toMatch(/retry: \d+\n$/);
    expect(client.events.map(({ event }) => event)).not.toContain("session:end");
    expect(codeOf(streams[0])).toBe("SESSIONS_CLOSED");
  });
});

describe("what the route has changed in req.session", () => {
  test("before is saved at once", async () => {
    const { login, open, streams } = await start({ before: (req) => void (req.session.other = "from the route") });
    const ada = await login();
    await open(ada);
    await streams[0]?.ready;
    expect(streams[0]?.session.other).toBe("from the route");
    expect(await ada.get("/session")).toMatchObject({ other: "from the route" });
  });

  test("makes a session for a guest, with its cookie in the answer", async () => {
    const { browser, open, streams } = await start({ before: (req) => void (req.session.user = "guest") });
    const guest = browser();
    const client = await open(guest);
    expect(client.status).toBe(200);
    expect(streams[0]?.session.user).toBe("guest");
    expect(await guest.get("/session")).toEqual({ user: "guest" });
  });

  test("after a logout brings nothing back", async () => {
    const { login, open, streams, sessions } = await start({
      route(stream, req) {
        stream.open();
        stream.signal.addEventListener("abort", () => (req.session.other = "too late"));
      },
    });
    const ada = await login();
    const client = await open(ada);
    await ada.post("/logout");
    await client.over;
    await Promise.resolve();
    expect(codeOf(streams[0])).toBe("SESSION_DESTROYED");
    expect(await sessions.store.length()).toBe(0);
  });
});

describe("activity", () => {
  const sessions = { cookie: { maxAge: 3_600_000 } };

  test("an EventSource that opens, stays open and ends is none", async () => {
    const running = await start({
      sessions: { ...sessions, rolling: true },
      route: (stream, _, res) => {
        stream.send("now");
        setTimeout(() => res.end(), 50);
      },
    });
    const ada = await running.login();
    const before = await expiresOf(running, ada);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const client = await running.open(ada);
    expect(await client.over).toBe("complete");
    expect(await expiresOf(running, ada)).toBe(before);
  });

  test("what the page asks for itself is, when it comes; an EventSource is not", async () => {
    const running = await start({ sessions, route: (stream) => stream.open() });
    const ada = await running.login();
    await running.open(ada);
    const live = running.sessions.get(running.streams[0] as SessionStream) as unknown as { activeAt: number };
    expect(live.activeAt).toBe(0);
    const now = monotonicNow();
    await running.open(ada, { method: "POST", headers: {} });
    expect(live.activeAt).toBeGreaterThanOrEqual(now);
  });
});

describe("who may not come in", () => {
  test.each([
    ["no cookie", {}, 401, "SESSION_MISSING"],
    ["a bad signature", { cookie: "connect.sid=s%3Aid.bad" }, 401, "SESSION_INVALID"],
    ["a foreign page", { origin: "https://evil.example.com" }, 403, "ORIGIN_REFUSED"],
  ])("%s: is answered with the status and the code", async (_, headers, status, code) => {
    const { login, browser, open, streams, sessions } = await start({
      route(stream, req, res) {
        // What a route does that does not look.
        stream.send("news", "secret");
        res.setHeader("Content-Type", "text/plain");
        res.writeHead(200, { "X-Late": "1" });
        res.write("secret");
        res.end();
        expect(req.session).toBeDefined();
      },
    });
    const refused: string[] = [];
    sessions.on("refused", ({ code: told }) => refused.push(told));
    const client = await open(code === "ORIGIN_REFUSED" ? await login() : browser(), { headers });
    expect(await client.over).toBe("complete");
    expect(client.status).toBe(status);
    expect(client.headers["content-type"]).toBe("application/json");
    expect(client.headers["x-late"]).toBeUndefined();
    expect(client.text()).toBe(JSON.stringify({ code, retry: false }));
    expect(refused).toEqual([code]);
    expect(codeOf(streams[0])).toBe(code);
    expect(await streams[0]?.ready).toBe(false);
    expect(sessions.size).toBe(0);
  });

  test("an outage: 503, and an EventSource, which would not come back after that, gets an end that it comes back from", async () => {
    const line = new LineStore();
    const { login, sessions } = await start({ sessions: { store: liveStore(line, { timeout: 50 }) } });
    const ada = await login();
    const server = createServer((request, response) => void sessions.stream(request, response).open());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    line.state = "hangs";
    const at = Object.assign(Object.create(ada) as Browser, {
      url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    });
    const plain = await openStream(at, "/", { headers: {} });
    expect([plain.status, await plain.over, plain.text()]).toEqual([
      503,
      "complete",
      JSON.stringify({ code: "STORE_UNAVAILABLE", retry: true }),
    ]);
    const source = await openStream(at, "/");
    expect(source.status).toBe(200);
    expect(await source.next("session:end")).toEqual({ code: "STORE_UNAVAILABLE", retry: true });
    expect(source.text()).toMatch(/^retry: \d+\n/);
    expect(await source.over).toBe("complete");
  });

  test("so does an EventSource whose session the middleware could not read; other requests fail as ever", async () => {
    const line = new LineStore();
    const { login, open, sessions, streams } = await start({ sessions: { store: liveStore(line) } });
    const ada = await login();
    line.state = "fails";
    const source = await open(ada);
    expect(source.status).toBe(200);
    expect(await source.next("session:end")).toEqual({ code: "STORE_UNAVAILABLE", retry: true });
    expect(codeOf(streams[0])).toBe("STORE_UNAVAILABLE");
    expect((await open(ada, { headers: {} })).status).toBe(500);
    expect((await open(ada, { headers: eventSource, method: "POST" })).status).toBe(500);
    expect([streams.length, sessions.size]).toEqual([1, 0]);
  });

  test('"anonymous" is let in, with an empty session', async () => {
    const { browser, open, streams } = await start({ stream: { missing: "anonymous" } });
    const client = await open(browser());
    expect(client.status).toBe(200);
    expect(await client.next("session:view")).toEqual({ view: null, expiresIn: null });
    expect(streams[0]?.session.user).toBeUndefined();
    expect(() => ((streams[0] as SessionStream).session.user = "x")).toThrow("There is no session");
  });

  test("a page that the application's CORS lets in with its cookie is let in; one without credentials is not", async () => {
    const origin = "https://app.example.com";
    let credentials = "true";
    const { login, open } = await start({
      before: (_, res) => {
        res.setHeader("Access-Control-Allow-Origin", origin);
        if (credentials) res.setHeader("Access-Control-Allow-Credentials", credentials);
      },
    });
    const ada = await login();
    const headers = { ...eventSource, origin, "sec-fetch-site": "cross-site" };
    expect((await open(ada, { headers })).status).toBe(200);
    expect((await open(ada, { headers: { ...headers, origin: "https://other.example.com" } })).status).toBe(403);
    credentials = "";
    expect((await open(ada, { headers })).status).toBe(403);
  });

  test("a link on another site leads to a download; no page there can have it as a part of itself", async () => {
    const { login, open } = await start();
    const ada = await login();
    const visit = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
    expect((await open(ada, { headers: visit })).status).toBe(200);
    for (const part of [{ "sec-fetch-dest": "iframe" }, { "sec-fetch-mode": "no-cors" }])
      expect((await open(ada, { headers: { ...visit, ...part } })).status).toBe(403);
  });

  test("a listed origin is let in", async () => {
    const { login, open } = await start({ stream: { origins: ["https://app.example.com"] } });
    const headers = { ...eventSource, origin: "https://app.example.com", "sec-fetch-site": "cross-site" };
    expect((await open(await login(), { headers })).status).toBe(200);
  });
});

test("a change that allow forbids: what is written in its turn of the event loop still comes, and nothing after it", async () => {
  const { login, open, streams } = await start({ stream: { allow: ({ user }) => user !== undefined } });
  const client = await open(await login());
  const [stream] = streams as [SessionStream];
  delete stream.session.user;
  expect(stream.send("news", "in its turn")).toBe(true);
  await nextTurn();
  expect(stream.send("news", "too late")).toBe(false);
  expect(await client.over).toBe("complete");
  expect(client.events.slice(1).map(({ event, data }) => [event, data])).toEqual([
    ["news", "in its turn"],
    ["session:end", JSON.stringify({ code: "SESSION_FORBIDDEN", retry: false })],
  ]);
});

describe("listeners", () => {
  test("send what an emitter tells, and are removed when the stream is over", async () => {
    const bus = new EventEmitter();
    const { login, open } = await start({
      route: (stream) => {
        bus.on("news", stream.listener("news"));
        bus.on("news of ada", stream.listener("own"));
        stream.listen(bus, "rare").listen(bus, "others", "named");
      },
    });
    const ada = await login();
    const client = await open(ada);
    await client.next("session:view");
    bus.emit("news", { id: 1 });
    bus.emit("news of ada", "text");
    bus.emit("others", 2);
    expect(await client.next("named")).toBe(2);
    expect(client.events.slice(1).map(({ event, data }) => [event, data])).toEqual([
      ["news", `{"id":1}`],
      ["own", "text"],
      ["named", "2"],
    ]);
    await ada.post("/logout");
    await client.over;
    expect(bus.eventNames()).toEqual([]);
  });

  test("that were never called are removed at their next call", async () => {
    const bus = new EventEmitter();
    const { login, browser, open } = await start({
      route: (stream) => {
        bus.on("rare", stream.listener("rare"));
        stream.listen(bus, "others");
      },
    });
    const ada = await login();
    const client = await open(ada);
    await client.next("session:view");
    await ada.post("/logout");
    await client.over;
    expect(bus.listenerCount("rare")).toBe(1);
    bus.emit("rare", 1);
    // Nor do those stay that were added for a stream that was refused.
    await open(browser());
    await open(browser());
    expect(new Set(bus.listeners("rare")).size).toBe(1);
    bus.emit("rare", 1);
    expect(bus.eventNames()).toEqual([]);
  });
});

describe("keep-alive", () => {
  test("comments come while nothing else does, on event streams alone; one timer serves all", async () => {
    const { login, open } = await start({
      stream: { keepAlive: 30 },
      route: (stream, req, res) => (req.query["by"] === "hand" ? void res.write("x") : void stream.open()),
    });
    const ada = await login();
    const setInterval = vi.spyOn(globalThis, "setInterval");
    const [one, other] = [await open(ada), await open(ada)];
    const byHand = await openStream(ada, "/events?by=hand");
    await expect.poll(() => Math.min(one.comments.length, other.comments.length)).toBeGreaterThan(2);
    expect(setInterval.mock.calls.filter(([, ms]) => ms === 30)).toHaveLength(1);
    setInterval.mockRestore();
    expect(byHand.text()).toBe("x");
    byHand.close();
  });
});

describe("the view", () => {
  test("is the first event, and comes again when it has changed", async () => {
    const { login, open } = await start({
      sessions: { view: ({ user, count }) => ({ user, count }), cookie: { maxAge: 60_000 } },
    });
    const ada = await login();
    const client = await open(ada);
    expect(await client.next("session:view")).toEqual({ view: { user: "ada" }, expiresIn: expect.any(Number) });
    await ada.post("/set", { other: "unseen" });
    await ada.post("/set", { count: 2 });
    expect(await client.next("session:view")).toMatchObject({ view: { user: "ada", count: 2 } });
    expect(client.events).toHaveLength(2);
  });
});

test("lastEventId is that of the client's last event", async () => {
  const { login, open, streams } = await start({ route: (stream) => stream.send("news", 1, { id: "7 €" }) });
  const ada = await login();
  const client = await open(ada);
  await client.next("news");
  expect(client.events.at(-1)?.id).toBe("7 €");
  const id = Buffer.from("7 €").toString("latin1");
  await open(ada, { headers: { ...eventSource, "last-event-id": id } });
  expect(streams.map(({ lastEventId }) => lastEventId)).toEqual([undefined, "7 €"]);
});

test("options are checked", async () => {
  const { sessions } = await start();
  const open = (options: object) => () => sessions.stream({ headers: {} } as never, {} as never, options);
  expect(open({ missing: "create" })).toThrow(/missing must be "reject" or "anonymous"/);
  expect(open({ keepAlive: -1 })).toThrow(/keepAlive must be/);
  expect(open({ maxBufferedBytes: 0 })).toThrow(/maxBufferedBytes must be/);
  expect(open({ keepalive: 1 })).toThrow(/stream\(\) has no option "keepalive". Did you mean keepAlive/);
  expect(open({ tickets: true })).toThrow(/stream\(\) has no option "tickets"/);
});
