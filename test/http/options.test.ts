// Options are judged when they are given, and express-session's mean the same for HTTP and for sockets.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { ErrorRequestHandler, Request, Response } from "express";
import session from "express-session";
import { Server } from "socket.io";
import { describe, expect, onTestFinished, test } from "vitest";
import { createSessions, liveStore, memoryStore } from "../../src/index.js";
import { postgresStore } from "../../src/store/drivers/postgres/postgres-store.js";
import { redisStore } from "../../src/store/drivers/redis/redis-store.js";
import { secret, startApp } from "../support/app.js";
import { Browser } from "../support/browser.js";
import { closeServers } from "../support/closing.js";

/** Options that the types do not allow. */
type Any = never;

function refusing(make: () => unknown): { code: unknown; message: string } | undefined {
  try {
    make();
  } catch (error) {
    return error as { code: unknown; message: string };
  }
  return undefined;
}

const wrongCookies: [object, string][] = [
  [{ maxAge: "60000" }, 'cookie.maxAge must be a number of ms (0 or more), not a string ("60000").'],
  [{ maxAge: NaN }, "not NaN"],
  [{ maxAge: Infinity }, "not Infinity"],
  [{ maxAge: -60_000 }, "not a negative number"],
  [{ maxAge: 1e18 }, "not a number"],
  [{ maxAge: true }, "not a boolean"],
  [{ maxAge: new Date(NaN) }, "not an invalid Date"],
  [{ expires: "tomorrow" }, 'cookie.expires must be a Date, not a string ("tomorrow")'],
  [{ expires: 5 }, "not a number"],
  [{ expires: new Date(NaN) }, "not an invalid Date"],
  [{ secure: "true" }, "cookie.secure"],
  [{ secure: 1 }, "cookie.secure"],
  [{ httpOnly: "no" }, "cookie.httpOnly"],
  [{ sameSite: "laxx" }, "cookie.sameSite"],
  [{ sameSite: 1 }, "cookie.sameSite"],
  [{ priority: "urgent" }, "cookie.priority"],
  [{ partitioned: "yes" }, "cookie.partitioned"],
  [{ domain: "a b" }, "cookie.domain"],
  [{ domain: ["a"] }, "cookie.domain must be a domain, not an array"],
  [{ path: "/;" }, "cookie.path"],
  [{ path: /\/app/ }, "not a RegExp"],
];

describe("a wrong value of express-session's", () => {
  test.each<[object, string]>([
    ...wrongCookies.map(([cookie, said]): [object, string] => [{ cookie }, said]),
    [{ cookie: "a=b" }, "not a string"],
    [{ cookie: [] }, "not an array"],
    [{ genid: "uuid" }, "genid must be a function, not a string"],
    [{ unset: "no such word" }, 'unset must be "destroy" or "keep", not a string ("no such word")'],
    [{ unset: true }, "not a boolean"],
    [{ rolling: "true" }, "rolling must be true or false, not a string"],
    [{ resave: 0 }, "resave"],
    [{ saveUninitialized: "false" }, "saveUninitialized"],
    [{ proxy: 1 }, "proxy must be true or false, not a number"],
    [{ name: 5 }, "name must be the cookie's name, not a number"],
    [{ name: "a b" }, "name must be a name that a cookie can have"],
    [{ name: "a=b" }, "name"],
    [{ key: "a;b" }, "key must be a name that a cookie can have"],
    [{ name: "constructor" }, "name"],
    [{ name: "__proto__" }, "name"],
    [{ secret: undefined }, "secret must be a string, or a list of strings of which the first signs, not undefined"],
    [{ secret: 7 }, "not a number"],
    [{ secret: [] }, "not an empty array"],
    [{ secret: ["good", ""] }, "not an empty string"],
  ])("%o is OPTION_INVALID, with its kind", (options, said) => {
    const error = refusing(() => createSessions({ secret, ...options } as Any));
    expect(error).toMatchObject({ name: "SessionError", code: "OPTION_INVALID" });
    expect(error?.message).toContain(said);
  });

  test("is never told where it may be secret", () => {
    const error = refusing(() => createSessions({ secret: ["hunter2", 7] } as Any));
    expect(error?.message).not.toContain("hunter2");
  });

  test.each<object>([
    {
      cookie: {
        maxAge: 60_000,
        path: "/app",
        sameSite: "Lax",
        secure: "auto",
        priority: "High",
        domain: ".example.com",
      },
    },
    { cookie: { maxAge: null, expires: null, domain: undefined, signed: true } },
    { cookie: { expires: new Date(Date.now() + 1000), sameSite: true, partitioned: true, httpOnly: false } },
    { cookie: { maxAge: 0 } },
    { cookie: null, genid: undefined, unset: null, name: undefined },
    { name: "100%", unset: "destroy", rolling: true },
    { secret: ["new", Buffer.from("old")] },
  ])("is none of %o", (options) => {
    expect(refusing(() => createSessions({ secret, ...options } as Any))).toBeUndefined();
  });

  test.each(wrongCookies)("shows beside a middleware, too: %o", (cookie) => {
    const middleware = (): unknown =>
      session({ secret, resave: false, saveUninitialized: false, store: memoryStore(), cookie: cookie as Any });
    expect(refusing(() => createSessions({ middleware: middleware() as Any }))?.code).toBe("OPTION_INVALID");
  });
});

