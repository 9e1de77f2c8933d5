// The client in real pages: the view, ends, rotation, other tabs, a store that is away.
import type { Browser as Chromium, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { memoryStore } from "../../src/index.js";
import type { AppOptions } from "../support/app.js";
import { launchChromium } from "../support/chromium.js";
import { cutOff, heard, hears, logIn, openContext, openPage, sees, start, startClientApp } from "../support/client.js";
import { LineStore } from "../support/stores.js";

let chromium: Chromium;
beforeAll(async () => {
  chromium = await launchChromium();
});
afterAll(() => chromium?.close());

describe("the view", () => {
  it("is there at once, and after each change, wherever it was made", async () => {
    const app = await startClientApp();
    const pages = await logIn(chromium, app.url, 2);
    const [first] = pages;
    expect(await heard(first, "change")).toEqual([["change", { user: "ada" }]]);
    await first.evaluate(`post("/set", { user: "Ada Lovelace" })`);
    for (const page of pages) await hears(page, "change", { user: "Ada Lovelace" });
    await first.evaluate(`post("/set", { count: 1 })`);
    await first.evaluate(`post("/set", { user: "ada" })`);
    for (const page of pages) {
      await sees(page, { user: "ada" });
      expect(await heard(page, "change")).toHaveLength(3);
    }
  });

  it("is not told again when a connection comes back to the same", async () => {
    const app = await startClientApp();
    const [page] = await logIn(chromium, app.url);
    for (const [, socket] of app.io.sockets.sockets) socket.conn.close();
    await expect.poll(() => heard(page, "connect")).toHaveLength(2);
    await page.evaluate(`post("/set", { user: "bob" })`);
    await sees(page, { user: "bob" });
    expect(await heard(page, "change")).toHaveLength(2);
  });
});

describe("the end", () => {
  it("is told once, in all tabs, and nobody comes back", async () => {
    const app = await startClientApp();
    const pages = await logIn(chromium, app.url, 3);
    await pages[0].evaluate(`post("/logout")`);
    for (const page of pages) await hears(page, "end", { code: "SESSION_DESTROYED" });
    await expect.poll(() => app.io.engine.clientsCount).toBe(0);
    // Nor is it told again to a page that tries.
    const tried = `new Promise((resolve) => {
      socket.once("connect_error", ({ data }) => resolve(data.code));
      socket.connect();
    })`;
    expect(await pages[1].evaluate(tried)).toBe("SESSION_UNKNOWN");
    for (const page of pages) {
      expect(await heard(page, "end", "connect")).toEqual([["connect"], ["end", { code: "SESSION_DESTROYED" }]]);
      expect(await page.evaluate("[session.view, session.ended, socket.connected, socket.active]")).toEqual([
        undefined,
        "SESSION_DESTROYED",
        false,
        false,
      ]);
    }
  });

  it("is final where the connection breaks before the server has closed it", async () => {
    const app = await startClientApp();
    const [page] = await logIn(chromium, app.url);
    await page.evaluate(`socket.on("session:end", () => socket.io.engine.close())`);
    const left = page.evaluate(`new Promise((resolve) => {
      socket.on("disconnect", (reason) => resolve([reason, socket.active]));
    })`);
    await page.evaluate(`post("/logout")`);
    // Socket.IO's client would come back from this one by itself.
    expect(await left).toEqual(["forced close", false]);
    await hears(page, "end", { code: "SESSION_DESTROYED" });
  });

  it("reaches a tab whose connection is gone, by the other tabs", async () => {
    const app = await startClientApp();
    const [first, second] = await logIn(chromium, app.url, 2);
    await cutOff(second);
    await expect.poll(() => second.evaluate("socket.connected")).toBe(false);
    await first.evaluate(`post("/logout")`);
    await hears(second, "end", { code: "SESSION_DESTROYED" });
    expect(await second.evaluate("socket.active")).toBe(false);
  });

  it("that another tab tells is not believed by one that has a session, which calls back who believed it", async () => {
    const app = await startClientApp();
    const [first, second] = await logIn(chromium, app.url, 2);
    const letThrough = await cutOff(second);
    await expect.poll(() => second.evaluate("socket.connected")).toBe(false);
    await first.evaluate(`new BroadcastChannel("socket-session /session").postMessage({ end: "SESSION_UNKNOWN" })`);
    await hears(second, "end", { code: "SESSION_UNKNOWN" });
    await letThrough();
    await sees(second, { user: "ada" });
    expect(await second.evaluate("session.ended")).toBe(undefined);
    expect(await heard(first, "end", "connect")).toEqual([["connect"]]);
  });

  it("that another tab tells is not contradicted by one that was let in without a session", async () => {
    const app = await startClientApp({ attach: { missing: "anonymous" } });
    const [page, guest] = await logIn(chromium, app.url, 2);
    await guest.evaluate("void socket.disconnect()");
    await page.context().clearCookies();
    await guest.evaluate("void socket.connect()");
    await sees(guest, null);
    // What it says later than it would contradict.
    const said = guest.evaluate(`new Promise((resolve) => {
      const said = [];
      BroadcastChannel.prototype.postMessage = (message) => said.push(message);
      new BroadcastChannel("socket-session /session").onmessage = () => setTimeout(resolve, 1500, said);
      document.title = "listens";
    })`);
    await expect.poll(() => guest.title()).toBe("listens");
    await app.sessions.store.clear();
    await hears(page, "end", { code: "SESSION_DESTROYED" });
    expect(await said).toEqual([]);
  });

  it("comes by an expiry, too", async () => {
    const app = await startClientApp({ sessions: { cookie: { maxAge: 6000 } } });
    const [page] = await logIn(chromium, app.url, 1, { warnBefore: 1000 });
    await hears(page, "end", { code: "SESSION_EXPIRED" });
    expect((await heard(page, "expiring", "end")).map(([event]) => event)).toEqual(["expiring", "end"]);
  });

  it("is what a page meets whose session was over before it came", async () => {
    const app = await startClientApp();
    const context = await openContext(chromium);
    const page = await openPage(context, app.url);
    await page.evaluate(`post("/login")`);
    await app.sessions.store.clear();
    await start(page);
    await hears(page, "end");
    expect(["SESSION_UNKNOWN", "SESSION_DESTROYED"]).toContain(await page.evaluate("session.ended"));
    expect(await page.evaluate("socket.active")).toBe(false);
  });

  it("is not what the application's own refusal is", async () => {
    const app = await startClientApp({
      setup({ io }) {
        io.use((socket, next) => {
          const refusal = Object.assign(new Error("too many"), { data: { code: "TOO_MANY" } });
          if (socket.handshake.auth["isGreedy"]) next(refusal);
          else next();
        });
      },
    });
    const [page] = await logIn(chromium, app.url);
    const refused = `new Promise((resolve) => {
      socket.once("connect_error", ({ data }) => resolve(data.code));
      socket.disconnect();
      socket.auth.isGreedy = true;
      socket.connect();
    })`;
    expect(await page.evaluate(refused)).toBe("TOO_MANY");
    expect(await heard(page, "end")).toEqual([]);
  });

  it("throws away what this user has not sent yet", async () => {
    const app = await startClientApp({ setup: noteBook });
    const [first, second] = await logIn(chromium, app.url, 2);
    const letThrough = await cutOff(second);
    await expect.poll(() => second.evaluate("socket.connected")).toBe(false);
    await second.evaluate(`socket.emit("note", "ada's secret")`);
    await first.evaluate(`post("/logout")`);
    await hears(second, "end");
    await letThrough();
    await second.evaluate(`post("/login", { user: "bob" })`);
    await second.evaluate("socket.connect()");
    await sees(second, { user: "bob" });
    expect(await second.evaluate(`socket.emitWithAck("note", "bob's")`)).toEqual([["bob", "bob's"]]);
  });

  it("throws away what a page emits after it when another tab logs in", async () => {
    const app = await startClientApp({ setup: noteBook });
    const [first, second] = await logIn(chromium, app.url, 2);
    await first.evaluate(`post("/logout")`);
    for (const page of [first, second]) await hears(page, "end", { code: "SESSION_DESTROYED" });
    await first.evaluate(`socket.emit("note", "ada's draft")`);
    await second.evaluate(`post("/login", { user: "eve" })`);
    await second.evaluate("socket.connect()");
    await sees(first, { user: "eve" });
    expect(await first.evaluate(`socket.emitWithAck("note", "eve's")`)).toEqual([["eve", "eve's"]]);
  });

  it("throws away what each tab emits after it, when one of them logs in itself", async () => {
    const app = await startClientApp({ setup: noteBook });
    const pages = await logIn(chromium, app.url, 2);
    const [first] = pages;
    await first.evaluate(`post("/logout")`);
    for (const page of pages) await hears(page, "end", { code: "SESSION_DESTROYED" });
    for (const page of pages) await page.evaluate(`socket.emit("note", "ada's draft")`);
    await first.evaluate(`post("/login", { user: "eve" })`);
    await first.evaluate("socket.connect()");
    for (const page of pages) await sees(page, { user: "eve" });
    expect(await first.evaluate(`socket.emitWithAck("note", "eve's")`)).toEqual([["eve", "eve's"]]);
  });
});

it("two nodes on one store tell their pages the same: the view, a rotation, the end", async () => {
  const store = memoryStore();
  onTestFinished(() => store.close());
  const here = await startClientApp({ sessions: { store }, setup: withRotation });
  const there = await startClientApp({ sessions: { store } });
  const [page] = await logIn(chromium, here.url);
  // Another port is another origin, so that these tabs do not hear each other, but no other site: the cookie goes there.
  const other = await start(await openPage(page.context(), there.url));
  await sees(other, { user: "ada" });
  await page.evaluate(`post("/set", { user: "Ada Lovelace" })`);
  await sees(other, { user: "Ada Lovelace" });
  await page.evaluate(`post("/rotate", { user: "bob", delay: 300 })`);
  for (const tab of [page, other]) await sees(tab, { user: "bob" });
  expect(await heard(other, "end")).toEqual([]);
  await page.evaluate(`post("/logout")`);
  for (const tab of [page, other]) await hears(tab, "end", { code: "SESSION_DESTROYED" });
});

describe("another tab", () => {
  it("that logs in brings in a tab that is signed out, and one that was let in without a session", async () => {
    const app = await startClientApp({ attach: { missing: "anonymous" } });
    const context = await openContext(chromium);
    const guest = await start(await openPage(context, app.url));
    await sees(guest, null);
    const tab = await openPage(context, app.url);
    await tab.evaluate(`post("/login")`);
    await start(tab);
    for (const page of [guest, tab]) await sees(page, { user: "ada" });
    await tab.evaluate(`post("/logout")`);
    for (const page of [guest, tab]) await hears(page, "end", { code: "SESSION_DESTROYED" });
    await guest.evaluate(`post("/login", { user: "bob" })`);
    await guest.evaluate("socket.connect()");
    for (const page of [guest, tab]) await sees(page, { user: "bob" });
  });

  it("does not make a guest of a guest connect again and again", async () => {
    const app = await startClientApp({ attach: { missing: "anonymous" } });
    const context = await openContext(chromium);
    const pages: Page[] = [];
    for (let tabs = 0; tabs < 3; tabs++) {
      const page = await start(await openPage(context, app.url));
      await sees(page, null);
      pages.push(page);
    }
    // What they told each other has arrived when a message that was sent after it has.
    const last = pages.at(-1) as Page;
    const arrived = pages[0]?.evaluate(`new Promise((resolve) => {
      new BroadcastChannel("after").onmessage = resolve;
      setInterval(() => document.title = "listens");
    }).then(() => 1)`);
    await expect.poll(() => pages[0]?.title()).toBe("listens");
    await last.evaluate(`new BroadcastChannel("after").postMessage(1)`);
    await arrived;
    for (const page of pages) expect(await heard(page, "connect")).toHaveLength(1);
  });
});

describe("rotation", () => {
  it.each([0, 50, 500, 2000])("brings all tabs back when the new cookie comes %i ms later", async (delay) => {
    const app = await startClientApp({ setup: withRotation });
    const pages = await logIn(chromium, app.url, 2);
    for (const [tab, page] of pages.entries()) {
      await page.evaluate(`socket.once("disconnect", () => socket.emit("note", "kept in tab ${tab}"))`);
    }
    await pages[0].evaluate(`post("/rotate", { user: "bob", delay: ${delay} })`);
    for (const [tab, page] of pages.entries()) {
      await sees(page, { user: "bob" });
      const notes = (): Promise<unknown> => page.evaluate(`socket.timeout(5000).emitWithAck("note", "look")`);
      await expect.poll(notes).toContainEqual(["bob", `kept in tab ${tab}`]);
      expect(await heard(page, "end")).toEqual([]);
      expect(await heard(page, "connect")).toHaveLength(2);
    }
  });

  it("that another tab has come back from breaks no connection that is there already, but has not been shown the view", async () => {
    const app = await startClientApp({ setup: withRotation });
    const context = await openContext(chromium);
    let isHeld = false;
    const held: (() => void)[] = [];
    await context.routeWebSocket(/\/socket\.io\//, (socket) => {
      socket.connectToServer().onMessage((message) => {
        if (isHeld && String(message).includes("session:view")) held.push(() => socket.send(message));
        else socket.send(message);
      });
    });
    const page = await openPage(context, app.url);
    await page.evaluate(`post("/login")`);
    await start(page);
    await sees(page, { user: "ada" });
    isHeld = true;
    await page.evaluate(`post("/rotate", { user: "bob", delay: 0 })`);
    await expect.poll(() => held.length).toBe(1);
    await expect.poll(() => heard(page, "connect")).toHaveLength(2);
    // When this has arrived, the client has heard it, too.
    await page.evaluate(`new Promise((resolve) => {
      new BroadcastChannel("socket-session /session").onmessage = resolve;
      new BroadcastChannel("socket-session /session").postMessage({ login: true });
    }).then(() => 1)`);
    isHeld = false;
    for (const release of held) release();
    await sees(page, { user: "bob" });
    expect(await heard(page, "connect")).toHaveLength(2);
  });

  it("brings back a client that does not reconnect by itself", async () => {
    const app = await startClientApp({ setup: withRotation });
    const context = await openContext(chromium);
    const page = await openPage(context, app.url);
    await page.evaluate(`post("/login")`);
    await start(page, {}, { reconnection: false });
    await sees(page, { user: "ada" });
    await page.evaluate(`post("/rotate", { user: "bob", delay: 500 })`);
    await sees(page, { user: "bob" });
    expect(await heard(page, "end")).toEqual([]);
  });

  it("is given up after half a minute", { timeout: 60_000 }, async () => {
    const app = await startClientApp({ setup: withRotation });
    const context = await openContext(chromium);
    const page = await openPage(context, app.url);
    await page.evaluate(`post("/login")`);
    await page.clock.install();
    await start(page);
    await sees(page, { user: "ada" });
    // The server would turn the old id down for good after a while, and the page's half a minute may take longer here.
    const still = performance.now();
    performance.now = () => still;
    onTestFinished(() => void Reflect.deleteProperty(performance, "now"));
    await page.evaluate(`void post("/rotate", { user: "bob", delay: 1e6 })`);
    const since = await page.evaluate<number>("Date.now()");
    await expect
      .poll(
        async () => {
          await page.clock.runFor(1000);
          return page.evaluate("session.ended");
        },
        { timeout: 40_000, interval: 50 },
      )
      .toBeTruthy();
    expect(await page.evaluate<number>("Date.now()")).toBeGreaterThan(since + 29_000);
    expect(await page.evaluate("socket.active")).toBe(false);
  });
});

