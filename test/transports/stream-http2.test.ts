// Streams over HTTP/2, by Node's compatible requests and responses, with its own client.
import { once } from "node:events";
import {
  type ClientHttp2Stream,
  connect,
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { createSessions, type Sessions, type SessionStream } from "../../src/index.js";
import { secret } from "../support/app.js";
import { EventParser, type StreamEvent } from "../support/stream.js";

interface Running {
  readonly sessions: Sessions;
  readonly streams: SessionStream[];
  /** Requests a path; resolves when the head of its answer is there. */
  ask(path: string, headers?: Record<string, string>): Promise<Answer>;
  login(): Promise<string>;
}

interface Answer {
  readonly headers: Record<string, unknown>;
  readonly events: StreamEvent[];
  text(): string;
  /** HTTP/2's code of its end: 0 where it is complete. */
  readonly over: Promise<number>;
  close(): void;
}

type Route = (stream: SessionStream, request: Http2ServerRequest, response: Http2ServerResponse) => unknown;

async function start(route: Route, isBehindMiddleware = true): Promise<Running> {
  const sessions = createSessions({ secret, hosts: ["localhost"] });
  const streams: SessionStream[] = [];
  const server = createServer((request, response) => {
    const answer = (): void => {
      if (request.url === "/login") {
        (request as unknown as { session: { user: string } }).session.user = "ada";
        response.writeHead(204);
        response.end();
        return;
      }
      const stream = sessions.stream(request, response);
      streams.push(stream);
      void route(stream, request, response);
    };
    if (isBehindMiddleware || request.url === "/login")
      sessions.middleware(request as never, response as never, answer);
    else answer();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect(`http://localhost:${(server.address() as AddressInfo).port}`);
  onTestFinished(async () => {
    client.destroy();
    server.close();
    await sessions.close();
  });
  const ask: Running["ask"] = async (path, headers = {}) => {
    const stream = client.request({ ":path": path, ...headers });
    stream.setEncoding("utf8").on("error", () => undefined);
    const [head] = (await once(stream, "response")) as [Record<string, unknown>];
    return answerOf(stream, head);
  };
  return {
    sessions,
    streams,
    ask,
    async login() {
      const { headers, over } = await ask("/login");
      await over;
      return ((headers["set-cookie"] as string[])[0] ?? "").split(";")[0] as string;
    },
  };
}

function answerOf(stream: ClientHttp2Stream, headers: Record<string, unknown>): Answer {
  let text = "";
  const events: StreamEvent[] = [];
  const parser = new EventParser(
    (event) => events.push(event),
    () => undefined,
  );
  stream.on("data", (chunk: string) => {
    text += chunk;
    parser.take(chunk);
  });
  return {
    headers,
    events,
    text: () => text,
    over: new Promise((resolve) => void stream.on("close", () => resolve(stream.rstCode))),
    close: () => stream.close(8),
  };
}

test.each([true, false])("events, and an end as the last one (behind the middleware: %s)", async (isBehind) => {
  const { sessions, streams, ask, login } = await start((stream) => stream.send("news", { id: 1 }), isBehind);
  const cookie = await login();
  // Browsers name the host in :authority alone.
  const answer = await ask("/", { cookie, accept: "text/event-stream", "sec-fetch-site": "same-origin" });
  expect(answer.headers).toMatchObject({ ":status": 200, "content-type": "text/event-stream" });
  await expect.poll(() => answer.events.map(({ event }) => event)).toEqual(["session:view", "news"]);
  await sessions.destroy(streams[0] as SessionStream);
  expect(await answer.over).toBe(0);
  expect(answer.events.at(-1)).toMatchObject({ event: "session:end", data: expect.stringContaining("DESTROYED") });
});

test("HEAD is over with its headers, and no event comes after the application's own end", async () => {
  const taken: boolean[] = [];
  const { sessions, ask, login } = await start(async (stream, _, response) => {
    await stream.ready;
    stream.send("news");
    response.end();
    taken.push(stream.send("late"));
  }, false);
  const cookie = await login();
  const head = await ask("/", { ":method": "HEAD", cookie });
  expect(head.headers).toMatchObject({ ":status": 200, "content-type": "text/event-stream" });
  expect(await head.over).toBe(0);
  const whole = await ask("/", { cookie });
  expect(await whole.over).toBe(0);
  expect(whole.events.map(({ event }) => event)).toEqual(["session:view", "news"]);
  expect(taken).toEqual([false, false]);
  await expect.poll(() => sessions.size).toBe(0);
});

test("an answer by hand is cut, not completed", async () => {
  const { sessions, streams, ask, login } = await start((_, __, response) => response.write("by hand"));
  const answer = await ask("/", { cookie: await login() });
  await expect.poll(answer.text).toBe("by hand");
  await sessions.destroy(streams[0] as SessionStream);
  expect(await answer.over).not.toBe(0);
});

test("who has no session is answered with the code", async () => {
  const { ask } = await start((stream, _, response) => {
    stream.send("secret");
    response.writeHead(200);
    response.end("secret");
  });
  const answer = await ask("/");
  expect(await answer.over).toBe(0);
  expect([answer.headers[":status"], answer.text()]).toEqual([401, `{"code":"SESSION_MISSING","retry":false}`]);
});

test("a page of this origin is let in, one of another is not", async () => {
  const { ask, login } = await start((stream) => stream.open());
  const cookie = await login();
  const own = await ask("/", { cookie, ":authority": "localhost:81", origin: "http://localhost:81" });
  expect(own.headers[":status"]).toBe(200);
  own.close();
  const foreign = await ask("/", { cookie, origin: "http://evil.example.com" });
  expect(foreign.headers[":status"]).toBe(403);
});

test("a client that leaves aborts the signal", async () => {
  const { ask, login, streams, sessions } = await start((stream) => stream.open());
  const answer = await ask("/", { cookie: await login() });
  const aborted = once((streams[0] as SessionStream).signal, "abort");
  answer.close();
  await aborted;
  expect(sessions.size).toBe(0);
});
