// socket.io-sessions beyond the lines that applications rely on: what tickets are worth, and what comes early.
import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, test, vi } from "vitest";
import type sio from "../../src/compat/socket.io-sessions.js";
import { run, scriptPath, startSessions, tell, ticketIn } from "./support/socket.io-sessions.js";
import { isToday } from "./support/era.js";
import { outermost, received, stacksWith, startStack } from "./support/stacks.js";
import { jump } from "../support/clocks.js";

const rows = outermost(stacksWith("4", "Connect 1.9"));
const [row] = rows as [(typeof rows)[0]];
const minutes = 60_000;

afterEach(() => {
  vi.useRealTimers();
});

function itIs(at: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: at });
}

describe.each(rows)("$title", (row) => {
  test("a ticket serves again and again, for a quarter of an hour", async () => {
    const app = await startSessions(row);
    const browser = await app.login({ user: "ada" });
    const script = await (await browser.fetch(scriptPath)).text();
    for (const [later, event] of [
      [0, "sconnection"],
      [14 * minutes, "sconnection"],
      [minutes, "sinvalid"],
    ] as const) {
      app.told.length = 0;
      jump(later);
      await app.page(browser, { script, cookie: undefined });
      await app.next(event);
      expect(app.told.length).toBe(1);
    }
  });

  test("the handshake's own cookie counts first", async () => {
    const app = await startSessions(row);
    const [ada, bob] = [await app.login({ user: "ada" }), await app.login({ user: "bob" })];
    const script = await (await ada.fetch(scriptPath)).text();
    await app.page(ada, { script, cookie: bob.cookie });
    expect((await app.next("sconnection")).session.user).toBe("bob");
    app.told.length = 0;
    await app.page(ada, { script, cookie: "other=1" });
    expect((await app.next("sconnection")).session.user).toBe("ada");
  });

  test("the cookie that a foreign page brings along does not count, its ticket does", async () => {
    const app = await startSessions(row);
    const [ada, bob] = [await app.login({ user: "ada" }), await app.login({ user: "bob" })];
    const script = await (await ada.fetch(scriptPath)).text();
    const headers = { origin: "https://evil.example" };
    await app.page(undefined, { cookie: bob.cookie, headers });
    await app.next("sinvalid");
    expect(app.told.length).toBe(1);
    await app.page(ada, { script, cookie: bob.cookie, headers });
    expect((await app.next("sconnection")).session.user).toBe("ada");
  });

  test("behind a proxy cookie and script are for the origin that the browser sees, where the proxy is trusted", async () => {
    const headers = {
      origin: "https://app.example.com",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "app.example.com",
    };
    const app = await startSessions(row, { enable: { proxy: true } });
    const browser = await app.login({ user: "ada" });
    expect((await browser.fetch(scriptPath, { headers })).status).toBe(200);
    await app.page(undefined, { cookie: browser.cookie, headers });
    expect((await app.next("sconnection")).session.user).toBe("ada");
    const plain = await startSessions(row);
    const other = await plain.login({ user: "ada" });
    expect((await other.fetch(scriptPath, { headers })).status).toBe(403);
    await plain.page(undefined, { cookie: other.cookie, headers });
    await plain.next("sinvalid");
    expect(plain.told.length).toBe(1);
  });

  test("what a page sends before it is connected comes after its session", async () => {
    for (const per_message of [false, true]) {
      const seen: unknown[] = [];
      const app = await startSessions(row, {
        enable: { per_message },
        handlers: (socket) =>
          socket.on("sconnection", (client: any) => {
            client.on(per_message ? "smessage" : "message", (message: unknown) => {
              seen.push(message);
              if (seen.length === 2) client.send("both");
            });
          }),
      });
      slowly(app.store);
      const browser = await app.login();
      const script = await (await browser.fetch(scriptPath)).text();
      const page: any = run(script, () => app.open(browser.cookie));
      const both = received(page, "message");
      page.send("early");
      page.on("connect", () => page.send("on connect"));
      expect(await both).toBe("both");
      expect(seen).toEqual(["early", "on connect"]);
    }
  });

  test("events that come while the session is loaded wait for their listeners, and come once", async () => {
    const seen: unknown[] = [];
    const before: unknown[] = [];
    const app = await startSessions(row, {
      setup: ({ io }) =>
        io.on("connection", (client: any) => client.on("message", (message: unknown) => before.push(message))),
      handlers: (socket) =>
        socket.on("sconnection", (client: any) => {
          client.on("message", (message: unknown) => seen.push(message));
          client.on("custom", (value: unknown) => {
            seen.push(value);
            client.send("done");
          });
        }),
    });
    const browser = await app.login();
    const { get } = app.store;
    let load: () => void = () => undefined;
    const isAsked = new Promise<void>((resolve) => {
      app.store.get = (...values: unknown[]) => {
        load = () => get.apply(app.store, values);
        resolve();
      };
    });
    const page: any = await tell(app, browser.cookie, {});
    page.send("message");
    await isAsked;
    page.emit("custom", "custom");
    // A round trip of the other kind: it has arrived.
    await app.browser().get("/session");
    app.store.get = get;
    const done = received(page, "message");
    load();
    expect(await done).toBe("done");
    expect(seen).toEqual(["message", "custom"]);
    expect(before).toEqual(["message"]);
  });

  test("who has left while the session is loaded is not told of", async () => {
    const app = await startSessions(row);
    const browser = await app.login();
    const { get } = app.store;
    const isAsked = new Promise<() => void>((resolve) => {
      app.store.get = (...values: unknown[]) => resolve(() => get.apply(app.store, values));
    });
    const page = await tell(app, browser.cookie, {});
    const load = await isAsked;
    const [socket] = app.sockets();
    const gone = new Promise((resolve) => socket.once("disconnect", resolve));
    page.disconnect();
    await gone;
    app.store.get = get;
    load();
    await app.page(browser);
    await app.next("sconnection");
    expect(app.told.some(([, client]) => client === socket)).toBe(false);
  });
});

