// Promise 10, connection state recovery: it never skips the check of the session, on the wire either. Socket.IO sends
// missed packets before its middlewares run, so what goes over the wire is looked at, not only what the client shows.
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import WebSocket from "ws";
import { type App, startApp } from "../support/app.js";
import { type Browser, connected } from "../support/browser.js";

/** A client that speaks Socket.IO's protocol itself and keeps every packet. */
class Wire {
  readonly packets: string[] = [];
  readonly #socket: WebSocket;
  readonly closed: Promise<void>;

  constructor(browser: Browser, auth?: object) {
    const url = browser.url.replace("http", "ws");
    this.#socket = new WebSocket(`${url}/socket.io/?EIO=4&transport=websocket`, {
      headers: { cookie: browser.cookie },
    });
    this.closed = new Promise((resolve) => this.#socket.once("close", () => resolve()));
    this.#socket.on("error", () => undefined);
    this.#socket.on("message", (data: Buffer) => {
      const packet = data.toString();
      if (packet === "2") this.#socket.send("3");
      else if (packet.startsWith("0")) this.#socket.send(`40${auth ? JSON.stringify(auth) : ""}`);
      else this.packets.push(packet);
    });
  }

  async waitFor(start: string): Promise<string> {
    await expect.poll(() => this.packets.find((packet) => packet.startsWith(start))).toBeDefined();
    return this.packets.find((packet) => packet.startsWith(start)) as string;
  }

  send(packet: string): void {
    this.#socket.send(packet);
  }

  /** The network is gone: no goodbye. */
  async cut(): Promise<void> {
    this.#socket.terminate();
    await this.closed;
  }
}

interface Offline {
  readonly app: App;
  readonly ada: Browser;
  readonly auth: { pid: string; offset: string };
}

/** A client that was in a room, got a packet, went offline, and missed one. */
async function goOffline(
  missing: "reject" | "anonymous" = "reject",
  skipMiddlewares = true,
  whileRestoring: () => Promise<unknown> = () => Promise.resolve(),
): Promise<Offline> {
  const app = await startApp({
    attach: { missing },
    io: { connectionStateRecovery: { maxDisconnectionDuration: 60_000, skipMiddlewares } },
    setup({ io }) {
      // An adapter of several nodes asks its storage.
      const { adapter } = io.of("/");
      const restore = adapter.restoreSession.bind(adapter);
      adapter.restoreSession = async (pid, offset) => {
        const state = await restore(pid, offset);
        await whileRestoring();
        return state;
      };
      io.on("connection", (socket) => {
        socket.data.seen = true;
        socket.on("join", () => {
          void socket.join("secret room");
          io.to("secret room").emit("first", "news");
        });
        socket.on("state", (done) => {
          done({
            recovered: socket.recovered,
            rooms: socket.rooms.has("secret room"),
            user: socket.session.user ?? null,
          });
        });
      });
    },
  });
  const ada = missing === "anonymous" ? app.browser() : await app.login();
  const wire = new Wire(ada);
  const { pid } = JSON.parse((await wire.waitFor("40")).slice(2)) as { pid: string };
  wire.send('42["join"]');
  const first = JSON.parse((await wire.waitFor('42["first"')).slice(2)) as string[];
  await wire.cut();
  await expect.poll(() => app.io.of("/").sockets.size).toBe(0);
  app.io.to("secret room").emit("missed", "classified");
  return { app, ada, auth: { pid, offset: first.at(-1) as string } };
}

async function state(wire: Wire): Promise<object> {
  wire.send('421["state"]');
  return (JSON.parse((await wire.waitFor("431")).slice(3)) as [object])[0];
}