describe("a login over the socket", () => {
  it("gives the browser a cookie that HTTP takes, and the socket goes on", async () => {
    const app = await startClientApp({ setup: withLogin });
    const pages = await logIn(chromium, app.url, 2);
    const [first, second] = pages;
    const [before] = await first.context().cookies();
    expect(await first.evaluate(`socket.timeout(15_000).emitWithAck("login", "bob")`)).toBe("welcome");
    for (const page of pages) await sees(page, { user: "bob" });
    expect(app.asked.filter((path) => path === "/collect")).toHaveLength(1);
    // Without a visible break here; the other tab comes back, as after any rotation.
    expect(await heard(first, "connect")).toHaveLength(1);
    expect(await heard(second, "connect")).toHaveLength(2);
    for (const page of pages) expect(await heard(page, "end")).toEqual([]);
    const [after] = await first.context().cookies();
    expect(after?.httpOnly).toBe(true);
    expect(after?.value).not.toBe(before?.value);
    expect(await first.evaluate(`fetch("/session").then((response) => response.json())`)).toEqual({ user: "bob" });
    await first.evaluate(`post("/set", { user: "eve" })`);
    for (const page of pages) await sees(page, { user: "eve" });
  });

  it("fails where the page cannot collect the cookie, and nothing has happened", async () => {
    const app = await startClientApp({ setup: withLogin });
    const [page] = await logIn(chromium, app.url);
    await page.route("**/session/collect", (route) => route.abort());
    expect(await page.evaluate(`socket.timeout(15_000).emitWithAck("login", "bob")`)).toBe("REGENERATE_NEEDS_HTTP");
    expect(await page.evaluate("[session.view, socket.connected]")).toEqual([{ user: "ada" }, true]);
    expect(await heard(page, "end")).toEqual([]);
  });
});

