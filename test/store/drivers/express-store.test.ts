import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import session from "express-session";
import memorystore from "memorystore";
import sessionFileStore from "session-file-store";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { liveStore } from "../../../src/store/drivers/express-store/express-store.js";
import { memoryStore } from "../../../src/store/drivers/memory.js";
import { storeContract } from "../../contract/store.js";
import { startApp } from "../../support/app.js";
import { AttachingStore, LineStore, QueryStore } from "../../support/stores.js";
import { backendOf } from "../../../src/store/live-store.js";

storeContract("express-session's MemoryStore", () => ({ store: liveStore(new session.MemoryStore()) }));

storeContract("express-session's MemoryStore, 5 ms late", () => {
  const line = new LineStore();
  line.latency = 5;
  return { store: liveStore(line) };
});

const MemoryStore = memorystore(session);
storeContract("memorystore", () => {
  const inner = new MemoryStore({ checkPeriod: 60_000 });
  return {
    store: liveStore(inner as unknown as session.Store),
    close: () => (inner as unknown as { stopInterval(): void }).stopInterval(),
  };
});

const FileStore = sessionFileStore(session);
storeContract(
  "session-file-store",
  async () => {
    const path = await mkdtemp(join(tmpdir(), "socket-session-"));
    const inner = new FileStore({ path, retries: 0, reapInterval: -1, logFn: () => {} });
    return { store: liveStore(inner), close: () => rm(path, { recursive: true, force: true }) };
  },
  { canList: false },
);

describe("liveStore", () => {
  test("gives a live store back as it is, and refuses what is no store", () => {
    const store = memoryStore();
    expect(liveStore(store)).toBe(store);
    expect(() => liveStore({} as never)).toThrow(expect.objectContaining({ code: "STORE_UNSUPPORTED" }));
    expect(() => liveStore(undefined as never)).toThrow(expect.objectContaining({ code: "STORE_UNSUPPORTED" }));
  });

  test("forwards that the wrapped store is disconnected, as express-session wants to know", () => {
    const inner = new session.MemoryStore();
    const store = liveStore(inner);
    const seen = vi.fn();
    store.on("disconnect", seen);
    inner.emit("disconnect");
    expect(seen).toHaveBeenCalledOnce();
  });

  test('says that a store that said "disconnect", and nothing else, answers again', async () => {
    const inner = new QueryStore();
    const { login } = await startApp({ sessions: { store: liveStore(inner) } });
    const ada = await login();
    inner.isBroken = true;
    expect((await ada.fetch("/session")).status).toBe(500);
    // Without a session while it does not answer: express-session passes requests by.
    expect((await ada.fetch("/session")).status).toBe(500);
    inner.isBroken = false;
    await expect.poll(async () => (await ada.fetch("/session")).status).toBe(200);
    expect(await ada.get("/session")).toEqual({ user: "ada" });
  });

  test.each(["fails", "hangs"] as const)(
    "a store that %s is STORE_UNAVAILABLE, without the id in the error",
    async (state) => {
      const line = new LineStore();
      line.state = state;
      const store = liveStore(line, { timeout: 50 });
      const error = await new Promise<Error>((resolve) => store.get("the-id", (failure) => resolve(failure as Error)));
      expect(error).toMatchObject({ code: "STORE_UNAVAILABLE" });
      expect(`${error.message} ${String(error.cause)}`).not.toContain("the-id");
    },
  );

  test("an error of the storage that names the id is told without it", async () => {
    class Naming extends session.MemoryStore {
      override get = (id: string, done: (error: unknown) => void): void => done(new Error(`no answer for ${id}`));
    }
    const error = await new Promise<Error>((resolve) => {
      liveStore(new Naming()).get("the-id", (failure) => resolve(failure as Error));
    });
    expect(String(error.cause)).toContain("no answer for (session id)");
  });

  test("an operation that the wrapped store lacks is an error that says so", async () => {
    const inner = new session.MemoryStore() as unknown as { clear?: unknown };
    inner.clear = undefined;
    const error = await new Promise((resolve) => liveStore(inner as never).clear(resolve));
    expect(error).toMatchObject({ code: "STORE_UNSUPPORTED" });
  });
});

