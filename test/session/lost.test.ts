// A store that comes back from an outage with older data, or without a session: told once, and only then.
import type { Socket } from "socket.io";
import { expect, onTestFinished, test, vi } from "vitest";
import { type LiveSession, liveStore } from "../../src/index.js";
import { type App, startApp } from "../support/app.js";
import { closed } from "../support/browser.js";
import { jump } from "../support/clocks.js";
import { LineStore } from "../support/stores.js";

interface Started extends App {
  readonly line: LineStore;
  readonly lost: string[];
  /** What the store has, by id. */
  readonly stored: Record<string, string>;
}

async function start({ maxAge, lease = 50 }: { maxAge?: number; lease?: number } = {}): Promise<Started> {
  const line = new LineStore();
  const app = await startApp({
    sessions: {
      store: liveStore(line),
      lease,
      ...(maxAge !== undefined && { cookie: { maxAge } }),
    },
    setup: ({ io }) => {
      io.on("connection", (socket) => {
        socket.on("set", (fields: object, done) => done(void Object.assign(socket.session, fields)));
        socket.on("save", async (done) => {
          const failed = (error: { code: string }): string => error.code;
          done(await socket.session.save().then(() => "saved", failed));
        });
      });
    },
  });
  const lost: string[] = [];
  app.sessions.on("lost", (live: LiveSession, what) => lost.push(`${live.data.user} ${what}`));
  const { sessions: stored } = line.inner as unknown as { sessions: Record<string, string> };
  return { ...app, line, lost, stored };
}

test("a change made in the outage stands on the older data, and the loss is told", async () => {
  const { line, login, lost, stored } = await start();
  const ada = await login();
  const socket = await ada.connect();
  const before = { ...stored };
  await socket.emitWithAck("set", { other: "acknowledged", count: 1 });
  expect(await socket.emitWithAck("save")).toBe("saved");
  line.state = "fails";
  await socket.emitWithAck("set", { cart: ["kept"] });
  expect(await socket.emitWithAck("save")).toBe("STORE_UNAVAILABLE");
  Object.assign(stored, before);
  line.state = "up";
  await expect.poll(() => lost).toEqual(["ada changes"]);
  await expect.poll(() => ada.get("/session").catch(() => undefined)).toEqual({ user: "ada", cart: ["kept"] });
  expect(socket.connected).toBe(true);
  // Once.
  await socket.emitWithAck("set", { count: 2 });
  expect(await socket.emitWithAck("save")).toBe("saved");
  expect(lost).toHaveLength(1);
});

test("a handler that puts an earlier value back in the outage loses nothing; nor does a newer change elsewhere", async () => {
  const { line, login, lost, stored, sessions } = await start();
  const ada = await login();
  const socket = await ada.connect();
  const step = async (other: string): Promise<unknown> => {
    await socket.emitWithAck("set", { other });
    return socket.emitWithAck("save");
  };
  expect([await step("off"), await step("on")]).toEqual(["saved", "saved"]);
  line.state = "fails";
  expect(await step("off")).toBe("STORE_UNAVAILABLE");
  for (const [id, text] of Object.entries(stored)) stored[id] = text.replace('"user":"ada"', '"user":"bob"');
  line.state = "up";
  await expect.poll(() => ada.get("/session").catch(() => undefined)).toEqual({ user: "bob", other: "off" });
  await expect.poll(() => sessions.pending).toBe(0);
  expect(lost).toEqual([]);
});

test("a session that is gone without an outage is a logout elsewhere", async () => {
  const { login, lost, stored } = await start();
  const end = closed(await (await login()).connect());
  for (const id of Object.keys(stored)) delete stored[id];
  expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
  expect(lost).toEqual([]);
});

test.each([
  ["the lease", 50],
  ["a save that is tried again", 60_000],
])("a session that is gone after an outage is lost: found by %s", async (_, lease) => {
  const { line, login, lost, stored } = await start({ lease });
  const socket = await (await login()).connect();
  const end = closed(socket);
  line.state = "fails";
  await socket.emitWithAck("set", { other: "too late" });
  expect(await socket.emitWithAck("save")).toBe("STORE_UNAVAILABLE");
  for (const id of Object.keys(stored)) delete stored[id];
  line.state = "up";
  expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
  expect(lost).toEqual(["ada session"]);
});

test("a session that expired in the outage is not lost, though its client was active then", async () => {
  const { io, line, login, lost, stored } = await start({ maxAge: 20_000, lease: 60_000 });
  const socket = await (await login()).connect();
  const end = closed(socket);
  const [{ session }] = [...io.sockets.sockets.values()] as [Socket];
  jump(15_000);
  line.state = "fails";
  const asked = line.asked.get;
  await socket.emitWithAck("save");
  await expect.poll(() => line.asked.get).toBeGreaterThan(asked);
  jump(6000);
  for (const id of Object.keys(stored)) delete stored[id];
  line.state = "up";
  // By its moment of expiry, too, nobody can tell.
  vi.setSystemTime(Date.now() - 10_000);
  await expect(session.touch()).rejects.toMatchObject({ code: "SESSION_EXPIRED" });
  expect((await end).told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
  expect(lost).toEqual([]);
});

test.each([
  ["is over is not lost where the clock was set back meanwhile", -60_000, ["SESSION_EXPIRED"]],
  ["would have expired in the outage is not lost", 20_001, ["SESSION_EXPIRED", "STORE_UNAVAILABLE"]],
])("a session that %s", async (_, step, codes) => {
  const { line, login, lost, stored } = await start({ maxAge: 20_000 });
  const socket = await (await login()).connect();
  const end = closed(socket);
  line.state = "fails";
  await socket.emitWithAck("set", { other: "active" });
  const [id] = Object.keys(stored) as [string];
  delete stored[id];
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + step });
  onTestFinished(() => void vi.useRealTimers());
  line.state = "up";
  expect(codes).toContain((await end).told[0]?.code);
  expect(lost).toEqual([]);
});
