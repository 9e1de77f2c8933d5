// Promise 8: activity keeps a session alive, heartbeats and pushes do not; idle expiry and an absolute lifetime hold.
import { describe, expect, test } from "vitest";
import { type App, startApp } from "../support/app.js";
import { type Browser, closed, transports } from "../support/browser.js";

const maxAge = 1500;

function start(absoluteTimeout?: number): Promise<App> {
  return startApp({
    sessions: { cookie: { maxAge }, absoluteTimeout },
    io: { pingInterval: 200, pingTimeout: 1000 },
    setup({ io }) {
      io.on("connection", (socket) => socket.on("here", (done) => done()));
    },
  });
}

async function isLoggedIn(ada: Browser): Promise<boolean> {
  return "user" in (await ada.get("/session"));
}

describe.each(transports)("over %s", (via) => {
  test("a socket that sends events keeps the session alive, over HTTP too; then it idles out", async () => {
    const app = await start();
    const ada = await app.login();
    const socket = await ada.connect("/", { via });
    const end = closed(socket);
    const since = Date.now();
    while (Date.now() - since < maxAge * 2) {
      await socket.emitWithAck("here");
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    const lastActivity = Date.now();
    // Asked without the middleware's own touch: does the store still have it?
    const live = app.sessions.get([...app.io.of("/").sockets.values()][0] as never);
    expect(await app.sessions.store.read(live?.id as string, (text) => text !== undefined)).toBe(true);
    expect((await end).told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
    const idle = Date.now() - lastActivity;
    expect(idle).toBeGreaterThan(maxAge - 400);
    expect(idle).toBeLessThan(maxAge + 5000);
    expect(await isLoggedIn(ada)).toBe(false);
  });

  test("one that only answers heartbeats, acks and receives pushes loses it and is closed", async () => {
    const app = await start();
    const ada = await app.login();
    const since = Date.now();
    const [socket, listening] = await Promise.all([ada.connect("/", { via }), ada.connect("/", { via })]);
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
    const app = await start(1000);
    const since = Date.now();
    const ada = await app.login();
    const socket = await ada.connect("/", { via });
    const working = setInterval(() => {
      socket.emit("here", () => {});
      void ada.get("/session");
    }, 50);
    const { told } = await closed(socket).finally(() => clearInterval(working));
    expect(told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
    const lived = Date.now() - since;
    expect(lived).toBeGreaterThan(900);
    expect(lived).toBeLessThan(2000);
    expect(await isLoggedIn(ada)).toBe(false);
    // A new login is a new session with a lifetime of its own.
    await ada.post("/login", { user: "ada" });
    expect(await isLoggedIn(ada)).toBe(true);
  });
});

test("HTTP activity keeps open sockets alive", async () => {
  const app = await start();
  const ada = await app.login();
  const socket = await ada.connect();
  const since = Date.now();
  while (Date.now() - since < maxAge * 1.5) {
    await ada.get("/session");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  expect(socket.connected).toBe(true);
});
