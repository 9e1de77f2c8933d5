// What every kind of server is held to: the promises of docs/inside/promises.md, with real clients.
import { setTimeout as delay } from "node:timers/promises";
import type { Express } from "express";
import { sign } from "cookie-signature";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  type Allow,
  type AttachableServer,
  type AttachOptions,
  type LiveStore,
  liveStore,
  type Sessions,
} from "../../src/index.js";
import type { CreateOptions } from "../../src/options.js";
import { secret, startApp } from "../support/app.js";
import type { Browser } from "../support/browser.js";
import { arrive, type Client, handshake, type Holder, Refusal, type ServerKind } from "../support/servers.js";
import { inTime } from "../support/pace.js";
import { LineStore } from "../support/stores.js";

interface Options {
  sessions?: Omit<CreateOptions, "secret">;
  attach?: AttachOptions;
  /** Answers a text from a client; without an answer the usual ones are tried. */
  handle?: (socket: Holder, text: string, sessions: Sessions) => unknown;
  routes?: (app: Express, sessions: Sessions) => void;
  /** Who has gone without a word is noticed within a second, and so is a client that is only slow. */
  isImpatient?: boolean;
}

interface Running {
  readonly sessions: Sessions;
  /** Sockets that the server has seen, the newest last. */
  readonly sockets: Holder[];
  browser(): Browser;
  login(user?: string): Promise<Browser>;
  connect(browser: Browser, headers?: Record<string, string>): Promise<Client>;
  refused(browser: Browser, headers?: Record<string, string>): Promise<Refusal>;
}

/** Holds one kind of server to the promises; on sessions in memory, or in a store that is opened for each test. */
export function serverContract(kind: ServerKind, { ways = kind.ways, openStore }: ContractOptions = {}): void {
  describe.each(ways)(`${kind.name} over %s`, (way) => {
    const start = async (options: Options = {}): Promise<Running> => {
      const store = openStore && !options.sessions?.store ? { store: await openStore() } : {};
      return run(kind, way, { ...options, sessions: { ...options.sessions, ...store } });
    };
    promises(start, kind, way);
    doors(start, kind, way);
    permissions(start, kind, way);
    // What these tests put out of order is a store of their own.
    if (!openStore) outages(start);
  });
}

interface ContractOptions {
  readonly ways?: readonly string[];
  openStore?(): Promise<LiveStore>;
}

type Start = (options?: Options) => Promise<Running>;