describe("what a store attaches to what it returns", () => {
  test("connect-mongo's lastModified goes back as a Date, so that its touchAfter works, and is no field", async () => {
    const inner = new AttachingStore();
    const store = liveStore(inner);
    const app = await startApp({ sessions: { store, cookie: { maxAge: 60_000 } } });
    const ada = await app.login();
    const socket = await ada.connect();
    const changes = vi.fn();
    app.sessions.on("change", changes);
    expect(await ada.get("/session")).toEqual({ user: "ada" });
    expect(inner.touchedWith.at(-1)).toBeInstanceOf(Date);
    const [server] = [...app.io.of("/").sockets.values()];
    expect(Object.keys(server?.session ?? {}).toSorted()).toEqual(["cookie", "user"]);
    await app.sessions.update(ada.sessionId, (data) => void (data.count = 1));
    expect(inner.documents.get(ada.sessionId)?.session).not.toContain("lastModified");
    expect(changes).toHaveBeenCalledOnce();
    expect(store.isDown).toBe(false);
    expect(socket.connected).toBe(true);
    expect([...inner.documents.keys()]).toEqual([ada.sessionId]);
  });

  test("session-file-store's __lastAccess is no field, and no change, from the first read on", async () => {
    const path = await mkdtemp(join(tmpdir(), "socket-session-"));
    onTestFinished(() => rm(path, { recursive: true, force: true }));
    const inner = new FileStore({ path, retries: 0, reapInterval: -1, logFn: () => {} });
    const ada = await (await startApp({ sessions: { store: inner } })).login();
    // After a restart.
    const app = await startApp({ sessions: { store: liveStore(inner), lease: 50 } });
    const changes = vi.fn();
    app.sessions.on("change", changes);
    const again = app.browser();
    again.cookies.set("connect.sid", ada.cookies.get("connect.sid") as string);
    const socket = await again.connect();
    const [server] = [...app.io.of("/").sockets.values()];
    expect(Object.keys(server?.session ?? {}).toSorted()).toEqual(["cookie", "user"]);
    for (let index = 0; index < 3; index++) {
      expect(await again.get("/session")).toEqual({ user: "ada" });
      await server?.session.reload();
    }
    expect(changes).not.toHaveBeenCalled();
    expect(socket.connected).toBe(true);
  });

  test("values that JSON cannot hold go back as they came, unless they were changed", async () => {
    const [since, seen] = [new Date(0), new Date(1)];
    const written: any[] = [];
    class ObjectStore extends session.MemoryStore {
      override get = (id: string, done: (error: unknown, data?: any) => void): void =>
        done(null, id === "id" ? { cookie: { originalMaxAge: null }, since, seen } : null);
      override set = (id: string, data: unknown, done?: (error?: unknown) => void): void => {
        if (id === "id") written.push(data);
        done?.();
      };
    }
    const inner = new ObjectStore();
    await backendOf(liveStore(inner)).update("id", (data) => Object.assign(data, { seen: new Date(2), count: 1 }));
    expect(written.at(-1)).toMatchObject({ since, seen: new Date(2).toISOString(), count: 1 });
    expect(written.at(-1).since).toBeInstanceOf(Date);
  });
});

test("a store that hangs is not asked without end: what was given up and may still come is limited", async () => {
  const line = new LineStore();
  line.state = "hangs";
  const store = liveStore(line, { timeout: 20 });
  const ask = (): Promise<unknown> => new Promise((resolve) => store.get("id", resolve));
  await Promise.all(Array.from({ length: 1000 }, ask));
  expect(line.asked.get).toBe(1000);
  expect(await ask()).toMatchObject({ code: "STORE_UNAVAILABLE" });
  expect(line.asked.get).toBe(1000);
});

describe("a wrapped store", () => {
  test("that never answers for one session goes on serving the others", async () => {
    const line = new LineStore();
    const get = line.get.bind(line);
    line.get = (id, done) => void (id === "odd" || get(id, done));
    const store = liveStore(line, { timeout: 50 });
    const ask = (id: string): Promise<unknown> => new Promise((resolve) => store.get(id, resolve));
    for (let batch = 0; batch < 6; batch++) {
      await Promise.all(Array.from({ length: 200 }, () => ask("odd")));
      expect(await ask("other")).toBeNull();
    }
  });

  test("that hangs again while a late write is answered holds up the session no longer than its timeout", async () => {
    const line = new LineStore();
    const held: (() => void)[] = [];
    let isHeld = false;
    const set = line.set.bind(line);
    line.set = (id, data, done) => void (isHeld ? held.push(() => set(id, data, done)) : set(id, data, done));
    const store = liveStore(line, { timeout: 100 });
    const cookie = { originalMaxAge: null, expires: null };
    const put = (data: object): Promise<unknown> =>
      new Promise((resolve) => store.set("id", { cookie, ...data } as never, resolve));
    expect(await put({ user: "ada" })).toBeNull();
    isHeld = true;
    expect(await put({ count: 1 })).toMatchObject({ code: "STORE_UNAVAILABLE" });
    isHeld = false;
    expect(await put({ count: 2 })).toBeNull();
    // The late one arrives; what puts the newer state in its place is held.
    isHeld = true;
    for (const arrive of held.splice(0)) arrive();
    await expect.poll(() => held).toHaveLength(1);
    isHeld = false;
    expect(await backendOf(store).update("id", (data) => (data.count = 3))).toBe(3);
  });
});