describe("a wrong value of this library's", () => {
  const io = (): Server => new Server();
  const make = (options: object): unknown => createSessions({ secret, ...options } as Any);
  const attach = (options: unknown): unknown => createSessions({ secret }).attach(io(), options as Any);
  const wrap = (options: unknown): unknown => liveStore(new session.MemoryStore(), options as Any);
  // Recognised as a client and as a pool.
  const method = (): unknown => undefined;
  const methods = ["evalSha", "duplicate", "withCommandOptions", "listenerCount", "subscribe", "mGet"];
  const client = { isReady: true, ...Object.fromEntries(methods.map((name) => [name, method])) };
  const pool = { query: method, connect: method, listenerCount: () => 1, totalCount: 0 };
  const redis = (options: object): unknown => redisStore({ client, ...options } as Any);
  const postgres = (options: object): unknown => postgresStore({ pool, ...options } as Any);

  test.each<[string, () => unknown]>([
    ["createSessions() needs options", () => createSessions(undefined as Any)],
    ["not null", () => createSessions(null as Any)],
    ["not an array", () => createSessions([] as Any)],
    ["The options of routes must be an object, not an array", () => make({ routes: [] })],
    ["The options of routes must be an object, not a Promise", () => make({ routes: Promise.resolve({}) })],
    ["The options of cookie must be an object, not a Date", () => make({ cookie: new Date() })],
    ["The options of attach() must be an object, not a Map", () => attach(new Map())],
    ["The options of attach() must be an object, not an array", () => attach([])],
    ["The options of liveStore() must be an object, not a Number", () => wrap(new Number(5))],
    ["The options of redisStore() must be an object, not null", () => redisStore(null as Any)],
    // Node's timers take what is longer for 1 ms.
    ["timeout must be at most 2147483647 ms, not Infinity", () => wrap({ timeout: Infinity })],
    ["timeout must be at most 2147483647 ms, not Infinity", () => redis({ timeout: Infinity })],
    ["timeout must be at most 2147483647 ms, not Infinity", () => postgres({ timeout: Infinity })],
    ["sweepInterval must be at most", () => postgres({ sweepInterval: 1e10 })],
    ["sweepInterval must be a number above 0, not a string", () => postgres({ sweepInterval: "5" })],
    ["ttl must be a finite number, not Infinity", () => redis({ ttl: Infinity })],
    ["ttl must be a finite number, not Infinity", () => postgres({ ttl: Infinity })],
    ["prefix must be a string, not a number", () => redis({ prefix: 5 })],
    ["table must be a name, not an empty string", () => postgres({ table: "" })],
    ["maxSessionSize must be a number above 0, not NaN", () => redis({ maxSessionSize: NaN })],
    ["maxSessionSize must be a number above 0, not a string", () => postgres({ maxSessionSize: "1mb" })],
    ["routes.ticketLifetime must be at most", () => make({ routes: { ticketLifetime: Infinity } })],
    ['missing must be "reject", "anonymous" or "create", not null', () => attach({ missing: null })],
    ["origins must contain origins such as", () => attach({ origins: ["app.example.com"] })],
    ['no browser sends "*"', () => attach({ origins: ["https://app.example.com", "*"] })],
    ['no browser sends "https://*.example.com"', () => attach({ origins: ["https://*.example.com"] })],
    ["routes.origins must contain origins such as", () => make({ routes: { origins: [""] } })],
    ["routes.origins must contain origins such as", () => make({ routes: { origins: ["localhost:3000"] } })],
  ])("is OPTION_INVALID: %s", (said, given) => {
    const error = refusing(given);
    expect(error?.message).toContain(said);
    expect(error?.code).toBe("OPTION_INVALID");
  });

  test.each([false, 0, "", NaN])("store: %o is no store", (store) => {
    expect(refusing(() => make({ store }))?.code).toBe("STORE_UNSUPPORTED");
  });

  test("nothing at all is no client", () => {
    expect(refusing(() => redisStore(undefined as Any))?.code).toBe("STORE_CLIENT_INVALID");
    expect(refusing(() => postgresStore(undefined as Any))?.code).toBe("STORE_CLIENT_INVALID");
  });

  test("is none of those that can mean something", () => {
    const origins = ["https://app.example.com/", "capacitor://localhost", "null", "HTTPS://App.example", /example/];
    expect(refusing(() => attach({ origins }))).toBeUndefined();
    expect(refusing(() => make({ lease: Infinity, maxSessionSize: Infinity, store: undefined }))).toBeUndefined();
    class Settings {
      secret = secret;
    }
    expect(refusing(() => createSessions(new Settings()))).toBeUndefined();
  });
});

