// A client of an application under test, as a browser is one: its cookies go with HTTP requests and with each kind of
// connection, and it hears why its session ended. Knows no test runner.
import type { SessionCode } from "../errors.js";
import { checkNames, invalid, type NamesOf, shown } from "../internal/check-options.js";
import { noop } from "../internal/noop.js";
import { CookieJar } from "./cookie-jar.js";
import { EventStreamReader, type TestStream } from "./event-stream.js";
import { codeIn, ConnectionRefused } from "./refusal.js";
import { checkTestable, type ServedApp, serve, type Testable } from "./served-app.js";
import { type Opening, openSocket, type TestSocket, type TestSocketOptions } from "./socket-io.js";
import { openWebSocket, type TestWebSocket, type TestWebSocketOptions } from "./web-socket.js";

/** Options of {@link createTestClient}. */
export interface TestClientOptions {
  /** The page's origin, sent as browsers do; false for a client that is no page. Default: that of the application. */
  readonly origin?: string | false | undefined;
  /** Headers that go with each request and each connection. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** What is known of a session's end, since the last login. */
class Ending {
  readonly code: Promise<SessionCode>;
  end!: (code: SessionCode) => void;
  fail!: (error: Error) => void;

  constructor() {
    this.code = new Promise((resolve, reject) => {
      this.end = resolve;
      this.fail = reject;
    });
    // Who does not ask does not want to know.
    this.code.catch(noop);
  }
}

/**
 * A browser of a test. Make one with {@link createTestClient}.
 *
 * @example
 * ```ts
 * const client: TestClient = createTestClient(app);
 * ```
 */
export class TestClient {
  /** Its cookies. */
  readonly cookies: CookieJar;
  readonly #app: Testable;
  readonly #options: TestClientOptions;
  #served: Promise<ServedApp> | undefined;
  /** What closes each connection. */
  readonly #connections = new Set<() => void>();
  readonly #others: TestClient[] = [];
  #ending = new Ending();
  #hasConnected = false;
  #isClosed = false;

  /** @internal */
  constructor(app: Testable, options: TestClientOptions, cookies = new CookieJar()) {
    this.#app = app;
    this.#options = options;
    this.cookies = cookies;
  }