describe.each([true, false])("skipMiddlewares: %s", (skipMiddlewares) => {
  test("a client whose session lives is recovered as Socket.IO promises", async () => {
    const { ada, auth } = await goOffline("reject", skipMiddlewares);
    const wire = new Wire(ada, auth);
    await wire.waitFor('42["missed","classified"');
    expect(await state(wire)).toEqual({ recovered: true, rooms: true, user: "ada" });
    await wire.cut();
  });

  test("the session was destroyed while the client was offline: no rooms, no missed packets, on the wire too", async () => {
    const { app, ada, auth } = await goOffline("reject", skipMiddlewares);
    const cookie = ada.cookie;
    await ada.post("/logout");
    ada.cookies.set("connect.sid", cookie.split("=")[1] as string);
    const wire = new Wire(ada, auth);
    const refused = await wire.waitFor("44");
    expect(JSON.parse(refused.slice(2))).toMatchObject({ data: { code: "SESSION_UNKNOWN", retry: false } });
    app.io.to("secret room").emit("missed", "more");
    await delay(50);
    expect(wire.packets).toEqual([refused]);
    await wire.cut();
  });

  test("the session is destroyed while the adapter looks for the state: no missed packets", async () => {
    const logout: (() => Promise<unknown>)[] = [];
    const { app, ada, auth } = await goOffline("reject", skipMiddlewares, () =>
      Promise.all(logout.map((one) => one())),
    );
    logout.push(() => app.sessions.destroy(ada.sessionId));
    const wire = new Wire(ada, auth);
    const refused = await wire.waitFor("44");
    expect(JSON.parse(refused.slice(2))).toMatchObject({ data: { code: "SESSION_DESTROYED", retry: false } });
    expect(wire.packets).toEqual([refused]);
    await wire.cut();
  });

  test("somebody else's session gets nothing of the old one", async () => {
    const { app, auth } = await goOffline("reject", skipMiddlewares);
    const bob = await app.login("bob");
    const wire = new Wire(bob, auth);
    await wire.waitFor("40");
    expect(await state(wire)).toEqual({ recovered: false, rooms: false, user: "bob" });
    expect(wire.packets.filter((packet) => packet.includes("missed"))).toEqual([]);
    await wire.cut();
  });

  test("a state that an anonymous socket left is not given to a session, but to an anonymous one", async () => {
    const { app, auth } = await goOffline("anonymous", skipMiddlewares);
    const wire = new Wire(await app.login("bob"), auth);
    await wire.waitFor("40");
    expect(await state(wire)).toEqual({ recovered: false, rooms: false, user: "bob" });
    const guest = new Wire(app.browser(), auth);
    await guest.waitFor('42["missed"');
    expect(await state(guest)).toEqual({ recovered: true, rooms: true, user: null });
    await Promise.all([wire.cut(), guest.cut()]);
  });
});

test("two clients that come back at once each get their own state only", async () => {
  const one = await goOffline();
  const bob = await one.app.login("bob");
  const wires = [new Wire(bob, one.auth), new Wire(one.ada, one.auth), new Wire(bob, one.auth)];
  await Promise.all(wires.map((wire) => wire.waitFor("40")));
  expect(await Promise.all(wires.map((wire) => state(wire)))).toEqual([
    { recovered: false, rooms: false, user: "bob" },
    { recovered: true, rooms: true, user: "ada" },
    { recovered: false, rooms: false, user: "bob" },
  ]);
  await Promise.all(wires.map((wire) => wire.cut()));
});

test("connection state recovery gives an anonymous client nothing that a session left", async () => {
  const app = await startApp({ attach: { missing: "anonymous" }, io: { connectionStateRecovery: {} } });
  const left: any = await (await app.login()).connect();
  app.io.emit("news");
  await expect.poll(() => left._lastOffset).toBeDefined();
  left.io.engine.close();
  await expect.poll(() => app.io.of("/").sockets.size).toBe(0);
  const guest: any = app.browser().socket();
  Object.assign(guest, { _pid: left._pid, _lastOffset: left._lastOffset });
  await connected(guest);
  expect(guest.recovered).toBe(false);
  const [server] = app.io.of("/").sockets.values();
  expect(server?.recovered).toBe(false);
});
