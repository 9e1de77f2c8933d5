// What applications of session.io rely on, on the stacks of its time and on today's, in each way that it is used there.
import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { sign } from "cookie-signature";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import sessionIo from "../../src/compat/session.io.js";
import { giveSession } from "../../src/compat/shared/built-handshakes.js";
import { isToday } from "./support/era.js";
import { outermost, type Row, secret, type Stack, stacksWith, startStack, type Version } from "./support/stacks.js";

type Mount = "io.use" | "io.set" | "allowRequest";

const mounts: Readonly<Record<Version, readonly Mount[]>> = {
  "0.9": ["io.set"],
  "1.7": ["io.set", "io.use", "allowRequest"],
  "2.5": ["io.set", "io.use", "allowRequest"],
  "3.1": ["io.use", "allowRequest"],
  "4": ["io.use", "allowRequest"],
};

const rows = stacksWith("4", "2.5", "1.7", "0.9");

const mounted = rows.flatMap((row) =>
  mounts[row.stack.version].map((mount) => ({ ...row, mount, title: `${row.title}, ${mount}` })),
);

interface Options {
  readonly parser?: any;
  /** What is passed as the store, made of the raw one. */
  readonly passed?: (store: any) => any;
  /** The key, fn, or both. */
  readonly rest?: unknown[];
  readonly key?: string;
}

type Parts = Pick<Stack, "store" | "cookieParser">;

function authorizationOf({ store, cookieParser }: Parts, { parser, passed, rest = [] }: Options): any {
  return (sessionIo as any)(parser ?? cookieParser, passed?.(store) ?? store, ...rest);
}

interface App extends Stack {
  /** What the connection handlers found at once in `socket.handshake.session`, the newest last. */
  readonly found: any[];
}

async function start({ stack, via, mount }: Row & { mount: Mount }, options: Options = {}): Promise<App> {
  const found: any[] = [];
  const app = await startStack(stack, {
    via,
    ...(options.key !== undefined && { key: options.key }),
    ...(mount === "allowRequest" && { io: (parts: Parts) => ({ allowRequest: authorizationOf(parts, options) }) }),
    setup(made) {
      const { io } = made;
      if (mount === "io.use") io.use(authorizationOf(made, options));
      if (mount === "io.set") io.set("authorization", authorizationOf(made, options));
      io.sockets.on("connection", (socket: any) => found.push(socket.handshake.session));
    },
  });
  return Object.assign(app, { found });
}

/** How a client is refused: middlewares tell the reason, a refused handshake only that it is. */
function refusal({ stack, mount }: { stack: { version: Version }; mount: Mount }, reason: string): string | RegExp {
  return mount === "allowRequest" || stack.version === "0.9" ? /error|unauthorized/i : reason;
}

const parserError = new Error("unreadable");
const failingParser = (_handshake: unknown, _response: unknown, next: (error: unknown) => void): void =>
  next(parserError);
const storeError = new Error("store is down");
const failingStore = (): object => ({ load: (_: unknown, done: any) => setImmediate(() => done(storeError)) });

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

const json = 'j:{"$gt":""}';
const jsonCookies = [json, `s:${sign(json, secret)}`].map((value) => `connect.sid=${encodeURIComponent(value)}`);

async function tampered(app: Stack): Promise<string> {
  const [ada, eve] = [await app.login({ user: "ada" }), await app.login({ user: "eve" })];
  const signature = decodeURIComponent(eve.cookie).split(".").at(-1);
  return `connect.sid=${encodeURIComponent(`s:${await ada.get<string>("/id")}.${signature}`)}`;
}

