// What applications rely on in engine.io-session, line by line, on each stack that it is used with.
import { EventEmitter, once } from "node:events";
import { connect, type Socket } from "node:net";
import { sign } from "cookie-signature";
import { describe, expect, test } from "vitest";
import eioSession from "../../src/compat/engine.io-session.js";
import { memoryStore } from "../../src/index.js";
import type { Transport } from "../support/browser.js";
import { isToday, ofThisRun } from "./support/era.js";
import {
  type EngineApp,
  type EngineStack,
  engineStacks,
  type How,
  key,
  outermost,
  roundTrip,
  runExample,
  secret,
  startEngine,
} from "./support/engine.io.js";
import { backendOf } from "../../src/store/live-store.js";

const hows: readonly How[] = ["on connection", "attach"];
const transports: readonly Transport[] = ["polling", "websocket", "upgrade"];
const direct = ["polling", "websocket"] as const;

if (isToday) {
  test.each(direct)("cookies that a middleware sets stay, too: %s", async (via) => {
    const app = await startEngine(outermost, {
      how: "attach",
      setup: ({ server }) =>
        server.use((_: unknown, response: any, next: () => void) => {
          response.setHeader("Set-Cookie", "mine=1");
          next();
        }),
    });
    const { cookies } = await app.handshake(via);
    expect(cookies.toSorted()).toEqual(["mine=1", expect.stringMatching(/^sid=/)]);
  });

  test("what listeners of the session event throw is the application's, and the other event still comes", async () => {
    const told: unknown[] = [];
    const app = await startEngine(outermost, {
      setup({ server }) {
        server.on("session", () => {
          throw new Error("the application's");
        });
        server.on("connection", (socket: any) => socket.on("session", () => told.push("socket")));
      },
    });
    const uncaught: unknown[] = [];
    const others = process.rawListeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.once("uncaughtException", (error) => uncaught.push(error));
    try {
      await app.connect("websocket");
      await expect.poll(() => uncaught).toEqual([new Error("the application's")]);
      expect(told).toEqual(["socket"]);
    } finally {
      process.removeAllListeners("uncaughtException");
      for (const other of others) process.on("uncaughtException", other as never);
    }
  });

  test("a live store is used as it is, and keeps the session middleware's own cookie options", async () => {
    const store = memoryStore();
    const app = await startEngine(outermost, { store, session: { cookie: { maxAge: 60_000 } } });
    const response = await app.browser().post("/set", { user: "ada" });
    expect(response.headers.getSetCookie()).toEqual([expect.stringContaining("; Expires=")]);
    const { session } = await app.meet("websocket");
    expect(await backendOf(store).read(session.id, (text) => text)).toBeTypeOf("string");
  });

  test("a WebTransport socket, which has no request, is told that it has no session", () => {
    const plugin = eioSession({ cookieParser: () => {}, store: memoryStore(), secret });
    const told: unknown[] = [];
    // WebTransport wants HTTP/3, which Node has not: this is all that the plugin looks at.
    const socket = Object.assign(new EventEmitter(), { request: null, server: new EventEmitter() });
    socket.on("error", (error) => told.push(error));
    plugin(socket);
    expect(told).toEqual([expect.objectContaining({ code: "SESSION_MISSING" })]);
  });
}

