// What applications rely on in express-socket.io-session, line by line, on each stack that it is used with.
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import sharedsession, { type SharedSessionOptions } from "../../src/compat/express-socket.io-session.js";
import { memoryStore } from "../../src/index.js";
import type { Browser } from "../support/browser.js";
import { LineStore } from "../support/stores.js";
import {
  type ClientSocket,
  outermost,
  received,
  type Row,
  type Stack,
  stacksWith,
  startStack,
} from "./support/stacks.js";

interface Options {
  /** Of sharedsession(); the middleware itself can be given instead. */
  readonly shared?: SharedSessionOptions | ((stack: Stack) => any);
  readonly namespaces?: readonly string[];
  /** Handlers of the test, on each socket. */
  readonly on?: (socket: any, stack: Stack) => void;
  readonly store?: unknown;
  readonly key?: string;
  readonly session?: object;
}

/** The stack with sharedsession(), and a few handlers that most tests want. */
function start({ stack, via }: Row, { shared = {}, namespaces = ["/"], on, ...options }: Options = {}): Promise<Stack> {
  return startStack(stack, {
    via,
    ...options,
    setup(app) {
      const middleware = typeof shared === "function" ? shared(app) : sharedsession(app.session, shared);
      for (const name of namespaces) {
        app.io.of(name).use(middleware);
        app.io.of(name).on("connection", (socket: any) => {
          const { handshake } = socket;
          socket.on("read", (reply: any) => reply(dataOf(handshake.session)));
          socket.on("set", (fields: object, reply: any) => {
            Object.assign(handshake.session, fields);
            reply();
          });
          socket.on("save", (reply: any) =>
            handshake.session.save((error: unknown) => reply(error ? "failed" : "saved")),
          );
          on?.(socket, app);
        });
      }
    },
  });
}

function dataOf(session: any): any {
  if (!session) return null;
  const { cookie: _, ...fields } = session;
  return { id: session.id, fields };
}

/** Sends an event and resolves with what the handler replies. */
function ask(client: ClientSocket, event: string, ...values: unknown[]): Promise<any> {
  return new Promise((resolve) => client.emit(event, ...values, resolve));
}

/** Waits until a request sees these fields. */
function seen(browser: Browser, fields: object): Promise<void> {
  return expect.poll(() => browser.get("/session"), { interval: 10 }).toMatchObject(fields);
}

function stored(app: Stack, id: string): Promise<any> {
  return new Promise((resolve, reject) => {
    app.store.get(id, (error: unknown, data: unknown) => (error ? reject(error as Error) : resolve(data)));
  });
}

function count(store: any): Promise<number> {
  return new Promise((resolve, reject) => {
    store.length((error: unknown, length: number) => (error ? reject(error as Error) : resolve(length)));
  });
}

/** Fails the test if the process would have crashed. */
function watchForCrashes(): void {
  const crashes: unknown[] = [];
  const listener = (error: unknown): void => void crashes.push(error);
  for (const event of ["uncaughtException", "unhandledRejection"]) process.on(event, listener);
  onTestFinished(() => {
    for (const event of ["uncaughtException", "unhandledRejection"]) process.off(event, listener);
    expect(crashes).toEqual([]);
  });
}

const noSession = { id: expect.stringMatching(/^[\w-]{32}$/) as string, fields: {} };

const rows = stacksWith("4", "3.1", "2.5", "1.7");

