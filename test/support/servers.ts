// The kinds of servers that the contract is run against: each with its real server and its real client, behind one
// small protocol: a client sends a text and gets the handler's answer.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request, type Server as HttpServer } from "node:http";
import { Server as EngineServer, type ServerOptions } from "engine.io";
import { Socket as EngineClient } from "engine.io-client";
import type { Server as SocketIoServer } from "socket.io";
import { type RawData, WebSocket, WebSocketServer } from "ws";
import type { AttachOptions, Sessions, SocketSession } from "../../src/index.js";
import { type Browser, connected } from "./browser.js";
import type { StreamOptions } from "../../src/index.js";
import { openStream } from "./stream.js";

/** A socket on the server, of any kind. */
export interface Holder {
  readonly session: SocketSession;
  once(event: "close" | "disconnect", listener: () => void): unknown;
}

export interface Client {
  /** Sends a text; resolves with the answer of the server's handler. */
  ask(text: string): Promise<unknown>;
  /** Resolves when the connection was closed from the other side: with the code that the client was told. */
  readonly ended: Promise<string | undefined>;
  close(): void;
}

export interface Handlers {
  opened(socket: Holder): void;
  /** What it returns is the answer. */
  asked(socket: Holder, text: string): unknown;
}

export interface ConnectOptions {
  readonly headers?: Record<string, string>;
}

export interface ServerKind {
  readonly name: string;
  readonly ways: readonly string[];
  readonly path: string;
  /** The event that handlers of this kind hear when a socket closes. */
  readonly closeEvent: "close" | "disconnect";
  /** True where clients send nothing over their connection. */
  readonly isOneWay?: true;
  /** Without a `server` to attach it has used the sessions and the options itself. */
  create(
    beside: {
      http: HttpServer;
      io: SocketIoServer;
      pings: Pick<ServerOptions, "pingInterval" | "pingTimeout">;
      sessions: Sessions;
      attach: AttachOptions | undefined;
    },
    handlers: Handlers,
  ): { server?: object; close(): void };
  /** Rejects with `{ code }` where the server refuses. */
  connect(browser: Browser, way: string, options?: ConnectOptions): Promise<Client>;
}

/** Why a client was refused. */
export class Refusal extends Error {
  readonly code: string | undefined;
  readonly status: number | undefined;
  constructor(code: string | undefined, status?: number) {
    super(`refused: ${code}`);
    this.code = code;
    this.status = status;
  }
}

/** Questions and answers are numbered, as raw connections have no acknowledgements. */
class Questions {
  #count = 0;
  readonly #open = new Map<number, (answer: unknown) => void>();

  ask(text: string, send: (message: string) => void): Promise<unknown> {
    const number = ++this.#count;
    return new Promise((resolve) => {
      this.#open.set(number, resolve);
      send(JSON.stringify([number, text]));
    });
  }

  answered(message: string): void {
    const [number, answer] = JSON.parse(message) as [number, unknown];
    this.#open.get(number)?.(answer);
    this.#open.delete(number);
  }
}

async function answer(message: string, handle: (text: string) => unknown): Promise<string> {
  const [number, text] = JSON.parse(message) as [number, string];
  return JSON.stringify([number, (await handle(text)) ?? null]);
}

function headersOf(browser: Browser, options: ConnectOptions = {}): Record<string, string> {
  return { ...(browser.cookies.size > 0 && { cookie: browser.cookie }), ...options.headers };
}

export const socketIo: ServerKind = {
  name: "Socket.IO",
  path: "/socket.io/",
  ways: ["polling", "websocket", "upgrade"],
  closeEvent: "disconnect",
  create({ io }, { opened, asked }) {
    io.on("connection", (socket) => {
      opened(socket);
      socket.on("ask", async (text: string, done) => done((await asked(socket, text)) ?? null));
    });
    return { server: io, close: () => undefined };
  },
  async connect(browser, way, { headers = {} } = {}) {
    const socket = browser.socket("/", { via: way as never, extraHeaders: headers });
    let told: string | undefined;
    socket.on("session:end", ({ code }: { code: string }) => (told = code));
    const ended = new Promise<string | undefined>((resolve) => socket.once("disconnect", () => resolve(told)));
    try {
      await connected(socket);
    } catch (error) {
      throw new Refusal((error as { data?: { code?: string } }).data?.code);
    }
    if (way === "upgrade" && socket.io.engine.transport.name !== "websocket") {
      await Promise.race([new Promise((resolve) => socket.io.engine.once("upgrade", resolve)), ended]);
    }
    return {
      ask: (text) => new Promise((resolve) => socket.emit("ask", text, resolve)),
      ended,
      close: () => socket.disconnect(),
    };
  },
};

