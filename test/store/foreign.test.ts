import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import session from "express-session";
import memorystore from "memorystore";
import sessionFileStore from "session-file-store";
import { describe, expect, test, vi } from "vitest";
import { liveStore } from "../../src/store/foreign.js";
import { memoryStore } from "../../src/store/memory.js";
import { storeContract } from "../contract/store.js";
import { LineStore } from "../support/stores.js";

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
