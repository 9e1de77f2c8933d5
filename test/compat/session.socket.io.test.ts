// What applications of session.socket.io rely on, on the stacks of its time and on today's.
import { sign } from "cookie-signature";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import SessionSockets, { type SessionListener } from "../../src/compat/session.socket.io.js";
import { isToday } from "./support/era.js";
import {
  type ClientSocket,
  outermost,
  received,
  type Row,
  secret,
  type Stack,
  type StackOptions,
  stacksWith,
  startStack,
} from "./support/stacks.js";

type Call = { err: any; socket: any; session: any; count: number };

/** A listener, and what it was called with, call by call. */
class Calls {
  readonly listener: SessionListener<any>;
  readonly #calls: Call[] = [];
  readonly #waiting: ((call: Call) => void)[] = [];

  constructor(onCall?: (call: Call) => void) {
    this.listener = (...values) => {
      const [err, socket, session] = values as [any, any, any];
      const call = { err, socket, session, count: values.length };
      onCall?.(call);
      const waiting = this.#waiting.shift();
      if (waiting) waiting(call);
      else this.#calls.push(call);
    };
  }

  async next(): Promise<Call> {
    return this.#calls.shift() ?? new Promise((resolve) => this.#waiting.push(resolve));
  }
}

interface Options extends StackOptions {
  readonly parser?: any;
  /** What is passed as the store, made of the raw one. */
  readonly passed?: (store: any) => any;
  readonly passedKey?: string;
  readonly onCall?: (call: Call) => void;
}

type Started = Stack & { sessionSockets: SessionSockets<any>; main: Calls; chat: Calls };

const rows = stacksWith("4", "2.5", "1.7", "0.9");

function starter({ stack, via }: Row) {
  return async (options: Options = {}): Promise<Started> => {
    const main = new Calls(options.onCall);
    const chat = new Calls(options.onCall);
    let sessionSockets: SessionSockets<any> | undefined;
    const app = await startStack(stack, {
      via,
      ...options,
      setup(made) {
        const { io, store, cookieParser } = made;
        sessionSockets = new SessionSockets(
          io,
          options.passed?.(store) ?? store,
          options.parser ?? cookieParser,
          ...(options.passedKey === undefined ? [] : [options.passedKey]),
        );
        sessionSockets.on("connection", main.listener);
        sessionSockets.of("/chat").on("connection", chat.listener);
        options.setup?.(made);
      },
    });
    return Object.assign(app, { sessionSockets: sessionSockets as SessionSockets<any>, main, chat });
  };
}

/** A parser that fills these jars with session ids, as if they had been in the cookies. */
const jars = (contents: () => object) => (handshake: any, _: unknown, next: () => void) => {
  for (const [jar, id] of Object.entries(contents())) handshake[jar] = { "connect.sid": id };
  next();
};

function signal(): { give: () => void; given: Promise<void> } {
  let give = (): void => undefined;
  const given = new Promise<void>((resolve) => (give = resolve));
  return { give, given };
}

/** Calls back when a client has sent so many events: sees them where they come in, before they are held back. */
function watchArrivals(io: any, expected: number, done: () => void): void {
  io.sockets.on("connection", (socket: any) => {
    const name = ["_onpacket", "onpacket", "$emit"].find((one) => socket[one]) as string;
    const pass = socket[name];
    let count = 0;
    socket[name] = function (...values: any[]) {
      const isEvent = name === "$emit" || values[0].type === 2;
      if (isEvent && ++count === expected) done();
      return pass.apply(this, values);
    };
  });
}

/** Sends this many events, some per turn: Socket.IO 0.9 reads what comes at once by recursion, and runs out of stack. */
async function flood(client: ClientSocket, count: number): Promise<void> {
  for (let value = 1; value <= count; value++) {
    client.emit("hello", value);
    if (value % 20 === 0) await new Promise(setImmediate);
  }
}

/** Notes the ids that the store is asked for. */
function asked(store: any): unknown[] {
  const ids: unknown[] = [];
  const { get } = store;
  store.get = function (id: unknown, done: unknown) {
    ids.push(id);
    return get.call(this, id, done);
  };
  return ids;
}