describe.each(rows)("$title", (row) => {
  test("io.use(sharedsession(session)): socket.handshake.session is the session of the HTTP client", async () => {
    const app = await start(row);
    const browser = await app.login({ user: "ada" });
    const client = await app.connect(browser.cookie);
    expect(await ask(client, "read")).toEqual({ id: await browser.get("/id"), fields: { user: "ada" } });
  });

  test("main namespace and a custom namespace on the same connection both see it", async () => {
    const app = await start(row, { namespaces: ["/", "/chat"] });
    const browser = await app.login({ user: "ada" });
    const client = await app.connect(browser.cookie);
    const chat = await app.connect(browser.cookie, { namespace: "/chat", beside: client });
    const data = { id: await browser.get("/id"), fields: { user: "ada" } };
    expect(await ask(client, "read")).toEqual(data);
    expect(await ask(chat, "read")).toEqual(data);
  });

  test("no cookie: a fresh session as express-session makes one, and the connection is accepted", async () => {
    const app = await start(row, { session: { cookie: { maxAge: 60_000 } } });
    const client = await app.connect(undefined);
    expect(await ask(client, "read")).toEqual(noSession);
    const [{ handshake }] = app.sockets();
    expect(handshake.session).toBeInstanceOf(app.sessionModule.Session);
    expect(handshake.session.cookie).toMatchObject({ path: "/", httpOnly: true });
    // express-session computes it from two readings of the clock.
    expect(handshake.session.cookie.originalMaxAge).toBeCloseTo(60_000, -4);
    await ask(client, "set", { count: 1 });
    expect(await ask(client, "save")).toBe("saved");
    expect(await stored(app, handshake.sessionID)).toMatchObject({ count: 1 });
  });

  test("tampered cookie: a fresh session, never the victim's", async () => {
    const app = await start(row);
    const victim = await app.login({ user: "ada" });
    const tampered = victim.cookie.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    const { id, fields } = await ask(await app.connect(tampered), "read");
    expect(fields).toEqual({});
    expect(id).not.toBe(await victim.get("/id"));
  });

  test("session.save() in a handler is seen over HTTP; logout removes it", async () => {
    const app = await start(row, {
      on(socket) {
        socket.on("login", (user: string, reply: any) => {
          socket.handshake.session.user = user;
          socket.handshake.session.save(reply);
        });
        socket.on("logout", (reply: any) => {
          delete socket.handshake.session.user;
          socket.handshake.session.save(reply);
        });
      },
    });
    const browser = await app.login({ other: "kept" });
    const client = await app.connect(browser.cookie);
    await ask(client, "login", "ada");
    expect(await browser.get("/session")).toEqual({ other: "kept", user: "ada" });
    await ask(client, "logout");
    expect(await browser.get("/session")).toEqual({ other: "kept" });
  });

  test("autoSave:true stores a change made in an event handler", async () => {
    const app = await start(row, { shared: { autoSave: true } });
    const browser = await app.login({ count: 1, nested: { a: 1 } });
    const client = await app.connect(browser.cookie);
    await ask(client, "set", { count: 2 });
    await seen(browser, { count: 2 });
    app.sockets()[0].handshake.session.nested.a = 2;
    await seen(browser, { nested: { a: 2 } });
  });

  test("a store error refuses the connection (is not swallowed)", async () => {
    const store = new LineStore();
    const app = await start(row, { shared: { autoSave: true }, store });
    const browser = await app.login();
    store.state = "fails";
    const told = received(app.open(browser.cookie), row.stack.version > "3" ? "connect_error" : "error");
    const error = await told;
    // What the store says is not for clients.
    expect(error.data ?? error).toEqual({ code: "STORE_UNAVAILABLE", retry: true });
    expect(`${error.message}`).not.toContain("connection refused");
    store.state = "up";
    expect((await ask(await app.connect(browser.cookie), "read")).fields).toEqual({ user: "ada" });
  });

  test("autoSave does not resurrect a session destroyed over HTTP (logout)", async () => {
    const app = await start(row, { shared: { autoSave: true } });
    const browser = await app.login();
    const id = await browser.get<string>("/id");
    const client = await app.connect(browser.cookie);
    await ask(client, "set", { count: 1 });
    await seen(browser, { count: 1 });
    await browser.post("/logout");
    await ask(client, "set", { count: 2 });
    // One after the other: the first answers when what was saved by itself before it is through.
    for (let times = 0; times < 2; times++) expect(await ask(client, "save")).toBe("saved");
    expect(await stored(app, id)).toBeFalsy();
    expect(await count(app.store)).toBe(0);
  });

  // Every other rule once on today's stack, and once on the oldest.
  if (!outermost(rows).includes(row)) return;

  test("exports a function returning a socket.io middleware (socket, next)", async () => {
    const app = await start(row, { shared: ({ session }) => sharedsession(session) });
    expect(sharedsession(app.session)).toBeTypeOf("function");
    expect(sharedsession(app.session)).toHaveLength(2);
    expect(await ask(await app.connect(undefined), "read")).toEqual(noSession);
  });

  test("sharedsession() itself does not throw and returns a 2-argument function", () => {
    expect(sharedsession(undefined as never)).toHaveLength(2);
    for (const values of [[], [undefined, null], [undefined, undefined, null]]) {
      expect((sharedsession as (...all: unknown[]) => unknown)(...values)).toHaveLength(2);
    }
  });

  test("it is what req.session is (id, cookie, save, reload, touch, destroy, regenerate)", async () => {
    const app = await start(row, { session: { cookie: { maxAge: 60_000 } } });
    const browser = await app.login({ user: "ada" });
    await app.connect(browser.cookie);
    const [{ handshake }] = app.sockets();
    const { session } = handshake;
    expect(session).toBeInstanceOf(app.sessionModule.Session);
    expect(session.cookie).toBeInstanceOf(app.sessionModule.Cookie);
    expect(session.id).toBe(await browser.get("/id"));

    await browser.post("/set", { count: 1 });
    await new Promise((resolve) => session.reload(resolve));
    expect(handshake.session).toMatchObject({ user: "ada", count: 1 });
    expect(handshake.session.id).toBe(session.id);

    handshake.session.cookie.expires = new Date(Date.now() + 1000);
    handshake.session.cookie.originalMaxAge = 60_000;
    expect(handshake.session.touch()).toBe(handshake.session);
    expect(handshake.session.cookie.maxAge).toBeGreaterThan(50_000);

    handshake.session.count++;
    expect(await new Promise((resolve) => handshake.session.save(resolve))).toBeFalsy();
    expect(await browser.get("/session")).toMatchObject({ count: 2 });

    expect(await new Promise((resolve) => handshake.session.regenerate(resolve))).toBeFalsy();
    expect(handshake.session.id).not.toBe(session.id);
    expect(handshake.sessionID).toBe(handshake.session.id);
    expect(handshake.session.user).toBeUndefined();
    // express-session takes it from two readings of the clock.
    expect(handshake.session.cookie.originalMaxAge).toBeCloseTo(60_000, -4);
    expect(await stored(app, session.id)).toBeFalsy();

    const { id } = handshake.session;
    handshake.session.user = "grace";
    await new Promise((resolve) => handshake.session.save(resolve));
    expect(await stored(app, id)).toMatchObject({ user: "grace" });
    expect(await new Promise((resolve) => handshake.session.destroy(resolve))).toBeFalsy();
    expect(handshake.session).toBeUndefined();
    expect(await stored(app, id)).toBeFalsy();
  });

  test("available already in a later io.use() and inside the connection handler", async () => {
    const users: unknown[] = [];
    const app = await start(row, {
      shared: ({ io, session }) => {
        io.use(sharedsession(session));
        return (socket: any, next: () => void) => {
          users.push(socket.handshake.session.user);
          next();
        };
      },
      on: ({ handshake }) => users.push(handshake.session.user),
    });
    const browser = await app.login({ user: "ada" });
    await app.connect(browser.cookie);
    expect(users).toEqual(["ada", "ada"]);
  });

  test("io.of('/namespace').use(sharedsession(session))", async () => {
    const app = await start(row, { namespaces: ["/namespace"] });
    const browser = await app.login({ user: "ada" });
    const client = await app.connect(browser.cookie, { namespace: "/namespace" });
    expect((await ask(client, "read")).fields).toEqual({ user: "ada" });
  });

  test("two clients get their own sessions", async () => {
    const app = await start(row);
    const [ada, grace] = await Promise.all([app.login({ user: "ada" }), app.login({ user: "grace" })]);
    const clients = await Promise.all([app.connect(ada.cookie), app.connect(grace.cookie)]);
    const sessions = await Promise.all(clients.map((client) => ask(client, "read")));
    expect(sessions.map(({ fields }) => fields.user)).toEqual(["ada", "grace"]);
    expect(sessions.map(({ id }) => id)).toEqual([await ada.get("/id"), await grace.get("/id")]);
  });

  test("raw unsigned session id: a fresh session", async () => {
    const app = await start(row);
    const victim = await app.login({ user: "ada" });
    const id = await victim.get<string>("/id");
    for (const raw of [id, `s:${id}`, encodeURIComponent(`j:${JSON.stringify({ id })}`)]) {
      const data = await ask(await app.connect(`connect.sid=${raw}`), "read");
      expect(data.fields).toEqual({});
      expect(data.id).not.toBe(id);
    }
  });

  test("custom cookie name", async () => {
    const app = await start(row, { key: "sid" });
    const browser = await app.login({ user: "ada" });
    expect(browser.cookie).toMatch(/^sid=/);
    expect((await ask(await app.connect(browser.cookie), "read")).fields).toEqual({ user: "ada" });
    const renamed = browser.cookie.replace(/^sid/, "connect.sid");
    expect((await ask(await app.connect(renamed), "read")).fields).toEqual({});
  });

  test("socket.handshake.sessionID and sessionStore are set", async () => {
    const app = await start(row);
    const browser = await app.login();
    await app.connect(browser.cookie);
    const [{ handshake }] = app.sockets();
    expect(handshake.sessionID).toBe(await browser.get("/id"));
    expect(handshake.sessionStore).toBe(app.store);
    // A MemoryStore holds everybody's sessions.
    expect(Object.keys(handshake)).not.toContain("sessionStore");
  });

  test("without autoSave a change without save() is not stored", async () => {
    const app = await start(row);
    const browser = await app.login({ count: 1 });
    const client = await app.connect(browser.cookie);
    await ask(client, "set", { count: 2 });
    // Were it saved, it would be done before what comes now.
    await browser.post("/set", { other: "here" });
    expect((await ask(client, "read")).fields).toEqual({ count: 2 });
    expect(await browser.get("/session")).toEqual({ count: 1, other: "here" });
  });

  test("autoSave in a namespace", async () => {
    const app = await start(row, { shared: { autoSave: true }, namespaces: ["/chat"] });
    const browser = await app.login();
    const client = await app.connect(browser.cookie, { namespace: "/chat" });
    await ask(client, "set", { count: 2 });
    await seen(browser, { user: "ada", count: 2 });
  });

  test("autoSave: the stored value is in a session of a later connection", async () => {
    const app = await start(row, { shared: { autoSave: true } });
    const browser = await app.login();
    const first = await app.connect(browser.cookie);
    await ask(first, "set", { count: 2 });
    first.disconnect();
    await seen(browser, { count: 2 });
    const second = await app.connect(browser.cookie);
    expect((await ask(second, "read")).fields).toEqual({ user: "ada", count: 2 });
  });

  test.each<[string, (session: any) => any]>([
    ["the second", (session) => sharedsession(session, { autoSave: true })],
    ["the third", (session) => sharedsession(session, undefined, { autoSave: true })],
  ])("options may be the second argument, after no cookie parser (%s)", async (_, make) => {
    const app = await start(row, { shared: ({ session }) => make(session) });
    const browser = await app.login();
    await ask(await app.connect(browser.cookie), "set", { count: 2 });
    await seen(browser, { count: 2 });
  });

  test("a cookie-parser instance may be passed", async () => {
    // express-session without a secret takes the parser's.
    const app = await start(row, {
      shared: ({ session, cookieParser }) => sharedsession(session, cookieParser),
      session: { secret: undefined },
    });
    const browser = await app.login();
    const client = await app.connect(`${browser.cookie}; theme=dark`);
    expect((await ask(client, "read")).fields).toEqual({ user: "ada" });
    const [{ handshake }] = app.sockets();
    expect(handshake.cookies).toEqual({ theme: "dark" });
    await ask(client, "set", { count: 2 });
    expect(await ask(client, "save")).toBe("saved");
    expect(await browser.get("/session")).toEqual({ user: "ada", count: 2 });
  });

  test("(session, cookieParser, options)", async () => {
    const app = await start(row, {
      shared: ({ session, cookieParser }) => sharedsession(session, cookieParser, { autoSave: true }),
    });
    const browser = await app.login();
    const client = await app.connect(browser.cookie);
    await ask(client, "set", { count: 2 });
    await seen(browser, { user: "ada", count: 2 });
    expect(app.sockets()[0].handshake.signedCookies).toHaveProperty(["connect.sid"]);
  });

  test.each<[string, any]>([
    ["tells", (_request: unknown, _response: unknown, next: any) => next(new Error("no cookies today"))],
    [
      "throws",
      () => {
        throw new Error("no cookies today");
      },
    ],
  ])("cookie parser error refuses the connection with that message (it %s it)", async (_, parser) => {
    const app = await start(row, { shared: ({ session }) => sharedsession(session, parser) });
    const browser = await app.login();
    expect(await app.refused(browser.cookie)).toContain("no cookies today");
    expect(app.sockets()).toEqual([]);
  });

  test("autoSave does not write when the handler changed nothing", async () => {
    const store = new LineStore();
    const app = await start(row, {
      shared: { autoSave: true },
      store,
      session: { cookie: { maxAge: 60_000 } },
    });
    const browser = await app.login();
    const client = await app.connect(browser.cookie);
    const [{ handshake }] = app.sockets();
    await browser.post("/set", { other: "HTTP" });
    const writes = (): number => store.asked.set + store.asked.touch;
    const before = writes();
    for (let times = 0; times < 3; times++) await ask(client, "read");
    await ask(client, "set", { user: "ada" });
    await new Promise((resolve) => handshake.session.reload(resolve));
    expect(handshake.session.other).toBe("HTTP");
    await ask(client, "set", { count: 1 });
    await expect.poll(() => stored(app, handshake.sessionID)).toMatchObject({ count: 1 });
    for (let times = 0; times < 3; times++) await ask(client, "read");
    expect(writes()).toBe(before + 1);
  });

  test("autoSave refreshes maxAge (touch) when it saves", async () => {
    const app = await start(row, { shared: { autoSave: true }, session: { cookie: { maxAge: 60_000 } } });
    const browser = await app.login();
    const id = await browser.get<string>("/id");
    const expiry = async (): Promise<number> => Date.parse((await stored(app, id)).cookie.expires);
    const data = await stored(app, id);
    data.cookie.expires = new Date(Date.now() + 10_000);
    await new Promise((resolve) => app.store.set(id, data, resolve));
    const client = await app.connect(browser.cookie);
    expect(await expiry()).toBeLessThan(Date.now() + 20_000);
    await ask(client, "set", { count: 1 });
    await expect.poll(() => stored(app, id)).toMatchObject({ count: 1 });
    expect(await expiry()).toBeGreaterThan(Date.now() + 50_000);
  });

  test("saveUninitialized:false and no cookie: nothing is stored by just connecting", async () => {
    for (const options of [{}, { saveUninitialized: false }]) {
      const app = await start(row, { shared: { autoSave: true, ...options } });
      const client = await app.connect(undefined);
      await ask(client, "read");
      expect(await count(app.store)).toBe(0);
      const gone = new Promise((resolve) => app.sockets()[0].on("disconnect", resolve));
      client.disconnect();
      await gone;
      await turn();
      expect(await count(app.store)).toBe(0);
    }
  });

  test.each<[string, unknown[]]>([
    ["none", []],
    ["undefined, with options", [undefined, { autoSave: true }]],
    ["no function", [{ secret: "s" }]],
  ])(
    "a missing (mandatory) session middleware is reported: throws early or refuses, no crash (%s)",
    async (_, values) => {
      watchForCrashes();
      const app = await start(row, { shared: () => (sharedsession as (...all: unknown[]) => any)(...values) });
      const message = await app.refused(undefined);
      expect(message).toContain("sharedsession()");
      expect(await app.refused(undefined)).toBe(message);
    },
  );

  test.each(["handshake.session", "a variable"])(
    "autoSave: a change after an await in the handler is stored (through %s)",
    async (way) => {
      let finish = (): void => undefined;
      const app = await start(row, {
        shared: { autoSave: true },
        on(socket) {
          const { session } = socket.handshake;
          socket.on("later", async (reply: any) => {
            reply();
            await new Promise<void>((resolve) => (finish = resolve));
            if (way === "a variable") session.count = 2;
            else socket.handshake.session.count = 2;
          });
        },
      });
      const browser = await app.login();
      await ask(await app.connect(browser.cookie), "later");
      for (let turns = 0; turns < 20; turns++) await turn();
      expect(await browser.get("/session")).not.toHaveProperty("count");
      finish();
      await seen(browser, { count: 2 });
    },
  );

  test("autoSave: works behind an asynchronous socket.use() middleware", async () => {
    const app = await start(row, {
      shared: { autoSave: true },
      on(socket) {
        const { session } = socket.handshake;
        socket.use(async (_packet: unknown, next: () => void) => {
          for (let turns = 0; turns < 5; turns++) await turn();
          next();
        });
        socket.on("add", () => session.count++);
      },
    });
    const browser = await app.login({ count: 1 });
    const client = await app.connect(browser.cookie);
    client.emit("add");
    await seen(browser, { count: 2 });
  });

  test("autoSave: session.destroy() in a handler does not crash the process", async () => {
    watchForCrashes();
    const app = await start(row, {
      shared: { autoSave: true },
      on(socket) {
        const { session } = socket.handshake;
        socket.on("destroy", (reply: any) => {
          session.count = 2;
          session.destroy(() => reply(dataOf(socket.handshake.session)));
        });
        // https://github.com/oskosk/express-socket.io-session/issues/65
        socket.on("null", (reply: any) => {
          socket.handshake.session = null;
          reply();
        });
        socket.on("change", (reply: any) => {
          session.count = 3;
          reply();
        });
      },
    });
    const browser = await app.login();
    const id = await browser.get<string>("/id");
    const client = await app.connect(browser.cookie);
    expect(await ask(client, "destroy")).toBeNull();
    await ask(client, "change");
    await ask(client, "null");
    expect(await ask(client, "read")).toBeNull();
    expect(await stored(app, id)).toBeFalsy();
    expect(await count(app.store)).toBe(0);
  });

  test("autoSave: a handler that regenerates the session does not crash", async () => {
    watchForCrashes();
    const app = await start(row, {
      shared: { autoSave: true },
      on(socket) {
        socket.on("regenerate", (reply: any) => {
          socket.handshake.session.count = 2;
          socket.handshake.session.regenerate(() => {
            socket.handshake.session.user = "grace";
            reply(dataOf(socket.handshake.session));
          });
        });
      },
    });
    const browser = await app.login();
    const id = await browser.get<string>("/id");
    const client = await app.connect(browser.cookie);
    const { id: newId } = await ask(client, "regenerate");
    expect(newId).not.toBe(id);
    await expect.poll(() => stored(app, newId)).toMatchObject({ user: "grace" });
    await ask(client, "set", { other: "new" });
    await expect.poll(() => stored(app, newId)).toMatchObject({ user: "grace", other: "new" });
    expect(await stored(app, id)).toBeFalsy();
  });

  test("cookie.path below the socket.io path: no crash on events (session absent or found)", async () => {
    watchForCrashes();
    for (const path of ["/app", "/socket.io/below"]) {
      const app = await start(row, { shared: { autoSave: true }, session: { cookie: { path } } });
      const client = await app.connect("connect.sid=s%3Anobody.signed");
      expect(await ask(client, "read")).toBeNull();
      client.emit("nobody listens");
      expect(await ask(client, "read")).toBeNull();
    }
    const app = await start(row, { shared: { autoSave: true }, session: { cookie: { path: "/socket.io" } } });
    expect(await ask(await app.connect(undefined), "read")).toEqual(noSession);
  });

  test("autoSave does not clobber what HTTP stored meanwhile", async () => {
    const app = await start(row, { shared: { autoSave: true } });
    const browser = await app.login({ user: "ada", nested: { a: 1 } });
    const client = await app.connect(browser.cookie);
    await browser.post("/set", { user: "grace", other: "HTTP", nested: { a: 1, b: 2 } });
    await ask(client, "set", { count: 1 });
    app.sockets()[0].handshake.session.nested.a = 3;
    await seen(browser, { user: "grace", other: "HTTP", count: 1, nested: { a: 3, b: 2 } });
  });

  test("autoSave: two namespaces of one client do not overwrite each other", async () => {
    const app = await start(row, { shared: { autoSave: true }, namespaces: ["/", "/chat"] });
    const browser = await app.login();
    const client = await app.connect(browser.cookie);
    const chat = await app.connect(browser.cookie, { namespace: "/chat", beside: client });
    await Promise.all([ask(client, "set", { count: 1 }), ask(chat, "set", { other: "chat" })]);
    await seen(browser, { user: "ada", count: 1, other: "chat" });
  });

  test.each<[string, any]>([
    [
      "at once",
      () => {
        throw new Error("broken");
      },
    ],
    ["later", () => Promise.reject(new Error("broken"))],
  ])("a session middleware that throws refuses the connection, no crash (%s)", async (_, middleware) => {
    watchForCrashes();
    const app = await start(row, { shared: () => sharedsession(middleware, { autoSave: true }) });
    expect(await app.refused(undefined)).toContain("broken");
  });

  // What the lines leave open.

  test("a change in the connection handler is stored", async () => {
    // https://github.com/oskosk/express-socket.io-session/issues/11
    const app = await start(row, {
      shared: { autoSave: true },
      on: ({ handshake }) => (handshake.session.count = 2),
    });
    const browser = await app.login();
    await app.connect(browser.cookie);
    await seen(browser, { count: 2 });
  });

  test("the session is there in the disconnect handler, and a change is stored", async () => {
    // https://github.com/oskosk/express-socket.io-session/issues/69
    const app = await start(row, {
      shared: { autoSave: true },
      on: (socket) => socket.on("disconnect", () => (socket.handshake.session.other = socket.handshake.session.user)),
    });
    const browser = await app.login();
    (await app.connect(browser.cookie)).disconnect();
    await seen(browser, { other: "ada" });
  });

  test("a session in a variable is looked at after each event and at the end, however late", async () => {
    let looks = 0;
    const app = await startStack(row.stack, {
      via: row.via,
      io: { pingInterval: 1e9, pingTimeout: 1e9 },
      setup({ io, session }) {
        io.use(sharedsession(session, { autoSave: true }));
        io.on("connection", (socket: any) => {
          const { session: held } = socket.handshake;
          Object.defineProperty(held, "probe", { enumerable: true, get: () => void looks++ });
          socket.on("add", (reply: any) => {
            held.count++;
            reply();
          });
          socket.on("disconnect", () => (held.other = "gone"));
        });
      },
    });
    const browser = await app.login({ count: 1 });
    vi.useFakeTimers({ toFake: ["Date", "performance", "setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const client = await app.connect(browser.cookie);
    const minutesLater = (): void => void vi.advanceTimersByTime(5 * 60_000);
    minutesLater();
    await ask(client, "add");
    await seen(browser, { count: 2 });
    let before = looks;
    vi.advanceTimersByTime(50_000);
    expect(looks).toBeGreaterThan(before);
    minutesLater();
    before = looks;
    minutesLater();
    expect(looks).toBe(before);
    client.disconnect();
    await seen(browser, { other: "gone" });
  });

  /** The code and text that a client is refused with. */
  async function refusal(app: Stack, cookie: string | undefined): Promise<unknown> {
    const error = await received(app.open(cookie), row.stack.version > "3" ? "connect_error" : "error");
    return error.data ?? error;
  }

  test("a store that says it is disconnected refuses, until it says that it is back", async () => {
    const app = await start(row, { shared: { autoSave: true } });
    const browser = await app.login();
    app.store.emit("disconnect");
    for (const cookie of [browser.cookie, undefined]) {
      expect(await refusal(app, cookie)).toEqual({ code: "STORE_UNAVAILABLE", retry: true });
    }
    expect(app.sockets()).toEqual([]);
    app.store.emit("connect");
    expect((await ask(await app.connect(browser.cookie), "read")).fields).toEqual({ user: "ada" });
  });

  test("a store that does not answer refuses after 5 s", async () => {
    const store = new LineStore();
    const app = await start(row, { store });
    const browser = await app.login();
    store.state = "hangs";
    const before = store.asked.get;
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const refused = refusal(app, browser.cookie);
    await expect.poll(() => store.asked.get).toBe(before + 1);
    vi.advanceTimersByTime(5000);
    expect(await refused).toEqual({ code: "STORE_UNAVAILABLE", retry: true });
  });

  test("what could not be saved is saved when the store is back", async () => {
    const store = new LineStore();
    const app = await start(row, { shared: { autoSave: true }, store });
    const browser = await app.login();
    const client = await app.connect(browser.cookie);
    store.state = "fails";
    const before = store.asked.get;
    await ask(client, "set", { count: 2 });
    await expect.poll(() => store.asked.get).toBeGreaterThan(before);
    await turn();
    await turn();
    store.state = "up";
    await seen(browser, { count: 2 });
  });

  test("what is no JSON is not saved, and crashes nothing", async () => {
    watchForCrashes();
    const app = await start(row, {
      shared: { autoSave: true },
      on(socket) {
        socket.on("cycle", (reply: any) => {
          socket.handshake.session.self = socket.handshake.session;
          reply();
        });
        socket.on("mend", (reply: any) => {
          delete socket.handshake.session.self;
          socket.handshake.session.count = 2;
          reply();
        });
      },
    });
    const browser = await app.login();
    const client = await app.connect(browser.cookie);
    await ask(client, "cycle");
    await ask(client, "mend");
    await seen(browser, { count: 2 });
  });

  test("a new session that is destroyed at once is not stored", async () => {
    const app = await start(row, {
      shared: { autoSave: true },
      on(socket) {
        socket.on("leave", (reply: any) => {
          socket.handshake.session.count = 2;
          socket.handshake.session.destroy(reply);
        });
      },
    });
    const client = await app.connect(undefined);
    await ask(client, "leave");
    expect(await ask(client, "read")).toBeNull();
    expect(await count(app.store)).toBe(0);
  });

  test("twice on one namespace is as good as once, and either may save", async () => {
    const app = await start(row, {
      shared: ({ io, session }) => {
        io.use(sharedsession(session));
        return sharedsession(session, { autoSave: true });
      },
    });
    const browser = await app.login();
    const client = await app.connect(browser.cookie);
    await ask(client, "set", { count: 1 });
    await seen(browser, { count: 1 });
    const id = await browser.get<string>("/id");
    const late = await app.connect(browser.cookie);
    await browser.post("/logout");
    await ask(late, "set", { count: 2 });
    expect(await ask(late, "save")).toBe("saved");
    expect(await stored(app, id)).toBeFalsy();
  });

  test("a live store is used as it is", async () => {
    const store = memoryStore();
    const app = await start(row, { shared: { autoSave: true }, store });
    const browser = await app.login();
    const client = await app.connect(browser.cookie);
    expect(app.sockets()[0].handshake.sessionStore).toBe(store);
    await browser.post("/set", { other: "HTTP" });
    await ask(client, "set", { count: 1 });
    await seen(browser, { user: "ada", other: "HTTP", count: 1 });
    await browser.post("/logout");
    await ask(client, "set", { count: 2 });
    expect(await ask(client, "save")).toBe("saved");
    expect(await count(store)).toBe(0);
  });
});
