// socket.io-sessions, line by line: what applications rely on, on each stack and transport.
import { runInNewContext } from "node:vm";
import { sign } from "cookie-signature";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import sio from "../../src/compat/socket.io-sessions.js";
import { jump } from "../support/clocks.js";
import { nextMessage, rawId, scriptPath, startSessions, tell, ticketIn } from "./support/socket.io-sessions.js";
import { outermost, received, secret, stacksWith, startStack } from "./support/stacks.js";

const rows = stacksWith("4", "Connect 1.9");

describe.each(rows)("$title", (row) => {
  const isOld = row.stack.version === "0.9";

  /** How this stack's browsers send an id. */
  const cookieFor = (id: string): string => `connect.sid=${encodeURIComponent(isOld ? id : `s:${sign(id, secret)}`)}`;

  test("[doc] client JS at /socket.io/socket.io-sessions.js defines io.connectWithSession", async () => {
    const app = await startSessions(row);
    const response = await (await app.login()).fetch("/socket.io/socket.io-sessions.js");
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toMatch(/^text\/javascript/);
    const io: any = {};
    runInNewContext(await response.text(), { io });
    expect(io.connectWithSession).toBeTypeOf("function");
    expect(io.SessionSocket).toBeTypeOf("function");
  });

  test("[doc] sconnection(client, session) for a page using connectWithSession()", async () => {
    const app = await startSessions(row);
    const browser = await app.login({ user: "ada" });
    await app.page(browser);
    const { client, session } = await app.next("sconnection");
    expect(app.sockets().includes(client)).toBe(true);
    expect(session.user).toBe("ada");
    expect(session.save).toBeTypeOf("function");
    expect(app.told.length).toBe(1);
  });

  test("[doc] messages work as usual in both directions", async () => {
    const app = await startSessions(row, {
      handlers: (socket) =>
        socket.on("sconnection", (client: any) => {
          client.on("message", (message: unknown) => client.send(`you said ${String(message)}`));
          client.on("custom", (...values: unknown[]) => client.emit("custom back", ...values));
          client.send("welcome");
        }),
    });
    const page: any = await app.page(await app.login());
    expect(await nextMessage(page)).toBe("welcome");
    const answer = nextMessage(page);
    page.send("hi");
    expect(await answer).toBe("you said hi");
    const back = received(page, "custom back");
    page.emit("custom", { a: [1] });
    expect(await back).toEqual({ a: [1] });
  });

  test("[doc] per connection: the session is saved on disconnect, after the disconnect callback", async () => {
    const order: unknown[] = [];
    const app = await startSessions(row, {
      setup({ store }) {
        const { set } = store;
        store.set = (id: unknown, session: any, done: unknown) => {
          if (session.before) order.push("saved", session.inside);
          return set.call(store, id, session, done);
        };
      },
      handlers: (socket) =>
        socket.on("sconnection", (client: any, session: any) => {
          session.before = 1;
          client.on("disconnect", () => {
            order.push("disconnect");
            session.inside = 2;
          });
        }),
    });
    const browser = await app.login({ user: "ada" });
    const page = await app.page(browser);
    await app.next("sconnection");
    page.disconnect();
    await expect.poll(() => app.stored(browser)).toMatchObject({ user: "ada", before: 1, inside: 2 });
    expect(order).toEqual(["disconnect", "saved", 2]);
  });

  test("[doc] per_message: saved after the smessage callback", async () => {
    const app = await startSessions(row, {
      enable: { per_message: true },
      handlers: (socket) =>
        socket.on("sconnection", (client: any) =>
          client.on("smessage", (message: unknown, session: any) => (session.last = message)),
        ),
    });
    const browser = await app.login({ user: "ada" });
    const page: any = await app.page(browser);
    await app.next("sconnection");
    page.send("hi");
    await expect.poll(() => app.stored(browser)).toMatchObject({ user: "ada", last: "hi" });
  });

  test("[doc] sinvalid(client) when the session is not in the store", async () => {
    const app = await startSessions(row);
    const browser = await app.login();
    const script = await (await browser.fetch(scriptPath)).text();
    await browser.post("/logout");
    for (const cookie of [browser.cookie, undefined]) {
      app.told.length = 0;
      await app.page(browser, { script, cookie });
      const { client } = await app.next("sinvalid");
      expect(app.sockets().includes(client)).toBe(true);
      expect(app.told.length).toBe(1);
    }
  });

  test("[compat] the session is linked although the socket handshake itself carries no cookie (id bundled in the JS)", async () => {
    const app = await startSessions(row);
    const browser = await app.login({ user: "ada" });
    const page = await app.page(browser, { cookie: undefined });
    const { client, session } = await app.next("sconnection");
    expect(client.handshake.headers.cookie).toBeUndefined();
    expect(session.user).toBe("ada");
    session.linked = true;
    page.disconnect();
    await expect.poll(() => app.stored(browser)).toMatchObject({ linked: true });
  });

  test("[safe] a client without cookie cannot take over a session by sending its raw id", async () => {
    const app = await startSessions(row);
    const browser = await app.login();
    const id = rawId(browser);
    const raw = await browser.get<string>("/id");
    const value = decodeURIComponent(browser.cookies.get("connect.sid") ?? "");
    const reads = app.reads();
    for (const __sid of [id, raw, value, `s:${id}`, Buffer.from(raw).toString("base64url")]) {
      await tell(app, undefined, { __sid });
      await app.next("sinvalid");
      expect(app.told.length).toBe(1);
      app.told.length = 0;
    }
    expect(app.reads()).toBe(reads);
  });

  test("[safe] a session destroyed over HTTP (logout) is not resurrected at disconnect", async () => {
    const app = await startSessions(row);
    const browser = await app.login();
    const page = await app.page(browser);
    const { session } = await app.next("sconnection");
    session.ghost = true;
    await browser.post("/logout");
    const saving = new Promise((resolve) => {
      const { save } = session;
      session.save = (done: () => void) => save.call(session, () => resolve(done()));
    });
    page.disconnect();
    await saving;
    expect(await app.stored(browser)).toBeUndefined();
  });

  // Every other rule once on today's stack, and once on the oldest.
  if (!outermost(rows).includes(row)) return;

  test("[doc] enable({socket, store, parser}) returns an object with on()", async () => {
    const app = await startStack(row.stack);
    const socket = sio.enable({ socket: app.io, store: app.store, parser: app.cookieParser });
    expect(socket.on).toBeTypeOf("function");
    // As the older module did: what else the application does with it is Socket.IO's.
    expect(socket === app.io).toBe(true);
  });

  test("[compat] enable() throws without socket, store, or parser/cutter", async () => {
    const { io: socket, store, cookieParser: parser } = await startStack(row.stack);
    for (const options of [undefined, {}, { store, parser }, { socket, parser }, { socket, store }]) {
      expect(() => sio.enable(options as any)).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
    }
    expect(() => sio.enable({ socket: {} as any, store, parser })).toThrow(/attached to an HTTP server/);
  });

  test("[compat] exports.version is a string", () => {
    expect(sio.version).toBeTypeOf("string");
  });

  test("[doc] a timestamp query is accepted: socket.io-sessions.js?123", async () => {
    const app = await startSessions(row);
    const response = await app.browser().fetch(`${scriptPath}?${Date.now()}`);
    expect(response.status).toBe(200);
    expect(await response.text()).toContain("io.connectWithSession = ");
  });

  test("[doc] changing the resource/path option moves the client JS", async () => {
    const app = await startSessions(row, { io: { path: "/elsewhere", resource: "/elsewhere" } });
    const browser = app.browser();
    const moved = await browser.fetch("/elsewhere/socket.io-sessions.js");
    expect(await moved.text()).toContain("io.connectWithSession = ");
    expect((await browser.fetch(scriptPath)).status).toBe(404);
  });

  test("[compat] ETag: If-None-Match answers 304", async () => {
    // The tag is another one every five minutes.
    jump(0);
    const app = await startSessions(row);
    const browser = await app.login();
    const etag = (await browser.fetch(scriptPath)).headers.get("etag") as string;
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`]) {
      const again = await browser.fetch(scriptPath, { headers: { "if-none-match": known } });
      expect(again.status).toBe(304);
      expect(again.headers.get("etag")).toBe(etag);
      expect(await again.text()).toBe("");
    }
    expect((await browser.fetch(scriptPath, { headers: { "if-none-match": '"other"' } })).status).toBe(200);
  });

  test("[compat] ETag of another session differs: no 304 for it", async () => {
    const app = await startSessions(row);
    const [ada, bob, nobody] = [await app.login(), await app.login(), app.browser()];
    const etag = (await ada.fetch(scriptPath)).headers.get("etag") as string;
    for (const other of [bob, nobody]) {
      const response = await other.fetch(scriptPath, { headers: { "if-none-match": etag } });
      expect(response.status).toBe(200);
      expect(response.headers.get("etag")).not.toBe(etag);
    }
  });

  test("[doc] other requests still reach the app and socket.io", async () => {
    const app = await startSessions(row);
    const browser = await app.login({ user: "ada" });
    expect(await browser.get("/session")).toMatchObject({ user: "ada" });
    expect(await (await browser.fetch("/socket.io/socket.io.js")).text()).toContain("socket.io");
    expect((await browser.fetch("/nothing/here")).status).toBe(404);
    const client = await app.connect(browser.cookie);
    const echo = received(client, "message");
    for (const socket of app.sockets()) socket.send("hello");
    expect(await echo).toBe("hello");
  });

  test("[safe] request listeners that are added after enable() see all requests but those for the script", async () => {
    const app = await startSessions(row);
    const seen: unknown[] = [];
    app.http.on("request", (request, response) => {
      seen.push(request.url);
      if (request.url === scriptPath) response.end("not the script");
    });
    const browser = await app.login({ user: "ada" });
    expect(await (await browser.fetch(scriptPath)).text()).toContain("io.connectWithSession = ");
    expect(await browser.get("/session")).toMatchObject({ user: "ada" });
    expect(seen).toContain("/session");
    expect(seen).not.toContain(scriptPath);
  });

  test("[safe] a response that others have answered, or that fails, does not crash the server", async () => {
    const app = await startSessions(row);
    const browser = app.browser();
    const { emit } = app.http;
    const failure = (): never => {
      throw new Error("the response failed");
    };
    let meddle: (response: any) => void = () => undefined;
    app.http.emit = (event: string, ...values: any[]) => {
      if (event === "request") meddle(values[1]);
      return (emit as any).call(app.http, event, ...values);
    };
    meddle = (response) => {
      response.write("ans");
      setImmediate(() => response.end("wered"));
    };
    expect(await (await browser.fetch(scriptPath)).text()).toBe("answered");
    meddle = (response) => {
      const { writeHead } = response;
      response.writeHead = () => {
        response.writeHead = writeHead;
        failure();
      };
    };
    expect((await browser.fetch(scriptPath)).status).toBe(500);
    meddle = (response) => (response.end = failure);
    await expect(browser.fetch(scriptPath)).rejects.toThrow();
    meddle = () => undefined;
    expect((await browser.fetch(scriptPath)).status).toBe(200);
  });

  test("[compat] a plain io.connect() gives no sconnection", async () => {
    const app = await startSessions(row);
    const browser = await app.login();
    await app.connect(browser.cookie);
    // A page that connects later is told: so the first would have been, by now.
    await app.page(browser);
    await app.next("sconnection");
    expect(app.told.length).toBe(1);
    expect(app.sockets().length).toBe(2);
  });

  test("[ext] the example page's socket.send(message, callback) calls back (0.7-0.9 auto-ack; not Socket.IO >= 1 behaviour)", async () => {
    const messages: unknown[] = [];
    const app = await startSessions(row, {
      handlers: (socket) =>
        socket.on("sconnection", (client: any) => client.on("message", (message: unknown) => messages.push(message))),
    });
    const page: any = await app.page(await app.login());
    await app.next("sconnection");
    await new Promise<void>((resolve) => page.send("ping", () => resolve()));
    expect(messages).toEqual(["ping"]);
  });

  test("[doc] per connection: a change made only in the disconnect callback is saved too", async () => {
    const app = await startSessions(row, {
      handlers: (socket) =>
        socket.on("sconnection", (client: any, session: any) => {
          // Listeners that are added late count, too.
          client.on("message", () => {
            client.on("disconnect", () => (session.left = true));
            client.send("ready");
          });
        }),
    });
    const browser = await app.login();
    const page: any = await app.page(browser);
    const ready = nextMessage(page);
    page.send("go");
    await ready;
    page.disconnect();
    await expect.poll(() => app.stored(browser)).toMatchObject({ left: true });
  });

  test("[compat] per connection: not saved before disconnect", async () => {
    const app = await startSessions(row, {
      handlers: (socket) =>
        socket.on("sconnection", (client: any, session: any) => {
          session.early = true;
          client.on("message", () => {
            session.pings = 1;
            client.send("changed");
          });
        }),
    });
    const browser = await app.login();
    const set = vi.spyOn(app.store, "set");
    const page: any = await app.page(browser);
    const changed = nextMessage(page);
    page.send("ping");
    await changed;
    expect(set).not.toHaveBeenCalled();
    const before = await app.stored(browser);
    expect(before).not.toHaveProperty("early");
    expect(before).not.toHaveProperty("pings");
    page.disconnect();
    await expect.poll(() => app.stored(browser)).toMatchObject({ early: true, pings: 1 });
  });

  test("[doc] a second connection loads what the first one saved", async () => {
    const counts: number[] = [];
    const app = await startSessions(row, {
      handlers: (socket) =>
        socket.on("sconnection", (client: any, session: any) => {
          session.conns = (session.conns ?? 0) + 1;
          counts.push(session.conns);
          client.send("counted");
        }),
    });
    const browser = await app.login();
    const first = await app.page(browser);
    await app.next("sconnection");
    first.disconnect();
    await expect.poll(() => app.stored(browser)).toMatchObject({ conns: 1 });
    await nextMessage(await app.page(browser));
    expect(counts).toEqual([1, 2]);
  });

  test("[doc] two pages get their own sessions", async () => {
    const app = await startSessions(row, {
      handlers: (socket) => socket.on("sconnection", (client: any, session: any) => client.send(session.user)),
    });
    const browsers = await Promise.all(["ada", "bob"].map((user) => app.login({ user })));
    for (const cookie of [true, false]) {
      const pages = await Promise.all(
        browsers.map((browser) => app.page(browser, cookie ? {} : { cookie: undefined })),
      );
      expect(await Promise.all(pages.map((page) => nextMessage(page)))).toEqual(["ada", "bob"]);
    }
  });

  test("[doc] a store that does not answer: sinvalid", async () => {
    const app = await startSessions(row);
    const browser = await app.login();
    const page: any = await app.connect(browser.cookie);
    const asked = new Promise<void>((resolve) => (app.store.get = () => resolve()));
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    page.emit("connect_with_session", {});
    await asked;
    expect(app.told).toEqual([]);
    vi.advanceTimersByTime(5000);
    await app.next("sinvalid");
  });

  describe("per_message", () => {
    const enable = { per_message: true };

    // The server of 0.9 reads what comes at once by recursion, and has no stack for a thousand.
    const modern = isOld ? undefined : test;
    modern?.(
      "[safe] per_message: a client whose messages come faster than the store answers is disconnected",
      async () => {
        const app = await startSessions(row, { enable });
        const browser = await app.login();
        const page: any = await app.page(browser);
        const { client } = await app.next("sconnection");
        const seen: unknown[] = [];
        client.on("smessage", (message: unknown) => seen.push(message));
        const { get } = app.store;
        const answers: (() => void)[] = [];
        app.store.get = (...values: unknown[]) => answers.push(() => get.apply(app.store, values));
        const padding = "x".repeat(500);
        const gone = new Promise((resolve) => page.once("disconnect", resolve));
        for (let count = 1; count <= 1001; count++) page.send(`${count} ${padding}`);
        await gone;
        app.store.get = get;
        for (const answer of answers) answer();
        await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(1000);
        expect(seen.at(-1)).toBe(`1000 ${padding}`);
      },
    );

    test("[doc] per_message: sconnection(client), then smessage(message, session) for each message", async () => {
      const seen: unknown[] = [];
      const app = await startSessions(row, {
        enable,
        handlers: (socket) =>
          socket.on("sconnection", (...values: any[]) => {
            const [client] = values;
            seen.push(values.length);
            client.on("smessage", (message: unknown, session: any) => {
              seen.push([message, session.user]);
              client.send("seen");
            });
          }),
      });
      const page: any = await app.page(await app.login({ user: "ada" }));
      for (const message of ["one", "two"]) {
        const answer = nextMessage(page);
        page.send(message);
        await answer;
      }
      expect(seen).toEqual([1, ["one", "ada"], ["two", "ada"]]);
    });

    test("[doc] per_message: the session is reloaded for each message", async () => {
      const app = await startSessions(row, {
        enable,
        handlers: (socket) =>
          socket.on("sconnection", (client: any) =>
            client.on("smessage", (_: unknown, session: any) => client.send(session.user)),
          ),
      });
      const browser = await app.login({ user: "ada" });
      const page: any = await app.page(browser);
      await app.next("sconnection");
      for (const user of ["ada", "bob"]) {
        await browser.post("/set", { user });
        const answer = nextMessage(page);
        page.send("who am I?");
        expect(await answer).toBe(user);
      }
    });

    test("[doc] per_message: smessage for each, counters add up", async () => {
      const app = await startSessions(row, {
        enable,
        handlers: (socket) =>
          socket.on("sconnection", (client: any) =>
            client.on("smessage", (_: unknown, session: any) => (session.pings = (session.pings ?? 0) + 1)),
          ),
      });
      const browser = await app.login();
      const pages: any[] = await Promise.all([app.page(browser), app.page(browser)]);
      await expect.poll(() => app.told.length).toBe(2);
      for (let i = 0; i < 10; i++) for (const page of pages) page.send("ping");
      await expect.poll(() => app.stored(browser)).toMatchObject({ pings: 20 });
    });

    test("[doc] per_message: sinvalid when the session is gone at a message", async () => {
      const messages: unknown[] = [];
      const app = await startSessions(row, {
        enable,
        handlers: (socket) =>
          socket.on("sconnection", (client: any) =>
            client.on("smessage", (message: unknown) => messages.push(message)),
          ),
      });
      const browser = await app.login();
      const page: any = await app.page(browser);
      const { client } = await app.next("sconnection");
      await browser.post("/logout");
      page.send("too late");
      expect((await app.next("sinvalid")).client === client).toBe(true);
      expect(messages).toEqual([]);
      expect(await app.stored(browser)).toBeUndefined();
    });
  });

  test("[doc] sinvalid(client) when the store errors", async () => {
    const app = await startSessions(row);
    const browser = await app.login();
    const script = await (await browser.fetch(scriptPath)).text();
    app.store.get = (_: unknown, done: (error: Error) => void) => setImmediate(done, new Error("the store is down"));
    await app.page(browser, { script });
    expect(app.sockets().includes((await app.next("sinvalid")).client)).toBe(true);
    app.told.length = 0;
    app.store.get = () => {
      throw new Error("the store is broken");
    };
    await app.page(browser, { script });
    await app.next("sinvalid");
  });

  test("[doc] sinvalid(client) for a page without any cookie; the client can be told to refresh", async () => {
    const app = await startSessions(row, {
      handlers: (socket) => socket.on("sinvalid", (client: any) => client.send("please refresh")),
    });
    const page = await app.page(undefined);
    expect(await nextMessage(page)).toBe("please refresh");
    expect(app.told.map(([event]) => event)).toEqual(["sinvalid"]);
  });

  test("[doc] cutter(req) returns the session id used with store.get()", async () => {
    const asked: unknown[] = [];
    const app = await startSessions(row, {
      enable: ({ store }) => ({
        parser: undefined,
        cutter: (request: any) => /own=(\w+)/.exec(request.headers.cookie ?? "")?.[1],
        store: {
          get(id: string, done: (error: unknown, data?: object) => void) {
            asked.push(id);
            store.get(id, done);
          },
        },
      }),
    });
    const browser = await app.login({ user: "ada" });
    const stored = await app.stored(browser);
    await new Promise((resolve) => app.store.set("abc123", stored, resolve));
    browser.cookies.set("own", "abc123");
    await app.page(browser, { cookie: undefined });
    expect((await app.next("sconnection")).session.user).toBe("ada");
    expect(new Set(asked)).toEqual(new Set(["abc123"]));
  });

  test("[safe] the raw session id is not in the (cross-origin includable) JS", async () => {
    const app = await startSessions(row);
    const browser = await app.login();
    const response = await browser.fetch(scriptPath);
    const script = await response.text();
    const id = rawId(browser);
    expect(id.length).toBeGreaterThan(20);
    const everything = `${script}${JSON.stringify([...response.headers])}`;
    const ticket = Buffer.from(ticketIn(script) ?? "", "base64url");
    expect(ticket.length).toBeGreaterThan(id.length);
    for (const form of [id, encodeURIComponent(id), Buffer.from(id).toString("base64url").slice(0, -2)]) {
      expect(everything).not.toContain(form);
      expect(ticket.includes(form)).toBe(false);
    }
  });

  test("[safe] the per-user JS is not publicly cacheable (Cache-Control private/no-store/no-cache)", async () => {
    const app = await startSessions(row);
    const browser = await app.login();
    const response = await browser.fetch(scriptPath);
    const again = await browser.fetch(scriptPath, {
      headers: { "if-none-match": response.headers.get("etag") as string },
    });
    for (const { headers } of [response, again]) {
      expect(headers.get("cache-control")).toBe("private, no-cache");
      expect(headers.get("vary")).toMatch(/\bcookie\b/i);
    }
  });

  test("[safe] the per-user JS cannot be included by another origin (Cross-Origin-Resource-Policy)", async () => {
    const app = await startSessions(row, { io: isOld ? {} : { cors: { origin: true, credentials: true } } });
    const browser = await app.login();
    const own = await browser.fetch(scriptPath, { headers: { "sec-fetch-site": "same-origin", origin: app.url } });
    expect(ticketIn(await own.text())).toBeTypeOf("string");
    for (const headers of [
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { origin: "https://evil.example" },
      { origin: "null" },
    ]) {
      const foreign = await browser.fetch(scriptPath, { headers });
      expect(foreign.status).toBe(403);
      expect(await foreign.text()).not.toContain("connectWithSession");
      expect(foreign.headers.get("cross-origin-resource-policy")).toBe("same-origin");
      expect(foreign.headers.get("access-control-allow-origin")).toBeNull();
    }
    // Browsers that do not say where a request comes from keep to the header.
    const old = await browser.fetch(scriptPath);
    expect(old.headers.get("cross-origin-resource-policy")).toBe("same-origin");
    expect(old.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("[safe] the ETag is a quoted string", async () => {
    const app = await startSessions(row);
    for (const browser of [await app.login(), app.browser()]) {
      expect((await browser.fetch(scriptPath)).headers.get("etag")).toMatch(/^"[\w-]+"$/);
    }
  });

  test("[safe] a cookie with a line break does not crash the server", async () => {
    const app = await startSessions(row);
    const browser = app.browser();
    for (const id of ["a\nb", "a\r\nSet-Cookie: x=y", "\u2028"]) {
      const cookie = cookieFor(id);
      const response = await browser.fetch(scriptPath, { headers: { cookie } });
      expect(response.status).toBe(200);
      expect(response.headers.get("etag")).toMatch(/^"[\w-]+"$/);
      expect(ticketIn(await response.text())).toBeTypeOf("string");
      await tell(app, cookie);
      await app.next("sinvalid");
      app.told.length = 0;
    }
  });

  test("[safe] a cookie with a quote cannot inject into the JS", async () => {
    const app = await startSessions(row);
    for (const quote of ["'", '"', "`", "\\"]) {
      const cookie = cookieFor(`${quote});hacked=1;//</script>`);
      const script = await (await app.browser().fetch(scriptPath, { headers: { cookie } })).text();
      expect(script).not.toContain("hacked");
      expect(ticketIn(script)).toMatch(/^[\w-]+$/);
    }
  });

  test("[safe] a parser error on the JS request does not crash the server", async () => {
    let id = "";
    const failing = [
      (_: unknown, __: unknown, next: (error: Error) => void) => next(new Error("cannot parse")),
      () => {
        throw new Error("cannot parse");
      },
      // One that has found the session before it fails.
      (request: any, _: unknown, next: (error: Error) => void) => {
        request.signedCookies = { "connect.sid": id };
        next(new Error("cannot parse"));
      },
    ];
    for (const parser of failing) {
      const app = await startSessions(row, { enable: { parser } });
      const browser = await app.login();
      id = await browser.get<string>("/id");
      const response = await browser.fetch(scriptPath);
      expect(response.status).toBe(200);
      expect(ticketIn(await response.text())).toBeNull();
      await app.page(browser);
      await app.next("sinvalid");
    }
  });

  test("[safe] connect_with_session without payload does not crash the server", async () => {
    const app = await startSessions(row);
    for (const payload of [[], [null], ["text"], [7]]) {
      await tell(app, undefined, ...payload);
      await app.next("sinvalid");
      app.told.length = 0;
    }
    await app.page(await app.login());
    await app.next("sconnection");
  });

  test("[safe] a __sid that is not a string does not crash the server", async () => {
    const app = await startSessions(row);
    const browser = await app.login();
    for (const __sid of [7, null, true, {}, [rawId(browser)], { $ne: null }]) {
      await tell(app, undefined, { __sid });
      await app.next("sinvalid");
      expect(app.told.length).toBe(1);
      app.told.length = 0;
    }
  });

  test("[safe] connect_with_session twice gives one sconnection", async () => {
    const app = await startSessions(row);
    const browser = await app.login();
    const page: any = await app.page(browser);
    page.emit("connect_with_session", {});
    const { client } = await app.next("sconnection");
    page.emit("connect_with_session", {});
    const answer = new Promise((resolve) => client.on("after", resolve));
    page.emit("after", 1);
    await answer;
    await app.page(browser);
    await expect.poll(() => app.told.length).toBe(2);
    expect(app.told.filter(([, one]) => one === client).length).toBe(1);
  });

  test("[safe] what HTTP stored meanwhile is not lost at disconnect", async () => {
    const app = await startSessions(row);
    const browser = await app.login({ user: "ada", count: 1 });
    const page = await app.page(browser);
    const { session } = await app.next("sconnection");
    session.fromSocket = true;
    await browser.post("/set", { count: 2, fromHttp: true });
    page.disconnect();
    await expect
      .poll(() => app.stored(browser))
      .toMatchObject({ user: "ada", count: 2, fromHttp: true, fromSocket: true });
  });
});
