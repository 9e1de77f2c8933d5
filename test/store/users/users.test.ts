import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Driver } from "../../../src/store/drivers/driver.js";
import { MemoryDriver } from "../../../src/store/drivers/memory.js";
import { backendOf, LiveStore } from "../../../src/store/live-store.js";
import { CommandRunner } from "../../../src/store/commands/command-runner.js";
import { UserIndex } from "../../../src/store/users/user-index.js";
import { subscribe } from "../../support/subscriber.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const aDay = 86_400_000;
const runner = new CommandRunner(false, 5000);
const cookie = { originalMaxAge: null, expires: null };

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
  const index = new UserIndex(notes, runner, aDay);
  const maxAge = 60_000;
  for (let touch = 0; touch < 1000; touch++) {
    await index.add("ada", "id", Date.now() + maxAge, false);
    expect(await new UserIndex(notes, runner, aDay).entries("ada")).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(maxAge / 10);
  }
  expect(asked.write).toBeLessThan(120);
  // Then it ends by itself, and the note with it.
  await vi.advanceTimersByTimeAsync(3 * maxAge);
  expect(await index.entries("ada")).toEqual([]);
});

test("a session without an end is noted once a day", async () => {
  const { asked, notes } = count(new MemoryDriver());
  const index = new UserIndex(notes, runner, aDay);
  const hour = 3_600_000;
  for (let touch = 0; touch < 24 * 10; touch++) {
    await index.add("ada", "id", Number.POSITIVE_INFINITY, false);
    await vi.advanceTimersByTimeAsync(hour);
  }
  expect(asked.write).toBeGreaterThan(5);
  expect(asked.write).toBeLessThan(12);
  expect(await index.entries("ada")).toHaveLength(1);
});

test("a session without an end, in a store that keeps it for good, is its user's for as long", async () => {
  const store = new LiveStore(new MemoryDriver());
  backendOf(store).claim({ user: (session) => session.user });
  void store.set("id", { cookie, user: "ada" } as never);
  await vi.advanceTimersByTimeAsync(0);
  await vi.advanceTimersByTimeAsync(30 * aDay);
  expect(await backendOf(store).sessionsOf("ada")).toHaveLength(1);
});

test("many sessions of one user that come and go at once are few writes of their note", async () => {
  const { asked, notes } = count(new MemoryDriver());
  const index = new UserIndex(notes, runner, aDay);
  const ids = Array.from({ length: 1000 }, (_, number) => `id ${number}`);
  await Promise.all(ids.map((id) => index.add("ada", id, Date.now() + 60_000, true)));
  const entries = await index.entries("ada");
  expect(entries).toHaveLength(1000);
  await Promise.all(entries.map(({ id, created }) => index.remove("ada", [id], created)));
  expect(await index.entries("ada")).toEqual([]);
  expect(asked.write).toBeLessThan(10);
});

test("a user() that throws does not keep an end from being told", async () => {
  const driver = new MemoryDriver();
  const store = new LiveStore(driver);
  backendOf(store).claim({ user: (session) => (session as unknown as { account: { id: string } }).account.id });
  await driver.create("id", JSON.stringify({ cookie }), Number.POSITIVE_INFINITY);
  const told: string[] = [];
  subscribe(store, ({ kind }) => void told.push(kind), false);
  await backendOf(store).end("id", "SESSION_DESTROYED");
  expect(told).toEqual(["ended"]);
});

test("nodes that note sessions of one user at once lose none, whatever the ids are called", async () => {
  const { notes } = count(new MemoryDriver());
  const ids = ["__proto__", "constructor", ...Array.from({ length: 48 }, (_, index) => `id ${index}`)];
  await Promise.all(ids.map((id) => new UserIndex(notes, runner, aDay).add("ada", id, Date.now() + 60_000, false)));
  expect((await new UserIndex(notes, runner, aDay).entries("ada")).map(({ id }) => id).toSorted()).toEqual(
    ids.toSorted(),
  );
});

test("what one node noted, others need not write again", async () => {
  const { asked, notes } = count(new MemoryDriver());
  await new UserIndex(notes, runner, aDay).add("ada", "id", Date.now() + 60_000, false);
  await new UserIndex(notes, runner, aDay).add("ada", "id", Date.now() + 60_000, false);
  expect(asked).toEqual({ read: 2, write: 1 });
});