export const engineIo: ServerKind = {
  name: "Engine.IO",
  path: "/engine.io/",
  ways: ["polling", "websocket", "upgrade"],
  closeEvent: "close",
  create({ http, pings }, { opened, asked }) {
    const engine = new EngineServer(pings);
    engine.attach(http, { path: "/engine.io" });
    engine.on("connection", (socket) => {
      opened(socket);
      socket.on("message", async (message: string) => {
        socket.send(await answer(message, (text) => asked(socket, text)));
      });
    });
    return { server: engine, close: () => engine.close() };
  },
  async connect(browser, way, options) {
    const socket = new EngineClient(browser.url, {
      path: "/engine.io",
      transports: way === "upgrade" ? ["polling", "websocket"] : [way as never],
      extraHeaders: headersOf(browser, options),
    });
    const questions = new Questions();
    let failure: EngineFailure | undefined;
    socket.on("error", (error) => (failure = error as EngineFailure));
    socket.on("message", (message: string) => questions.answered(message));
    const ended = new Promise<string | undefined>((resolve) =>
      socket.on("close", (_reason, description) => resolve(codeOf(description as EngineFailure) ?? codeOf(failure))),
    );
    const isOpen = await Promise.race([new Promise((resolve) => socket.on("open", () => resolve(true))), ended]);
    // A client learns of a refused WebSocket only that it was: what was said can be read off the wire.
    if (isOpen !== true) throw new Refusal(codeOf(failure) ?? (await refusalOnTheWire(engineIo, browser, options)));
    if (way === "upgrade" && socket.transport.name !== "websocket") {
      await Promise.race([new Promise((resolve) => socket.once("upgrade", resolve)), ended]);
    }
    return {
      ask: (text) => questions.ask(text, (message) => void socket.send(message)),
      ended,
      close: () => socket.close(),
    };
  },
};

interface EngineFailure {
  readonly description?: unknown;
  readonly context?: { readonly responseText?: string; readonly reason?: string };
}

/** What Engine.IO's client knows of a close or a refusal: the WebSocket's close event, or the answer to a poll. */
function codeOf(failure: EngineFailure | undefined): string | undefined {
  const { reason, responseText } = failure?.context ?? {};
  if (reason) return reason;
  // A line that broke has an error's text here.
  const { code, message } = parsed(responseText ?? "") ?? {};
  return typeof code === "string" ? code : message;
}

export const webSocket: ServerKind = {
  name: "ws",
  path: "/ws",
  ways: ["websocket"],
  closeEvent: "close",
  create({ http }, { opened, asked }) {
    const server = new WebSocketServer({ server: http, path: "/ws" });
    server.on("connection", (socket) => {
      opened(socket);
      socket.on("message", (data) => {
        void answer(textOf(data), (text) => asked(socket, text)).then((message) => socket.send(message));
      });
    });
    return { server, close: () => server.close() };
  },
  async connect(browser, _way, options) {
    const socket = new WebSocket(`${browser.url.replace("http", "ws")}/ws`, { headers: headersOf(browser, options) });
    const questions = new Questions();
    socket.on("message", (data) => questions.answered(textOf(data)));
    const ended = new Promise<string | undefined>((resolve) =>
      socket.on("close", (_code, reason) => resolve(String(reason) || undefined)),
    );
    await new Promise<void>((resolve, reject) => {
      socket.on("open", resolve);
      socket.on("error", reject);
      socket.on("unexpected-response", (_request, response) => {
        void bodyOf(response).then((body) => reject(new Refusal(parsed(body)?.code, response.statusCode)));
      });
    });
    return {
      ask: (text) => questions.ask(text, (message) => socket.send(message)),
      ended,
      close: () => socket.close(),
    };
  },
};

