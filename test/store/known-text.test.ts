import { expect, onTestFinished, test, vi } from "vitest";
import { Registry } from "../../src/session/registry.js";
import type { Driver } from "../../src/store/drivers/driver.js";
import { MemoryDriver } from "../../src/store/drivers/memory.js";
import { backendOf, LiveStore } from "../../src/store/live-store.js";

const quiet = {
  change: () => undefined,
  end: () => undefined,
  lost: () => undefined,
  error: () => undefined,
  wantsChanges: () => false,
};

/** Two nodes over one storage without notices: what each is asked is counted. */
async function twoNodes(own: Partial<Driver> = {}) {
  const stored = new MemoryDriver();
  const asked: string[] = [];
  const node = (): LiveStore => {
    const driver = new Proxy(stored, {
      get(target, key) {
        const value: unknown = Reflect.get(key in own ? own : target, key);
        if (typeof value !== "function") return key === "isShared" ? true : value;
        return async (...values: unknown[]) => {
          asked.push(String(key));
          return Reflect.apply(value, target, values) as unknown;
        };
      },
    });
    return new LiveStore(driver as unknown as Driver);
  };
  const [here, there] = [node(), node()];
  const cookie = { originalMaxAge: 600_000, expires: new Date(Date.now() + 600_000).toISOString() };
  await here.set("id", { cookie, count: 0 } as never);
  const registry = new Registry(backendOf(here), { lease: 1e9, maxStale: 1e9, maxUnsaved: 10 }, quiet);
  onTestFinished(() => registry.close());
  const live = await registry.acquire("id", { end: () => undefined });
  asked.length = 0;
  return { here, there, asked, live, data: live.data as unknown as Record<string, number> };
}

test("a write is one command where nobody else has written, and so is a touch", async () => {
  const { here, asked, live, data } = await twoNodes();
  data["count"] = 1;
  await live.save();
  data["count"] = 2;
  await live.save();
  await live.touch();
  expect(asked).toEqual(["replace", "replace", "touch"]);
  expect(await here.get("id")).toMatchObject({ count: 2 });
});

test("where another node has written the store is read, and both changes are kept", async () => {
  const { there, asked, live, data } = await twoNodes();
  await backendOf(there).update("id", (stored: any) => void (stored.other = 1));
  asked.length = 0;
  data["count"] = 1;
  await live.save();
  expect(asked).toEqual(["replace", "read", "replace"]);
  expect(await there.get("id")).toMatchObject({ count: 1, other: 1 });
  expect(data["other"]).toBe(1);
});

test("where another node has written a touch moves nothing but the expiry", async () => {
  const { there, asked, live } = await twoNodes();
  await backendOf(there).update("id", (stored: any) => void (stored.other = 1));
  asked.length = 0;
  await live.touch();
  expect(asked).toEqual(["touch", "read", "touch"]);
  expect(await there.get("id")).toMatchObject({ count: 0, other: 1 });
});

test("a session that another node has ended is not written", async () => {
  const { there, live, data } = await twoNodes();
  await there.destroy("id");
  data["count"] = 1;
  await expect(live.save()).rejects.toMatchObject({ code: "SESSION_DESTROYED" });
  expect(live.ended).toBe("SESSION_DESTROYED");
  expect(await there.get("id")).toBeUndefined();
});

test("a session that is over its absolute lifetime ends at its next write", async () => {
  const { here, live, data } = await twoNodes();
  const release = backendOf(here).claim({ absoluteTimeout: 3_600_000 });
  data["count"] = 1;
  await live.save();
  const saved = Date.now();
  release();
  backendOf(here).claim({ absoluteTimeout: 1 });
  // Its one millisecond is over.
  await vi.waitUntil(() => Date.now() > saved + 1, { interval: 1 });
  data["count"] = 2;
  await expect(live.save()).rejects.toMatchObject({ code: "SESSION_EXPIRED" });
});

test("a session that this node knows to have ended is read before it is written, as a snapshot may have it", async () => {
  const { here, asked, live, data } = await twoNodes();
  backendOf(here).recordEnd("id", "SESSION_DESTROYED");
  data["count"] = 1;
  await expect(live.save()).rejects.toMatchObject({ code: "SESSION_DESTROYED" });
  expect(asked).toEqual(["read", "remove"]);
});

test("without compare-and-set the store is read before each write", async () => {
  const { asked, live, data } = await twoNodes({ isAtomic: false });
  data["count"] = 1;
  await live.save();
  expect(asked).toEqual(["read", "replace"]);
});

test("a request writes what it has changed with one command more than its read", async () => {
  const { here, there, asked } = await twoNodes();
  const data = (await here.get("id")) as any;
  await backendOf(there).update("id", (stored: any) => void (stored.other = 1));
  asked.length = 0;
  data.count = 5;
  await here.set("id", data);
  expect(asked).toEqual(["replace", "read", "replace"]);
  asked.length = 0;
  const again = (await here.get("id")) as any;
  again.count = 6;
  await here.set("id", again);
  expect(asked).toEqual(["read", "replace"]);
  expect(await here.get("id")).toMatchObject({ count: 6, other: 1 });
});