describe.each(mounted)("session.io on $title", (row) => {
  test("a client with the HTTP session cookie is authorized and gets its session", async () => {
    const app = await start(row);
    for (const user of ["ada", "grace"]) await app.connect((await app.login({ user })).cookie);
    expect(app.found).toMatchObject([{ user: "ada" }, { user: "grace" }]);
  });

  test("the session is a Session object whose save() is seen over HTTP", async () => {
    const app = await start(row);
    const browser = await app.login({ user: "ada" });
    await app.connect(browser.cookie);
    const [session] = app.found;
    expect(session.id).toBe(await browser.get("/id"));
    session.foo = "bar";
    await browser.post("/set", { user: "grace" });
    await new Promise((resolve) => session.save(resolve));
    expect(await browser.get("/session")).toEqual({ user: "grace", foo: "bar" });
  });

  test("no cookie header: the connection is refused", async () => {
    const app = await start(row);
    expect(await app.refused(undefined)).toMatch(refusal(row, "No cookie in header"));
    expect(app.found).toEqual([]);
  });

  test("tampered cookie: refused", async () => {
    const app = await start(row);
    const cookie = await tampered(app);
    expect(await app.refused(cookie)).toMatch(refusal(row, "Could not find cookie with key: connect.sid"));
  });

  test("session not in the store (destroyed): refused", async () => {
    const app = await start(row);
    const browser = await app.login();
    await browser.post("/logout");
    expect(await app.refused(browser.cookie)).toMatch(refusal(row, "Could not find session with key: connect.sid"));
  });

  // Every other rule once on today's stack, and once on the oldest.
  if (!outermost(mounted).includes(row)) return;

  test("require('session.io')(cookieParser, sessionStore) returns a function", async () => {
    expect(authorizationOf(await start(row), {})).toBeTypeOf("function");
  });

  test("socket.handshake.session is there synchronously in the connection handler", async () => {
    const app = await start(row);
    await app.connect((await app.login({ user: "ada" })).cookie);
    expect(app.found).toMatchObject([{ user: "ada" }]);
    expect(app.sockets()[0].handshake.session).toBe(app.found[0]);
  });

  test("the sessions of the other sockets are synchronously readable", async () => {
    const app = await start(row);
    for (const user of ["ada", "grace", "joan"]) await app.connect((await app.login({ user })).cookie);
    expect(app.sockets().map((socket) => socket.handshake.session.user)).toEqual(["ada", "grace", "joan"]);
  });

  test("the key is optional: a custom key as third argument", async () => {
    const app = await start(row, { key: "sid", rest: ["sid"] });
    const { cookie } = await app.login({ user: "ada" });
    expect(cookie).toMatch(/^sid=/);
    await app.connect(cookie);
    expect(app.found).toMatchObject([{ user: "ada" }]);
  });

  test("fn as third argument (no key) is called with the session already set, and may accept", async () => {
    const users: unknown[] = [];
    const fn = ({ session }: any, done: any): void => {
      users.push(session.user);
      done(null, true);
    };
    const app = await start(row, { rest: [fn] });
    await app.connect((await app.login({ user: "ada" })).cookie);
    expect(users).toEqual(["ada"]);
    expect(app.found).toMatchObject([{ user: "ada" }]);
  });

  test("fn as fourth argument, with a key", async () => {
    const users: unknown[] = [];
    const fn = ({ session }: any, done: any): void => done(null, users.push(session.user) === 1);
    const app = await start(row, { key: "sid", rest: ["sid", fn] });
    await app.connect((await app.login({ user: "ada" })).cookie);
    await app.refused((await app.login({ user: "grace" })).cookie);
    expect(users).toEqual(["ada", "grace"]);
  });

  test("fn may refuse with done(null, false)", async () => {
    const app = await start(row, { rest: [(_: unknown, done: any) => done(null, false)] });
    expect(await app.refused((await app.login()).cookie)).toMatch(refusal(row, "Not authorized"));
    expect(app.found).toEqual([]);
  });

  test("fn may refuse with done('reason', false)", async () => {
    const app = await start(row, { rest: [(_: unknown, done: any) => done("not you", false)] });
    expect(await app.refused((await app.login()).cookie)).toMatch(refusal(row, "not you"));
  });

  test("fn may decide later (asynchronously)", async () => {
    const fn = ({ session }: any, done: any): unknown => setImmediate(() => done(null, session.user === "ada"));
    const app = await start(row, { rest: [fn] });
    await app.connect((await app.login({ user: "ada" })).cookie);
    await app.refused((await app.login({ user: "eve" })).cookie);
    expect(app.found).toMatchObject([{ user: "ada" }]);
  });

  test("the store is used through load()", async () => {
    const passed = (store: any): object => ({ load: (id: string, done: unknown) => store.load(id, done) });
    const app = await start(row, { passed });
    await app.connect((await app.login({ user: "ada" })).cookie);
    expect(app.found).toMatchObject([{ user: "ada" }]);
  });

  test("cookie header without our key: refused", async () => {
    const app = await start(row);
    expect(await app.refused("other=1")).toMatch(refusal(row, "Could not find cookie with key: connect.sid"));
  });

  test("cookie parser error: refused with that error", async () => {
    const app = await start(row, { parser: failingParser });
    expect(await app.refused((await app.login()).cookie)).toMatch(refusal(row, "unreadable"));
  });

  test("store error: refused with that error", async () => {
    const app = await start(row, { passed: failingStore });
    expect(await app.refused((await app.login()).cookie)).toMatch(refusal(row, "store is down"));
  });

  test("end to end: a cookieless client is refused even where fn says yes", async () => {
    const app = await start(row, { rest: [(_: unknown, done: any) => done(null, true)] });
    await app.refused(undefined);
    expect(app.found).toEqual([]);
    await app.connect((await app.login()).cookie);
  });

  test("end to end: a cookieless client does not crash the server", async () => {
    const app = await start(row);
    await app.refused(undefined);
    await app.connect((await app.login()).cookie);
    expect(app.found).toHaveLength(1);
  });

  test("an unsigned raw session id is refused where the parser has a secret", async () => {
    const app = await start(row);
    const id = await (await app.login()).get<string>("/id");
    await app.refused(`connect.sid=${id}`);
    expect(app.found).toEqual([]);
  });

  test("a parser or store that throws refuses (once), no crash", async () => {
    const thrower = (): never => {
      throw new Error("thrown");
    };
    for (const options of [{ parser: thrower }, { passed: () => ({ load: thrower }) }, { rest: [thrower] }]) {
      const app = await start(row, options);
      expect(await app.refused((await app.login()).cookie)).toMatch(refusal(row, "thrown"));
    }
  });
});