/** Streams without the session middleware. What a client asks is a request of its own, and the answer an event. */
export const stream: ServerKind = {
  name: "stream",
  path: "/stream",
  ways: ["HTTP/1.1"],
  closeEvent: "close",
  isOneWay: true,
  create({ http, sessions, attach }, { opened, asked }) {
    const handlers = new Map<string, (text: string) => Promise<void>>();
    const [app] = http.listeners("request") as ((...values: unknown[]) => void)[];
    http.removeAllListeners("request");
    http.on("request", (request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
      if (pathname === "/stream/ask") {
        void handlers.get(searchParams.get("id") ?? "")?.(searchParams.get("text") ?? "");
        response.end();
      } else if (pathname === "/stream") {
        const opening = sessions.stream(request, response, attach as StreamOptions);
        void opening.ready.then((isIn) => {
          if (!isIn) return;
          const id = randomBytes(6).toString("hex");
          const holder: Holder = {
            get session() {
              return opening.session;
            },
            once: (event, listener) => response.once(event, listener),
          };
          opened(holder);
          handlers.set(id, async (text) => {
            opening.send("answer", await answer(text, (question) => asked(holder, question)));
          });
          opening.send("open", { id });
        });
      } else app?.(request, response);
    });
    return { close: () => undefined };
  },
  async connect(browser, _way, { headers = {} } = {}) {
    const client = await openStream(browser, "/stream", { headers });
    if (client.status !== 200) {
      await client.over;
      throw new Refusal(parsed(client.text())?.code, client.status);
    }
    const { id } = await client.next<{ id: string }>("open");
    const questions = new Questions();
    const answers = async (): Promise<void> => {
      for (;;) questions.answered(JSON.stringify(await client.next("answer")));
    };
    void answers().catch(() => undefined);
    const ended = client.over.then(async () => {
      const end = client.events.at(-1);
      return end?.event === "session:end" ? parsed(end.data)?.code : undefined;
    });
    return {
      ask: (text) =>
        questions.ask(text, (message) => {
          void browser.fetch(`/stream/ask?${new URLSearchParams({ id, text: message }).toString()}`).catch(() => {});
        }),
      ended,
      close: client.close,
    };
  },
};

function textOf(data: RawData): string {
  return (data as Buffer).toString();
}

function parsed(body: string): { code?: string; message?: string } | undefined {
  try {
    return JSON.parse(body) as { code?: string; message?: string };
  } catch {
    return undefined;
  }
}

async function refusalOnTheWire(kind: ServerKind, browser: Browser, options?: ConnectOptions): Promise<string> {
  const asked = arriving(kind, browser, "websocket", options);
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  return bodyOf(response);
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  let body = "";
  for await (const piece of response as AsyncIterable<Buffer>) body += piece.toString();
  return body;
}

/** A bare handshake that is under way; its client leaves when the returned function is called. */
export function arrive(kind: ServerKind, browser: Browser, way: string): () => void {
  const asked = arriving(kind, browser, way);
  asked.on("error", () => undefined);
  return () => asked.destroy();
}

function arriving(kind: ServerKind, browser: Browser, way: string, options?: ConnectOptions): ClientRequest {
  const isUpgrade = way === "websocket";
  const asked = request(`${browser.url}${kind.path}?EIO=4&transport=${isUpgrade ? way : "polling"}`, {
    agent: false,
    headers: {
      ...headersOf(browser, options),
      ...(isUpgrade && {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": randomBytes(16).toString("base64"),
      }),
    },
  });
  return asked.end();
}

/** What a bare handshake is answered with: its cookies. */
export async function handshake(kind: ServerKind, browser: Browser, way: string): Promise<string[]> {
  const path = `${kind.path}?EIO=4&transport=${way === "websocket" ? way : "polling"}`;
  if (way !== "websocket") return (await browser.fetch(path)).headers.getSetCookie();
  const socket = new WebSocket(browser.url.replace("http", "ws") + path, { headers: headersOf(browser) });
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("upgrade", ({ headers }) => {
      const cookies = headers["set-cookie"] ?? [];
      for (const line of cookies) browser.take(line);
      resolve(cookies);
      socket.on("open", () => socket.terminate());
    });
  });
}