function promises(start: Start, kind: ServerKind, way: string): void {
  test("1: connections of a session share one object, read from the store once", async () => {
    const line = new LineStore();
    const { login, connect, sessions, sockets } = await start({ sessions: { store: liveStore(line) } });
    const ada = await login();
    const before = line.asked.get;
    const clients = [await connect(ada), await connect(ada), await connect(ada)];
    for (const client of clients) expect(await client.ask("user")).toBe("ada");
    expect(line.asked.get - before).toBe(1);
    expect(sessions.size).toBe(1);
    const live = sessions.get(sockets[0] as never);
    expect(live?.connections).toBe(3);
    for (const socket of sockets) expect(socket.session).toBe(live?.data);
  });

  test("2: a handler sees what HTTP and other connections changed", async () => {
    const { login, connect } = await start();
    const ada = await login();
    const [one, other] = [await connect(ada), await connect(ada)];
    await ada.post("/set", { other: "from HTTP" });
    expect(await one.ask("get other")).toBe("from HTTP");
    await other.ask("set other from a socket");
    expect(await one.ask("get other")).toBe("from a socket");
  });

  test("3: a change is saved without asking, at any depth, after an await too; save() tells when", async () => {
    const { login, connect } = await start({
      async handle(socket, text) {
        if (text !== "change") return undefined;
        socket.session.nested = { a: 1, list: [1] };
        await delay(1);
        socket.session.nested.list?.push(2);
        await socket.session.save();
        return "saved";
      },
    });
    const ada = await login();
    const client = await connect(ada);
    expect(await client.ask("change")).toBe("saved");
    expect(await ada.get("/session")).toEqual({ user: "ada", nested: { a: 1, list: [1, 2] } });
  });

  test("4: writers merge, and updates never lose an increment", async () => {
    const { login, connect } = await start({
      routes: (app, sessions) => {
        app.post("/slow", async (req, res) => {
          req.session.other = "from a slow request";
          await delay(30);
          res.json({});
        });
        app.post("/count", async (req, res) => res.json(await sessions.update(req, count)));
      },
      handle: (socket, text, sessions) => (text === "count" ? sessions.update(socket as never, count) : undefined),
    });
    const ada = await login();
    const client = await connect(ada);
    const slow = ada.post("/slow");
    await client.ask("set cart apple");
    await slow;
    const counting = Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? client.ask("count") : ada.post("/count")));
    await Promise.all(counting);
    expect(await ada.get("/session")).toEqual({ user: "ada", other: "from a slow request", cart: "apple", count: 20 });
  });

  test("5: neither a slow request nor a handler brings a destroyed session back", async () => {
    const written: unknown[] = [];
    const { login, connect, sessions } = await start({
      routes: (app) => {
        app.post("/slow", async (req, res) => {
          req.session.other = "too late";
          await delay(50);
          res.json({});
        });
      },
      async handle(socket, text) {
        if (text !== "linger") return undefined;
        const { signal } = sessions.get(socket as never) as { signal: AbortSignal };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        socket.session.other = "too late";
        written.push(await socket.session.save().catch((error: { code: string }) => error.code));
        written.push(socket.session.user, (signal.reason as { code: string }).code);
        return undefined;
      },
    });
    const ada = await login();
    const client = await connect(ada);
    void client.ask("linger");
    expect(await client.ask("user")).toBe("ada");
    const slow = ada.post("/slow");
    await delay(10);
    await ada.post("/logout");
    await slow;
    await client.ended;
    await expect.poll(() => written).toEqual(["SESSION_DESTROYED", "ada", "SESSION_DESTROYED"]);
    expect(await ada.get("/session")).toEqual({});
    expect(sessions.size).toBe(0);
  });

  test("6: a logout tells each connection why and closes it; the last data stays readable", async () => {
    const last: unknown[] = [];
    const { login, connect, sockets } = await start();
    const [ada, bob] = [await login(), await login("bob")];
    const [one, other, bobs] = [await connect(ada), await connect(ada), await connect(bob)];
    for (const socket of sockets) socket.once(kind.closeEvent, () => last.push(socket.session.user));
    await ada.post("/logout");
    expect(await Promise.all([one.ended, other.ended])).toEqual(["SESSION_DESTROYED", "SESSION_DESTROYED"]);
    await expect.poll(() => last).toEqual(["ada", "ada"]);
    expect(await bobs.ask("user")).toBe("bob");
  });

  test("6: a handshake that races the end is refused or closed, never left open", async () => {
    const { login, connect, sessions } = await start({
      sessions: { store: liveStore(slowly(new LineStore(), 5)) },
      isImpatient: true,
    });
    const ends = await Promise.all(
      Array.from({ length: 8 }, async (_, at) => {
        const ada = await login();
        const connecting = connect(ada).then(
          (client) => client.ended,
          (refusal: Refusal) => refusal.code,
        );
        await delay(at * 2);
        await ada.post("/logout");
        return connecting;
      }),
    );
    // A polling client may be closed between two polls, and then knows only that it was.
    for (const code of ends) expect(["SESSION_DESTROYED", "SESSION_UNKNOWN", undefined]).toContain(code);
    await expect.poll(() => sessions.size).toBe(0);
  });

  test("6: an idle session expires on open sockets", async () => {
    const maxAge = 400;
    const { login, connect } = await start({ sessions: { cookie: { maxAge } } });
    const client = await inTime(maxAge, async () => connect(await login()));
    expect(await client.ended).toBe("SESSION_EXPIRED");
  });

  test("7: after regenerate() the old socket is told, and the browser comes back with its new cookie", async () => {
    const { login, connect, refused, browser } = await start({
      routes: (app) =>
        app.post("/upgrade", (req, res, next) => {
          req.session.regenerate((error) => {
            if (error) return next(error);
            req.session.user = "admin";
            res.json({});
          });
        }),
    });
    const ada = await login();
    const thief = browser();
    for (const [name, value] of ada.cookies) thief.cookies.set(name, value);
    const client = await connect(ada);
    await ada.post("/upgrade");
    expect(await client.ended).toBe("SESSION_ROTATED");
    expect(await (await connect(ada)).ask("user")).toBe("admin");
    // Socket.IO turns such a client down in the way that it tries again: without a code.
    expect(["SESSION_ROTATED", undefined]).toContain((await refused(thief)).code);
  });

  // What a stream's client asks is no message of that connection.
  if (!kind.isOneWay) {
    test("8: messages keep a session alive", { timeout: 60_000 }, async () => {
      const maxAge = 1000;
      const { login, connect } = await start({ sessions: { cookie: { maxAge } } });
      const client = await inTime(maxAge / 2, async (step) => {
        const used = await connect(await login());
        const since = Date.now();
        while (Date.now() - since < 1.5 * maxAge) {
          step();
          expect(await Promise.race([used.ask("user"), used.ended])).toBe("ada");
          await delay(50);
        }
        return used;
      });
      expect(await client.ended).toBe("SESSION_EXPIRED");
    });
  }

  test("8: an absolute lifetime ends it whatever its activity", async () => {
    const absoluteTimeout = 500;
    const { login, connect } = await start({ sessions: { absoluteTimeout } });
    const client = await inTime(absoluteTimeout, async () => connect(await login()));
    const working = setInterval(() => void client.ask("user"), 50);
    expect(await client.ended.finally(() => clearInterval(working))).toBe("SESSION_EXPIRED");
  });

  test("12: no event reads the store", async () => {
    const line = new LineStore();
    const { login, connect } = await start({ sessions: { store: liveStore(line) } });
    const client = await connect(await login());
    const before = line.asked.get;
    for (let at = 0; at < 20; at++) await client.ask("user");
    expect(line.asked.get - before).toBe(0);
  });

  test("a closed connection is let go of", async () => {
    const { login, connect, sessions } = await start();
    const ada = await login();
    for (let at = 0; at < 10; at++) (await connect(ada)).close();
    await expect.poll(() => sessions.size).toBe(0);
  });

  if (way !== "upgrade" && !kind.isOneWay) {
    test('"create": one session, stored, its cookie in the handshake response, good over HTTP', async () => {
      const { browser, connect, sessions } = await start({ attach: { missing: "create" } });
      const guest = browser();
      const cookies = await handshake(kind, guest, way);
      expect(cookies.filter((line) => line.startsWith("connect.sid="))).toHaveLength(1);
      expect(cookies[0]).toMatch(/^connect\.sid=s%3A[^;]+; Path=\/; HttpOnly$/);
      const client = await connect(guest);
      await client.ask("set user created");
      expect(await guest.get("/session")).toEqual({ user: "created" });
      expect(await handshake(kind, guest, way)).toEqual([]);
      const count = new Promise((resolve) => sessions.store.length((_error, length) => resolve(length)));
      expect(await count).toBe(1);
    });
  }
}