describe.each(engineStacks)("$name", (stack) => {
  const options = () => ({ cookieParser: stack.cookieParser(), store: memoryStore(), key, secret });

  test("Server 'session' event: (socket, session) of the HTTP session", async () => {
    const app = await startEngine(stack);
    const ada = await app.login({ user: "ada" });
    const told = once(app.server, "session");
    await app.connect("polling", ada.cookie);
    const [socket, session, ...more] = await told;
    expect(socket).toBe(Object.values(app.server.clients)[0]);
    expect(session).toMatchObject(await ada.get("/session"));
    expect(session.user).toBe("ada");
    expect(more).toEqual([]);
  });

  test.each(hows)("exactly one session event per connection", async (how) => {
    const told: string[] = [];
    const app = await startEngine(stack, {
      how,
      setup({ server, plugin }) {
        // Both forms at once are one too many: still one event.
        server.on("connection", plugin);
        server.on("session", () => told.push("server"));
        server.on("connection", (socket: any) => socket.on("session", () => told.push("socket")));
      },
    });
    const ada = await app.login();
    for (const via of transports) {
      told.length = 0;
      await roundTrip(await app.meet(via, ada.cookie));
      expect(told).toEqual(["server", "socket"]);
      told.length = 0;
      await roundTrip(await app.meet(via));
      expect(told).toEqual(["server", "socket"]);
    }
  });

  test.each(hows)("polling-only and websocket-only clients both get their session", async (how) => {
    const app = await startEngine(stack, { how });
    const ada = await app.login();
    for (const via of transports) {
      const meeting = await app.meet(via, ada.cookie);
      expect(meeting.session.user).toBe("ada");
      await expect.poll(() => meeting.socket.transport.name).toBe(via === "polling" ? "polling" : "websocket");
    }
  });

  test.each(hows)("no cookie: a new session is generated, events on Server and Socket", async (how) => {
    const told: unknown[] = [];
    const app = await startEngine(stack, {
      how,
      setup: ({ server }) =>
        server.on("connection", (socket: any) => socket.on("session", (one: any) => told.push(one))),
    });
    for (const via of transports) {
      const meeting = await app.meet(via);
      await roundTrip(meeting);
      expect(meeting.session.id).toBeTypeOf("string");
      expect(told.pop()).toBe(meeting.session);
      expect(told).toEqual([]);
    }
  });

  test("the cookie so received works over HTTP: same session", async () => {
    const { session, browser } = await given(await startEngine(stack));
    session.user = "eve";
    await new Promise((resolve) => session.save(resolve));
    expect(await browser.get("/session")).toMatchObject({ id: session.id, user: "eve" });
  });

  test("plugin.attach(server): events as with server.on(connection, plugin)", async () => {
    const told: unknown[][] = [];
    const app = await startEngine(stack, {
      how: "attach",
      setup({ server }) {
        server.on("session", (socket: unknown, session: unknown) => told.push(["server", socket, session]));
        server.on("connection", (socket: any) =>
          socket.on("session", (session: unknown) => told.push(["socket", session])),
        );
      },
    });
    const ada = await app.login();
    for (const [cookie, user] of [
      [ada.cookie, "ada"],
      [undefined, undefined],
    ]) {
      for (const via of transports) {
        told.length = 0;
        const meeting = await app.meet(via, cookie);
        expect(meeting.session.user).toBe(user);
        expect(told).toEqual([
          ["server", meeting.socket, meeting.session],
          ["socket", meeting.session],
        ]);
      }
    }
  });

  test("the Set-Cookie is already in the handshake response", async () => {
    await carriesTheCookie(await startEngine(stack, { how: "attach" }), "polling");
  });

  test.each(hows)("a session cookie with a bad signature still gives a (new) session", async (how) => {
    const app = await startEngine(stack, { how });
    const ada = await app.login();
    for (const via of direct) {
      const bad = ada.cookie.replace(/.{4}$/, "AAAA");
      expect(bad).not.toBe(ada.cookie);
      await isNew(app, via, bad, await ada.get("/session"));
    }
  });

  test.each(hows)("an expired/destroyed session gives a (new) session", async (how) => {
    // The parser that verifies cookies itself leaves the old id where express-session would find it.
    for (const parserSecret of [undefined, secret]) {
      const app = await startEngine(stack, { how, plugin: { cookieParser: stack.cookieParser(parserSecret) } });
      const [ada, bob] = [await app.login(), await app.login()];
      const before = { ada: await ada.get("/session"), bob: await bob.get("/session") };
      const { sessions } = app.store as { sessions: Record<string, string> };
      const id = before.ada["id"] as string;
      const stored = JSON.parse(sessions[id] ?? "");
      sessions[id] = JSON.stringify({ ...stored, cookie: { ...stored.cookie, expires: new Date(Date.now() - 1000) } });
      await new Promise((resolve) => app.store.destroy(before.bob["id"], resolve));
      for (const via of direct) {
        await isNew(app, via, ada.cookie, before.ada);
        await isNew(app, via, bob.cookie, before.bob);
      }
      expect(Object.keys(sessions)).not.toContain(before.bob["id"]);
    }
  });

  test("save() writes what was changed, and only if the session is still there", async () => {
    const app = await startEngine(stack);
    const ada = await app.login();
    const { session } = await app.meet("websocket", ada.cookie);
    await ada.post("/set", { cart: ["apple"] });
    session.count = 1;
    await new Promise((resolve) => session.save(resolve));
    expect(await ada.get("/session")).toMatchObject({ user: "ada", cart: ["apple"], count: 1 });
    await ada.post("/logout");
    session.count = 2;
    await new Promise((resolve) => session.save(resolve));
    expect(Object.keys(app.store.sessions)).toEqual([]);
  });

  // Every other rule once on today's stack, and once on the oldest.
  if (stack !== outermost) return;

  test("eioSession(options) returns a connection handler", () => {
    const plugin = eioSession(options());
    expect(plugin).toBeTypeOf("function");
    expect(plugin).toHaveLength(1);
  });

  test("Socket 'session' event: (session)", async () => {
    const told: unknown[][] = [];
    const app = await startEngine(stack, {
      setup: ({ server }) =>
        server.on("connection", (socket: any) => socket.on("session", (...values: unknown[]) => told.push(values))),
    });
    const ada = await app.login();
    const meeting = await app.meet("websocket", ada.cookie);
    await roundTrip(meeting);
    expect(told).toEqual([[meeting.session]]);
    expect(told[0]?.[0]).toHaveProperty("user", "ada");
  });

  test("two clients get their own sessions", async () => {
    const app = await startEngine(stack);
    for (const user of ["ada", "bob"]) {
      const browser = await app.login({ user });
      expect((await app.meet("websocket", browser.cookie)).session.user).toBe(user);
    }
    const one = await app.meet("websocket");
    const other = await app.meet("websocket");
    expect(one.session.id).not.toBe(other.session.id);
  });

  test("the key option names the cookie", async () => {
    const app = await startEngine(stack, { plugin: { key: "other" } });
    const { cookie } = await app.login();
    expect(cookie).toMatch(/^sid=/);
    expect((await app.meet("websocket", cookie)).session.user).toBeUndefined();
    expect((await app.meet("websocket", cookie.replace("sid=", "other="))).session.user).toBe("ada");
    const { key: _, ...withoutKey } = options();
    const byDefault = await startEngine(stack, {
      setup: ({ server, store }) => {
        server.removeAllListeners("connection");
        server.on("connection", eioSession({ ...withoutKey, store }));
      },
    });
    const ada = await byDefault.login();
    expect((await byDefault.meet("websocket", ada.cookie.replace("sid=", "connect.sid="))).session.user).toBe("ada");
  });

  test("the socket is usable from the session event", async () => {
    const app = await startEngine(stack, {
      setup: ({ server }) =>
        server.on("session", (socket: any, session: any) => {
          socket.on("message", (data: string) => socket.send(`${session.user} said ${data}`));
          socket.send(`hello ${session.user}`);
        }),
    });
    const ada = await app.login();
    for (const via of direct) {
      const heard: string[] = [];
      const { client } = await app.meet(via, ada.cookie, heard);
      client.send("hi");
      await expect.poll(() => heard).toEqual(["hello ada", "ada said hi"]);
    }
  });

  test("a session cookie signed with another secret gives no foreign session", async () => {
    const app = await startEngine(stack);
    const ada = await app.login();
    const { id } = await ada.get<{ id: string }>("/session");
    const { session } = await app.meet("websocket", cookieOf(id, "another secret"));
    expect(session.user).toBeUndefined();
    expect(session.id).not.toBe(id);
    // Nor where the parser has that other secret: the session middleware's alone counts.
    const mixed = await startEngine(stack, { plugin: { cookieParser: stack.cookieParser("another secret") } });
    const bob = await mixed.login();
    const { id: bobs } = await bob.get<{ id: string }>("/session");
    expect((await mixed.meet("websocket", cookieOf(bobs, "another secret"))).session.user).toBeUndefined();
    expect((await mixed.meet("websocket", bob.cookie)).session.user).toBe("ada");
  });

  test("the generated session is a Session object and in the store", async () => {
    const app = await startEngine(stack);
    const { session } = await app.meet("websocket");
    await isSessionObject(app, session);
  });

  test("no cookie, polling: a Set-Cookie with the signed new session id is sent (within the first polls)", async () => {
    const app = await startEngine(stack);
    const told = once(app.server, "session");
    const answer = await app.handshake("polling");
    const [socket, session] = await told;
    socket.send("something to answer a poll with");
    const [cookie = ""] = await answer.poll();
    expect(decodeURIComponent(cookie.split(";")[0] ?? "")).toBe(`sid=s:${sign(session.id, secret)}`);
  });

  test("the Set-Cookie carries the session cookie attributes (Path, HttpOnly)", async () => {
    const { line } = await given(await startEngine(stack));
    expect(line.split("; ").slice(1)).toEqual(["Path=/", "HttpOnly"]);
  });

  test.each(hows)("with a valid cookie no Set-Cookie of the session is sent by the socket", async (how) => {
    const app = await startEngine(stack, { how });
    const ada = await app.login();
    for (const via of direct) {
      const told = once(app.server, "session");
      const answer = await app.handshake(via, ada.cookie);
      const [socket] = await told;
      expect(answer.cookies).toEqual([]);
      if (via === "websocket") continue;
      socket.send("something");
      expect(await answer.poll()).toEqual([]);
    }
  });

  test("websocket-only client without cookie: the 101 response carries the Set-Cookie", async () => {
    await carriesTheCookie(await startEngine(stack, { how: "attach" }), "websocket");
  });

  test.each(hows)("the Set-Cookie is sent once, not with each poll", async (how) => {
    const app = await startEngine(stack, { how });
    const told = once(app.server, "session");
    const answer = await app.handshake("polling");
    const [socket] = await told;
    const lines = [...answer.cookies];
    for (let polls = 0; polls < 4; polls++) {
      socket.send("something");
      lines.push(...(await answer.poll()));
    }
    expect(lines).toEqual([expect.stringMatching(/^sid=s%3A/)]);
  });

  test.each(hows)("engine.io's own cookie still reaches the client besides the session cookie", async (how) => {
    const app = await startEngine(stack, { how, engine: stack.ownCookie });
    const told = once(app.server, "session");
    const answer = await app.handshake("polling");
    const [socket, session] = await told;
    socket.send("something");
    const polled = await answer.poll();
    const own = expect.stringMatching(new RegExp(`^io=${socket.id}(;|$)`));
    const ours = expect.stringContaining(encodeURIComponent(session.id));
    expect(answer.cookies).toEqual(how === "attach" ? [own, ours] : [own]);
    // Before Engine.IO 4 its own cookie comes with every answer.
    if (how === "on connection") expect(polled).toEqual(stack.protocol === 3 ? [own, ours] : [ours]);
  });

  test.each(hows)("an unsigned raw session id is not accepted", async (how) => {
    for (const parserSecret of [undefined, secret]) {
      const app = await startEngine(stack, { how, plugin: { cookieParser: stack.cookieParser(parserSecret) } });
      const ada = await app.login();
      const before = await ada.get<{ id: string }>("/session");
      for (const raw of [before.id, `s:${before.id}`, `s%3A${before.id}.`]) {
        await isNew(app, "websocket", `sid=${raw}`, before);
      }
    }
  });

  test.each(hows)(
    "a store error is reported (Server or Socket 'error', or the socket is closed), not swallowed",
    async (how) => {
      const listening = { server: false, socket: false };
      const told: unknown[][] = [];
      const app = await startEngine(stack, {
        how,
        setup({ server }) {
          server.on("session", () => told.push(["session"]));
          server.on("connection", (socket: any) => {
            if (listening.socket) socket.on("error", (...values: unknown[]) => told.push(["socket", ...values]));
          });
        },
      });
      const ada = await app.login();
      const { get } = app.store;
      const known = Object.keys(app.store.sessions);
      // Of this session only: another could be read and made.
      app.store.get = (id: string, done: (error: Error) => void) => {
        if (known.includes(id)) setImmediate(done, new Error("connection refused"));
        else get.call(app.store, id, done);
      };
      const error = expect.objectContaining({ code: "STORE_UNAVAILABLE", cause: new Error("connection refused") });

      for (const via of direct) {
        const client = await app.connect(via, ada.cookie);
        await once(client, "close");
        expect(app.server.clientsCount).toBe(0);
        expect(told).toEqual([]);
      }

      listening.socket = true;
      const client = await app.connect("websocket", ada.cookie);
      await expect.poll(() => told).toHaveLength(1);
      const [socket] = Object.values(app.server.clients) as any[];
      expect(told).toEqual([["socket", error, socket]]);
      await roundTrip({ client, socket });

      app.server.on("error", (...values: unknown[]) => told.push(["server", ...values]));
      listening.socket = false;
      told.length = 0;
      await app.connect("websocket", ada.cookie);
      await expect.poll(() => told).toEqual([["server", error, expect.anything()]]);

      // Unknown is not gone: nobody got a new session, and the old one is there again with the store.
      expect(Object.keys(app.store.sessions)).toEqual(known);
      app.store.get = get;
      expect((await app.meet("websocket", ada.cookie)).session.user).toBe("ada");

      // A new session that cannot be stored is no session.
      told.length = 0;
      app.store.set = (_: string, __: unknown, done: (error: Error) => void) => setImmediate(done, new Error("full"));
      await app.connect("websocket");
      await expect.poll(() => told.filter(([who]) => who === "server")).toHaveLength(1);
      expect(told).toEqual([["server", expect.objectContaining({ code: "STORE_UNAVAILABLE" }), expect.anything()]]);
    },
  );

  test("a JSON cookie (j:{...}) neither crashes the server nor reaches the store as an object", async () => {
    for (const parserSecret of [undefined, secret]) {
      const app = await startEngine(stack, { plugin: { cookieParser: stack.cookieParser(parserSecret) } });
      const ada = await app.login();
      const asked: unknown[] = [];
      for (const method of ["get", "set", "destroy"]) {
        const original = app.store[method];
        app.store[method] = (id: unknown, ...values: unknown[]) => {
          asked.push(id);
          return original.call(app.store, id, ...values);
        };
      }
      const json = 'j:{"$ne":null}';
      for (const value of [json, `s:${sign(json, secret)}`, `s:${json}`]) {
        await isNew(app, "websocket", `sid=${encodeURIComponent(value)}`, await ada.get("/session"));
      }
      expect(asked.length).toBeGreaterThan(3);
      for (const id of asked) expect(id).toBeTypeOf("string");
    }
  });

  test.each(hows)("a cookie parser error does not crash the server", async (how) => {
    for (const cookieParser of [
      (_: never, __: never, next: (error?: unknown) => void) => next(new Error("bad cookie")),
      () => {
        throw new Error("bad cookie");
      },
    ]) {
      const app = await startEngine(stack, { how, plugin: { cookieParser } });
      const client = await app.connect("polling");
      await once(client, "close");
      const errors: unknown[] = [];
      app.server.on("error", (error: unknown) => errors.push(error));
      await app.connect("websocket");
      await expect.poll(() => errors).toEqual([new Error("bad cookie")]);
      expect((await fetch(`${app.url}/session`)).status).toBe(200);
    }
  });

  test("a cookieParser that was given the secret works too", async () => {
    const app = await startEngine(stack, { plugin: { cookieParser: stack.cookieParser(secret) } });
    const ada = await app.login();
    const meeting = await app.meet("websocket", ada.cookie);
    expect(meeting.session.user).toBe("ada");
    expect(meeting.socket.request.signedCookies.sid).toBe(meeting.session.id);
  });

  test("the session of an existing cookie is a Session object too (id, save)", async () => {
    const app = await startEngine(stack);
    const ada = await app.login();
    const { session } = await app.meet("websocket", ada.cookie);
    expect(session.id).toBe((await ada.get("/session"))["id"]);
    await isSessionObject(app, session);
    expect(await ada.get("/session")).toMatchObject({ user: "ada", other: "saved" });
  });

  test.each(hows)(
    "a listener added on the socket in a later 'connection' handler gets the event even with a synchronous store",
    async (how) => {
      const told: any[] = [];
      const app = await startEngine(stack, {
        how,
        setup({ server, store }) {
          Object.assign(store, answersAtOnce(store));
          server.on("connection", (socket: any) => socket.on("session", (session: any) => told.push(session.user)));
        },
      });
      const ada = await app.login();
      for (const via of direct) {
        await roundTrip(await app.meet(via, ada.cookie));
        await roundTrip(await app.meet(via));
      }
      expect(told).toEqual(["ada", undefined, "ada", undefined]);
    },
  );

  // What follows is not in the older module's documentation.

  test("attached, listeners added in the session event miss nothing while the store is slow", async () => {
    const heard: unknown[] = [];
    const app = await startEngine(stack, {
      how: "attach",
      setup({ server, store }) {
        const { get } = store;
        store.get = (...values: unknown[]) => setTimeout(() => get.apply(store, values), 50);
        server.on("session", (socket: any, session: any) =>
          socket.on("message", (data: string) => heard.push(`${session.user}: ${data}`)),
        );
      },
    });
    const ada = await app.login();
    for (const via of direct) (await app.connect(via, ada.cookie)).send(via);
    await expect.poll(() => heard).toEqual(["ada: polling", "ada: websocket"]);
  });

  test("the application's own allowRequest is asked first", async () => {
    const asked: unknown[] = [];
    const app = await startEngine(stack, {
      how: "attach",
      engine: {
        allowRequest(request: any, done: (error: unknown, success: boolean) => void) {
          asked.push(request.headers.cookie);
          done(request.headers.cookie ? null : 3, request.headers.cookie !== undefined);
        },
      },
    });
    const { sessions } = app.store;
    const ada = await app.login();
    await expect(app.handshake("polling")).rejects.toThrow("refused");
    expect(asked).toEqual([undefined]);
    expect(Object.keys(sessions)).toHaveLength(1);
    expect((await app.meet("websocket", ada.cookie)).session.user).toBe("ada");
  });

  test("a client that is gone before its session is found gets no event, and does no harm", async () => {
    const told: unknown[] = [];
    const app = await startEngine(stack, { setup: ({ server }) => server.on("session", () => told.push("session")) });
    const ada = await app.login();
    const { get } = app.store;
    let answer = (): void => {};
    app.store.get = (...values: unknown[]) => (answer = () => get.apply(app.store, values));
    const client = await app.connect("websocket", ada.cookie);
    const [socket] = Object.values(app.server.clients) as any[];
    const closed = once(socket, "close");
    client.close();
    await closed;
    app.store.get = get;
    answer();
    await app.meet("websocket", ada.cookie);
    expect(told).toEqual(["session"]);
  });

  // https://github.com/socketio/socket.io/issues/3564
  test("a WebSocket client that resets its connection while the store is asked ends nothing", async () => {
    const app = await startEngine(stack, { how: "attach" });
    const ada = await app.login();
    const { get } = app.store;
    const asked = new Promise<() => void>((resolve) => {
      app.store.get = (...values: unknown[]) => resolve(() => get.apply(app.store, values));
    });
    const raw = upgradeRequest(app.url, stack, ada.cookie);
    const answer = await asked;
    raw.resetAndDestroy();
    app.store.get = get;
    // By the time another client has been served, the server has seen the reset.
    await roundTrip(await app.meet("websocket", ada.cookie));
    answer();
    await roundTrip(await app.meet("websocket", ada.cookie));
  });

  test("the cookie of a WebSocket handshake that fails goes to nobody else", async () => {
    const app = await startEngine(stack, { how: "attach" });
    const ada = await app.login();
    const raw = upgradeRequest(app.url, stack, "", "12345");
    raw.resume();
    await once(raw, "close");
    expect(Object.keys(app.store.sessions)).toHaveLength(2);
    expect((await app.handshake("websocket", ada.cookie)).cookies).toEqual([]);
  });

  test("attach() twice, and to something else, is refused", async () => {
    const app = await startEngine(stack, { how: "attach" });
    expect(() => app.plugin.attach(app.server)).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
    expect(() => app.plugin.attach({} as never)).toThrow(expect.objectContaining({ code: "SERVER_UNSUPPORTED" }));
    expect(() => app.plugin.attach(undefined as never)).toThrow(
      expect.objectContaining({ code: "SERVER_UNSUPPORTED" }),
    );
  });
});

