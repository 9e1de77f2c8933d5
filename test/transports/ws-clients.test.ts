// What clients of graphql-ws, tRPC and partysocket do when their session ends: with each of our close codes they stay
// away or come back, as the end asks for. The real clients and servers of these packages.
import { once } from "node:events";
import { createRequire } from "node:module";
import { setTimeout } from "node:timers/promises";
import { initTRPC } from "@trpc/server";
import { applyWSSHandler } from "@trpc/server/adapters/ws";
import { createTRPCClient, createWSClient, wsLink } from "@trpc/client";
import type * as GraphQL from "graphql";
import { createClient } from "graphql-ws";
import { useServer } from "graphql-ws/use/ws";
import { WebSocket as PartySocket } from "partysocket";
import { expect, onTestFinished, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { shouldRetry } from "../../src/client/index.js";
import { closeCodeOf } from "../../src/statuses.js";
import { help, type SessionCode } from "../../src/errors.js";
import { liveStore } from "../../src/index.js";
import { startApp } from "../support/app.js";
import type { Browser } from "../support/browser.js";
import { LineStore } from "../support/stores.js";

// graphql-ws loads it as CommonJS; as an ES module it would be another one.
const { GraphQLObjectType, GraphQLSchema, GraphQLString } = createRequire(import.meta.url)("graphql") as typeof GraphQL;

const schema = new GraphQLSchema({
  query: new GraphQLObjectType({ name: "Query", fields: { hello: { type: GraphQLString } } }),
  subscription: new GraphQLObjectType({
    name: "Subscription",
    fields: {
      user: {
        type: GraphQLString,
        async *subscribe(_root: unknown, _args: unknown, socket: WebSocket) {
          yield { user: socket.session.user };
          await once(socket, "close");
        },
      },
    },
  }),
});

const { procedure, router } = initTRPC.context<{ user: string }>().create();
const appRouter = router({
  user: procedure.subscription(async function* ({ ctx, signal }) {
    yield ctx.user;
    await new Promise((resolve) => signal?.addEventListener("abort", resolve));
  }),
});

interface Kind {
  readonly name: string;
  serve(wss: WebSocketServer): void;
  /** Opens a line that stays open by the client's own means; tells each name that comes over it, and its final end. */
  open(url: string, Socket: typeof WebSocket, told: { user(name: string): void; over(): void }): () => void;
}

const kinds: readonly Kind[] = [
  {
    name: "graphql-ws",
    serve: (wss) => onTestFinished(useServer({ schema, context: ({ extra }) => extra.socket }, wss).dispose as never),
    open(url, webSocketImpl, { user, over }) {
      const client = createClient({
        url,
        webSocketImpl,
        retryAttempts: Infinity,
        retryWait: () => setTimeout(10),
        // By default a refused upgrade is final, as graphql-ws is told of an error then: one without a code.
        shouldRetry: (event) => shouldRetry((event as { code: number }).code),
      });
      client.subscribe<{ user: string }>(
        { query: "subscription { user }" },
        { next: ({ data }) => user(data?.user as string), error: over, complete: over },
      );
      return () => void client.dispose();
    },
  },
  {
    name: "tRPC",
    serve: (wss) =>
      applyWSSHandler({ wss, router: appRouter, createContext: ({ res }) => ({ user: res.session.user as string }) }),
    open(url, Socket, { user, over }) {
      const client = createWSClient({
        url,
        WebSocket: Socket as never,
        retryDelayMs: () => 0,
        onClose: (cause) => {
          if (!cause?.code || shouldRetry(cause.code)) return;
          void client.close();
          over();
        },
      });
      const trpc = createTRPCClient<typeof appRouter>({ links: [wsLink({ client })] });
      trpc.user.subscribe(undefined, { onData: (value) => user(value) });
      return () => void client.close();
    },
  },
  {
    name: "partysocket",
    serve: (wss) => wss.on("connection", (socket) => socket.send(socket.session.user as string)),
    open(url, Socket, { user, over }) {
      const socket = new PartySocket(url, [], {
        WebSocket: Socket as never,
        minReconnectionDelay: 1,
        maxReconnectionDelay: 10,
        shouldReconnectOnClose: ({ code }) => {
          if (shouldRetry(code)) return true;
          over();
          return false;
        },
      });
      socket.addEventListener("message", ({ data }) => user(String(data)));
      return () => socket.close();
    },
  },
];

for (const { name, serve, open } of kinds) {
  /** A client with a line that was answered once; counts how often a socket was opened. */
  const start = async (): Promise<{
    ada: Browser;
    line: LineStore;
    users: string[];
    over: Promise<void>;
    opened(): number;
  }> => {
    const line = new LineStore();
    const { login, url } = await startApp({
      sessions: { store: liveStore(line), lease: 20, maxStale: 50 },
      attach: false,
      setup({ http, sessions, app }) {
        const wss = new WebSocketServer({
          server: http,
          handleProtocols: (offered) => [...offered][0] ?? false,
        });
        sessions.attach(wss, { allow: ({ user }) => user !== "nobody" });
        serve(wss);
        app.post("/rotate", (req, res) => {
          req.session.regenerate(() => {
            req.session.user = "ada, again";
            res.json({});
          });
        });
      },
    });
    const ada = await login();
    let sockets = 0;
    // What a page's WebSocket does: it sends the cookie that the browser has at that moment.
    class PageSocket extends WebSocket {
      constructor(address: string | URL, protocols?: string | string[]) {
        super(address, protocols, { headers: { cookie: ada.cookie } });
        sockets++;
        this.on("error", () => undefined);
      }
    }
    const users: string[] = [];
    let over: () => void = () => undefined;
    const isOver = new Promise<void>((resolve) => (over = resolve));
    const close = open(url.replace("http", "ws"), PageSocket as typeof WebSocket, {
      user: (user) => users.push(user),
      over,
    });
    onTestFinished(close);
    await expect.poll(() => users).toEqual(["ada"]);
    return { ada, line, users, over: isOver, opened: () => sockets };
  };

  test(`${name}: a logout is final, nobody comes back`, async () => {
    const { ada, users, over, opened } = await start();
    await ada.post("/logout");
    await over;
    expect(opened()).toBe(1);
    expect(users).toEqual(["ada"]);
  });

  test(`${name}: a session that is not allowed any more is final, too`, async () => {
    const { ada, users, over, opened } = await start();
    await ada.post("/set", { user: "nobody" });
    await over;
    expect(opened()).toBe(1);
    expect(users).toEqual(["ada"]);
  });

  test(`${name}: after a rotation the client comes back, and what it subscribed to goes on`, async () => {
    const { ada, users } = await start();
    await ada.post("/rotate");
    await expect.poll(() => users).toEqual(["ada", "ada, again"]);
  });

  test(`${name}: closed while the store did not answer, it comes back when the store does`, async () => {
    const { line, users, opened } = await start();
    line.state = "fails";
    await expect.poll(opened).toBeGreaterThan(1);
    line.state = "up";
    await expect.poll(() => users).toEqual(["ada", "ada"]);
  });
}

test("shouldRetry() is false for the close codes of what is final, and for no other", async () => {
  const codes = Object.keys(closeCodeOf) as SessionCode[];
  // A ticket is fetched anew by whoever has a session; the line that it was for is over.
  for (const code of codes.filter((each) => each !== "TICKET_INVALID")) {
    expect([code, shouldRetry(closeCodeOf[code])]).toEqual([code, help[code].retry === true]);
  }
  for (const code of [1000, 1001, 1005, 1006, 1011, 1012]) expect(shouldRetry(code)).toBe(true);
});

test("no close code of ours means something else to graphql-ws", async () => {
  const { CloseCode } = await import("graphql-ws");
  const meanings = Object.values(closeCodeOf).map((code) => CloseCode[code]);
  expect(new Set(meanings)).toEqual(new Set([undefined, "Unauthorized"]));
});
