// What two createSessions() over one store may ask of it.
import { expect, onTestFinished, test, vi } from "vitest";
import { createSessions, liveStore, type LiveOptions, memoryStore, type Sessions } from "../../src/index.js";
import { MemoryDriver } from "../../src/store/drivers/memory.js";
import { backendOf, type LiveStore } from "../../src/store/live-store.js";

const secret = "a secret for tests";
const user: LiveOptions["user"] = (session) => session.user;
const all = { absoluteTimeout: 60_000, maxSessionSize: 5000, user };

function open(store: LiveStore, options: LiveOptions): Sessions {
  return createSessions({ secret, store, ...options });
}

test.each<[string, LiveOptions, string]>([
  [
    "absoluteTimeout",
    { absoluteTimeout: 30_000 },
    "absoluteTimeout is 30000, and 60000 in another createSessions() over the same store. Give",
  ],
  [
    "maxSessionSize",
    { maxSessionSize: 6000 },
    "maxSessionSize is 6000, and 5000 in another createSessions() over the same store. Give",
  ],
  [
    "user",
    { user: (session) => session.user },
    "user is another function than in another createSessions() over the same store. Give",
  ],
])("another %s is refused while one is open, and changes nothing", async (name, other, message) => {
  const store = memoryStore();
  const first = open(store, all);
  const refusal = expect.objectContaining({
    code: "OPTION_INVALID",
    message: expect.stringContaining(message),
  }) as Error;
  expect(() => open(store, { ...all, ...other })).toThrow(refusal);
  const { absoluteTimeout, maxSessionSize } = backendOf(store);
  expect({ absoluteTimeout, maxSessionSize }).toEqual({ absoluteTimeout: 60_000, maxSessionSize: 5000 });
  // Nothing of the refused one stays.
  const second = open(store, all);
  await first.close();
  expect(() => open(store, other), name).toThrow(refusal);
  await second.close();
  await open(store, other).close();
});

test("what is left out is as the store has it, in whichever order they are opened", async () => {
  const store = memoryStore();
  const silent = open(store, {});
  const strict = open(store, all);
  expect(backendOf(store).absoluteTimeout).toBe(60_000);
  expect(await silent.ofUser("ada")).toEqual([]);
  await Promise.all([silent.close(), strict.close()]);
  // Requests under way still write: a limit does not end with who asked for it.
  expect(backendOf(store).absoluteTimeout).toBe(60_000);
});

test("a createSessions() that failed holds nothing", async () => {
  const store = liveStore({ get() {}, set() {}, destroy() {} } as never);
  // The wrapped store has no place for it.
  expect(() => open(store, all)).toThrow(expect.objectContaining({ code: "STORE_UNSUPPORTED" }) as Error);
  await open(store, { absoluteTimeout: 1000 }).close();
});

test("a createSessions() that is refused makes no session of the one that is open", async () => {
  // express-session's cookie looks at the clock twice.
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  const store = memoryStore();
  const first = createSessions({ secret, store, user, cookie: { maxAge: 60_000, sameSite: "strict" } });
  const other = { genid: () => "always the same", cookie: { httpOnly: false } };
  expect(() => createSessions({ secret, store, user: () => "another", ...other })).toThrow("user is another function");
  const request = { headers: {}, url: "/", method: "GET", socket: {} } as {
    sessionID?: string;
    session?: { cookie: object };
  };
  first.middleware(request as never, { setHeader() {}, end() {} } as never, () => undefined);
  expect(request.sessionID).not.toBe("always the same");
  expect(request.session?.cookie).toMatchObject({ originalMaxAge: 60_000, sameSite: "strict", httpOnly: true });
  await first.close();
});

test("an application's own driver is made a live store by liveStore()", async () => {
  const store = liveStore(new MemoryDriver(), { maxSessionSize: 200 });
  await store.set("id", { cookie: { originalMaxAge: null }, user: "ada" } as never);
  expect(await store.get("id")).toMatchObject({ user: "ada" });
  await expect(store.set("id", { cookie: { originalMaxAge: null }, user: "a".repeat(200) } as never)).rejects.toThrow(
    "maxSessionSize is 200",
  );
});