describe.each(outermost(mounted.filter(({ mount }) => mount === "allowRequest")))("session.io on $title", (row) => {
  test("allowRequest: an Error refuses a websocket client without crashing", async () => {
    const app = await start(row, { parser: failingParser });
    const { cookie } = await app.login();
    await app.refused(cookie, { via: "websocket" });
    await app.refused(cookie, { via: "polling" });
    expect(app.found).toEqual([]);
  });

  test("sockets of all namespaces, and their request, have the session of the connection", async () => {
    const app = await start(row);
    app.io.of("/chat").on("connection", (socket: any) => app.found.push(socket.handshake.session));
    const client = await app.connect((await app.login({ user: "ada" })).cookie);
    await app.connect(undefined, { namespace: "/chat", beside: client });
    expect(app.found).toMatchObject([{ user: "ada" }, { user: "ada" }]);
    expect(app.sockets()[0].request.session).toBe(app.found[0]);
  });
});

describe.each(outermost(mounted.filter(({ mount }) => mount === "io.use")))("session.io on $title", (row) => {
  test("io.of(namespace).use() guards that namespace", async () => {
    const found: unknown[] = [];
    const app = await startStack(row.stack, {
      via: row.via,
      setup(made) {
        made.io.of("/chat").use(authorizationOf(made, {}));
        made.io.of("/chat").on("connection", (socket: any) => found.push(socket.handshake.session));
      },
    });
    await app.connect(undefined);
    expect(await app.refused(undefined, { namespace: "/chat" })).toBe("No cookie in header");
    await app.connect((await app.login({ user: "ada" })).cookie, { namespace: "/chat" });
    expect(found).toMatchObject([{ user: "ada" }]);
  });
});