// The document's own programs, by the versions that they are run with.
const examples = [
  ["engine.io-session-express.cjs", "express", "engine.io"],
  ["engine.io-session-express.cjs", "express4", "engine.io"],
  ["engine.io-session-connect.cjs", "connect-2.30", "engine.io-3.6"],
  ["engine.io-session-connect.cjs", "connect-2.30", "engine.io-1.6"],
  ["engine.io-session-express-3.cjs", "express-3.21", "engine.io-3.6"],
  ["engine.io-session-express-3.cjs", "express-3.21", "engine.io-1.6"],
] as const;

test.each(ofThisRun(examples, ([, , engine]) => engine === "engine.io"))(
  "the example %s runs with %s and %s",
  async (file, framework, engine) => {
    const { logged, browser, connectClient } = await runExample(file, framework, engine);
    await browser.fetch("/");
    const id = decodeURIComponent(browser.cookies.get("sid") ?? "").replace(/^s:|\..*$/g, "");
    expect(id).toMatch(/^[\w-]{32}$/);
    await connectClient("polling", browser.cookie);
    await expect.poll(() => logged).toEqual([expect.objectContaining({ id })]);
    await connectClient("websocket");
    await expect.poll(() => logged).toHaveLength(2);
    expect(logged[1]).not.toMatchObject({ id });
  },
);