function doors(start: Start, kind: ServerKind, way: string): void {
  test("10: who has no session, or none that was signed here, is refused with the code", async () => {
    const seen: string[] = [];
    const { login, browser, refused, sessions } = await start();
    sessions.on("refused", ({ code }) => seen.push(code));
    const guest = browser();
    expect((await refused(guest)).code).toBe("SESSION_MISSING");
    const ada = await login();
    const id = decodeURIComponent(ada.cookies.get("connect.sid") ?? "")
      .slice(2)
      .split(".")[0] as string;
    for (const [value, code] of [
      [id, "SESSION_INVALID"],
      [`s:${id}.forged`, "SESSION_INVALID"],
      [`s:${sign(id, "another secret")}`, "SESSION_INVALID"],
      [`j:{"$ne":null}`, "SESSION_INVALID"],
      [`s:${sign("unknown", secret)}`, "SESSION_UNKNOWN"],
    ] as const) {
      guest.cookies.set("connect.sid", encodeURIComponent(value));
      expect((await refused(guest)).code, value.slice(0, 2)).toBe(code);
      expect(seen.at(-1)).toBe(code);
    }
  });

  test("10: a foreign origin is refused, an allowed one is not", async () => {
    const { login, connect, refused } = await start({ attach: { origins: ["https://app.example.com"] } });
    const ada = await login();
    expect((await refused(ada, { origin: "https://evil.example.com" })).code).toBe("ORIGIN_REFUSED");
    const client = await connect(ada, { origin: "https://app.example.com" });
    expect(await client.ask("user")).toBe("ada");
  });

  test('"anonymous": an empty session; writing to it throws SESSION_MISSING', async () => {
    const { browser, connect } = await start({
      attach: { missing: "anonymous" },
      handle(socket, text) {
        if (text !== "write") return undefined;
        try {
          socket.session.user = "nobody";
          return "written";
        } catch (error) {
          return (error as { code: string }).code;
        }
      },
    });
    const client = await connect(browser());
    expect(await client.ask("user")).toBe(null);
    expect(await client.ask("write")).toBe("SESSION_MISSING");
  });

  test("a client that goes away while it is being admitted leaves nothing", async () => {
    const line = new LineStore();
    const { login, sessions } = await start({ sessions: { store: liveStore(line) }, isImpatient: true });
    const ada = await login();
    line.latency = 50;
    for (let at = 0; at < 3; at++) {
      const asked = line.asked.get;
      const leave = arrive(kind, ada, way);
      await expect.poll(() => line.asked.get, { interval: 5 }).toBeGreaterThan(asked);
      leave();
      await expect.poll(() => sessions.size).toBe(0);
    }
  });
}

