// The sessions of a user: known, shown without their ids, ended together.
import { describe, expect, test } from "vitest";
import { createSessions, liveStore, memoryStore } from "../../src/index.js";
import { startApp } from "../support/app.js";
import { closed } from "../support/browser.js";
import { LineStore } from "../support/stores.js";

function start() {
  return startApp({
    sessions: { user: (session) => session.user, cookie: { maxAge: 60_000 } },
    setup({ app, sessions }) {
      app.get("/devices", async (req, res) => res.json(await sessions.ofUser(String(req.session.user))));
      app.post("/logout-elsewhere", async (req, res) =>
        res.json(await sessions.destroyUser(String(req.session.user), { except: req })),
      );
      app.post("/regenerate", (req, res, next) => {
        req.session.regenerate((error) => {
          if (error) return next(error);
          req.session.user = "ada";
          req.session.save(() => res.json({}));
        });
      });
    },
  });
}

test("lists what is there, and nothing of what ended, expired, was rotated or became somebody else's", async () => {
  const { login, sessions } = await start();
  const [one, two, three, four] = [await login(), await login(), await login(), await login()];
  await login("bob");
  await one.connect();
  await one.connect();
  const before = Date.now();
  const [first, ...others] = await sessions.ofUser("ada");
  expect(others).toHaveLength(3);
  expect(first).toEqual({
    handle: expect.stringMatching(/^[\w-]{22}$/) as string,
    created: expect.any(Number) as number,
    lastSeen: expect.any(Number) as number,
    connections: 2,
    connectionsPerNode: [2],
  });
  expect(Math.abs((first?.lastSeen ?? 0) - before)).toBeLessThan(5000);
  expect(new Set(others.map(({ handle }) => handle)).size).toBe(3);
  await two.post("/logout");
  await three.post("/set", { user: "bob" });
  await four.post("/regenerate");
  expect(await sessions.ofUser("ada")).toHaveLength(2);
  expect(await sessions.ofUser("bob")).toHaveLength(2);
  expect(await sessions.ofUser("nobody")).toEqual([]);
  expect((await one.get<unknown[]>("/devices")).map((entry) => (entry as { handle: string }).handle)).toContain(
    first?.handle,
  );
});

test("an entry is a target: one of the user's devices is logged out", async () => {
  const { login, sessions } = await start();
  const [one, two] = [await login(), await login()];
  const [first, second] = [await one.connect(), await two.connect()];
  const end = closed(second);
  const [, entry] = await sessions.ofUser("ada");
  if (!entry) throw new Error("no entry");
  expect(sessions.get(entry)?.connections).toBe(1);
  await sessions.destroy(entry);
  expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
  expect(first.connected).toBe(true);
});

test("everywhere else, then everywhere", async () => {
  const { login, sessions, browser } = await start();
  const all = [await login(), await login(), await login()] as const;
  const sockets = await Promise.all(all.map((one) => one.connect()));
  const ends = sockets.map(closed);
  expect(await (await all[0].post("/logout-elsewhere")).json()).toBe(2);
  await Promise.all(ends.slice(1));
  expect(sockets.map(({ connected }) => connected)).toEqual([true, false, false]);
  expect(await sessions.destroyUser("ada")).toBe(1);
  await ends[0];
  expect(await sessions.destroyUser("ada")).toBe(0);
  expect(browser().cookies.size).toBe(0);
});

describe("who a client says it is", () => {
  test.each<[string, unknown]>([
    ["a list with somebody's name", ["ada"]],
    ["an object that cannot be text", { toString: 1 }],
    ["an object", { name: "ada" }],
    ["true", true],
  ])("as %s is DATA_INVALID, tried once, and no session of somebody's", async (_, user) => {
    const { login, sessions, io } = await start();
    await login("ada");
    const mallory = await login("mallory");
    await mallory.connect();
    const [socket] = io.of("/").sockets.values();
    const errors: unknown[] = [];
    sessions.on("error", (error) => errors.push(error));
    Object.assign(socket?.session as object, { user });
    await expect(socket?.session?.save()).rejects.toMatchObject({ code: "DATA_INVALID" });
    expect(errors).toHaveLength(1);
    expect(await sessions.ofUser("ada")).toHaveLength(1);
    expect(await sessions.destroyUser("mallory")).toBe(1);
  });

  test("is nobody where the option gives false, and DATA_INVALID where it throws", async () => {
    const { login, io } = await startApp({
      sessions: { user: (session) => (session.user === "bob" ? (false as never) : (session.user as string).trim()) },
      attach: { missing: "anonymous" },
    });
    await login("bob");
    const ada = await login("ada");
    await ada.connect();
    const [socket] = io.of("/").sockets.values();
    Object.assign(socket?.session as object, { user: 7 });
    await expect(socket?.session?.save()).rejects.toMatchObject({
      code: "DATA_INVALID",
      cause: expect.any(TypeError) as TypeError,
    });
  });
});

describe("what cannot work is an error", () => {
  const secret = "s";
  test("without the option, with a store that holds nothing but sessions, with no user", async () => {
    const invalid = { code: "OPTION_INVALID" };
    await expect(createSessions({ secret }).ofUser("ada")).rejects.toMatchObject(invalid);
    await expect(createSessions({ secret }).destroyUser("ada")).rejects.toMatchObject(invalid);
    const user = (): string => "ada";
    for (const nobody of ["", undefined, {}]) {
      await expect(createSessions({ secret, user }).ofUser(nobody as never)).rejects.toMatchObject(invalid);
    }
    expect(() => createSessions({ secret, user: "ada" as never })).toThrow(expect.objectContaining(invalid));
    expect(() => createSessions({ secret, user, store: liveStore(new LineStore()) })).toThrow(
      expect.objectContaining({ code: "STORE_UNSUPPORTED" }),
    );
    const sessions = createSessions({ secret, user, store: memoryStore() });
    await expect(sessions.destroyUser("ada", { except: {} as never })).rejects.toMatchObject({
      code: "TARGET_INVALID",
    });
  });
});