describe.each(rows)("session.socket.io on $title", (row) => {
  const start = starter(row);

  /** The error that a client gets with this cookie; it never gets a session. */
  async function failure(app: Started, cookie: string | undefined): Promise<any> {
    await app.connect(cookie);
    const { err, socket, session } = await app.main.next();
    expect(err).toBeTruthy();
    expect(socket.id).toBeTruthy();
    expect(session).toBeNull();
    return err;
  }

  test("on('connection') gives (null, socket, session) for a real cookie", async () => {
    const app = await start();
    const { cookie } = await app.login({ user: "ada" });
    await app.connect(cookie);
    expect(await app.main.next()).toMatchObject({ err: null, session: { user: "ada" }, count: 3 });
  });

  test("the socket is the one provided by socket.io and usable", async () => {
    const app = await start();
    const { cookie } = await app.login();
    const client = await app.connect(cookie);
    const { socket } = await app.main.next();
    expect(app.sockets()).toContain(socket);
    const heard = received(client, "hello");
    socket.emit("hello", "from the server");
    expect(await heard).toBe("from the server");
    const answered = new Promise((resolve) => socket.on("back", resolve));
    client.emit("back", "from the client");
    expect(await answered).toBe("from the client");
  });

  test("a change is not saved until session.save(), then Express/Connect routes see it", async () => {
    const app = await start();
    const browser = await app.login({ user: "ada" });
    await app.connect(browser.cookie);
    const { session } = await app.main.next();
    session.foo = "bar";
    expect(await browser.get("/session")).toEqual({ user: "ada" });
    await new Promise((resolve) => session.save(resolve));
    expect(await browser.get("/session")).toEqual({ user: "ada", foo: "bar" });
  });

  test("of('/chat').on('connection') gives the session and a /chat socket", async () => {
    const app = await start();
    const { cookie } = await app.login({ user: "ada" });
    await app.connect(cookie, { namespace: "/chat" });
    const { err, socket, session } = await app.chat.next();
    expect(err).toBeNull();
    expect(session.user).toBe("ada");
    expect(app.sockets("/chat")).toEqual([socket]);
  });

  test("missing session: err.message is 'Could not lookup session by key: connect.sid'", async () => {
    const app = await start();
    const { message } = await failure(app, undefined);
    expect(message).toBe("Could not lookup session by key: connect.sid");
  });

  test("destroyed session: err", async () => {
    const app = await start();
    const browser = await app.login();
    await browser.post("/logout");
    expect((await failure(app, browser.cookie)).message).toMatch(/^Could not lookup session/);
  });

  test("tampered signature is refused", async () => {
    const app = await start();
    const ids = asked(app.store);
    const [ada, eve] = [await app.login({ user: "ada" }), await app.login({ user: "eve" })];
    const id = await ada.get<string>("/id");
    const signature = decodeURIComponent(eve.cookie).split(".").at(-1);
    ids.length = 0;
    const cookie = `connect.sid=${encodeURIComponent(`s:${id}.${signature}`)}`;
    expect((await failure(app, cookie)).message).toMatch(/^Could not lookup session/);
    expect(ids).not.toContain(id);
  });

  test("an event sent right on connect is not lost while the store is slow", async () => {
    const { all, answers, app, arrived, cookie, heard } = await startAsking(3);
    const client = app.open(cookie);
    client.on("connect", () => {
      for (const value of [1, 2, 3]) client.emit("hello", value);
    });
    await arrived.given;
    expect(heard).toEqual([]);
    for (const answer of answers) answer();
    await all.given;
    expect(heard).toEqual([1, 2, 3]);
    await later(client, app);
  });

  // Every other rule once on today's stack, and once on the oldest.
  if (!outermost(rows).includes(row)) return;

  test("new SessionSockets(io, store, parser) exposes .on .of .getSession", async () => {
    const { sessionSockets } = await start();
    expect(sessionSockets.on).toBeTypeOf("function");
    expect(sessionSockets.of).toBeTypeOf("function");
    expect(sessionSockets.of("/chat").on).toBeTypeOf("function");
    expect(sessionSockets.getSession).toBeTypeOf("function");
  });

  test(".io is the underlying socket.io", async () => {
    const { sessionSockets, io } = await start();
    expect(sessionSockets.io).toBe(io);
  });

  test("session data set over HTTP is seen by a later getSession", async () => {
    const app = await start();
    const browser = await app.login({ user: "ada" });
    await app.connect(browser.cookie);
    const { socket } = await app.main.next();
    await browser.post("/set", { user: "grace" });
    const session = await new Promise<any>((resolve) => app.sessionSockets.getSession(socket, (_, s) => resolve(s)));
    expect(session.user).toBe("grace");
  });

  test("a /chat socket addresses only the /chat namespace", async () => {
    const app = await start();
    const { cookie } = await app.login();
    const client = await app.connect(cookie);
    const chat = await app.connect(cookie, { namespace: "/chat", beside: client });
    const heard: string[] = [];
    client.on("news", (text) => heard.push(`main: ${text}`));
    chat.on("news", (text) => heard.push(`chat: ${text}`));
    const [inChat, inMain] = [await app.chat.next(), await app.main.next()];
    const [first, last] = [received(chat, "news"), received(client, "news")];
    inChat.socket.emit("news", "for chat");
    await first;
    inMain.socket.emit("news", "for all others");
    await last;
    expect(heard).toEqual(["chat: for chat", "main: for all others"]);
  });

  test("getSession for every connected client gives each its own session", async () => {
    const app = await start();
    for (const user of ["ada", "grace", "joan"]) {
      await app.connect((await app.login({ user })).cookie);
      await app.main.next();
    }
    const users = app
      .sockets()
      .map(
        (socket) =>
          new Promise((resolve) => app.sessionSockets.getSession(socket, (_, session: any) => resolve(session.user))),
      );
    expect((await Promise.all(users)).toSorted()).toEqual(["ada", "grace", "joan"]);
  });

  test("getSession passes the socket as third argument", async () => {
    const app = await start();
    await app.connect((await app.login()).cookie);
    const { socket } = await app.main.next();
    const third = new Promise((resolve) => app.sessionSockets.getSession(socket, (_err, _session, s) => resolve(s)));
    expect(await third).toBe(socket);
  });

  test("the session is a Session object (save, reload, touch, destroy, cookie)", async () => {
    const app = await start();
    const browser = await app.login({ user: "ada" });
    await app.connect(browser.cookie);
    const { session } = await app.main.next();
    expect(session.id).toBe(await browser.get("/id"));
    expect(session.cookie.path).toBe("/");
    expect(session.touch()).toBe(session);
    await browser.post("/set", { user: "grace" });
    expect(await new Promise((resolve) => session.reload(resolve))).toBeFalsy();
    expect(session.req.session.user).toBe("grace");
    expect(await new Promise((resolve) => session.save(resolve))).toBeFalsy();
    expect(await new Promise((resolve) => session.destroy(resolve))).toBeFalsy();
    expect(await browser.get("/session")).toEqual({});
  });

  test("cookie parser error: err is that error, the socket is given, no session", async () => {
    const error = new Error("unreadable");
    const app = await start({ parser: (_handshake: unknown, _: unknown, next: any) => next(error) });
    expect(await failure(app, (await app.login()).cookie)).toBe(error);
  });

  test("store error: err is that error, the socket is given, no session", async () => {
    const error = new Error("store is down");
    const passed = (): object => ({ load: (_: unknown, done: any) => setImmediate(() => done(error)) });
    const app = await start({ passed });
    expect(await failure(app, (await app.login()).cookie)).toBe(error);
  });

  test("no cookie at all: err is an Error", async () => {
    const app = await start();
    expect(await failure(app, undefined)).toBeInstanceOf(Error);
  });

  test("on any error the third argument is null (not undefined)", async () => {
    const app = await start();
    await app.connect(undefined);
    const { err, session, count } = await app.main.next();
    expect(err).toBeTruthy();
    expect(session).toBeNull();
    expect(count).toBe(3);
  });

  test("err is null (not undefined) on success", async () => {
    const app = await start();
    await app.connect((await app.login()).cookie);
    const { err, socket } = await app.main.next();
    expect(err).toBeNull();
    expect(await new Promise((resolve) => app.sessionSockets.getSession(socket, resolve))).toBeNull();
  });

  test("another cookieParser instance with the same secret works", async () => {
    const app = await start({ parser: (...values: any[]) => app.makeCookieParser(secret)(...values) });
    await app.connect((await app.login({ user: "ada" })).cookie);
    expect((await app.main.next()).session).toMatchObject({ user: "ada" });
  });

  test("a cookieParser with another secret retrieves nothing", async () => {
    const app = await start({ parser: (...values: any[]) => app.makeCookieParser("another secret")(...values) });
    expect((await failure(app, (await app.login()).cookie)).message).toMatch(/^Could not lookup session/);
  });

  test("cookies can be debugged from socket.handshake", async () => {
    const app = await start();
    const browser = await app.login();
    await app.connect(`${browser.cookie}; theme=dark`);
    const { handshake } = (await app.main.next()).socket;
    expect(handshake.cookies).toMatchObject({ theme: "dark" });
    expect(handshake.signedCookies["connect.sid"]).toBe(await browser.get("/id"));
    expect(JSON.stringify({ ...handshake })).not.toContain(secret);
  });

  describe("of three sessions", () => {
    async function startWith(...names: string[]): Promise<any> {
      let contents: Record<string, unknown> = {};
      const app = await start({ parser: jars(() => contents) });
      for (const name of names) contents = { ...contents, [name]: await (await app.login({ user: name })).get("/id") };
      await app.connect(undefined);
      return (await app.main.next()).session;
    }

    test("secureCookies take precedence over signedCookies and cookies", async () => {
      expect(await startWith("cookies", "signedCookies", "secureCookies")).toMatchObject({ user: "secureCookies" });
    });

    test("signedCookies take precedence over cookies", async () => {
      expect(await startWith("cookies", "signedCookies")).toMatchObject({ user: "signedCookies" });
    });

    test("cookies are used last", async () => {
      expect(await startWith("cookies")).toMatchObject({ user: "cookies" });
    });
  });

  test("custom session store key", async () => {
    const app = await start({ key: "customSessionStoreKey", passedKey: "customSessionStoreKey" });
    const { cookie } = await app.login({ user: "ada" });
    expect(cookie).toMatch(/^customSessionStoreKey=/);
    await app.connect(cookie);
    expect((await app.main.next()).session).toMatchObject({ user: "ada" });
    expect((await failure(app, undefined)).message).toBe("Could not lookup session by key: customSessionStoreKey");
  });

  test("the key defaults to 'connect.sid' (another cookie name is not found)", async () => {
    const app = await start({ key: "another" });
    const { cookie } = await app.login();
    expect((await failure(app, cookie)).message).toBe("Could not lookup session by key: connect.sid");
    await app.connect(cookie.replace("another=", "connect.sid="));
    expect((await app.main.next()).err).toBeNull();
  });

  test("a store without load() is used through get()", async () => {
    const passed = (store: any): object => ({ get: (id: string, done: unknown) => store.get(id, done) });
    const app = await start({ passed });
    await app.connect((await app.login({ user: "ada" })).cookie);
    expect((await app.main.next()).session).toMatchObject({ user: "ada" });
  });

  test("an unsigned raw session id is not accepted where the parser has a secret", async () => {
    const app = await start();
    const id = await (await app.login()).get<string>("/id");
    expect((await failure(app, `connect.sid=${id}`)).message).toMatch(/^Could not lookup session/);
  });

  test("a JSON cookie (j:{...}) never reaches the store as an object (NoSQL injection)", async () => {
    const app = await start();
    const ids = asked(app.store);
    const json = 'j:{"$gt":""}';
    for (const value of [json, `s:${sign(json, secret)}`]) {
      await failure(app, `connect.sid=${encodeURIComponent(value)}`);
    }
    expect(ids.filter((id) => id !== undefined)).toEqual([]);
  });

  test("parser error: the store is not asked", async () => {
    const app = await start({ parser: (_handshake: unknown, _: unknown, next: any) => next(new Error("unreadable")) });
    const { cookie } = await app.login();
    const ids = asked(app.store);
    await failure(app, cookie);
    expect(ids).toEqual([]);
  });

  test("parser error with a session still found: session is null", async () => {
    const app = await start({
      parser: (handshake: any, response: unknown, next: any) =>
        app.cookieParser(handshake, response, () => next(new Error("unreadable"))),
    });
    expect((await failure(app, (await app.login()).cookie)).message).toBe("unreadable");
  });

  test("a parser that throws is reported as err, not a crash", async () => {
    const error = new Error("thrown");
    const parser = (): never => {
      throw error;
    };
    const app = await start({ parser });
    expect(await failure(app, (await app.login()).cookie)).toBe(error);
  });

  test("a store that throws is reported as err, not a crash", async () => {
    const error = new Error("thrown");
    const load = (): never => {
      throw error;
    };
    const app = await start({ passed: () => ({ load }) });
    expect(await failure(app, (await app.login()).cookie)).toBe(error);
  });

  /** An app whose store answers when the test says so, and notes when `count` events have come, and were heard. */
  async function startAsking(count: number) {
    const heard: unknown[] = [];
    const [all, arrived] = [signal(), signal()];
    const answers: (() => void)[] = [];
    const app = await start({
      passed: (store) => ({ load: (id: string, done: any) => answers.push(() => store.load(id, done)) }),
      onCall: ({ socket }) =>
        socket.on("hello", (value: unknown) => {
          if (heard.push(value) === count) all.give();
        }),
      setup: ({ io }) => watchArrivals(io, count, arrived.give),
    });
    const { cookie } = await app.login();
    return { all, answers, app, arrived, cookie, heard };
  }

  /** Events go their usual way afterwards. */
  async function later(client: ClientSocket, app: Started): Promise<void> {
    const { socket } = await app.main.next();
    const answered = new Promise((resolve) => socket.on("later", resolve));
    client.emit("later", 4);
    expect(await answered).toBe(4);
  }

  test("what the socket saves neither overwrites what HTTP stored meanwhile nor brings a destroyed session back", async () => {
    const app = await start();
    const browser = await app.login({ user: "ada" });
    await app.connect(browser.cookie);
    const { session } = await app.main.next();
    await browser.post("/set", { user: "grace", count: 1 });
    session.foo = "bar";
    await new Promise((resolve) => session.save(resolve));
    expect(await browser.get("/session")).toEqual({ user: "grace", count: 1, foo: "bar" });
    await browser.post("/logout");
    session.foo = "again";
    await new Promise((resolve) => session.save(resolve));
    expect(await browser.get("/session")).toEqual({});
  });

  test("a store that answers without an id with some session or other gives nobody that one", async () => {
    let victim = "";
    const passed = (store: any): object => ({ get: (id = victim, done: unknown) => store.get(id, done) });
    const app = await start({ passed });
    victim = await (await app.login({ user: "ada" })).get<string>("/id");
    for (const cookie of [undefined, `connect.sid=${victim}`, "connect.sid=s%3Aeve.signed"]) {
      expect((await failure(app, cookie)).message).toBe("Could not lookup session by key: connect.sid");
    }
  });

  test("a store that does not answer: err is STORE_UNAVAILABLE after 5 s", async () => {
    const app = await start();
    await app.connect((await app.login()).cookie);
    const { socket } = await app.main.next();
    app.store.get = () => undefined;
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const calls: unknown[][] = [];
    app.sessionSockets.getSession(socket, (...values: unknown[]) => void calls.push(values));
    vi.advanceTimersByTime(4999);
    expect(calls).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(calls).toEqual([[expect.objectContaining({ code: "STORE_UNAVAILABLE" }), null, socket]]);
  });

  // The client of 0.9 sends slowly, one event per polling request, and its server has no stack for a thousand at once.
  const modern = row.stack.version === "0.9" ? undefined : test;
  modern?.("while the store is asked 1,000 events wait; a client that sends more is disconnected", async () => {
    const { all, answers, app, arrived, cookie, heard } = await startAsking(1000);
    const send = (count: number): ClientSocket => {
      const client = app.open(cookie);
      client.on("connect", () => void flood(client, count));
      return client;
    };
    send(1000);
    await arrived.given;
    for (const answer of answers.splice(0)) answer();
    await all.given;
    expect(heard).toEqual(Array.from({ length: 1000 }, (_, index) => index + 1));
    const flooding = send(1001);
    await new Promise((resolve) => flooding.on("disconnect", resolve));
    for (const answer of answers) answer();
    await expect.poll(() => app.sockets()).toHaveLength(1);
  });

  test("of two connection handlers, the slow one gets each event, too, and each once", async () => {
    const heard: string[] = [];
    const [arrived, slow] = [signal(), signal()];
    let answer = (): void => undefined;
    const app = await start({
      onCall: ({ socket }) => socket.on("hello", (value: number) => heard.push(`first ${value}`)),
      setup({ io, store, cookieParser }) {
        const load = (id: string, done: any): unknown => (answer = () => store.load(id, done));
        const other = new SessionSockets<any>(io, { load }, cookieParser);
        other.on("connection", (_, socket: any) => {
          socket.on("hello", (value: number) => heard.push(`other ${value}`));
          slow.give();
        });
        watchArrivals(io, 2, arrived.give);
      },
    });
    const client = app.open((await app.login()).cookie);
    client.on("connect", () => {
      for (const value of [1, 2]) client.emit("hello", value);
    });
    const first = await app.main.next();
    await arrived.given;
    expect(heard).toEqual([]);
    answer();
    await slow.given;
    const last = new Promise((resolve) => first.socket.on("later", resolve));
    client.emit("later");
    await last;
    expect(heard).toEqual(["first 1", "other 1", "first 2", "other 2"]);
  });
});