/** Who is logged in. */
const isUser: Allow = (session) => session.user !== undefined;

/** Whom `allow` lets in, and whom it lets stay. */
function permissions(start: Start, kind: ServerKind, way: string): void {
  test("13: a session that is not allowed is refused with SESSION_FORBIDDEN, and lives on", async () => {
    const seen: [string, boolean][] = [];
    const { browser, connect, refused, sessions } = await start({ attach: { allow: isUser } });
    sessions.on("refused", ({ code, request }) => seen.push([code, request?.headers.cookie !== undefined]));
    const guest = browser();
    await guest.post("/set", { other: "kept" });
    const refusal = await refused(guest);
    expect(refusal.code).toBe("SESSION_FORBIDDEN");
    if (kind.name === "ws") expect(refusal.status).toBe(403);
    expect(seen).toContainEqual(["SESSION_FORBIDDEN", true]);
    await expect.poll(() => sessions.size).toBe(0);
    await guest.post("/login", { user: "ada" });
    expect(await (await connect(guest)).ask("get other")).toBe("kept");
  });

  test("13: whoever changes the data, who is no longer allowed is told and closed, and nobody else", async () => {
    const changes: Record<string, (ada: Browser, sessions: Sessions, socket: Holder) => unknown> = {
      "an HTTP request": (ada) => ada.post("/forget"),
      "update()": (_ada, sessions, socket) => sessions.update(socket as never, forget),
      "a handler": (_ada, _sessions, socket) => forget(socket.session),
    };
    for (const [by, change] of Object.entries(changes)) {
      const last: unknown[] = [];
      const { login, connect, sessions, sockets } = await start({
        attach: { allow: isUser },
        routes: (app) => app.post("/forget", (req, res) => void res.json((forget(req.session), {}))),
      });
      const [ada, bob] = [await login(), await login("bob")];
      const [one, other, bobs] = [await connect(ada), await connect(ada), await connect(bob)];
      await one.ask("set other kept");
      const live = sessions.get(sockets[0] as never);
      sockets[0]?.once(kind.closeEvent, () => last.push(sockets[0]?.session.other));
      await change(ada, sessions, sockets[0] as Holder);
      expect(await Promise.all([one.ended, other.ended]), by).toEqual(["SESSION_FORBIDDEN", "SESSION_FORBIDDEN"]);
      expect(live?.connections).toBe(0);
      expect(live?.ended).toBeUndefined();
      await expect.poll(() => last).toEqual(["kept"]);
      expect(await ada.get("/session")).toEqual({ other: "kept" });
      expect(await bobs.ask("user")).toBe("bob");
      await expect.poll(() => sessions.size).toBe(1);
    }
  });

  test("13: a handler that forbids its own client still answers, and the next message reaches no handler", async () => {
    const handled: string[] = [];
    const { login, connect } = await start({
      attach: { allow: isUser },
      handle(socket, text) {
        handled.push(text);
        if (text !== "forget") return undefined;
        forget(socket.session);
        return "forgotten";
      },
    });
    const ada = await login();
    const client = await connect(ada);
    const answers = [client.ask("forget")];
    for (let at = 0; at < 10; at++) void client.ask(`too late ${at}`);
    expect(await answers[0]).toBe("forgotten");
    expect(await client.ended).toBe("SESSION_FORBIDDEN");
    expect(handled).toEqual(["forget"]);
    expect(await ada.get("/session")).toEqual({});
  });

  test("13: data that is wrong for a moment, between two assignments, closes nobody", async () => {
    const { login, connect } = await start({
      attach: { allow: isUser },
      handle(socket, text) {
        if (text !== "rename") return undefined;
        forget(socket.session);
        socket.session.user = "lovelace";
        return "renamed";
      },
    });
    const client = await connect(await login());
    expect(await client.ask("rename")).toBe("renamed");
    expect(await client.ask("user")).toBe("lovelace");
  });

  test("13: allow that throws, or answers anything but true, lets nobody in or stay, and is reported", async () => {
    const errors: string[] = [];
    const { login, connect, refused, sessions } = await start({
      attach: {
        allow: (({ other, user }: { other?: string; user?: string }) => {
          if (other === "throw") throw new Error("allow threw");
          return other === "promise" ? Promise.resolve(true) : other === "text" ? user : true;
        }) as never,
      },
    });
    sessions.on("error", (error) => errors.push((error as Error).message));
    for (const [other, report] of [
      ["throw", /^allow threw$/],
      ["promise", /allow returned a promise after a change/],
      ["text", /allow must return true or false, not a string/],
    ] as const) {
      const ada = await login();
      const client = await connect(ada);
      await ada.post("/set", { other });
      expect(await client.ended).toBe("SESSION_FORBIDDEN");
      expect(new Set(errors.splice(0))).toEqual(new Set([expect.stringMatching(report)]));
      // At the handshake it may answer by a promise.
      if (other === "promise") expect(await (await connect(ada)).ask("user")).toBe("ada");
      else expect((await refused(ada)).code).toBe("SESSION_FORBIDDEN");
      expect(new Set(errors.splice(0))).toEqual(new Set(other === "promise" ? [] : [expect.stringMatching(report)]));
    }
  });

  test("13: at the handshake allow gets the request and may answer later; what happens meanwhile counts", async () => {
    let asked = 0;
    let answer: (answered: boolean | Promise<boolean>) => void = () => undefined;
    let answered: Promise<boolean>;
    const errors: unknown[] = [];
    const { login, connect, sessions } = await start({
      routes: (app) => app.post("/forget", (req, res) => void res.json((forget(req.session), {}))),
      attach: {
        allow(session, request) {
          const isAllowed = session.user !== undefined;
          if (!request?.headers["x-slow"]) return isAllowed;
          asked++;
          return answered.then((isYes) => isYes && isAllowed);
        },
      },
    });
    sessions.on("error", (error) => errors.push(error));
    const comeIn = async (meanwhile: (ada: Browser) => unknown): Promise<unknown> => {
      answered = new Promise((resolve) => (answer = resolve));
      const ada = await login();
      const before = asked;
      const coming = connect(ada, { "x-slow": "1" }).then(
        (client) => client.ask("user"),
        (refusal: Refusal) => refusal.code,
      );
      await expect.poll(() => asked).toBeGreaterThan(before);
      await meanwhile(ada);
      answer(true);
      return coming;
    };
    expect(await comeIn(() => undefined)).toBe("ada");
    expect(await comeIn((ada) => ada.post("/set", { other: "harmless" }))).toBe("ada");
    expect(await comeIn(() => answer(false))).toBe("SESSION_FORBIDDEN");
    expect(await comeIn((ada) => ada.post("/forget"))).toBe("SESSION_FORBIDDEN");
    expect(["SESSION_DESTROYED", "SESSION_UNKNOWN"]).toContain(await comeIn((ada) => ada.post("/logout")));
    expect(errors).toEqual([]);
    const broken = new Error("rejected");
    expect(await comeIn(() => answer(Promise.reject(broken)))).toBe("SESSION_FORBIDDEN");
    expect(errors).toContain(broken);
  });

  test("13: without a session allow is asked with an empty one", async () => {
    const asked: unknown[] = [];
    const { browser, connect } = await start({
      attach: { missing: "anonymous", allow: ({ id, user }) => asked.push(id, user) > 0 },
    });
    expect(await (await connect(browser())).ask("user")).toBe(null);
    expect(asked).toEqual([undefined, undefined]);
    const strict = await start({ attach: { missing: "anonymous", allow: isUser } });
    expect((await strict.refused(strict.browser())).code).toBe("SESSION_FORBIDDEN");
    if (way === "upgrade" || kind.isOneWay) return;
    const creating = await start({ attach: { missing: "create", allow: isUser } });
    const guest = creating.browser();
    expect((await creating.refused(guest)).code).toBe("SESSION_FORBIDDEN");
  });
}

