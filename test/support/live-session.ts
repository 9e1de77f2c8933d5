// A live session without a server: a registry over a store in memory.
import { onTestFinished } from "vitest";
import { memoryStore } from "../../src/index.js";
import { Registry } from "../../src/session/registry.js";
import { backendOf } from "../../src/store/live-store.js";

/** `data` is what handlers get, `errors` what is reported, `stored` reads the fields that the store has. */
export async function liveSession(fields: object = {}, cookie: object = { originalMaxAge: null, expires: null }) {
  const store = memoryStore();
  const backend = backendOf(store);
  const errors: any[] = [];
  const changes: unknown[] = [];
  const ends: string[] = [];
  const registry = new Registry(
    backend,
    { lease: 30_000, maxStale: 300_000, maxUnsaved: 100 },
    {
      change: (live) => void changes.push(live),
      end: (_, code) => void ends.push(code),
      lost: () => undefined,
      error: (error) => void errors.push(error),
      wantsChanges: () => true,
    },
  );
  onTestFinished(async () => {
    await registry.close().catch(() => undefined);
    store.close();
  });
  await store.set("id", { cookie, ...fields } as never);
  const connection = { end: () => undefined };
  const live = await registry.acquire("id", connection);
  const text = async (): Promise<string> => backend.read("id", (found) => found as string);
  const stored = async (): Promise<any> => JSON.parse(await text());
  return { store, backend, registry, connection, live, data: live.data as any, errors, changes, ends, text, stored };
}
