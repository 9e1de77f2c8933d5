// Promise 8: activity keeps a session alive, heartbeats and pushes do not; idle expiry and an absolute lifetime hold.
import { describe, expect, test } from "vitest";
import { type App, startApp } from "../support/app.js";
import { type Browser, closed, transports } from "../support/browser.js";
import { jump } from "../support/clocks.js";
import { inTime } from "../support/pace.js";
import { backendOf } from "../../src/store/live-store.js";

const maxAge = 1500;

function start(absoluteTimeout?: number): Promise<App> {
  return startApp({
    sessions: { cookie: { maxAge }, absoluteTimeout },
    io: { pingInterval: 200 },
    setup({ io }) {
      io.on("connection", (socket) => socket.on("here", (done) => done()));
    },
  });
}

async function isLoggedIn(ada: Browser): Promise<boolean> {
  return "user" in (await ada.get("/session"));
}

describe.each(transports)("over %s", { timeout: 60_000 }, (via) => {
  test("a socket that sends events keeps the session alive, over HTTP too; then it idles out", async () => {
    const app = await start();
    const { ada, end, lastActivity } = await inTime(maxAge / 2, async (step) => {
      const ada = await app.login();
      const socket = await ada.connect("/", { via });
      const end = closed(socket);
      const since = Date.now();
      let lastActivity = since;
      while (Date.now() - since < maxAge * 2) {
        lastActivity = Date.now();
        await socket.timeout(maxAge).emitWithAck("here");
        step();
        await new Promise((resolve) => setTimeout(resolve, 150));
      }
      // Asked without the middleware's own touch: does the store still have it?
      const isStored = await backendOf(app.sessions.store).read(ada.sessionId, (text) => text !== undefined);
      expect(isStored).toBe(true);
      return { ada, end, lastActivity };
    });
    expect((await end).told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
    const idle = Date.now() - lastActivity;
    expect(idle).toBeGreaterThan(maxAge - 50);
    expect(idle).toBeLessThan(maxAge + 5000);
    expect(await isLoggedIn(ada)).toBe(false);
  });

  test("one that only answers heartbeats, acks and receives pushes loses it and is closed", async () => {
    const app = await start();
    const { ada, since, socket, listening } = await inTime(maxAge, async () => {
      const since = Date.now();
      const ada = await app.login();
      const [socket, listening] = await Promise.all([ada.connect("/", { via }), ada.connect("/", { via })]);
      return { ada, since, socket, listening };
    });
    listening.on("push", (_text: string, done: () => void) => done());
    const pushing = setInterval(() => {
      for (const one of app.io.of("/").sockets.values()) one.emit("push", "news", () => {});
    }, 100);
    const ends = await Promise.all([closed(socket), closed(listening)]).finally(() => clearInterval(pushing));
    for (const { told, reason } of ends) {
      expect(told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
      expect(reason).toBe("io server disconnect");
    }
    expect(Date.now() - since).toBeLessThan(maxAge + 5000);
    expect(await isLoggedIn(ada)).toBe(false);
  });

  test("an absolute lifetime ends it whatever its activity, on sockets and over HTTP", async () => {
    const absoluteTimeout = 1000;
    const app = await start(absoluteTimeout);
    const { ada, since, socket } = await inTime(absoluteTimeout, async () => {
      const since = Date.now();
      const ada = await app.login();
      return { ada, since, socket: await ada.connect("/", { via }) };
    });
    const working = setInterval(() => {
      socket.emit("here", () => {});
      void ada.get("/session");
    }, 50);
    const { told } = await closed(socket).finally(() => clearInterval(working));
    expect(told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
    const lived = Date.now() - since;
    expect(lived).toBeGreaterThan(absoluteTimeout - 100);
    expect(lived).toBeLessThan(absoluteTimeout + 5000);
    expect(await isLoggedIn(ada)).toBe(false);
    // A new login is a new session with a lifetime of its own.
    await inTime(absoluteTimeout / 2, async () => {
      await ada.post("/login", { user: "ada" });
      expect(await isLoggedIn(ada)).toBe(true);
    });
  });
});

test("HTTP activity keeps open sockets alive", async () => {
  const app = await start();
  await inTime(maxAge / 2, async (step) => {
    const ada = await app.login();
    const socket = await ada.connect();
    const since = Date.now();
    while (Date.now() - since < maxAge * 1.5) {
      await ada.get("/session");
      step();
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(socket.connected).toBe(true);
  });
});

test("an event after the session's time reaches no handler, even before the clock has ended it", async () => {
  let calls = 0;
  const app = await startApp({
    sessions: { cookie: { maxAge: 10_000 } },
    setup({ io }) {
      io.on("connection", (socket) => socket.on("here", () => calls++));
    },
  });
  const socket = await (await app.login()).connect();
  const end = closed(socket);
  jump(11_000);
  socket.emit("here");
  expect((await end).told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
  expect(calls).toBe(0);
});

test("the last event before a silence is told to the store, although touches are throttled", async () => {
  const app = await startApp({
    // Told at most once in a tenth of it.
    sessions: { cookie: { maxAge: 20_000 } },
    setup({ io }) {
      io.on("connection", (socket) => socket.on("here", (done) => done(Date.now())));
    },
  });
  const expiresOf = async (id: string): Promise<number> =>
    backendOf(app.sessions.store).read(id, (text) => Date.parse(JSON.parse(text as string).cookie.expires));
  const { id, at } = await inTime(2000, async () => {
    const ada = await app.login();
    const socket = await ada.connect();
    const before = await expiresOf(ada.sessionId);
    await expect.poll(() => Date.now() + 20_000).toBeGreaterThan(before + 300);
    const heard = (await socket.emitWithAck("here")) as number;
    expect(await expiresOf(ada.sessionId)).toBe(before);
    return { id: ada.sessionId, at: heard };
  });
  await expect.poll(() => expiresOf(id)).toBeGreaterThanOrEqual(at + 20_000 - 150);
});

test("an absolute lifetime ends a silent socket, too", async () => {
  const absoluteTimeout = 500;
  const app = await startApp({ sessions: { absoluteTimeout } });
  const socket = await inTime(absoluteTimeout, async () => (await app.login()).connect());
  expect((await closed(socket)).told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
});