describe.each(outermost(rows))("session.io, called directly, with $title", (row) => {
  const startHere = (): Promise<Stack> => startStack(row.stack);

  /** All calls of `done`, when the store has had its time to answer. */
  async function calls(app: Stack, handshake: unknown, options: Options = {}): Promise<unknown[][]> {
    const all: unknown[][] = [];
    await new Promise<void>((resolve) =>
      authorizationOf(app, options)(handshake, (...values: unknown[]) => {
        all.push(values);
        resolve();
      }),
    );
    await new Promise((resolve) => app.store.get("another", resolve));
    await new Promise(setImmediate);
    return all;
  }

  const withCookie = (cookie: string): any => ({ headers: { cookie } });

  test("called directly as authorization(handshake, done): done(null, true) and handshake.session", async () => {
    const app = await startHere();
    const handshake = withCookie((await app.login({ user: "ada" })).cookie);
    expect(await calls(app, handshake)).toEqual([[null, true]]);
    expect(handshake.session).toMatchObject({ user: "ada" });
  });

  test("precedence secureCookies > signedCookies > cookies", async () => {
    const app = await startHere();
    const jars: Record<string, unknown> = {};
    for (const jar of ["cookies", "signedCookies", "secureCookies"]) {
      jars[jar] = { "connect.sid": await (await app.login({ user: jar })).get("/id") };
      const parser = (handshake: object, _: unknown, next: () => void): void => {
        Object.assign(handshake, jars);
        next();
      };
      const handshake = withCookie("other=1");
      expect(await calls(app, handshake, { parser })).toEqual([[null, true]]);
      expect(handshake.session).toMatchObject({ user: jar });
    }
  });

  test("no cookie header: the first done is 'No cookie in header', false", async () => {
    const app = await startHere();
    for (const handshake of [undefined, {}, { headers: {} }]) {
      expect((await calls(app, handshake))[0]).toEqual(["No cookie in header", false]);
    }
  });

  test("cookie header without our key: 'Could not find cookie with key: connect.sid'", async () => {
    const app = await startHere();
    const [first] = await calls(app, withCookie("other=1"));
    expect(first).toEqual(["Could not find cookie with key: connect.sid", false]);
  });

  const yes = (_: unknown, done: any): void => done(null, true);
  const refusals: [name: string, handshake: (app: Stack) => Promise<unknown>, options: Options, reason: unknown][] = [
    ["none", async () => undefined, {}, "No cookie in header"],
    ["no headers", async () => ({}), {}, "No cookie in header"],
    ["other cookie", async () => withCookie("other=1"), {}, "Could not find cookie with key: connect.sid"],
    ["parser error", async (app) => withCookie((await app.login()).cookie), { parser: failingParser }, parserError],
    ["store error", async (app) => withCookie((await app.login()).cookie), { passed: failingStore }, storeError],
  ];

  test.each(refusals)(
    "refusal (%s): done is called exactly once, and never with true",
    async (_, make, options, reason) => {
      const app = await startHere();
      expect(await calls(app, await make(app), options)).toEqual([[reason, false]]);
      expect(await calls(app, await make(app), { ...options, rest: [yes] })).toEqual([[reason, false]]);
    },
  );

  test("refusal: the store is not asked", async () => {
    const app = await startHere();
    const cookies = ["other=1", `connect.sid=${await (await app.login()).get<string>("/id")}`, await tampered(app)];
    const { cookie } = await app.login();
    const ids = asked(app.store);
    const refused = [{}, ...cookies.map(withCookie)];
    for (const handshake of refused) {
      await new Promise((resolve) => authorizationOf(app, {})(handshake, resolve));
    }
    await new Promise((resolve) => authorizationOf(app, { parser: failingParser })(withCookie(cookie), resolve));
    expect(ids).toEqual([]);
  });

  test('fn never runs without a session ("session will be set here"): no cookie', async () => {
    const app = await startHere();
    let count = 0;
    const fn = (_: unknown, done: any): void => done(null, ++count > 0);
    expect(await calls(app, {}, { rest: [fn] })).toEqual([["No cookie in header", false]]);
    expect(count).toBe(0);
  });

  test("fn never runs without a session: destroyed session / store error", async () => {
    const app = await startHere();
    let count = 0;
    const rest = [(_: unknown, done: any) => done(null, ++count > 0)];
    const browser = await app.login();
    expect(await calls(app, withCookie(browser.cookie), { rest, passed: failingStore })).toEqual([[storeError, false]]);
    await browser.post("/logout");
    const [[reason, isAuthorized] = []] = await calls(app, withCookie(browser.cookie), { rest });
    expect([reason, isAuthorized]).toEqual(["Could not find session with key: connect.sid", false]);
    expect(count).toBe(0);
  });

  test("a JSON cookie (j:{...}) never reaches the store as an object (NoSQL injection)", async () => {
    const app = await startHere();
    const ids = asked(app.store);
    for (const cookie of jsonCookies) {
      const answers: unknown[] = [];
      authorizationOf(app, {})(withCookie(cookie), (...values: unknown[]) => answers.push(...values));
      expect(answers).toEqual(["Could not find cookie with key: connect.sid", false]);
    }
    expect(ids).toEqual([]);
  });

  test("fn that answers twice, or fails after its answer, has answered once", async () => {
    const app = await startHere();
    const handshake = withCookie((await app.login()).cookie);
    const fn = (_: unknown, done: any): void => {
      done(null, false);
      done(null, true);
    };
    expect(await calls(app, handshake, { rest: [fn] })).toEqual([[null, false]]);
    const rejects = (): Promise<void> => Promise.reject(storeError);
    expect(await calls(app, handshake, { rest: [rejects] })).toEqual([[storeError, false]]);
  });

  test("fn as fourth argument counts where the key is left undefined", async () => {
    const app = await startHere();
    const handshake = withCookie((await app.login()).cookie);
    const fn = (_: unknown, done: any): void => done("not you", false);
    expect(await calls(app, handshake, { rest: [undefined, fn] })).toEqual([["not you", false]]);
  });
});