test("a session that changes hands is the new user's alone, and still the old one's if it cannot be written", async () => {
  const driver = new MemoryDriver();
  const store = new LiveStore(driver);
  backendOf(store).claim({ user: (session) => session.user });
  void store.set("id", { cookie, user: "ada" } as never);
  await vi.advanceTimersByTimeAsync(0);
  // It has said no: nobody has to find out whether it was done.
  Object.assign(driver, { isRefusal: () => true });
  vi.spyOn(driver, "replace").mockRejectedValueOnce(new Error("disk full"));
  await expect(backendOf(store).update("id", (data) => void (data.user = "bob"))).rejects.toThrow("disk full");
  expect(await backendOf(store).sessionsOf("ada")).toHaveLength(1);
  expect(await backendOf(store).sessionsOf("bob")).toEqual([]);
  await backendOf(store).update("id", (data) => void (data.user = "bob"));
  expect(await backendOf(store).sessionsOf("ada")).toEqual([]);
  expect(await backendOf(store).sessionsOf("bob")).toHaveLength(1);
});

test("a session that could not be removed is still its user's", async () => {
  const driver = new MemoryDriver();
  const store = new LiveStore(driver);
  backendOf(store).claim({ user: (session) => session.user });
  void store.set("id", { cookie, user: "ada" } as never);
  await vi.advanceTimersByTimeAsync(0);
  vi.spyOn(driver, "remove").mockRejectedValueOnce(new Error("disk full"));
  await expect(backendOf(store).end("id", "SESSION_DESTROYED")).rejects.toThrow("disk full");
  await vi.advanceTimersByTimeAsync(0);
  expect(await backendOf(store).sessionsOf("ada")).toHaveLength(1);
  await backendOf(store).end("id", "SESSION_DESTROYED");
  expect(await backendOf(store).sessionsOf("ada")).toEqual([]);
});

test("a session that was nobody's for long is found when its user logs in again, on whichever node", async () => {
  const driver = new MemoryDriver();
  const [store, other] = [new LiveStore(driver), new LiveStore(driver)];
  for (const node of [store, other]) backendOf(node).claim({ user: (session) => session.user });
  void store.set("id", { cookie, user: "ada" } as never);
  await vi.advanceTimersByTimeAsync(0);
  await backendOf(other).update("id", (data) => void delete data.user);
  await vi.advanceTimersByTimeAsync(10 * 60_000);
  expect(await backendOf(other).sessionsOf("ada")).toEqual([]);
  await vi.advanceTimersByTimeAsync(0);
  await backendOf(store).update("id", (data) => void (data.user = "ada"));
  expect(await backendOf(other).sessionsOf("ada")).toHaveLength(1);
});

test("who looks while a session is becoming a user's takes nothing away from them", async () => {
  const driver: Driver = new MemoryDriver();
  const [store, other] = [new LiveStore(driver), new LiveStore(driver)];
  for (const node of [store, other]) backendOf(node).claim({ user: (session) => session.user });
  // Another node looks when the note is written, and the session is not.
  const look = async (): Promise<void> => {
    expect(await backendOf(other).sessionsOf("ada")).toEqual([]);
    await vi.advanceTimersByTimeAsync(0);
  };
  const create = driver.create.bind(driver);
  vi.spyOn(driver, "create").mockImplementation(async (...values) => {
    await look();
    return create(...values);
  });
  void store.set("id", { cookie, user: "ada" } as never);
  await vi.advanceTimersByTimeAsync(0);
  expect(await backendOf(store).sessionsOf("ada")).toHaveLength(1);
  await backendOf(store).update("id", (data) => void delete data.user);
  await vi.advanceTimersByTimeAsync(10 * 60_000);
  const replace = driver.replace.bind(driver);
  vi.spyOn(driver, "replace").mockImplementation(async (...values) => {
    await look();
    return replace(...values);
  });
  await backendOf(store).update("id", (data) => void (data.user = "ada"));
  expect(await backendOf(store).sessionsOf("ada")).toHaveLength(1);
});

test("a session that changed hands in a service without the index is not listed", async () => {
  const driver = new MemoryDriver();
  const [store, other] = [new LiveStore(driver), new LiveStore(driver)];
  backendOf(store).claim({ user: (session) => session.user });
  for (const id of ["a", "b"]) void store.set(id, { cookie, user: "ada" } as never);
  await vi.advanceTimersByTimeAsync(0);
  expect(await backendOf(store).sessionsOf("ada")).toHaveLength(2);
  await backendOf(other).update("b", (data) => void (data.user = "bob"));
  expect((await backendOf(store).sessionsOf("ada")).map(({ id }) => id)).toEqual(["a"]);
});