function outages(start: Start): void {
  test("9: an outage logs nobody out and loses no change; new handshakes are refused with its code", async () => {
    const line = new LineStore();
    const { login, connect, refused } = await start({ sessions: { store: liveStore(line), lease: 50 } });
    const [ada, bob] = [await login(), await login("bob")];
    const client = await connect(ada);
    line.state = "fails";
    await delay(60);
    expect(await client.ask("set other kept")).toBe("kept");
    const refusal = await refused(bob);
    expect(refusal.code).toBe("STORE_UNAVAILABLE");
    expect(await client.ask("get other")).toBe("kept");
    line.state = "up";
    await expect.poll(async () => (await ada.get("/session"))["other"]).toBe("kept");
    expect(await (await connect(bob)).ask("user")).toBe("bob");
  });

  test("9: after maxStale connections are closed with STORE_UNAVAILABLE", async () => {
    const line = new LineStore();
    const { login, connect } = await start({ sessions: { store: liveStore(line), lease: 50, maxStale: 300 } });
    const client = await connect(await login());
    line.state = "fails";
    const asking = setInterval(() => void client.ask("user"), 50);
    expect(await client.ended.finally(() => clearInterval(asking))).toBe("STORE_UNAVAILABLE");
  });
}

async function run(kind: ServerKind, way: string, options: Options): Promise<Running> {
  const sockets: Holder[] = [];
  const clients: Client[] = [];
  let closeServer = (): void => undefined;
  // A polling client that goes away is noticed when it does not answer.
  const pings = options.isImpatient ? { pingInterval: 300, pingTimeout: 500 } : {};
  const app = await startApp({
    ...(options.sessions && { sessions: options.sessions }),
    attach: false,
    io: pings,
    setup({ app, io, http, sessions }) {
      const { server, close } = kind.create(
        { io, http, pings, sessions, attach: options.attach },
        {
          opened: (socket) => void sockets.push(socket),
          asked: async (socket, text) => (await options.handle?.(socket, text, sessions)) ?? usual(socket, text),
        },
      );
      if (server) sessions.attach(server as AttachableServer, options.attach);
      options.routes?.(app, sessions);
      closeServer = close;
    },
  });
  const connect = async (browser: Browser, headers: Record<string, string> = {}): Promise<Client> => {
    const client = await kind.connect(browser, way, { headers });
    clients.push(client);
    return client;
  };
  onTestFinished(() => {
    closeServer();
    for (const client of clients) client.close();
  });
  return {
    sessions: app.sessions,
    sockets,
    browser: app.browser,
    login: app.login,
    connect,
    async refused(browser, headers) {
      try {
        await connect(browser, headers);
      } catch (error) {
        if (error instanceof Refusal) return error;
        throw error;
      }
      throw new Error("connected, but should be refused");
    },
  };
}

/** "user", "get FIELD", "set FIELD TEXT" */
function usual(socket: Holder, text: string): unknown {
  const [verb = "", field = "", ...words] = text.split(" ");
  const session = socket.session as unknown as Record<string, unknown>;
  if (verb === "set") session[field] = words.join(" ");
  return session[verb === "user" ? verb : field];
}

function count(session: { count?: number }): number {
  return (session.count = (session.count ?? 0) + 1);
}

function forget(session: { user?: string }): void {
  delete session.user;
}

function slowly(line: LineStore, ms: number): LineStore {
  line.latency = ms;
  return line;
}
