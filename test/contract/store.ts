// What every live store promises, whatever it stands on. Run by each driver's own test.
import express from "express";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import session, { type SessionData } from "express-session";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { Notice } from "../../src/store/cluster/change-bus.js";
import { backendOf, type LiveStore } from "../../src/store/live-store.js";
import { inTime } from "../support/pace.js";
import { callsContract } from "./calls.js";
import { subscribe } from "../support/subscriber.js";

export interface StoreFixture {
  readonly store: LiveStore;
  close?(): void | Promise<void>;
}

export interface StoreFeatures {
  /** Whether the storage has `all()`. */
  readonly canList?: boolean;
}

type Loose = session.Session & SessionData & Record<string, any>;

export function storeContract(
  name: string,
  make: () => StoreFixture | Promise<StoreFixture>,
  features: StoreFeatures = {},
): void {
  const { canList = true } = features;
  callsContract(name, make, features);

  describe(`store contract: ${name}`, () => {
    let fixture: StoreFixture;
    let store: LiveStore;
    let middleware: express.RequestHandler;
    const cookie: { maxAge?: number } = {};

    beforeEach(async () => {
      fixture = await make();
      store = fixture.store;
      delete cookie.maxAge;
      middleware = session({
        secret: "s",
        resave: false,
        saveUninitialized: false,
        store,
        cookie: () => ({ ...cookie }),
      });
    });

    afterEach(async () => {
      store.close();
      await fixture.close?.();
    });

    /** A session as express-session generates it, not stored yet. */
    function generate(): { id: string; data: Loose; request: { sessionID: string; session: Loose } } {
      const request = {} as { sessionID: string; session: Loose; sessionStore: LiveStore };
      request.sessionStore = store;
      (store as unknown as { generate(request: object): void }).generate(request);
      return { id: request.sessionID, data: request.session, request };
    }

    function read(id: string): Promise<Loose | null | undefined> {
      return new Promise((resolve, reject) => {
        store.get(id, (error, data) => (error ? reject(error as Error) : resolve(data as Loose | null)));
      });
    }

    /** A session object as a request gets it. */
    async function load(id: string): Promise<Loose> {
      const data = await read(id);
      if (!data) throw new Error("no such session");
      return store.createSession({ sessionID: id, sessionStore: store } as never, data) as Loose;
    }

    function write(id: string, data: SessionData): Promise<void> {
      return new Promise((resolve, reject) =>
        store.set(id, data, (error) => (error ? reject(error as Error) : resolve())),
      );
    }

    function touch(id: string, data: SessionData): Promise<void> {
      return new Promise((resolve) => store.touch(id, data, resolve));
    }

    function destroy(id: string): Promise<void> {
      return new Promise((resolve, reject) =>
        store.destroy(id, (error) => (error ? reject(error as Error) : resolve())),
      );
    }

    async function create(fields: object = {}): Promise<string> {
      const { id, data } = generate();
      Object.assign(data, fields);
      await write(id, data);
      return id;
    }

    async function fields(id: string): Promise<object | undefined> {
      const data = await read(id);
      if (!data) return undefined;
      const { cookie: _, __lastAccess: __, ...rest } = data;
      return rest;
    }

    function notices(): Notice[] {
      const seen: Notice[] = [];
      subscribe(store, (notice) => void seen.push(notice));
      return seen;
    }

    test("an unknown id has no session", async () => {
      expect(await read("nobody")).toBeFalsy();
    });

    test("what is set is got, with express-session's cookie", async () => {
      cookie.maxAge = 60_000;
      const id = await create({ user: "ada", nested: { list: [1, { a: null }], deep: { er: true } } });
      expect(await fields(id)).toEqual({ user: "ada", nested: { list: [1, { a: null }], deep: { er: true } } });
      const loaded = await load(id);
      expect(loaded.cookie).toBeInstanceOf(session.Cookie);
      expect(loaded.cookie.originalMaxAge).toBeGreaterThan(59_000);
      expect(loaded.cookie.maxAge).toBeGreaterThan(50_000);
    });

    test("two writers of different fields both win", async () => {
      const id = await create({ a: 0 });
      const [one, two] = await Promise.all([load(id), load(id)]);
      one["a"] = 1;
      two["b"] = 2;
      await Promise.all([write(id, one), write(id, two)]);
      expect(await fields(id)).toEqual({ a: 1, b: 2 });
    });

    test("plain objects merge by key at every depth, also when both writers made them", async () => {
      const id = await create({ x: { y: { a: 0 } } });
      const [one, two] = await Promise.all([load(id), load(id)]);
      one["x"].y.a = 1;
      one["fresh"] = { one: 1 };
      two["x"].y.b = 2;
      two["fresh"] = { two: 2 };
      await write(id, one);
      await write(id, two);
      expect(await fields(id)).toEqual({ x: { y: { a: 1, b: 2 } }, fresh: { one: 1, two: 2 } });
    });

    test("arrays are one value, and the later commit of a field wins", async () => {
      const id = await create({ list: [1], field: 0 });
      const [one, two] = await Promise.all([load(id), load(id)]);
      one["list"] = [1, 2];
      one["field"] = "first";
      two["list"] = [3];
      two["field"] = "second";
      await write(id, one);
      await write(id, two);
      expect(await fields(id)).toEqual({ list: [3], field: "second" });
    });

    test("a removed field is removed, a field that the writer never saw stays", async () => {
      const id = await create({ gone: 1, kept: 1 });
      const one = await load(id);
      const two = await load(id);
      two["unseen"] = 1;
      await write(id, two);
      delete one["gone"];
      await write(id, one);
      expect(await fields(id)).toEqual({ kept: 1, unseen: 1 });
    });

    test("a second save of the same object writes what changed since the first", async () => {
      const id = await create({ a: 0 });
      const one = await load(id);
      one["a"] = 1;
      await write(id, one);
      const two = await load(id);
      two["a"] = 2;
      await write(id, two);
      one["b"] = 1;
      await write(id, one);
      expect(await fields(id)).toEqual({ a: 2, b: 1 });
    });

    test("data read raw and set again merges, too", async () => {
      const id = await create({ a: 0 });
      const raw = (await read(id)) as Loose;
      const other = await load(id);
      other["b"] = 1;
      await write(id, other);
      raw["a"] = 1;
      await write(id, raw);
      expect(await fields(id)).toEqual({ a: 1, b: 1 });
    });

    test("__proto__ as a key changes no prototype", async () => {
      const id = await create(JSON.parse(`{"x":{"__proto__":{"polluted":1}}}`) as object);
      const one = await load(id);
      one["y"] = JSON.parse(`{"__proto__":{"polluted":1}}`);
      await write(id, one);
      expect((await load(id))["y"].polluted).toBeUndefined();
      expect(({} as { polluted?: number }).polluted).toBeUndefined();
    });

    test("a destroyed session is not brought back by a session object, its raw data, a copy, or a touch", async () => {
      const id = await create({ user: "ada" });
      const held = await load(id);
      const raw = (await read(id)) as Loose;
      await destroy(id);
      held["late"] = 1;
      raw["late"] = 1;
      await write(id, held);
      await write(id, raw);
      await write(id, Object.assign({}, raw));
      await touch(id, held);
      await touch(id, raw);
      expect(await read(id)).toBeFalsy();
    });

    test("the request that created a session does not bring it back", async () => {
      const { id, data } = generate();
      data["a"] = 1;
      await write(id, data);
      await destroy(id);
      data["a"] = 2;
      await write(id, data);
      expect(await read(id)).toBeFalsy();
    });

    test("destroy under way wins over writes that started before and after it", async () => {
      const id = await create({ a: 0 });
      const writers = await Promise.all([load(id), load(id), load(id)]);
      writers.forEach((writer, index) => (writer[`late${index}`] = 1));
      const [one, two, three] = writers as [Loose, Loose, Loose];
      await Promise.all([
        write(id, one),
        touch(id, two),
        destroy(id),
        write(id, two),
        touch(id, three),
        write(id, three),
      ]);
      expect(await read(id)).toBeFalsy();
    });

    test("an expired session is gone, and no writer brings it back", async () => {
      cookie.maxAge = 300;
      const { id, held } = await inTime(cookie.maxAge, async () => {
        const made = await create({ user: "ada" });
        return { id: made, held: await load(made) };
      });
      await expect.poll(() => read(id), { interval: 50 }).toBeFalsy();
      held["late"] = 1;
      held.touch();
      await write(id, held);
      await touch(id, held);
      expect(await read(id)).toBeFalsy();
    });

    test("touch moves the expiry and writes nothing else", async () => {
      cookie.maxAge = 60_000;
      const id = await create({ a: 1 });
      const held = await load(id);
      held["a"] = "not saved";
      held.cookie.maxAge = 120_000;
      await touch(id, held);
      expect(await fields(id)).toEqual({ a: 1 });
    });

    test("an older touch does not take back what a newer one gave", async () => {
      cookie.maxAge = 60_000;
      const id = await create({ a: 1 });
      const slow = await load(id);
      slow.touch();
      await delay(30);
      const quick = await load(id);
      quick.touch();
      const newest = quick.cookie.expires as Date;
      quick["a"] = 2;
      await write(id, quick);
      slow["b"] = 1;
      await write(id, slow);
      expect(new Date((await load(id)).cookie.expires as Date).getTime()).toBe(newest.getTime());
    });

    test("a new maxAge stays, whatever older requests bring", async () => {
      cookie.maxAge = 60_000;
      const id = await create({ a: 1 });
      const slow = await load(id);
      const remember = await load(id);
      remember.cookie.maxAge = 1_000_000;
      remember["remembered"] = true;
      await write(id, remember);
      slow.touch();
      slow["b"] = 1;
      await write(id, slow);
      const now = await load(id);
      expect(now.cookie.originalMaxAge).toBeCloseTo(1_000_000, -4);
      expect(now.cookie.maxAge).toBeGreaterThan(900_000);
    });

    test("regenerate ends the old id as rotated and generates a new one", async () => {
      const { id, data, request } = generate();
      data["user"] = "ada";
      await write(id, data);
      const seen = notices();
      await new Promise<void>((resolve) => data.regenerate(() => resolve()));
      expect(request.sessionID).not.toBe(id);
      expect(seen).toContainEqual({ kind: "ended", id, code: "SESSION_ROTATED" });
      expect(await read(id)).toBeFalsy();
      expect(backendOf(store).endOf(id)?.code).toBe("SESSION_ROTATED");
      await write(request.sessionID, request.session);
      expect(await fields(request.sessionID)).toEqual({});
    });

    test("update is atomic: no increment is lost among other writers", async () => {
      const id = await create({ count: 0 });
      const held = await load(id);
      held["field"] = true;
      const work: Promise<unknown>[] = [write(id, held)];
      for (let index = 0; index < 50; index++) {
        work.push(backendOf(store).update(id, (data) => ++(data as Loose)["count"]));
      }
      const results = await Promise.all(work);
      expect(new Set(results.slice(1)).size).toBe(50);
      expect(await fields(id)).toEqual({ count: 50, field: true });
    });

    test("update: what the function throws is thrown and nothing is written; promises and missing sessions fail", async () => {
      const id = await create({ count: 0 });
      const broken = new Error("broken");
      const failing = backendOf(store).update(id, (data) => {
        (data as Loose)["count"] = 1;
        throw broken;
      });
      await expect(failing).rejects.toBe(broken);
      const waiting = backendOf(store).update(id, async (data) => {
        (data as Loose)["count"] = 1;
      });
      await expect(waiting).rejects.toMatchObject({ code: "UPDATE_ASYNC" });
      expect(await fields(id)).toEqual({ count: 0 });
      await expect(backendOf(store).update("nobody", () => 0)).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
      await destroy(id);
      await expect(backendOf(store).update(id, () => 0)).rejects.toMatchObject({ code: "SESSION_DESTROYED" });
    });

    test("data that JSON cannot hold is refused and nothing is lost", async () => {
      const id = await create({ a: 1 });
      const held = await load(id);
      const cycle: Record<string, unknown> = {};
      cycle["self"] = cycle;
      held["cycle"] = cycle;
      await expect(write(id, held)).rejects.toMatchObject({ code: "DATA_INVALID" });
      expect(await fields(id)).toEqual({ a: 1 });
    });

    test("notices come after the commit, in its order, and only for changes", async () => {
      const id = await create({ a: 0 });
      const seen = notices();
      const held = await load(id);
      await write(id, held);
      held["a"] = 1;
      await write(id, held);
      await backendOf(store).update(id, (data) => void ((data as Loose)["a"] = 2));
      await destroy(id);
      await write(id, held);
      const texts: unknown[] = seen.map((notice) =>
        notice.kind === "stored" ? (JSON.parse(notice.text) as Loose)["a"] : notice.kind,
      );
      expect(texts).toEqual([1, 2, "ended"]);
    });

    test("all (where the storage has it), length and clear", async () => {
      const ids = [await create({ n: 1 }), await create({ n: 2 })];
      const held = await load(ids[0] as string);
      const all = new Promise<object>((resolve, reject) => {
        store.all((error: unknown, sessions) =>
          error ? reject(error as Error) : resolve(sessions as unknown as object),
        );
      });
      if (canList)
        expect(
          Object.values(await all)
            .map((data) => (data as Loose)["n"])
            .toSorted(),
        ).toEqual([1, 2]);
      else await expect(all).rejects.toMatchObject({ code: "STORE_UNSUPPORTED" });
      const length = await new Promise((resolve) => store.length((_, count) => resolve(count)));
      expect(length).toBe(2);
      const seen = notices();
      held["late"] = 1;
      const late = write(ids[0] as string, held);
      await new Promise<void>((resolve, reject) =>
        store.clear((error) => (error ? reject(error as Error) : resolve())),
      );
      await late;
      await write(ids[0] as string, held);
      expect(seen).toContainEqual({ kind: "cleared" });
      expect(await read(ids[0] as string)).toBeFalsy();
      expect(await read(ids[1] as string)).toBeFalsy();
    });

    test("an absolute lifetime ends a session whatever its activity", async () => {
      const absoluteTimeout = 400;
      backendOf(store).claim({ absoluteTimeout });
      const { id, held } = await inTime(absoluteTimeout, async () => {
        const made = await create({ user: "ada" });
        expect(await fields(made)).toEqual({ user: "ada" });
        return { id: made, held: await load(made) };
      });
      const end = Date.now() + 1500;
      while ((await read(id)) && Date.now() < end) {
        held.touch();
        held["n"] = Date.now();
        await write(id, held);
        await delay(20);
      }
      expect(await read(id)).toBeFalsy();
      expect(backendOf(store).endOf(id)?.code).toBe("SESSION_EXPIRED");
    });

    test("over HTTP: fifty concurrent requests that each set a different key are all kept", async () => {
      const app = express();
      app.use(middleware);
      app.get("/set/:key", (req, res) => {
        (req.session as Loose)[req.params.key] = 1;
        res.end();
      });
      const server = createServer(app).listen(0, "127.0.0.1");
      onTestFinished(() => {
        server.closeAllConnections();
        server.close();
      });
      await once(server, "listening");
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const first = await fetch(`${url}/set/first`);
      const sent = first.headers.getSetCookie()[0]?.split(";")[0] as string;
      const id = decodeURIComponent(sent.split("=")[1] as string)
        .slice(2)
        .split(".")[0] as string;
      await Promise.all(
        Array.from({ length: 50 }, (_, index) => fetch(`${url}/set/k${index}`, { headers: { cookie: sent } })),
      );
      expect(Object.keys((await fields(id)) as object)).toHaveLength(51);
    });
  });
}
