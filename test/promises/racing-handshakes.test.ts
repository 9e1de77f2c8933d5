// A session that ends, or is not allowed any more, while a client of it comes in: at each step of the handshake between two
// microtasks. Who came in too late is told and closed like all others.
import { once } from "node:events";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server as EngineServer } from "engine.io";
import { io as connectSocketIo } from "socket.io-client";
import { expect, onTestFinished, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import type { AttachOptions } from "../../src/index.js";
import { startApp } from "../support/app.js";
import type { Browser } from "../support/browser.js";
import { openStream } from "../support/stream.js";

/** More than a handshake has. */
const steps = 30;

async function microtasks(count: number): Promise<void> {
  for (let at = 0; at < count; at++) await undefined;
}

async function listen(http: HttpServer): Promise<string> {
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  onTestFinished(() => void http.close());
  return `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

/** Resolves when the client was refused, or closed. */
function webSocketOver(url: string, { cookie }: Browser, ...protocols: string[]): Promise<unknown> {
  const socket = new WebSocket(url, protocols, { headers: { cookie } });
  // One that is refused emits "error" before.
  socket.on("error", () => undefined);
  return new Promise((resolve) => void socket.on("close", resolve));
}

async function start(during: () => Promise<void>) {
  const allow: NonNullable<AttachOptions["allow"]> = (session, request) => {
    const isAllowed = session.user === "ada";
    return request ? during().then(() => isAllowed) : isAllowed;
  };
  const options = { allow, tickets: true };
  const app = await startApp({
    attach: options,
    setup({ app, sessions }) {
      app.use("/my/session", sessions.routes);
      app.get("/events", (req, res) => void sessions.stream(req, res, { allow }).open());
    },
  });
  const { sessions } = app;
  const engineHttp = createServer();
  const engine = new EngineServer();
  engine.attach(engineHttp);
  sessions.attach(engine, { allow });
  const wsHttp = createServer();
  const wss = new WebSocketServer({ server: wsHttp });
  sessions.attach(wss, options);
  const [engineUrl, wsUrl] = [await listen(engineHttp), await listen(wsHttp)];
  const ticketOf = async (browser: Browser): Promise<string> => {
    const response = await browser.fetch("/my/session/ticket", { method: "POST" });
    return ((await response.json()) as { ticket: string }).ticket;
  };
  const socketIoOver = (browser: Browser, auth: object): Promise<unknown> => {
    const socket = connectSocketIo(app.url, {
      transports: ["websocket"],
      reconnection: false,
      forceNew: true,
      auth,
      extraHeaders: "session" in auth ? {} : { cookie: browser.cookie },
    });
    return new Promise((resolve) => socket.on("disconnect", resolve).on("connect_error", resolve));
  };
  const over = {
    "Socket.IO": (browser: Browser) => socketIoOver(browser, {}),
    "Socket.IO, with a ticket": async (browser: Browser) =>
      socketIoOver(browser, { session: { v: 1, ticket: await ticketOf(browser) } }),
    "Engine.IO": (browser: Browser) => webSocketOver(`${engineUrl}/engine.io/?EIO=4&transport=websocket`, browser),
    ws: (browser: Browser) => webSocketOver(wsUrl, browser),
    "ws, with a ticket": async (browser: Browser) =>
      webSocketOver(wsUrl, app.browser(), `session.ticket.${await ticketOf(browser)}`),
    "a stream": async (browser: Browser) => (await openStream(browser)).over,
  };
  return { ...app, over };
}

test.each(["Socket.IO", "Socket.IO, with a ticket", "Engine.IO", "ws", "ws, with a ticket", "a stream"] as const)(
  "%s",
  async (kind) => {
    let during = (): Promise<void> => Promise.resolve();
    let ending: Promise<unknown> | undefined;
    const { login, over, sessions } = await start(() => during());
    const ends = {
      destroy: (id: string): Promise<unknown> => sessions.destroy(id),
      forbid: (id: string): Promise<unknown> => sessions.update(id, (session) => (session.user = "banned")),
    };
    for (let step = 0; step < steps; step++) {
      for (const end of ["destroy", "forbid"] as const) {
        const ada = await login("ada");
        const id = ada.sessionId;
        during = async () => {
          during = () => Promise.resolve();
          ending = microtasks(step).then(() => ends[end](id));
          await microtasks(3);
        };
        ending = undefined;
        await over[kind](ada);
        expect(ending).toBeDefined();
        await ending;
      }
    }
    await expect.poll(() => sessions.size).toBe(0);
  },
);