describe("a store that is away", () => {
  it("is no end: the client comes back when it answers", async () => {
    const store = new LineStore();
    const app = await startClientApp({ sessions: { store } });
    const context = await openContext(chromium);
    const page = await openPage(context, app.url);
    await page.evaluate(`post("/login")`);
    store.state = "fails";
    await start(page);
    const refusals = `new Promise((resolve) => {
      let count = 0;
      socket.on("connect_error", ({ data }) => ++count === 3 && resolve(data.code));
    })`;
    expect(await page.evaluate(refusals)).toBe("STORE_UNAVAILABLE");
    store.state = "up";
    await sees(page, { user: "ada" });
    expect(await heard(page, "end")).toEqual([]);
  });
});

type Setup = NonNullable<AppOptions["setup"]>;

/** Answers a note with all that it got: who wrote it, and what. */
function noteBook({ io }: Parameters<Setup>[0]): void {
  const notes: unknown[] = [];
  io.on("connection", (socket) => {
    socket.on("note", (text: string, done?: (notes: unknown[]) => void) => {
      notes.push([socket.session.user, text]);
      done?.(notes);
    });
  });
}

/** A login whose response, and with it the new cookie, comes late. */
function withRotation(parts: Parameters<Setup>[0]): void {
  noteBook(parts);
  parts.app.post("/rotate", (req, res, next) => {
    const { user, delay } = req.body as { user: string; delay: number };
    req.session.regenerate((error) => {
      if (error) return next(error);
      req.session.user = user;
      req.session.save(() => setTimeout(() => res.json({}), delay).unref());
    });
  });
}

/** A login that a socket's event makes. */
function withLogin({ io }: Parameters<Setup>[0]): void {
  io.on("connection", (socket) => {
    socket.on("login", async (user: string, done: (answer: string) => void) => {
      try {
        await socket.session.regenerate();
        socket.session.user = user;
        await socket.session.save();
        done("welcome");
      } catch (error) {
        done((error as { code: string }).code);
      }
    });
  });
}
