// What a stream does with its response: answers written by hand or piped, answers that wait for admission, compression,
// and clients that do not read.
import { randomBytes } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { connect } from "node:net";
import { pipeline } from "node:stream/promises";
import { PassThrough, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import compression from "compression";
import type { Request, Response } from "express";
import { describe, expect, onTestFinished, test } from "vitest";
import { liveStore, type Sessions, type SessionStream, type StreamOptions } from "../../src/index.js";
import { type App, type AppOptions, startApp } from "../support/app.js";
import type { Browser } from "../support/browser.js";
import { type ClientStream, eventSource, openStream, streamOf, type StreamRequest } from "../support/stream.js";
import { LineStore } from "../support/stores.js";

type Route = (stream: SessionStream, request: Request, response: Response) => unknown;

interface Running extends App {
  readonly streams: SessionStream[];
  readonly line: LineStore;
  open(browser: Browser, asked?: StreamRequest, path?: string): Promise<ClientStream>;
}

/** The store is one that can be slow: then a client is not admitted at once. */
async function start(
  route: Route,
  options: StreamOptions = {},
  sessions: AppOptions["sessions"] = {},
  before?: (sessions: Sessions, request: Request) => unknown,
): Promise<Running> {
  const streams: SessionStream[] = [];
  const line = new LineStore();
  const app = await startApp({
    sessions: { store: liveStore(line), ...sessions },
    setup({ app, sessions: own }) {
      const handle = async (req: Request, res: Response): Promise<void> => {
        void before?.(own, req);
        const stream = own.stream(req, res, options);
        streams.push(stream);
        await route(stream, req, res);
      };
      app.all("/events", handle);
      app.all("/compressed", compression({ threshold: 0 }) as never, handle);
    },
  });
  return {
    ...app,
    streams,
    line,
    async open(browser, asked, path = "/events") {
      const client = await openStream(browser, path, asked);
      onTestFinished(client.close);
      return client;
    },
  };
}

function codeOf(stream: SessionStream | undefined): unknown {
  return (stream?.signal.reason as { code?: unknown } | undefined)?.code;
}

/** Makes the store answer reads after so many ms; the session middleware has answered by then. */
const slowly = (line: LineStore, ms = 50): void => void (line.latency = ms);

const end = (code: string, retry = false): string => JSON.stringify({ code, retry });

describe("an answer that the application writes itself", () => {
  test("keeps its headers, and is cut when the session ends; what is written then goes nowhere", async () => {
    const { login, open, streams } = await start((_, __, res) => {
      res.writeHead(206, { "Content-Type": "application/x-ndjson", "X-Own": "1" });
      res.write("{}\n");
    });
    const ada = await login();
    const client = await open(ada);
    expect([client.status, client.headers["content-type"], client.headers["x-own"]]).toEqual([
      206,
      "application/x-ndjson",
      "1",
    ]);
    await expect.poll(client.text).toBe("{}\n");
    await ada.post("/logout");
    expect(await client.over).toBe("cut");
    expect(client.text()).toBe("{}\n");
    expect(codeOf(streams[0])).toBe("SESSION_DESTROYED");
  });

  test("that has not begun is answered with the code", async () => {
    const { login, open, sessions } = await start((stream) => stream.ready);
    const ada = await login();
    const opening = open(ada, { headers: {} });
    await expect.poll(() => sessions.size).toBe(1);
    await ada.post("/logout");
    const client = await opening;
    await client.over;
    expect([client.status, client.text()]).toEqual([401, end("SESSION_DESTROYED")]);
  });

  test("is cut while it is piped, and its source is closed", async () => {
    const source = new PassThrough();
    let failure: { code?: string } | undefined;
    const { login, open } = await start(async (_, __, res) => {
      await pipeline(source, res).catch((error: { code?: string }) => (failure = error));
    });
    const ada = await login();
    source.write("first");
    const client = await open(ada);
    await expect.poll(client.text).toBe("first");
    await ada.post("/logout");
    expect(await client.over).toBe("cut");
    await expect.poll(() => failure?.code).toBe("ERR_STREAM_PREMATURE_CLOSE");
    expect(source.destroyed).toBe(true);
  });

  test("does not end the process where it is written to after its end", async () => {
    const errors: unknown[] = [];
    const caught = (error: unknown): void => void errors.push(error);
    process.on("uncaughtException", caught);
    onTestFinished(() => void process.off("uncaughtException", caught));
    let written: unknown;
    const { login, open } = await start(async (stream, _, res) => {
      stream.send("first");
      await once(stream.signal, "abort");
      res.setHeader("X-Late", "1");
      res.write("late");
      res.writeHead(200);
      written = res.json({ late: true });
    });
    const ada = await login();
    const client = await open(ada);
    await ada.post("/logout");
    expect(await client.over).toBe("complete");
    expect(client.text()).not.toContain("late");
    await expect.poll(() => written).toBeDefined();
    expect(errors).toEqual([]);
  });

  test("takes no event after the application's own end, and does not end the process", async () => {
    const errors: unknown[] = [];
    const caught = (error: unknown): void => void errors.push(error);
    process.on("uncaughtException", caught);
    onTestFinished(() => void process.off("uncaughtException", caught));
    const taken: boolean[] = [];
    const { login, open, line } = await start((stream, _, res) => {
      stream.send("first");
      res.end();
      // While the client waits to be admitted: what was held is the end.
      taken.push(stream.send("late"));
      res.on("finish", () => taken.push(stream.send("late")));
    });
    const ada = await login();
    slowly(line);
    const client = await open(ada);
    expect(await client.over).toBe("complete");
    expect(client.events.map(({ event }) => event)).toContain("first");
    await expect.poll(() => taken).toEqual([false, false]);
    expect(client.text()).not.toContain("late");
    expect(errors).toEqual([]);
  });

  test.each([
    ["at once", {}],
    ["behind a read", { sessionId: () => "unknown" }],
  ])("calls back whoever waits for a write that is dropped, refused %s", async (_, options) => {
    let isDone = false;
    const { open, browser } = await start(async (stream, __, res) => {
      await new Promise<void>((resolve) => void res.write("early", () => resolve()));
      if (!stream.signal.aborted) await once(stream.signal, "abort");
      await new Promise<void>((resolve) => void res.write("late", () => resolve()));
      await new Promise<void>((resolve) => void res.end("late", () => resolve()));
      isDone = true;
    }, options);
    expect((await open(browser())).status).toBe(401);
    await expect.poll(() => isDone).toBe(true);
  });

  test("has one stream", async () => {
    const { login, open, sessions } = await start(async (stream, req, res) => {
      await stream.open().ready;
      expect(() => sessions.stream(req, res)).toThrow(
        expect.objectContaining({
          code: "OPTION_INVALID",
          message: expect.stringContaining("is a stream already") as string,
        }),
      );
      stream.send("counted", sessions.get(stream)?.connections);
    });
    const client = await open(await login());
    expect(await client.next("counted")).toBe(1);
    client.close();
    await expect.poll(() => sessions.size).toBe(0);
  });

  test("to HEAD is over with its headers, and its connection goes on", async () => {
    const bus = new EventEmitter();
    const { login, sessions, url, line, streams } = await start((stream) => {
      stream.send("news");
      bus.on("news", stream.listener("news"));
      stream.listen(bus, "other");
    });
    const ada = await login();
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    let got = "";
    socket.setEncoding("utf8").on("data", (text: string) => (got += text));
    const ask = (method: string, path: string): boolean =>
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\nCookie: ${ada.cookie}\r\n\r\n`);
    for (const isSlow of [false, true]) {
      if (isSlow) slowly(line);
      got = "";
      ask("HEAD", "/events");
      ask("GET", "/session");
      await expect.poll(() => got).toContain('{"user":"ada"}');
      expect(got).toContain("text/event-stream");
      expect(streams.at(-1)?.signal.aborted).toBe(true);
      await expect.poll(() => sessions.size).toBe(0);
      bus.emit("news", 1);
      expect(bus.eventNames()).toEqual([]);
    }
  });

  test("has no events in it where its headers were sent with another type", async () => {
    let thrown: unknown;
    const { login, open } = await start((stream, _, res) => {
      res.type("text/plain").write("text");
      try {
        stream.send("news");
      } catch (error) {
        thrown = error;
      }
      res.end();
    });
    const client = await open(await login());
    await client.over;
    expect(client.text()).toBe("text");
    expect((thrown as { code: string }).code).toBe("OPTION_INVALID");
  });
});

describe("events", () => {
  test("are written as the standard has them", async () => {
    const { login, open } = await start((stream) => {
      stream.send("news", { id: 1 });
      stream.send("text", "one\ntwo\r\nthree\rfour\n", { id: "a b" });
      stream.send("nothing");
      stream.send("null", null);
      stream.send("space", " padded");
      for (const name of ["a\nb", "a\rb", "", 7 as never]) expect(() => stream.send(name)).toThrow("name must be");
      for (const id of ["a\nb", "a\0b", 7 as never]) expect(() => stream.send("news", 1, { id })).toThrow("id must be");
      expect(() => stream.listener("a\nb")).toThrow("name must be");
    });
    const client = await open(await login());
    await client.next("session:view");
    await expect.poll(() => client.events.length).toBe(6);
    const told = client.events.filter(({ event }) => event !== "session:view");
    expect(told.map(({ event, data, id }) => [event, data, id])).toEqual([
      ["news", `{"id":1}`, ""],
      ["text", "one\ntwo\nthree\nfour\n", "a b"],
      ["nothing", "", "a b"],
      ["null", "null", "a b"],
      ["space", " padded", "a b"],
    ]);
  });

  test("have headers that keep proxies from waiting, but for those that the application has set", async () => {
    const { login, open } = await start((stream, req, res) => {
      if (req.query["own"])
        res.setHeader("Cache-Control", "no-store").setHeader("Content-Type", "text/event-stream; charset=utf-8");
      stream.open();
    });
    const ada = await login();
    const { headers } = await open(ada);
    expect(headers).toMatchObject({
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    });
    expect((await open(ada, {}, "/events?own=1")).headers).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
    });
  });
});

describe("while the client is being admitted", () => {
  test("what is written waits, in its order, and a pipe goes on", async () => {
    const running = await start(async (stream, req, res) => {
      expect(stream.session.user).toBe("ada");
      if (req.path === "/compressed") res.type("text/plain");
      if (req.query["by"] === "events") {
        res.setHeader("X-Own", "1");
        stream.send("first", 1);
        stream.send("second", 2);
        res.write("data: by hand\n\n");
        expect(res.headersSent).toBe(false);
      } else await pipeline(Readable.from(["a", "b", "c".repeat(100_000), "d"]), res);
    });
    const ada = await running.login();
    slowly(running.line);
    const events = await running.open(ada, {}, "/events?by=events");
    expect(events.headers["x-own"]).toBe("1");
    await events.next("session:view");
    expect(events.events.map(({ event }) => event)).toEqual(["first", "second", "message", "session:view"]);
    events.close();
    await expect.poll(() => running.sessions.size).toBe(0);
    const piped = await running.open(ada);
    expect(await piped.over).toBe("complete");
    expect(piped.text()).toHaveLength(100_003);
    const compressed = await running.open(ada, { headers: { "accept-encoding": "gzip" } }, "/compressed");
    expect(compressed.headers["content-encoding"]).toBe("gzip");
    expect(await compressed.over).toBe("complete");
  });

  test("nothing of it reaches who is refused", async () => {
    const running = await start(
      (stream, _, res) => {
        res.setHeader("X-Secret", "1").status(201);
        res.write("secret");
        res.end("secret");
        expect(stream.signal.aborted).toBe(false);
      },
      { sessionId: () => "unknown" },
    );
    const ada = await running.login();
    slowly(running.line);
    const client = await running.open(ada);
    await client.over;
    expect([client.status, client.text()]).toEqual([401, end("SESSION_UNKNOWN")]);
    expect(client.headers["x-secret"]).toBeUndefined();
    expect(client.headers["content-type"]).toBe("application/json");
    expect(codeOf(running.streams[0])).toBe("SESSION_UNKNOWN");
  });

  test("a logout is answered with its code", async () => {
    const running = await start(
      (stream) => stream.send("secret"),
      {},
      {},
      (sessions, req) => sessions.destroy(req.sessionID),
    );
    const ada = await running.login();
    slowly(running.line);
    const client = await running.open(ada, { headers: {} });
    await client.over;
    expect([client.status, client.text()]).toEqual([401, end("SESSION_UNKNOWN")]);
    await expect.poll(() => running.sessions.size).toBe(0);
  });

  test("no more of it than the limit is kept", async () => {
    const running = await start(
      (stream) => {
        for (let at = 0; at < 20; at++) stream.send("news", "x".repeat(100));
      },
      { maxBufferedBytes: 1000 },
    );
    const ada = await running.login();
    slowly(running.line);
    const client = await running.open(ada);
    await client.over;
    expect([client.status, client.text()]).toEqual([429, end("LIMIT_REACHED")]);
    await expect.poll(() => running.sessions.size).toBe(0);
  });

  test("what is changed in its session is saved", async () => {
    const running = await start((stream) => {
      const { session } = stream;
      session.count = 1;
      session.nested = { list: [1] };
      void stream.ready.then(() => (session.other = "later"));
      stream.open();
    });
    const ada = await running.login();
    slowly(running.line);
    await running.open(ada);
    await running.streams[0]?.ready;
    expect(running.streams[0]?.session.user).toBe("ada");
    await expect
      .poll(() => ada.get("/session"))
      .toEqual({ user: "ada", count: 1, nested: { list: [1] }, other: "later" });
  });

  test("a client that leaves leaves nothing", async () => {
    const running = await start((stream) => stream.send("news"));
    const ada = await running.login();
    slowly(running.line, 100);
    const leaving = new AbortController();
    const asked = fetch(`${running.url}/events`, { headers: { cookie: ada.cookie }, signal: leaving.signal });
    await expect.poll(() => running.streams.length).toBe(1);
    leaving.abort();
    await expect(asked).rejects.toThrow();
    await running.streams[0]?.ready;
    await expect.poll(() => running.sessions.size).toBe(0);
    expect(running.streams[0]?.signal.reason).toMatchObject({ name: "AbortError" });
  });
});

describe("compression", () => {
  const gzip = { headers: { ...eventSource, "accept-encoding": "gzip" } };

  test("leaves events alone", async () => {
    const { login, open } = await start((stream) => stream.open());
    const client = await open(await login(), gzip, "/compressed");
    expect(client.headers["content-encoding"]).toBeUndefined();
    expect(await client.next("session:view")).toBeDefined();
  });

  test("holds none back where the application lets it compress them", async () => {
    const { login, open } = await start((stream, _, res) => {
      res.setHeader("Cache-Control", "no-cache");
      stream.send("news", 1);
    });
    const ada = await login();
    const client = await open(ada, { ...gzip, reads: false }, "/compressed");
    expect(client.headers["content-encoding"]).toBe("gzip");
    const unzipped = client.response.pipe(createGunzip());
    const inside = streamOf(Object.assign(unzipped, { headers: {}, complete: true }) as never, client.close);
    expect(await inside.next("news")).toBe(1);
    await ada.post("/logout");
    expect(await inside.next("session:end")).toEqual({ code: "SESSION_DESTROYED", retry: false });
    expect(await client.over).toBe("complete");
  });

  test("hides no client that does not read", async () => {
    const { login, open, streams } = await start(
      (stream, _, res) => {
        res.setHeader("Cache-Control", "no-cache");
        stream.open();
      },
      { maxBufferedBytes: 200_000 },
    );
    await open(await login(), { ...gzip, reads: false }, "/compressed");
    const sent = await flood(streams[0], () => randomBytes(15_000).toString("base64"));
    expect(codeOf(streams[0])).toBe("LIMIT_REACHED");
    expect(sent).toBeGreaterThan(200_000);
  });
});

/** Sends until the stream is over; the bytes that it took. The client's and the system's buffers take some, too. */
async function flood(stream: SessionStream | undefined, text: () => string): Promise<number> {
  let sent = 0;
  while (!stream?.signal.aborted && sent < 1e9) {
    const data = text();
    stream?.send("flood", data);
    sent += data.length;
    await new Promise(setImmediate);
  }
  return sent;
}

describe("a client that does not read", () => {
  test("is closed beyond the limit, and its connection does not stay", async () => {
    const { login, open, streams, sessions } = await start((stream) => stream.open(), { maxBufferedBytes: 300_000 });
    const client = await open(await login(), { reads: false });
    const texts: number[] = [];
    const [stream] = streams as [SessionStream];
    await flood(stream, () => {
      texts.push(1);
      return "x".repeat(50_000);
    });
    expect(codeOf(stream)).toBe("LIMIT_REACHED");
    expect(sessions.size).toBe(0);
    // It reads at last what was sent: nothing after the cut, and no half of an event but the last.
    client.response.resume();
    expect(await client.over).toBeDefined();
  });

  test("one that reads is not, however much it is sent", async () => {
    const { login, open, streams } = await start((stream) => stream.open(), { maxBufferedBytes: 300_000 });
    const client = await open(await login());
    const [stream] = streams as [SessionStream];
    for (let at = 1; at <= 40; at++) {
      stream.send("flood", "1".repeat(50_000));
      await client.next("flood");
    }
    expect(stream.signal.aborted).toBe(false);
  });
});