describe("an option that is given as undefined", () => {
  test("is not given: express-session's own defaults for resave and saveUninitialized stay out", async () => {
    const { browser } = await startApp({ sessions: { resave: undefined, saveUninitialized: undefined } });
    const made = browser();
    await made.get("/session");
    expect(made.cookies.size).toBe(0);
  });
});

describe("a name that nobody knows is refused, with the nearest one", () => {
  const client = {} as Any;
  test.each<[string, () => unknown, string]>([
    ["createSessions()", () => createSessions({ secret, leese: 1 } as Any), "lease"],
    ["createSessions()", () => createSessions({ secret, saveUninitialised: false } as Any), "saveUninitialized"],
    ["createSessions()", () => createSessions({ secret, absolute: 1 } as Any), "absoluteTimeout"],
    ["routes", () => createSessions({ secret, routes: { origin: [] } } as Any), "origins"],
    ["cookie", () => createSessions({ secret, cookie: { maxage: 1 } } as Any), "maxAge"],
    ["cookie", () => createSessions({ secret, cookie: { samesite: "lax" } } as Any), "sameSite"],
    ["attach()", () => createSessions({ secret }).attach(new Server(), { mising: "create" } as Any), "missing"],
    ["attach()", () => createSessions({ secret }).attach(new Server(), { origin: [] } as Any), "origins"],
    ["liveStore()", () => liveStore(new session.MemoryStore(), { timeOut: 1 } as Any), "timeout"],
    ["redisStore()", () => redisStore({ client, prefx: "a" } as Any), "prefix"],
    ["postgresStore()", () => postgresStore({ pool: client, tablename: "a" } as Any), "table"],
  ])("%s: %#", (where, make, nearest) => {
    const error = refusing(make);
    expect(error?.code).toBe("OPTION_INVALID");
    expect(error?.message).toContain(`${where} has no option`);
    expect(error?.message).toContain(`Did you mean ${nearest}?`);
  });

  test("without one, where none is near; where an object was left out", () => {
    const far = refusing(() => createSessions({ secret, zzzzzz: 1 } as Any));
    expect(far?.message).toContain('createSessions() has no option "zzzzzz". Likely');
    for (const wrong of [5, null]) {
      expect(refusing(() => createSessions({ secret, routes: wrong } as Any))?.code).toBe("OPTION_INVALID");
    }
    expect(refusing(() => memoryStore({ checkPeriod: 1 } as Any))?.code).toBe("OPTION_INVALID");
  });

  test("beside a middleware, those of session() belong to it", () => {
    const middleware = session({ secret, resave: false, saveUninitialized: false, store: memoryStore() });
    const error = refusing(() => createSessions({ middleware, cookie: {} } as Any));
    expect(error?.message).toContain("Beside a middleware, cookie must be an option of session()");
  });

  test("and nobody is signed out by a typing error", async () => {
    const sessions = createSessions({ secret, user: () => 1 });
    await expect(sessions.destroyUser(1, { exept: "id" } as Any)).rejects.toMatchObject({ code: "OPTION_INVALID" });
  });
});

// expressjs/session#575
test.each([
  [{ key: "old.sid" }, "old.sid"],
  [{ name: "new.sid", key: "old.sid" }, "new.sid"],
  [{ name: "" }, "connect.sid"],
  [{ name: "100%" }, "100%"],
])("the cookie's name by %o is that for HTTP and sockets", async (options, name) => {
  const { login } = await startApp({ sessions: options });
  const ada = await login();
  expect([...ada.cookies.keys()]).toEqual([name]);
  await ada.connect();
});

/** What a `cookie` or `genid` function may look at. */
function seen(request: Request) {
  const { hostname, host, ip, ips, protocol, secure, path, query, subdomains, xhr } = request;
  return { hostname, host, ip, ips, protocol, secure, path, query, subdomains, xhr, tenant: request.get("X-Tenant") };
}