if (isToday) {
  test.each([
    ["no cookie parser", { cookieParser: undefined }, "OPTION_INVALID"],
    ["no secret", { secret: undefined }, "OPTION_INVALID"],
    ["an empty secret", { secret: "" }, "OPTION_INVALID"],
    ["no secrets", { secret: [] }, "OPTION_INVALID"],
    ["a secret that is none", { secret: ["one", 2] }, "OPTION_INVALID"],
    ["an empty key", { key: "" }, "OPTION_INVALID"],
    ["no store", { store: undefined }, "OPTION_INVALID"],
    ["a store that cannot write", { store: { get() {} } }, "STORE_UNSUPPORTED"],
  ])("refuses %s", (_, wrong, code) => {
    const right = { cookieParser: () => {}, store: memoryStore(), secret };
    expect(() => eioSession({ ...right, ...wrong } as never)).toThrow(expect.objectContaining({ code }));
  });

  test.each([undefined, null])("refuses %s instead of options", (options) => {
    expect(() => eioSession(options as never)).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
  });
}

/** A client that asks for a WebSocket, and does nothing more. */
function upgradeRequest(url: string, { protocol }: EngineStack, cookie: string, version = "13"): Socket {
  const raw = connect(Number(new URL(url).port), "127.0.0.1");
  raw.write(
    `GET /engine.io/?EIO=${protocol}&transport=websocket HTTP/1.1\r\nHost: localhost\r\n` +
      `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: ${version}\r\n` +
      `Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nCookie: ${cookie}\r\n\r\n`,
  );
  return raw;
}

