// A handshake waits for nobody where the answer is known at once.
import { expect, test } from "vitest";
import { Registry } from "../../src/session/registry.js";
import { ActiveSession } from "../../src/session/live-session.js";
import { liveStore } from "../../src/store/drivers/express-store/express-store.js";
import { MemoryDriver } from "../../src/store/drivers/memory.js";
import { backendOf, LiveStore } from "../../src/store/live-store.js";
import { LineStore, late } from "../support/stores.js";

const connection = () => ({ end() {} });
const data = () => ({ cookie: { originalMaxAge: null, expires: null }, user: "ada" }) as never;

async function openRegistry(store: LiveStore): Promise<Registry> {
  await store.set("id", data());
  return new Registry(
    backendOf(store),
    { lease: 60_000, maxStale: 1000, maxUnsaved: 10 },
    { change() {}, end() {}, lost() {}, error() {}, wantsChanges: () => false },
  );
}

test("with a store in memory the session is there at once, for all connections the same", async () => {
  const registry = await openRegistry(new LiveStore(new MemoryDriver()));
  const [one, other] = [connection(), connection()];
  const live = registry.acquire("id", one) as ActiveSession;
  expect(live).toBeInstanceOf(ActiveSession);
  expect(live.data.user).toBe("ada");
  expect(registry.acquire("id", other)).toBe(live);
  expect(live.connections).toBe(2);
  live.remove(one);
  live.remove(other);
  expect(registry.size).toBe(0);
});

test("an unknown session is refused at once, and leaves nothing", async () => {
  const registry = await openRegistry(new LiveStore(new MemoryDriver()));
  expect(() => registry.acquire("unknown", connection())).toThrow(expect.objectContaining({ code: "SESSION_UNKNOWN" }));
  expect(registry.size).toBe(0);
  await registry.close();
  expect(() => registry.acquire("id", connection())).toThrow(expect.objectContaining({ code: "SESSIONS_CLOSED" }));
});

test("with a store that takes time all who come meanwhile wait for one read, and who comes later does not", async () => {
  const registry = await openRegistry(new LiveStore(late(new MemoryDriver(), 0)));
  const waiting = [registry.acquire("id", connection()), registry.acquire("id", connection())];
  for (const one of waiting) expect(one).toBeInstanceOf(Promise);
  const [live] = await Promise.all(waiting);
  expect(await waiting[1]).toBe(live);
  expect(registry.acquire("id", connection())).toBe(live);
});

test("of a shared store a session that is fresh here is there at once, one that is not is read first", async () => {
  const store = new LineStore();
  const registry = await openRegistry(liveStore(store));
  const live = await registry.acquire("id", connection());
  const { get } = store.asked;
  expect(registry.acquire("id", connection())).toBe(live);
  expect(store.asked.get).toBe(get);
  live.freshness.invalidate();
  const acquiring = registry.acquire("id", connection());
  expect(acquiring).toBeInstanceOf(Promise);
  expect(await acquiring).toBe(live);
  expect(store.asked.get).toBe(get + 1);
});