test("reading costs nothing more; what a service without the index made is noted with its next write here", async () => {
  const driver = new MemoryDriver();
  const { asked, notes } = count(new MemoryDriver());
  Object.defineProperty(driver, "notes", { value: notes });
  const store = new LiveStore(driver);
  backendOf(store).claim({ user: (session) => session.user });
  await driver.create("id", `{"cookie":{"originalMaxAge":null,"expires":null},"user":"ada"}`, Number.POSITIVE_INFINITY);
  await backendOf(store).read("id", () => undefined);
  await new Promise((resolve) => store.get("id", resolve)).catch(() => undefined);
  expect(asked).toEqual({ read: 0, write: 0 });
  await backendOf(store).update("id", (data) => void (data.count = 1));
  expect(await backendOf(store).sessionsOf("ada")).toHaveLength(1);
});

test("ten thousand sessions of a user are read and ended in batches, their note is written a few times", async () => {
  vi.useRealTimers();
  const driver = new MemoryDriver();
  const { asked, notes } = count(new MemoryDriver());
  let [underWay, most, reads] = [0, 0, 0];
  let isFollowed = false;
  const follow = async <T>(work: T | Promise<T>): Promise<T> => {
    if (!isFollowed) return work;
    most = Math.max(most, ++underWay);
    await new Promise(setImmediate);
    underWay--;
    return work;
  };
  const remove = driver.remove.bind(driver);
  const read = driver.read.bind(driver);
  Object.defineProperties(driver, {
    notes: { value: notes },
    remove: { value: (id: string) => follow(remove(id)) },
    read: { value: (id: string) => follow(read(id)) },
    readMany: { value: (ids: string[]) => (reads++, follow(Promise.all(ids.map(read)))) },
  });
  const store = new LiveStore(driver);
  backendOf(store).claim({ user: (session) => session.user });
  const ids = Array.from({ length: 10_000 }, (_, number) => `id ${number}`);
  await Promise.all(ids.map((id) => store.set(id, { cookie, user: "ada" } as never)));
  isFollowed = true;
  asked.write = 0;
  expect((await backendOf(store).sessionsOf("ada")).length).toBe(10_000);
  expect(reads).toBe(50);
  expect(await backendOf(store).endSessionsOf("ada", "id 7")).toBe(9999);
  expect(most).toBeLessThanOrEqual(200);
  expect((await backendOf(store).sessionsOf("ada")).length).toBe(1);
  expect(asked.write).toBeLessThan(5);
});

test("where some of a user's sessions cannot be ended the others are, and it is told", async () => {
  vi.useRealTimers();
  const driver = new MemoryDriver();
  const store = new LiveStore(driver);
  backendOf(store).claim({ user: (session) => session.user });
  const ids = Array.from({ length: 500 }, (_, number) => `id ${number}`);
  await Promise.all(ids.map((id) => store.set(id, { cookie, user: "ada" } as never)));
  const remove = driver.remove.bind(driver);
  const failing = vi.spyOn(driver, "remove");
  failing.mockImplementation((id) => {
    if (id === "id 3") throw new Error("disk full");
    remove(id);
  });
  await expect(backendOf(store).endSessionsOf("ada")).rejects.toThrow("disk full");
  expect((await backendOf(store).sessionsOf("ada")).map(({ id }) => id)).toEqual(["id 3"]);
  // Nothing is answered: nobody goes on asking.
  await Promise.all(ids.map((id) => store.set(`new ${id}`, { cookie, user: "ada" } as never)));
  failing.mockReset().mockRejectedValue(new Error("down"));
  await expect(backendOf(store).endSessionsOf("ada")).rejects.toThrow("down");
  expect(failing).toHaveBeenCalledTimes(200);
});

test("a session on which there is work here is read in its turn, for its user too", async () => {
  vi.useRealTimers();
  const store = new LiveStore(new MemoryDriver());
  backendOf(store).claim({ user: (session) => session.user });
  await store.set("a", { cookie, user: "ada" } as never);
  void backendOf(store).update("a", (data) => void (data.user = "bob"));
  expect(await backendOf(store).sessionsOf("ada")).toEqual([]);
  expect(await backendOf(store).sessionsOf("bob")).toHaveLength(1);
});
