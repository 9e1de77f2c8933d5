import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startApp } from "../support/app.js";
import { reconcile } from "../../src/store/merge.js";
import { LineStore } from "../support/stores.js";

async function withSocket(user = "ada", store?: any) {
  const app = await startApp({ sessions: store ? { store, lease: 60_000 } : {} });
  const ada = await app.login(user);
  const socket = await ada.connect();
  const [server] = [...app.io.of("/").sockets.values()] as any[];
  return { app, ada, socket, server, session: server.session as any };
}

test("immutable style: session.list = session.list.filter() may be done any number of times", async () => {
  const { session } = await withSocket();
  session.list = [{ n: 1 }, { n: 2 }];
  await session.save();
  for (let i = 0; i < 5000; i++) session.list = session.list.filter(() => true);
  expect(() => session.list[0].n).not.toThrow();
  await session.save();
  const before = process.hrtime.bigint();
  for (let i = 0; i < 100; i++) void session.list[0].n;
  expect(Number(process.hrtime.bigint() - before) / 1e6).toBeLessThan(20);
});

test("a frozen object in the session does not break other writers, nor end the session", async () => {
  const { ada, session, socket, app } = await withSocket();
  session.prefs = Object.freeze({ theme: "dark" });
  await session.save();
  // As HTTP does, but its errors after the response are seen.
  await expect.soft(app.sessions.update(session.id, (data: any) => void (data.prefs.theme = "light"))).resolves.toBeUndefined();
  session.other = "x";
  await expect.soft(session.save()).resolves.toBeUndefined();
  await delay(100);
  expect.soft(socket.connected).toBe(true);
  expect(await ada.get("/session")).toMatchObject({ prefs: { theme: "light" }, other: "x" });
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
  const app = await startApp();
  const [ada, bob] = [await app.login("ada"), await app.login("bob")];
  await ada.connect(); await bob.connect();
  const [one, two] = [...app.io.of("/").sockets.values()].map((s: any) => s.session);
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

test("a field that is called id (a database row put into the session) does not break the session", async () => {
  const { app, ada, session, server } = await withSocket();
  void session.user;
  await expect.soft(app.sessions.update(server, (data: any) => void Object.assign(data, { id: 7, name: "Ada" }))).resolves.toBeUndefined();
  const again = await ada.connect();
  const s = [...app.io.of("/").sockets.values()].at(-1) as any;
  expect.soft(() => s.session.user).not.toThrow();
  expect.soft((await ada.post("/set", { other: "x" })).status).toBe(200);
  void again;
});

test("a stored field named destroy does not hide the method", async () => {
  const { app, ada } = await withSocket();
  await ada.post("/set", { destroy: 1 });
  await ada.connect();
  const s = [...app.io.of("/").sockets.values()].at(-1) as any;
  expect(typeof s.session.destroy).toBe("function");
});

test("session[key][field] = value with key __proto__ reaches no other session", async () => {
  const app = await startApp();
  const [ada, bob] = [await app.login("ada"), await app.login("bob")];
  await ada.connect(); await bob.connect();
  const [one, two] = [...app.io.of("/").sockets.values()].map((s: any) => s.session);
  try { one["__proto__"]["isAdmin"] = true; } catch {}
  const seen = two.isAdmin;
  delete Object.getPrototypeOf(one).isAdmin;
  expect(seen).toBeUndefined();
});

test("session.__proto__ = … does not take its methods away", async () => {
  const { session } = await withSocket();
  try { session["__proto__"] = { x: 1 }; } catch {}
  expect(typeof session.save).toBe("function");
});

test("indexOf and includes find what was pushed", async () => {
  const { session } = await withSocket();
  const item = { n: 1 };
  session.list = [];
  session.list.push(item);
  expect(session.list.includes(item)).toBe(true);
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
  await expect.poll(() => app.sessions.size, { timeout: 3000 }).toBe(0);
});

test("clearing every field does not make the session immortal", async () => {
  const app = await startApp({ sessions: { cookie: { maxAge: 60_000 } } });
  const ada = await app.login();
  await ada.connect();
  const [server] = [...app.io.of("/").sockets.values()] as any[];
  for (const key of Object.keys(server.session)) delete server.session[key];
  await server.session.save();
  expect(await app.sessions.store.read(server.session.id, (text) => JSON.parse(text as string).cookie.originalMaxAge)).toBeGreaterThan(0);
});

test("assigning an array that holds tracked elements: a change elsewhere is no change of ours", async () => {
  const { ada, session, app } = await withSocket();
  session.list = [{ n: 1 }, { n: 2 }];
  await session.save();
  session.list = session.list.filter(() => true);
  await session.save();
  let commits = 0;
  const { store } = app.sessions;
  const commit = store.commit.bind(store);
  store.commit = (...v) => { commits++; return commit(...v); };
  await ada.post("/set", { list: [{ n: 5 }, { n: 2 }] });
  await delay(50);
  expect(commits).toBe(0);
});
test("a held element of an array does not become another element", async () => {
  const { ada, session } = await withSocket();
  session.cart = [{ id: "apple", n: 1 }, { id: "pear", n: 1 }];
  await session.save();
  const apple = session.cart[0];
  await ada.post("/set", { cart: [{ id: "pear", n: 1 }] });
  apple.n = 99;
  await session.save();
  expect(await ada.get("/session")).toMatchObject({ cart: [{ id: "pear", n: 1 }] });
});


test("reload() of a session that is gone rejects", async () => {
  const line = new LineStore();
  const { session } = await withSocket("ada", line);
  line.inner.destroy(session.id);
  await expect(session.reload()).rejects.toMatchObject({ code: "SESSION_DESTROYED" });
});