function cookieOf(id: string, with_: string): string {
  return `sid=${encodeURIComponent(`s:${sign(id, with_)}`)}`;
}

/** A client without a cookie polls until it is given one. */
async function given(app: EngineApp) {
  const told = once(app.server, "session");
  const answer = await app.handshake("polling");
  const [socket, session] = await told;
  socket.send("something");
  const [line = ""] = await answer.poll();
  const browser = app.browser();
  browser.take(line);
  return { session, line, browser };
}

async function carriesTheCookie(app: EngineApp, via: "polling" | "websocket"): Promise<void> {
  const told = once(app.server, "session");
  const { cookies } = await app.handshake(via);
  const [, session] = await told;
  expect(cookies).toHaveLength(1);
  expect(cookies[0]).toMatch(/; Path=\/; HttpOnly$/);
  const browser = app.browser();
  browser.take(cookies[0] ?? "");
  expect(await browser.get("/session")).toMatchObject({ id: session.id });
}

/** The client is given another session than that of before, without its data; attached, with its cookie. */
async function isNew(app: EngineApp, via: "polling" | "websocket", cookie: string, before: any): Promise<void> {
  const told = once(app.server, "session");
  const { cookies } = await app.handshake(via, cookie);
  const [, session] = await told;
  expect(session.id).toMatch(/^[\w-]{32}$/);
  expect(session.id).not.toBe(before.id);
  expect(session.user).toBeUndefined();
  expect(Object.keys(app.store.sessions)).toContain(session.id);
  for (const line of cookies) expect(line).toContain(encodeURIComponent(sign(session.id, secret)));
}

async function isSessionObject(app: EngineApp, session: any): Promise<void> {
  for (const method of ["save", "reload", "touch", "regenerate", "destroy", "resetMaxAge"]) {
    expect(session[method]).toBeTypeOf("function");
  }
  expect(session.cookie).toMatchObject({ path: "/", httpOnly: true });
  expect(Object.keys(app.store.sessions)).toContain(session.id);
  session.other = "saved";
  expect(await new Promise((resolve) => session.save(resolve))).toBeFalsy();
  const stored: any = await new Promise((resolve) =>
    app.store.get(session.id, (_: unknown, data: any) => resolve(data)),
  );
  expect(stored).toMatchObject({ other: "saved" });
}

/** MemoryStore's get and set, with an answer before they return. */
function answersAtOnce({ sessions }: any): object {
  return {
    get: (id: string, done: any) => done(null, sessions[id] && JSON.parse(sessions[id])),
    set(id: string, data: object, done?: any) {
      sessions[id] = JSON.stringify(data);
      done?.();
    },
  };
}
