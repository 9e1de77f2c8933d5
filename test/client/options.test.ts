// The client outside of a browser: wrong options, and what it leaves alone.
import { io } from "socket.io-client";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { withSession } from "../../src/client/index.js";
import type { ClientCode } from "../../src/client/index.js";
import type { SessionCode } from "../../src/errors.js";
import { startApp } from "../support/app.js";
import { connected } from "../support/browser.js";

const unconnected = (auth?: object) => io("http://127.0.0.1:1", { autoConnect: false, ...(auth && { auth }) });

describe("withSession()", () => {
  it.each([
    [undefined, {}, "socket: give what io() returns"],
    [{}, {}, "socket: give what io() returns"],
    ["/session", {}, "socket: give what io() returns"],
    [io, {}, "socket: give what io() returns"],
    [unconnected(), "/session", "options"],
    [unconnected(), { url: 1 }, "url"],
    [unconnected(), { URL: "/session" }, "URL"],
    [unconnected(), { warnBefore: -1 }, "warnBefore"],
    [unconnected(), { warnBefore: "soon" }, "warnBefore"],
  ])("refuses %s with %j, and says what is wrong", (socket, options, wrong) => {
    expect(() => withSession(socket as never, options as never)).toThrow(
      expect.objectContaining({
        name: "TypeError",
        code: "OPTION_INVALID",
        message: `withSession(): wrong ${wrong}. See docs/errors/OPTION_INVALID.md`,
      }),
    );
  });

  it.each([
    ["ended", () => {}, "event: ended"],
    ["toString", () => {}, "event: toString"],
    ["end", undefined, "listener"],
    ["change", {}, "listener"],
  ])("refuses to listen for %s with %s", (event, listener, wrong) => {
    const session = withSession(unconnected());
    expect(() => session.on(event as never, listener as never)).toThrow(`wrong ${wrong}. See docs`);
    session.close();
  });

  it("says once where the server has no view, and only to who waits for one", async () => {
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    onTestFinished(() => warned.mockRestore());
    const line = "socket-session: no view: createSessions({ view })";
    const start = async (options: object, listener: (value: unknown) => void): Promise<void> => {
      const app = await startApp({ sessions: options });
      const ada = await app.login();
      const socket = ada.socket();
      const session = withSession(socket);
      const changed = new Promise<void>((resolve) => void session.on("change", () => resolve()));
      session.on("change", listener);
      await connected(socket);
      await changed;
      await ada.post("/set", { other: "changed" });
      session.close();
    };
    const waiting = (view: unknown): void => void view;
    await start({ view: () => null }, waiting);
    await start({}, () => {});
    expect(warned.mock.calls).toEqual([]);
    await start({}, waiting);
    expect(warned.mock.calls).toEqual([[line]]);
  });

  it("puts itself beside an auth object, which stays the application's", () => {
    const auth = { token: "a" };
    const socket = unconnected(auth);
    withSession(socket).close();
    expect(socket.auth).toBe(auth);
    expect(auth).toEqual({ token: "a", session: { v: 1 } });
  });

  it("puts itself beside what an auth function gives", async () => {
    const socket = unconnected((done: (data: object) => void) => done({ token: "a" }));
    withSession(socket).close();
    const given = new Promise((resolve) => (socket.auth as (done: (data: object) => void) => void)(resolve));
    expect(await given).toEqual({ token: "a", session: { v: 1 } });
  });

  it("works in Node, where several users may share a process", async () => {
    const app = await startApp({ sessions: { view: ({ user }) => ({ user }) } });
    const [ada, bob] = [await app.login("ada"), await app.login("bob")];
    const told: unknown[] = [];
    const channel = new BroadcastChannel("socket-session /session");
    onTestFinished(() => channel.close());
    channel.addEventListener("message", (event) => told.push((event as MessageEvent).data));
    const sockets = [ada.socket(), bob.socket()];
    const sessions = sockets.map((socket) => withSession<{ user: string }>(socket));
    const views = sessions.map((session) => new Promise((resolve) => void session.on("change", resolve)));
    for (const socket of sockets) await connected(socket);
    expect(await Promise.all(views)).toEqual([{ user: "ada" }, { user: "bob" }]);
    const ended = new Promise((resolve) => void sessions[0]?.on("end", resolve));
    await ada.post("/logout");
    expect(await ended).toEqual({ code: "SESSION_DESTROYED" });
    expect([sessions[1]?.ended, sockets[1]?.connected]).toEqual([undefined, true]);
    // They tell each other nothing.
    const last = new BroadcastChannel("socket-session /session");
    last.postMessage("last");
    await expect.poll(() => told).toContain("last");
    last.close();
    expect(told).toEqual(["last"]);
    for (const session of sessions) session.close();
  });
});

it("knows the codes that the server sends, and no other", () => {
  const known: Equal<ClientCode, SessionCode> = true;
  expect(known).toBe(true);
});

type Equal<A, B> = [A, B] extends [B, A] ? true : false;
