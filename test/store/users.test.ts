import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MemoryDriver } from "../../src/store/memory.js";
import { LiveStore } from "../../src/store/live-store.js";
import { UserIndex } from "../../src/store/users.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function count(driver: MemoryDriver) {
  const asked = { read: 0, write: 0 };
  const notes = {
    read: (name: string) => (asked.read++, driver.read(name)),
    create: (...values: Parameters<MemoryDriver["create"]>) => (asked.write++, driver.create(...values)),
    touch: (...values: Parameters<MemoryDriver["touch"]>) => (asked.write++, driver.touch(...values)),
  };
  return { asked, notes };
}

test("a session that is kept alive is noted now and then, and never forgotten while it lives", async () => {
  const { asked, notes } = count(new MemoryDriver());
  const index = new UserIndex(notes);
  const maxAge = 60_000;
  for (let touch = 0; touch < 1000; touch++) {
    await index.add("ada", "id", Date.now() + maxAge);
    expect(await new UserIndex(notes).entries("ada")).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(maxAge / 10);
  }
  expect(asked.write).toBeLessThan(120);
  // Then it ends by itself, and the note with it.
  await vi.advanceTimersByTimeAsync(3 * maxAge);
  expect(await index.entries("ada")).toEqual([]);
});

test("a session without an end is noted once a day", async () => {
  const { asked, notes } = count(new MemoryDriver());
  const index = new UserIndex(notes);
  const hour = 3_600_000;
  for (let touch = 0; touch < 24 * 10; touch++) {
    await index.add("ada", "id", Number.POSITIVE_INFINITY);
    await vi.advanceTimersByTimeAsync(hour);
  }
  expect(asked.write).toBeGreaterThan(5);
  expect(asked.write).toBeLessThan(12);
  expect(await index.entries("ada")).toHaveLength(1);
});

test("nodes that note sessions of one user at once lose none, whatever the ids are called", async () => {
  const { notes } = count(new MemoryDriver());
  const ids = ["__proto__", "constructor", ...Array.from({ length: 48 }, (_, index) => `id ${index}`)];
  await Promise.all(ids.map((id) => new UserIndex(notes).add("ada", id, Date.now() + 60_000)));
  expect((await new UserIndex(notes).entries("ada")).map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
});

test("what one node noted, others need not write again", async () => {
  const { asked, notes } = count(new MemoryDriver());
  await new UserIndex(notes).add("ada", "id", Date.now() + 60_000);
  await new UserIndex(notes).add("ada", "id", Date.now() + 60_000);
  expect(asked).toEqual({ read: 2, write: 1 });
});

test("a session that changes hands is the new user's alone", async () => {
  const { notes } = count(new MemoryDriver());
  const index = new UserIndex(notes);
  await index.add("ada", "id", Date.now() + 60_000);
  await index.add("bob", "id", Date.now() + 60_000);
  expect(await index.entries("ada")).toEqual([]);
  expect(await index.entries("bob")).toHaveLength(1);
});

test("a session that changed hands in a service without the index is not listed", async () => {
  const driver = new MemoryDriver();
  const [store, other] = [new LiveStore(driver), new LiveStore(driver)];
  store.userOf = (session) => session.user;
  const cookie = { originalMaxAge: null, expires: null };
  for (const id of ["a", "b"]) store.set(id, { cookie, user: "ada" } as never);
  await vi.advanceTimersByTimeAsync(0);
  expect(await store.sessionsOf("ada")).toHaveLength(2);
  await other.update("b", (data) => void (data.user = "bob"));
  expect((await store.sessionsOf("ada")).map(({ id }) => id)).toEqual(["a"]);
});

test("reading costs nothing more; what a service without the index made is noted with its next write here", async () => {
  const driver = new MemoryDriver();
  const { asked, notes } = count(new MemoryDriver());
  Object.defineProperty(driver, "notes", { value: notes });
  const store = new LiveStore(driver);
  store.userOf = (session) => session.user;
  await driver.create("id", `{"cookie":{"originalMaxAge":null,"expires":null},"user":"ada"}`, Number.POSITIVE_INFINITY);
  await store.read("id", () => undefined);
  await new Promise((resolve) => store.get("id", resolve)).catch(() => undefined);
  expect(asked).toEqual({ read: 0, write: 0 });
  await store.update("id", (data) => void (data.count = 1));
  expect(await store.sessionsOf("ada")).toHaveLength(1);
});
