// What every live store promises to who calls it by hand, as express-session's own stores do: objects of the caller's
// own replace what is stored, calls are answered in their order, and who gives no callback gets a promise.
import session, { type SessionData } from "express-session";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { backendOf, type LiveStore } from "../../src/store/live-store.js";
import { inTime } from "../support/pace.js";
import type { StoreFeatures, StoreFixture } from "./store.js";

type Fields = Record<string, any>;

const aMinute = 60_000;

/** Data as an application makes it itself; without `lifetime` (ms) it does not expire. */
function own(fields: object, lifetime?: number, originalMaxAge: number | null = lifetime ?? null): SessionData {
  const expires = lifetime === undefined ? null : new Date(Date.now() + lifetime).toISOString();
  return { cookie: { originalMaxAge, expires }, ...fields } as never;
}

export function callsContract(
  name: string,
  make: () => StoreFixture | Promise<StoreFixture>,
  { canList = true }: StoreFeatures,
): void {
  describe(`store calls: ${name}`, () => {
    let fixture: StoreFixture;
    let store: LiveStore;

    beforeEach(async () => {
      fixture = await make();
      store = fixture.store;
    });

    afterEach(async () => {
      store.close();
      await fixture.close?.();
    });

    async function fields(id: string): Promise<Fields | undefined> {
      const data = await store.get(id);
      if (!data) return undefined;
      const { cookie: _, __lastAccess: __, ...rest } = data as Fields;
      return rest;
    }

    async function left(id: string): Promise<number> {
      const data = await store.get(id);
      return data?.cookie.expires ? new Date(data.cookie.expires).getTime() - Date.now() : Number.NaN;
    }

    function load(id: string): Promise<session.Session & Fields> {
      return store.load(id) as Promise<session.Session & Fields>;
    }

    // --- expressjs/session#184, #561, #693: objects of the caller's own ---

    test("an object of the caller's own is stored, and another replaces it", async () => {
      await store.set("a", own({ user: "ada", role: "admin", nested: { x: 1 } }));
      await store.set("a", own({ user: "ada", nested: { y: 2 } }));
      expect(await fields("a")).toEqual({ user: "ada", nested: { y: 2 } });
    });

    test("copies of what get() and load() gave replace, too: a field that they lack is gone", async () => {
      await store.set("a", own({ user: "ada", role: "admin", level: 1 }, aMinute));
      const { role: _, ...rest } = (await store.get("a")) as Fields;
      await store.set("a", rest as never);
      expect(await fields("a")).toEqual({ user: "ada", level: 1 });
      const { level: __, ...others } = (await load("a")) as Fields;
      await store.set("a", others as never);
      expect(await fields("a")).toEqual({ user: "ada" });
      await store.set("a", JSON.parse(JSON.stringify({ ...others, user: undefined })) as never);
      expect(await fields("a")).toEqual({});
    });

    test("what get() gave is merged, with what others have written since", async () => {
      await store.set("a", own({ role: "admin", n: 0 }));
      const read = (await store.get("a")) as Fields;
      await backendOf(store).update("a", (data) => void ((data as Fields)["n"] = 1));
      delete read["role"];
      await store.set("a", read as never);
      expect(await fields("a")).toEqual({ n: 1 });
    });

    const listing = "what all() gave is merged, in both of its forms, and its id is no field";
    if (canList)
      test(listing, async () => {
        await store.set("a", own({ role: "admin", level: 1, n: 0 }));
        const [listed] = (await store.all()) as unknown as [Fields];
        const byId = await new Promise<Fields>((resolve) => store.all((_, sessions) => resolve(sessions as Fields)));
        await backendOf(store).update("a", (data) => void ((data as Fields)["n"] = 1));
        delete listed["role"];
        await store.set("a", listed as never);
        delete byId["a"]["level"];
        await store.set("a", byId["a"]);
        expect(await fields("a")).toEqual({ n: 1 });
        const [copied] = await store.all();
        await store.set("a", { ...copied } as never);
        expect(await fields("a")).toEqual({ n: 1 });
      });

    test("our marks stay where a session is replaced, and are not taken from outside", async () => {
      backendOf(store).claim({ absoluteTimeout: aMinute });
      await store.set("a", own({ n: 1 }));
      const marks = async (): Promise<Fields> =>
        backendOf(store).read("a", (text) => {
          const { __created, __tickets } = JSON.parse(text as string) as Fields;
          return { __created, tickets: Object.keys(__tickets as Fields) };
        });
      await backendOf(store).tickets.add("a", "nonce", Date.now() + aMinute);
      const before = await marks();
      await store.set("a", own({ n: 2, __created: 1, __tickets: { forged: Date.now() + aMinute } }));
      expect(await marks()).toEqual(before);
      expect(before["tickets"]).toEqual(["nonce"]);
      expect(await backendOf(store).tickets.consume("a", "nonce")).toBe(true);
      expect(await fields("a")).toEqual({ n: 2 });
    });

    test("an object of the caller's own brings back nothing that has ended", async () => {
      await store.set("a", own({ n: 1 }));
      await store.destroy("a");
      await store.set("a", own({ n: 2 }));
      await store.touch("a", own({}, aMinute));
      expect(await store.get("a")).toBeFalsy();
    });

    test("touch() and set() with a cookie of the caller's own move the expiry to where it says", async () => {
      await store.set("a", own({ n: 1 }, aMinute));
      for (const lifetime of [2 * aMinute, aMinute / 2]) {
        await store.touch("a", own({ n: 2 }, lifetime, aMinute));
        expect(await left("a")).toBeGreaterThan(lifetime - aMinute / 4);
        expect(await left("a")).toBeLessThanOrEqual(lifetime);
      }
      expect(await fields("a")).toEqual({ n: 1 });
      await store.set("a", own({ n: 2 }, 3 * aMinute, aMinute));
      expect(await left("a")).toBeGreaterThan(2 * aMinute);
    });

    test("an object without a cookie leaves the expiry: touch() changes nothing, set() the fields", async () => {
      await store.set("a", own({ n: 1 }, aMinute));
      await store.touch("a", { n: 2 } as never);
      expect(await fields("a")).toEqual({ n: 1 });
      expect(await left("a")).toBeLessThanOrEqual(aMinute);
      await store.set("a", { n: 3 } as never);
      expect(await fields("a")).toEqual({ n: 3 });
      expect(await left("a")).toBeLessThanOrEqual(aMinute);
    });

    test("a copy with the cookie that was read does not take back the time that others gave", async () => {
      await store.set("a", own({ n: 1 }, aMinute));
      const copy = { ...(await store.get("a")), n: 2 } as never;
      await store.touch("a", own({}, 10 * aMinute, aMinute));
      await store.set("a", copy);
      expect(await fields("a")).toEqual({ n: 2 });
      expect(await left("a")).toBeGreaterThan(9 * aMinute);
    });

    test.each([["a maxAge", aMinute] as const, ["a date alone", null] as const])(
      "a past expiry ends the session, with %s: set() or touch(), an object of the caller's own or one that was read",
      async (_, maxAge) => {
        const past = own({}, -aMinute, maxAge);
        const ways: ((id: string) => Promise<void>)[] = [
          (id) => store.set(id, past),
          (id) => store.touch(id, past),
          async (id) => {
            const read = (await store.get(id)) as SessionData;
            read.cookie.expires = past.cookie.expires as never;
            return store.set(id, read);
          },
          async (id) => {
            const loaded = await load(id);
            loaded.cookie.expires = new Date(Date.now() - aMinute);
            return store.set(id, loaded);
          },
          async (id) => {
            const loaded = await load(id);
            loaded.cookie.expires = new Date(Date.now() - aMinute);
            return store.touch(id, loaded);
          },
        ];
        for (const [way, end] of ways.entries()) {
          const id = `way ${way}`;
          await store.set(id, own({}, aMinute, maxAge));
          await end(id);
          expect({ way, data: await store.get(id) }).toEqual({ way, data: undefined });
          expect({ way, end: backendOf(store).endOf(id)?.code }).toEqual({ way, end: "SESSION_EXPIRED" });
        }
      },
    );

    test("a writer that is slower than the expiry that it read ends nothing", async () => {
      const lifetime = 500;
      const slow = await inTime(lifetime, async () => {
        await store.set("a", own({ n: 1 }, lifetime, aMinute));
        const read = (await store.get("a")) as Fields;
        await store.touch("a", own({}, 10 * aMinute, aMinute));
        return read;
      });
      slow["n"] = 2;
      await expect.poll(() => Date.now()).toBeGreaterThan(Date.parse(slow["cookie"].expires as string));
      await store.set("a", slow as never);
      expect(await fields("a")).toEqual({ n: 2 });
      expect(await left("a")).toBeGreaterThan(9 * aMinute);
    });

    // --- in order ---

    test("calls on one session are answered in the order in which they were made", async () => {
      const got: unknown[] = [];
      const say =
        (what: string) =>
        (error: unknown, data?: unknown): void =>
          void got.push(`${what} ${error ? "failed" : ((data as Fields | undefined)?.["n"] ?? "-")}`);
      const said = (): Promise<void> =>
        new Promise((resolve) =>
          store.get("a", (...answer) => {
            say("get")(...answer);
            resolve();
          }),
        );
      store.get("a", say("get"));
      store.set("a", own({ n: 1 }), say("set"));
      store.get("a", say("get"));
      store.set("a", own({ n: 2 }), say("set"));
      store.touch("a", own({ n: 3 }, aMinute), () => say("touch")(null));
      store.get("a", say("get"));
      const updated = backendOf(store).update("a", (data) => ++(data as Fields)["n"]);
      store.get("a", say("get"));
      store.destroy("a", say("destroy"));
      await said();
      expect(await updated).toBe(3);
      expect(got).toEqual(["get -", "set -", "get 1", "set -", "touch -", "get 2", "get 3", "destroy -", "get -"]);
    });

    test("a change of which nobody waits for the end is there for who asks next", async () => {
      void store.set("a", own({ n: 1 }));
      expect(await fields("a")).toEqual({ n: 1 });
      void store.destroy("a");
      expect(await store.get("a")).toBeFalsy();
      void store.set("b", own({ n: 1 }));
      void store.set("c", own({ n: 1 }));
      if (canList) {
        expect((await store.ids()).toSorted()).toEqual(["b", "c"]);
        void store.set("d", own({ n: 1 }));
        expect((await store.all()).map(({ id }) => id).toSorted()).toEqual(["b", "c", "d"]);
        void store.destroy("d");
      }
      expect(await store.length()).toBe(2);
      void store.set("e", own({ n: 1 }));
      void store.clear();
      expect(await store.length()).toBe(0);
    });

    // --- promises ---

    test("without a callback each method returns a promise, with one nothing", async () => {
      const answer = await new Promise((resolve) => {
        expect(store.set("a", own({ n: 1 }), (...values) => resolve(values))).toBeUndefined();
      });
      expect(answer).toEqual([null, undefined]);
      expect(await store.touch("a", own({}, aMinute))).toBeUndefined();
      expect(await store.get("nobody")).toBeUndefined();
      expect(await store.load("nobody")).toBeUndefined();
      expect((await load("a"))["n"]).toBe(1);
      expect((await load("a")).cookie).toBeInstanceOf(session.Cookie);
      expect(await store.length()).toBe(1);
      if (canList) {
        expect(await store.ids()).toEqual(["a"]);
        expect(await store.all()).toMatchObject([{ id: "a", n: 1 }]);
        const byId = await new Promise((resolve) => store.all((_, sessions) => resolve(sessions)));
        expect(byId).toMatchObject({ a: { n: 1 } });
        expect(byId).not.toHaveProperty("a.id");
        expect(await new Promise((resolve) => store.ids((_, ids) => resolve(ids)))).toEqual(["a"]);
      } else {
        await expect(store.all()).rejects.toMatchObject({ code: "STORE_UNSUPPORTED" });
        await expect(store.ids()).rejects.toMatchObject({ code: "STORE_UNSUPPORTED" });
      }
      expect(await store.destroy("a")).toBeUndefined();
      await store.set("b", own({ n: 1 }));
      expect(await store.clear()).toBeUndefined();
      expect(await store.length()).toBe(0);
      const cycle: Fields = {};
      cycle["self"] = cycle;
      await expect(store.set("a", own({ cycle }))).rejects.toMatchObject({ code: "DATA_INVALID" });
    });
  });
}
