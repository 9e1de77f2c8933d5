// Data of every shape, put into the session of a socket in every way, while others write it, too.
import { expect, onTestFinished, test, vi } from "vitest";
import { startApp } from "../support/app.js";
import { backendOf } from "../../src/store/live-store.js";
import { countCommits, twoSessions } from "../support/server-session.js";
import { subscribe } from "../support/subscriber.js";

async function withSocket() {
  const app = await startApp();
  const ada = await app.login();
  const socket = await ada.connect();
  const [server] = [...app.io.of("/").sockets.values()] as any[];
  return { app, ada, socket, server, session: server.session as any };
}

test("immutable style: session.list = session.list.filter() may be done any number of times", async () => {
  const { ada, session } = await withSocket();
  session.list = [{ n: 1 }, { n: 2 }];
  await session.save();
  for (let times = 0; times < 20_000; times++) session.list = session.list.filter(() => true);
  session.list[0].n = 3;
  await session.save();
  expect(await ada.get("/session")).toMatchObject({ list: [{ n: 3 }, { n: 2 }] });
});

test("a frozen object in the session does not break other writers, nor end the session", async () => {
  const { ada, session, socket, app } = await withSocket();
  session.prefs = Object.freeze({ theme: "dark" });
  await session.save();
  // As HTTP does, whose errors after the response nobody would see.
  await expect
    .soft(app.sessions.update(session.id, (data: any) => void (data.prefs.theme = "light")))
    .resolves.toBeUndefined();
  session.other = "x";
  await expect.soft(session.save()).resolves.toBeUndefined();
  expect(await ada.get("/session")).toMatchObject({ prefs: { theme: "light" }, other: "x" });
  expect(socket.connected).toBe(true);
});

test("one object in two places: another writer's change of one is not taken back", async () => {
  const { ada, session } = await withSocket();
  session.filters = { q: "a" };
  session.last = session.filters;
  await session.save();
  await ada.post("/set", { filters: { q: "b" } });
  expect.soft(session.filters.q).toBe("b");
  session.other = "x";
  await session.save();
  expect(await ada.get("/session")).toMatchObject({ filters: { q: "b" }, last: { q: "a" } });
});

test("an object of another session is copied, not shared", async () => {
  const { ada, one, two } = await twoSessions();
  one.items = ["a"];
  await one.save();
  two.items = one.items;
  await two.save();
  two.items.push("bob's secret");
  await two.save();
  expect.soft([...one.items]).toEqual(["a"]);
  one.other = "x";
  await one.save();
  expect(await ada.get("/session")).toMatchObject({ items: ["a"] });
});

test("indexOf and includes find what was pushed", async () => {
  const { session } = await withSocket();
  const item = { n: 1 };
  session.list = [];
  session.list.push(item);
  expect(session.list.includes(item)).toBe(true);
  expect(session.list.indexOf(item)).toBe(0);
});

test("a value that cannot be stored does not lose the other unsaved changes when somebody else writes", async () => {
  const { ada, session } = await withSocket();
  session.mine = "kept";
  session.big = 1n;
  await expect(session.save()).rejects.toMatchObject({ code: "DATA_INVALID" });
  await ada.post("/set", { other: "http" });
  delete session.big;
  await session.save();
  expect(await ada.get("/session")).toMatchObject({ mine: "kept", other: "http" });
});

test("a value that cannot be stored does not fail somebody else's write", async () => {
  const { app, session } = await withSocket();
  const { store } = app.sessions;
  session.x = 5;
  await session.save();
  const data: any = await new Promise((resolve) => store.get(session.id, (_, found) => resolve(found)));
  data.other = "http";
  session.x = [1n];
  await expect(session.save()).rejects.toMatchObject({ code: "DATA_INVALID" });
  const error = await new Promise((resolve) => store.set(session.id, data, resolve));
  expect(error).toBeFalsy();
});

test("a session with a value that cannot be stored is not kept forever when its client is gone", async () => {
  const { app, socket, session } = await withSocket();
  session.big = 1n;
  await expect(session.save()).rejects.toMatchObject({ code: "DATA_INVALID" });
  socket.disconnect();
  await expect.poll(() => app.sessions.size).toBe(0);
});

test("clearing every field does not make the session immortal", async () => {
  const app = await startApp({ sessions: { cookie: { maxAge: 60_000 } } });
  const ada = await app.login();
  await ada.connect();
  const [server] = [...app.io.of("/").sockets.values()] as any[];
  for (const key of Object.keys(server.session)) delete server.session[key];
  await server.session.save();
  const text = await backendOf(app.sessions.store).read(server.session.id, (found) => found);
  expect(JSON.parse(text as string)).toMatchObject({ cookie: { originalMaxAge: expect.closeTo(60_000, -4) } });
});

test("after an array of tracked elements was assigned, a change elsewhere is no change of ours to save", async () => {
  const { ada, session, app } = await withSocket();
  session.list = [{ n: 1 }, { n: 2 }];
  await session.save();
  session.list = session.list.filter(() => true);
  await session.save();
  const commits = countCommits(app.sessions.store);
  await ada.post("/set", { list: [{ n: 5 }, { n: 2 }] });
  await session.save();
  expect(commits.count).toBe(0);
});

test("an element of an array that a handler holds does not become another element", async () => {
  const { ada, session } = await withSocket();
  session.cart = [
    { id: "apple", n: 1 },
    { id: "pear", n: 1 },
  ];
  await session.save();
  const apple = session.cart[0];
  await ada.post("/set", { cart: [{ id: "pear", n: 1 }] });
  apple.n = 99;
  await session.save();
  expect(await ada.get("/session")).toMatchObject({ cart: [{ id: "pear", n: 1 }] });
});

/** A session with a list that the application holds itself, untracked; saved. */
async function withHeldList() {
  const { app, session, server, socket } = await withSocket();
  const held: string[] = (session.cart ??= []);
  await session.save();
  const text = async (): Promise<string | undefined> =>
    backendOf(app.sessions.store).read(session.id, (found) => found);
  expect(await text()).toContain('"cart":[]');
  return { app, held, server, socket, text };
}

test("a held object that changes later, outside of any event, is saved by the clock", async () => {
  const { held, text } = await withHeldList();
  held.push("apple");
  await expect.poll(text).toContain('"cart":["apple"]');
});

test("a held object that changes in a handler is saved after the event, without the clock", async () => {
  const { app, held, server, socket, text } = await withHeldList();
  // Time stands still: for the clock no moment comes.
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  const saved = new Promise((resolve) => {
    subscribe(app.sessions.store, resolve);
  });
  server.on("add", () => held.push("apple"));
  socket.emit("add");
  await saved;
  expect(await text()).toContain('"cart":["apple"]');
});

test("what is taken back while its save is under way stays taken back", async () => {
  const { ada, session } = await withSocket();
  session.other = "x";
  session.user = "eve";
  const saving = session.save();
  delete session.other;
  session.user = "ada";
  await saving;
  await session.save();
  expect(session.other).toBeUndefined();
  expect(await ada.get("/session")).toEqual({ user: "ada" });
});