// expressjs/session#988, expressjs/session#1027
describe("functions that use Express's request", () => {
  const headers = {
    "x-tenant": "one",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "a.b.app.example:444",
    "x-forwarded-for": "1.2.3.4, 5.6.7.8",
  };

  test.each([false, true, 1, "loopback"])(
    'are shown at a handshake what they are over HTTP, "trust proxy" %s',
    async (trust) => {
      const requests: Request[] = [];
      const { url, browser } = await startApp({
        sessions: {
          saveUninitialized: true,
          genid(request) {
            requests.push(request);
            return `${request.get("x-tenant")}-${requests.length}`;
          },
        },
        attach: { missing: "create" },
        setup: ({ app }) => void app.set("trust proxy", trust),
      });
      await fetch(`${url}/any/path?EIO=4&transport=websocket`, { headers });
      const overHttp = seen(requests[0] as Request);
      const socket = await browser().connect("/", { extraHeaders: headers });
      expect(socket.connected).toBe(true);
      const atHandshake = seen(requests.at(-1) as Request);
      expect(requests.length).toBe(2);
      expect(overHttp).toMatchObject({ path: "/any/path", tenant: "one", ip: expect.any(String) });
      expect(atHandshake).toEqual({ ...overHttp, path: "/socket.io/", query: expect.objectContaining({ EIO: "4" }) });
      expect((requests.at(-1) as Request).app).toBeDefined();
    },
  );

  test("work without Express, too", async () => {
    const http = createServer();
    const io = new Server(http);
    const sessions = createSessions({
      secret,
      proxy: true,
      cookie: (request: Request) => ({
        domain: request.hostname.endsWith(".example") ? ".example" : undefined,
        secure: "auto",
      }),
    } as Any).attach(io, { missing: "create" });
    http.listen(0);
    await once(http, "listening");
    onTestFinished(async () => {
      await closeServers(io, http);
      await sessions.close();
    });
    const browser = new Browser(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
    const cookies: unknown[] = [];
    io.engine.on("headers", (given: Record<string, unknown>) =>
      cookies.push(given["Set-Cookie"] ?? given["set-cookie"]),
    );
    await browser.connect("/", { extraHeaders: headers });
    browser.close();
    expect(String(cookies[0])).toContain("Domain=.example");
    expect(String(cookies[0])).toContain("Secure");
  });

  test.each(["cookie", "genid"])("%s that needs what no handshake has is named, and is no outage", async (option) => {
    const errors: { code: string; message: string }[] = [];
    const { browser, sessions } = await startApp({
      sessions: {
        [option]: (request: { user: { id: string } }) =>
          option === "genid" ? request.user.id : { domain: request.user.id },
      } as Any,
      attach: { missing: "create" },
    });
    sessions.on("error", (error) => errors.push(error as never));
    expect(await browser().refused()).toEqual({ code: "SESSION_MISSING", retry: false });
    expect(errors).toEqual([expect.objectContaining({ code: "OPTION_INVALID" })]);
    expect(errors[0]?.message).toContain(`${option}() failed for a handshake`);
  });

  test("beside a middleware: at its probe, and at handshakes", async () => {
    const options = { secret, resave: false, saveUninitialized: false };
    const store = memoryStore();
    const fine = session({
      ...options,
      store,
      genid: (request) => `${request.hostname}-${request.ip}-${request.get("x")}-${Math.random()}`,
      cookie: (request: Request) => ({ secure: request.secure && request.hostname !== "localhost" }) as never,
    });
    expect(refusing(() => createSessions({ middleware: fine }))).toBeUndefined();
    const broken = session({
      ...options,
      store,
      genid: (request) => (request as never as { user: { id: string } }).user.id,
    });
    expect(refusing(() => createSessions({ middleware: broken }))).toMatchObject({
      code: "OPTION_INVALID",
      message: expect.stringContaining("genid"),
    });
  });

  test.each<[string, object]>([
    ["cookie() must return an object, not undefined", { cookie: () => undefined }],
    ["cookie() must return an object, not a Promise", { cookie: async () => ({}) }],
    ["cookie().maxAge", { cookie: () => ({ maxAge: "60000" }) }],
    ["genid() must return a string, not a Promise", { genid: async () => "id" }],
    ["genid() must return a string, not undefined", { genid: () => undefined }],
  ])("%s: the request fails with OPTION_INVALID", async (said, options) => {
    const errors: { code: string; message: string }[] = [];
    const { browser } = await startApp({
      sessions: options as Any,
      setup: ({ app }) =>
        app.use(((error: never, _request: Request, response: Response, _next: unknown) => {
          errors.push(error);
          response.status(500).json({});
        }) as ErrorRequestHandler),
    });
    expect((await browser().fetch("/session")).status).toBe(500);
    expect(errors).toEqual([expect.objectContaining({ code: "OPTION_INVALID" })]);
    expect(errors[0]?.message).toContain(said);
  });
});