if (isToday) {
  test("caches keep a script for five minutes at most: then the ETag is another one", async () => {
    const app = await startSessions(row);
    const browser = await app.login();
    const etag = async (): Promise<string | null> => (await browser.fetch(scriptPath)).headers.get("etag");
    const slice = Math.ceil(Date.now() / (5 * minutes)) * 5 * minutes;
    itIs(slice);
    const first = await etag();
    itIs(slice + 5 * minutes - 1);
    expect(await etag()).toBe(first);
    itIs(slice + 5 * minutes);
    expect(await etag()).not.toBe(first);
  });

  test("processes with the parser's secret take each other's tickets and ETags, those of others not", async () => {
    vi.resetModules();
    const { default: otherModule } = (await import("../../src/compat/socket.io-sessions.js")) as {
      default: typeof sio;
    };
    const app = await startSessions(row);
    const { store } = app;
    const twin = await startSessions(row, { store, module: otherModule });
    const browser = await app.login({ user: "ada" });
    const response = await browser.fetch(scriptPath);
    const [script, etag] = [await response.text(), response.headers.get("etag")];
    await twin.page(browser, { script, cookie: undefined });
    expect((await twin.next("sconnection")).session.user).toBe("ada");
    const again = await fetch(twin.url + scriptPath, {
      headers: { cookie: browser.cookie, "if-none-match": etag ?? "" },
    });
    expect(again.status).toBe(304);

    for (const enable of [
      ({ makeCookieParser }: any) => ({ parser: makeCookieParser("another secret") }),
      () => ({ parser: undefined, cutter: () => undefined }),
    ]) {
      const stranger = await startSessions(row, { store, enable });
      await stranger.page(browser, { script, cookie: undefined });
      await stranger.next("sinvalid");
    }
  });

  test("without a secret tickets are the process's own", async () => {
    vi.resetModules();
    const { default: otherModule } = (await import("../../src/compat/socket.io-sessions.js")) as {
      default: typeof sio;
    };
    const enable = { parser: undefined, cutter: ({ headers }: any) => /own=([^;]+)/.exec(headers.cookie)?.[1] };
    const app = await startSessions(row, { enable });
    const { store } = app;
    const browser = await app.login({ user: "ada" });
    browser.cookies.set("own", await browser.get<string>("/id"));
    const script = await (await browser.fetch(scriptPath)).text();
    const same = await startSessions(row, { store, enable });
    await same.page(browser, { script, cookie: undefined });
    await same.next("sconnection");
    const other = await startSessions(row, { store, enable, module: otherModule });
    await other.page(browser, { script, cookie: undefined });
    await other.next("sinvalid");
  });

  test("a cutter that throws has found nothing", async () => {
    const cutter = (): never => {
      throw new Error("no cookie here");
    };
    const app = await startSessions(row, { enable: { parser: undefined, cutter } });
    const response = await app.browser().fetch(scriptPath);
    expect(response.status).toBe(200);
    expect(ticketIn(await response.text())).toBeNull();
    await app.page(undefined);
    await app.next("sinvalid");
  });

  test("a message listener that takes the callback calls it itself", async () => {
    const app = await startSessions(row, {
      handlers: (socket) =>
        socket.on("sconnection", (client: any) =>
          client.on("message", (message: string, done: (answer: string) => void) => done(`answer to ${message}`)),
        ),
    });
    const page: any = await app.page(await app.login());
    expect(await new Promise((resolve) => page.send("question", resolve))).toBe("answer to question");
  });

  test("a store of another framework needs neither cookies nor destroy()", async () => {
    const data = new Map<string, object>([["abc", { user: "ada" }]]);
    const store = {
      get: (id: string, done: (error: null, data?: object) => void) => setImmediate(done, null, data.get(id)),
      set: (id: string, session: object, done?: (error: null) => void) => {
        data.set(id, JSON.parse(JSON.stringify(session)) as object);
        setImmediate(() => done?.(null));
      },
    };
    const app = await startSessions(row, { enable: { parser: undefined, cutter: () => "abc", store } });
    const page = await app.page(undefined);
    const { session } = await app.next("sconnection");
    session.last = "socket";
    data.set("abc", { user: "ada", http: 1 });
    page.disconnect();
    await expect.poll(() => data.get("abc")).toEqual({ user: "ada", http: 1, last: "socket" });
    expect(await new Promise((resolve) => session.destroy(resolve))).toBeNull();
    expect(data.has("abc")).toBe(true);
  });

  test("a failed save ends nothing, and tells no id", async () => {
    const app = await startSessions(row);
    const browser = await app.login();
    const page = await app.page(browser);
    const { session } = await app.next("sconnection");
    session.broken = 1n;
    page.disconnect();
    await expect.poll(() => app.sockets().length).toBe(0);
    await app.page(browser);
    await expect.poll(() => app.told.length).toBe(2);
    expect(app.told[1]?.[0]).toBe("sconnection");
  });

  test("without a page the script passes its arguments on to io.connect()", async () => {
    const app = await startStack(row.stack);
    const { default: module } = await import("../../src/compat/socket.io-sessions.js");
    module.enable({ socket: app.io, store: app.store, parser: app.cookieParser });
    const script = await (await app.browser().fetch(scriptPath)).text();
    expect(ticketIn(script)).toBeNull();
    const calls: unknown[][] = [];
    const sent: unknown[][] = [];
    const io: any = {
      connect: (...values: unknown[]) => {
        calls.push(values);
        return { on: () => undefined, emit: (...packet: unknown[]) => sent.push(packet) };
      },
    };
    runInNewContext(script, { io });
    io.connectWithSession("http://example.com", { transports: ["websocket"] });
    expect(calls).toEqual([["http://example.com", { transports: ["websocket"] }]]);
    expect(sent).toEqual([["connect_with_session", { __sid: null }]]);
  });
}

/** A store that answers after other things have had their turn. */
function slowly(store: any): void {
  const { get } = store;
  store.get = (...values: unknown[]) => setTimeout(() => get.apply(store, values), 20);
}
