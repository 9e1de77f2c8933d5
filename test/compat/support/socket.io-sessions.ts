// What the tests of socket.io-sessions share: pages that run its client script in Node, and what the server tells.
import { runInNewContext } from "node:vm";
import { expect } from "vitest";
import sio from "../../../src/compat/socket.io-sessions.js";
import type { Browser } from "../../support/browser.js";
import { type ClientSocket, type Row, type Stack, type StackOptions, startStack } from "./stacks.js";

export const scriptPath = "/socket.io/socket.io-sessions.js";

export interface SessionApp extends Stack {
  /** What enable() returned. */
  readonly socket: any;
  /** What was told, in order: [event, client, session]. */
  readonly told: [event: string, client: any, session: any][];
  /** The first of these events: its client and session. */
  next(event: "sconnection" | "sinvalid"): Promise<{ client: any; session: any }>;
  /** A page of this browser: runs the script, and connects. */
  page(browser: Browser | undefined, options?: PageOptions): Promise<ClientSocket>;
  /** What is stored for this browser; undefined where there is nothing. */
  stored(browser: Browser): Promise<any>;
  /** How often the store was read. */
  reads(): number;
}

interface PageOptions {
  /** The socket's handshake has this cookie instead of the browser's. */
  readonly cookie?: string | undefined;
  /** The script that was read before. */
  readonly script?: string;
  /** Further headers of the socket's handshake. */
  readonly headers?: Record<string, string>;
}

interface SessionAppOptions extends StackOptions {
  /** Further options of enable(). */
  readonly enable?: object | ((stack: Stack) => object);
  /** As if in another process. */
  readonly module?: typeof sio;
  /** Handlers of the test. */
  readonly handlers?: (socket: any) => void;
}

/** Starts a stack with sessions enabled. */
export async function startSessions({ stack: kind, via }: Row, options: SessionAppOptions = {}): Promise<SessionApp> {
  let socket: any;
  let reads = 0;
  const told: SessionApp["told"] = [];
  const waiting: (() => void)[] = [];
  const app = await startStack(kind, {
    via,
    ...options,
    setup(stack) {
      options.setup?.(stack);
      const { io, store, cookieParser } = stack;
      const { get } = store;
      store.get = (...values: unknown[]) => {
        reads++;
        return get.apply(store, values);
      };
      const more = typeof options.enable === "function" ? options.enable(stack) : options.enable;
      socket = (options.module ?? sio).enable({
        socket: io,
        store,
        parser: kind.name.includes("1.9") ? unsigned(stack) : cookieParser,
        ...more,
      });
      options.handlers?.(socket);
      for (const event of ["sconnection", "sinvalid"]) {
        socket.on(event, (client: any, session: any) => {
          told.push([event, client, session]);
          for (const check of waiting) check();
        });
      }
    },
  });
  const ids = new Map<Browser, string>();
  const idOf = async (browser: Browser): Promise<string> => {
    const id = ids.get(browser) ?? (await browser.get<string>("/id"));
    ids.set(browser, id);
    return id;
  };
  const { login } = app;
  return Object.assign(app, {
    socket,
    told,
    reads: () => reads,
    async login(fields?: object) {
      const browser = await login(fields);
      await idOf(browser);
      return browser;
    },
    next(event: string): Promise<any> {
      return new Promise((resolve) => {
        const check = (): void => {
          const found = told.find(([name]) => name === event);
          if (found) resolve({ client: found[1], session: found[2] });
        };
        waiting.push(check);
        check();
      });
    },
    async page(browser: Browser | undefined, given: PageOptions = {}) {
      const cookie = "cookie" in given ? given.cookie : browser?.cookie;
      const script = given.script ?? (await (await (browser ?? app.browser()).fetch(scriptPath)).text());
      return connected(
        run(script, () => collect(app.open(cookie, { headers: given.headers ?? {} }))),
        via,
      );
    },
    async stored(browser: Browser): Promise<any> {
      const id = await idOf(browser);
      return new Promise((resolve, reject) => {
        app.store.get(id, (error: unknown, session: unknown) =>
          error ? reject(error as Error) : resolve(session ?? undefined),
        );
      });
    },
  });
}

/** Runs the script as a page does, and calls io.connectWithSession(). */
export function run(script: string, connect: (...values: any[]) => ClientSocket): ClientSocket {
  const io: any = { connect };
  runInNewContext(script, { io });
  return io.connectWithSession();
}

/** Sends this payload instead of the script. */
export async function tell(app: SessionApp, cookie: string | undefined, ...payload: unknown[]): Promise<ClientSocket> {
  const client = await app.connect(cookie);
  client.emit("connect_with_session", ...payload);
  return client;
}

/** The id that the cookie holds, as the browser sends it. */
export function rawId(browser: Browser): string {
  return decodeURIComponent(browser.cookies.get("connect.sid") ?? "")
    .replace(/^s:/, "")
    .replace(/\.[^.]*$/, "");
}

/** The ticket in a script. */
export function ticketIn(script: string): string | null {
  const match = /\}\)\((null|"[\w-]*"), \d+\);\s*$/.exec(script);
  expect(match).not.toBeNull();
  return JSON.parse(match?.[1] ?? "null") as string | null;
}

/** Connect 1.9 did not sign cookies: its parser takes no secret. */
function unsigned({ makeCookieParser }: Stack): any {
  return makeCookieParser();
}

const inboxes = new WeakMap<ClientSocket, { messages: unknown[]; waiting: ((message: unknown) => void)[] }>();

/** Collects a page's messages from the start. */
function collect(client: ClientSocket): ClientSocket {
  const inbox = { messages: [] as unknown[], waiting: [] as ((message: unknown) => void)[] };
  inboxes.set(client, inbox);
  client.on("message", (message: unknown) => {
    const next = inbox.waiting.shift();
    if (next) next(message);
    else inbox.messages.push(message);
  });
  return client;
}

/** The next message that a page has not looked at. */
export function nextMessage(page: ClientSocket): Promise<unknown> {
  const inbox = inboxes.get(page);
  return new Promise((resolve) => {
    if (inbox && inbox.messages.length > 0) resolve(inbox.messages.shift());
    else inbox?.waiting.push(resolve);
  });
}

async function connected(client: ClientSocket, via: string): Promise<ClientSocket> {
  await new Promise<void>((resolve) => client.once("connect", () => resolve()));
  const engine = (client as any).io?.engine;
  if (via === "upgrade" && engine.transport.name !== "websocket") {
    await new Promise((resolve) => engine.once("upgrade", resolve));
  }
  return client;
}