if (isToday) {
  describe("session.socket.io", () => {
    const parser = (handshake: unknown, _: unknown, next: (error?: unknown) => void): void =>
      handshake ? next() : next("parser error");

    test("stubbed socket/parser/store of the original spec", async () => {
      const socket = { foo: "bar", handshake: { signedCookies: { "connect.sid": 42 } } };
      const namespace = {
        on: (event: string, listener: (given: object) => void) => event === "connection" && listener(socket),
      };
      const io = { sockets: namespace, of: () => namespace };
      const store = {
        load: (id: unknown, done: (error: unknown, session: any) => void) =>
          id ? done(null, socket) : done("store error", null),
      };
      const sessionSockets = new SessionSockets(io, store, parser);
      expect(sessionSockets.io).toBe(io);
      const calls: unknown[][] = [];
      const note = (...values: unknown[]): void => void calls.push(values);
      sessionSockets.getSession(socket, note);
      sessionSockets.getSession({ handshake: "invalid" } as never, (err, session) => note(err, session));
      sessionSockets.getSession({ invalid: "socket" } as never, (err, session) => note(err, session));
      sessionSockets.on("connection", note);
      sessionSockets.of("/foobar").on("connection", note);
      expect(calls).toEqual([
        [null, socket, socket],
        ["store error", null],
        ["parser error", null],
        [null, socket, socket],
        [null, socket, socket],
      ]);
    });

    test.each(["text", 5, true, [1]])("a store that answers %j, which is no session, ends nothing", (answer) => {
      const store = { get: (_: unknown, done: any) => done(null, answer), set() {}, destroy() {} };
      const sessionSockets = new SessionSockets({ sockets: {}, of: () => ({}) }, store, parser);
      const calls: unknown[][] = [];
      const socket = { handshake: { cookies: { "connect.sid": "id" } } };
      sessionSockets.getSession(socket, (err, session) => void calls.push([err, session]));
      expect(calls).toEqual([[null, typeof answer === "object" ? expect.objectContaining(answer) : answer]]);
    });

    test("a store that rejects after it was given up ends nothing", async () => {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      onTestFinished(() => void vi.useRealTimers());
      const crashes: unknown[] = [];
      const onCrash = (error: unknown): void => void crashes.push(error);
      process.on("unhandledRejection", onCrash);
      onTestFinished(() => void process.off("unhandledRejection", onCrash));
      let reject: (error: Error) => void = () => undefined;
      const store = { load: () => new Promise<never>((_, fail) => (reject = fail)) };
      const sessionSockets = new SessionSockets({ sockets: {}, of: () => ({}) }, store, parser);
      const codes: unknown[] = [];
      sessionSockets.getSession({ handshake: {} }, (err) => void codes.push((err as any)?.code));
      vi.advanceTimersByTime(5000);
      reject(new Error("connection lost"));
      await new Promise(setImmediate);
      expect(codes).toEqual(["STORE_UNAVAILABLE"]);
      expect(crashes).toEqual([]);
    });

    test("a store that cannot be read, and a parser that is none, are OPTION_INVALID", () => {
      const make = SessionSockets as unknown as new (...values: unknown[]) => unknown;
      expect(() => new make({}, undefined, parser)).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
      expect(() => new make({}, { get() {} })).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
    });
  });

  describe.each(outermost(rows))("session.socket.io behind another cookie parser", ({ stack }) => {
    test("which knew no secret: an unsigned id is still refused, a signed one found", async () => {
      const calls = new Calls();
      const app = await startStack(stack, {
        setup({ io, store, cookieParser, makeCookieParser }) {
          io.use((socket: any, next: any) => makeCookieParser()(socket.handshake, {}, next));
          new SessionSockets(io, store, cookieParser).on("connection", calls.listener);
        },
      });
      const browser = await app.login({ user: "ada" });
      await app.connect(`connect.sid=${await browser.get<string>("/id")}`);
      expect(await calls.next()).toMatchObject({ session: null });
      await app.connect(browser.cookie);
      expect(await calls.next()).toMatchObject({ session: { user: "ada" } });
    });
  });
}