if (isToday) {
  describe("session.io", () => {
    test("a store that cannot be read, a parser or fn that is none, are OPTION_INVALID", () => {
      const make = sessionIo as any;
      const parser = (): void => undefined;
      const wrong = expect.objectContaining({ code: "OPTION_INVALID" });
      expect(() => make(parser)).toThrow(wrong);
      expect(() => make(undefined, { get() {} })).toThrow(wrong);
      expect(() => make(parser, { get() {} }, "connect.sid", "fn")).toThrow(wrong);
    });

    test("a store that does not answer refuses after 5 s", () => {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      onTestFinished(() => void vi.useRealTimers());
      const parser = (handshake: any, _: unknown, next: () => void): void => {
        handshake.cookies = { "connect.sid": "an id" };
        next();
      };
      const done = vi.fn<(...values: unknown[]) => void>();
      sessionIo(parser, { get() {} })({ headers: { cookie: "connect.sid=an id" } }, done);
      vi.advanceTimersByTime(4999);
      expect(done).not.toHaveBeenCalled();
      vi.advanceTimersByTime(1);
      expect(done.mock.calls).toEqual([[expect.objectContaining({ code: "STORE_UNAVAILABLE" }), false]]);
    });

    test("a request of which no Socket.IO that is known here has built a handshake carries the session itself", () => {
      const request = new IncomingMessage(new Socket());
      const session = {};
      giveSession(request, session);
      expect(request).toHaveProperty("session", session);
    });
  });
}