  /** The address of the application, without a slash at its end. */
  async url(): Promise<string> {
    if (this.#isClosed) throw new Error("The test client is closed.");
    return (await (this.#served ??= serve(this.#app))).url;
  }

  /** An HTTP request with its cookies; it keeps those of the answer. Redirects are not followed. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    if (typeof path !== "string" || !path.startsWith("/"))
      throw invalid(`A path of the application begins with "/", as "/login". It is ${shown(path)}.`);
    const url = (await this.url()) + path;
    const headers = new Headers(await this.#headersFor(path, init.method));
    new Headers(init.headers).forEach((value, name) => headers.set(name, value));
    const response = await fetch(url, { redirect: "manual", ...init, headers });
    this.cookies.take(response.headers.getSetCookie());
    return response;
  }

  /** The JSON of an answer, or its text where it is none. @throws Error where the status is no success */
  async get<T = unknown>(path: string): Promise<T> {
    const response = await this.fetch(path);
    const text = await response.text();
    if (!response.ok) throw new Error(`GET ${path} was answered with status ${response.status}: ${text}`);
    return contentOf(text, response.headers.get("content-type")) as T;
  }

  /** A POST of JSON. Resolves when the whole answer is there: express-session has saved then. */
  async post(path: string, body: object = {}): Promise<Response> {
    const headers = { "content-type": "application/json" };
    const response = await this.fetch(path, { method: "POST", body: JSON.stringify(body), headers });
    await response.clone().arrayBuffer();
    return response;
  }

  /**
   * Logs in: by a POST of JSON to a path, or as a function does it. What ended before counts no longer for
   * {@link TestClient.ended}.
   *
   * @throws Error where the answer is neither a success nor a redirect, or where the client has no cookie afterwards
   */
  async login(path: string | ((client: this) => unknown), body?: object): Promise<void> {
    if (typeof path === "function") await path(this);
    else {
      const response = await this.post(path, body);
      if (response.status >= 400) {
        throw new Error(`POST ${path} was answered with status ${response.status}: ${await response.text()}`);
      }
    }
    if (this.cookies.headerFor("/") === undefined) {
      throw new Error("After the login there is no cookie. Is its `secure` option true? Tests speak plain HTTP.");
    }
    this.#ending = new Ending();
    this.#hasConnected = false;
  }

  /**
   * A connected Socket.IO socket, of the package `socket.io-client`, over WebSocket and without reconnection unless the
   * options say so; they are those of its `io()`. With `autoConnect: false` it is not connected yet. Its cookies are
   * those of the moment in which it connects.
   *
   * @throws ConnectionRefused
   */
  async socket<Socket = TestSocket>(namespace = "/", options: TestSocketOptions = {}): Promise<Socket> {
    const url = await this.url();
    const path = typeof options.path === "string" ? options.path : "/socket.io/";
    const headers = await this.#liveHeadersFor(path);
    return (await this.#opened(openSocket(url + namespace, options, headers, this.#ending))) as Socket;
  }

  /**
   * A WebSocket, of the package `ws`, that is open.
   *
   * @throws ConnectionRefused
   */
  async webSocket<Socket = TestWebSocket>(path = "/", options: TestWebSocketOptions = {}): Promise<Socket> {
    const url = (await this.url()).replace(/^http/, "ws") + path;
    const headers = { ...(await this.#headersFor(path, "GET", true)), ...options.headers };
    const onCookies = (lines: readonly string[]): void => this.cookies.take(lines);
    return (await this.#opened(openWebSocket(url, { ...options, headers }, this.#ending, onCookies))) as Socket;
  }

  /**
   * A streamed answer, as an `EventSource` reads it.
   *
   * @throws ConnectionRefused
   */
  async stream(path: string, init: RequestInit = {}): Promise<TestStream> {
    const controller = new AbortController();
    const close = (): void => controller.abort();
    const headers = { accept: "text/event-stream", ...Object.fromEntries(new Headers(init.headers)) };
    const response = await this.fetch(path, { ...init, headers, signal: controller.signal });
    if (!response.ok) throw new ConnectionRefused(path, codeIn(await response.text()), response.status);
    const ending = this.#ending;
    this.#connections.add(close);
    this.#hasConnected = true;
    const onEvent = ({ event, data }: { event: string; data: string }): void => {
      const code = event === "session:end" ? codeIn(data) : undefined;
      if (code) ending.end(code);
    };
    const onClose = (): void => ending.fail(new Error(`The stream ${path} was over without a code.`));
    return new EventStreamReader(response, close, onEvent, onClose);
  }

  /**
   * Resolves with the code of the session's end, as the first of its connections is told it; at once where that was
   * since the last login.
   *
   * @throws Error where there was no connection that could be told, or where one closed without a code
   * @example
   * ```ts
   * await client.post("/logout");
   * assert.equal(await client.ended(), "SESSION_DESTROYED");
   * ```
   */
  async ended(): Promise<SessionCode> {
    if (!this.#hasConnected) throw new Error("There is nothing that could be told of an end: open a connection first.");
    return this.#ending.code;
  }

  /** The same browser at another node: it has the same cookies. Closed with this one. */
  at(app: Testable): TestClient {
    checkTestable(app);
    const other = new TestClient(app, this.#options, this.cookies);
    this.#others.push(other);
    return other;
  }

  /** Closes all connections, and the application's port where a test client has opened it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const close of this.#connections) close();
    this.#connections.clear();
    for (const other of this.#others) await other.close();
    (await this.#served?.catch(noop))?.release();
    this.#served = undefined;
  }

  /** As {@link TestClient.close}: `await using client = createTestClient(app)`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #opened<Socket>({ socket, close }: Opening<Socket>): Promise<Socket> {
    this.#connections.add(close);
    const opened = await socket;
    this.#hasConnected = true;
    return opened;
  }

  /** Browsers send the origin with what may change something, with WebSockets, and to other sites. */
  async #headersFor(path: string, method = "GET", isWebSocket = false): Promise<Record<string, string>> {
    const { origin = await this.url(), headers } = this.#options;
    const isSent = isWebSocket || this.#options.origin !== undefined || !/^(GET|HEAD)$/i.test(method);
    const cookie = this.cookies.headerFor(path.replace(/[?#].*/, ""));
    return { ...(origin !== false && isSent && { origin }), ...(cookie !== undefined && { cookie }), ...headers };
  }

  /** Headers that a client reads each time it connects. */
  async #liveHeadersFor(path: string): Promise<Record<string, string>> {
    const { cookie: _, ...headers } = await this.#headersFor(path, "GET", true);
    const { cookies } = this;
    return Object.defineProperty(headers, "cookie", { enumerable: true, get: () => cookies.headerFor(path) ?? "" });
  }
}

/** Plain Node handlers often do not say what they send: then it is JSON where it reads as such. */
function contentOf(text: string, type: string | null): unknown {
  if (type !== null) return /\bjson\b/.test(type) ? JSON.parse(text) : text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/**
 * A client like a browser for an Express application, a Node server (which need not listen) or an address: with cookies,
 * HTTP, Socket.IO, WebSockets and streams. Requests that a page sends are sent as one of the application's own pages.
 *
 * @throws SessionError `OPTION_INVALID`
 * @example
 * ```ts
 * const client = createTestClient(server);
 * await client.login("/login", { user: "ada" });
 * const socket = await client.socket("/chat");
 * await client.post("/logout");
 * assert.equal(await client.ended(), "SESSION_DESTROYED");
 * await client.close();
 * ```
 */
export function createTestClient(app: Testable, options: TestClientOptions = {}): TestClient {
  checkTestable(app);
  checkNames(options, { origin: true, headers: true } satisfies NamesOf<TestClientOptions>, "createTestClient()");
  return new TestClient(app, options);
}
