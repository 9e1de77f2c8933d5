// A write whose answer was lost is made once: what other nodes wrote since stays, on real servers.
import { Pool } from "pg";
import { createClient, createCluster } from "redis";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { SessionData } from "express-session";
import type { ActiveSession } from "../../../src/session/live-session.js";
import { Registry } from "../../../src/session/registry.js";
import { backendOf, type LiveStore } from "../../../src/store/live-store.js";
import { postgresStore } from "../../../src/store/drivers/postgres/postgres-store.js";
import { redisStore } from "../../../src/store/drivers/redis/redis-store.js";
import { LossyLine } from "../../support/lossy.js";
import { ownTable, postgresPool, usePostgres } from "../../support/postgres.js";
import { ownPrefix, redisClient, redisClusterClient, useRedis, useRedisCluster } from "../../support/redis.js";

type Fields = { admin?: any; rights?: any; draft?: any; own?: any; count?: any; [key: string]: any } & SessionData;

interface Nodes {
  /** The line of node A. */
  readonly lines: readonly LossyLine[];
  readonly a: LiveStore;
  readonly b: LiveStore;
}

interface Storage {
  /** A write, as it stands in the protocol. */
  readonly write: RegExp;
  readonly creation: RegExp;
  readonly end: RegExp;
  nodes(timeout: number): Promise<Nodes>;
}

/** A change of a session: the message for the other nodes goes with it. */
const replaced = /evalsha[^]* changed \d+\r/i;

const created = /evalsha\r\n\$40\r\n\w{40}\r\n\$1\r\n2\r\n/i;
const ended = /evalsha[^]* destroyed\r/i;

const storages: readonly { name: string; open(): Promise<Storage> }[] = [
  {
    name: "Redis",
    open: async () => {
      const { url } = await useRedis();
      return {
        write: replaced,
        creation: created,
        end: ended,
        nodes: async (timeout) => {
          const line = await LossyLine.to(Number(new URL(url).port));
          const client = createClient({ url: `redis://127.0.0.1:${line.port}` }).on("error", () => undefined);
          await client.connect();
          onTestFinished(() => client.destroy());
          const prefix = ownPrefix();
          const a = redisStore({ client, prefix, timeout });
          return { lines: [line], a, b: redisStore({ client: await redisClient(url), prefix }) };
        },
      };
    },
  },
  {
    name: "a Redis cluster",
    open: async () => {
      const { ports } = await useRedisCluster();
      return {
        write: replaced,
        creation: created,
        end: ended,
        nodes: async (timeout) => {
          const lines = await Promise.all(ports.map((port) => LossyLine.to(port)));
          const nodeAddressMap = Object.fromEntries(
            ports.map((port, index) => [
              `127.0.0.1:${port}`,
              { host: "127.0.0.1", port: (lines[index] as LossyLine).port },
            ]),
          );
          const rootNodes = lines.map(({ port }) => ({ url: `redis://127.0.0.1:${port}` }));
          const client = createCluster({ rootNodes, nodeAddressMap });
          client.on("error", () => undefined);
          await client.connect();
          onTestFinished(() => client.destroy());
          const prefix = ownPrefix();
          const a = redisStore({ client, prefix, timeout });
          return { lines, a, b: redisStore({ client: await redisClusterClient(ports), prefix }) };
        },
      };
    },
  },
  {
    name: "PostgreSQL",
    open: async () => {
      const { url } = await usePostgres();
      return {
        write: /UPDATE "session_/,
        creation: /INSERT INTO "session_/,
        end: /DELETE FROM "session_/,
        nodes: async (timeout) => {
          const { port } = new URL(url);
          const line = await LossyLine.to(Number(port));
          const pool = new Pool({ connectionString: url.replace(`:${port}/`, `:${line.port}/`) });
          pool.on("error", () => undefined);
          onTestFinished(() => pool.end());
          const table = ownTable();
          const a = postgresStore({ pool, table, timeout, createTable: true });
          return { lines: [line], a, b: postgresStore({ pool: postgresPool(url), table, createTable: true }) };
        },
      };
    },
  },
];

describe.each(storages)("on $name", { timeout: 60_000 }, ({ open }) => {
  let storage: Storage;
  beforeAll(async () => {
    storage = await open();
  });

  async function start(timeout = 5000) {
    const { lines, a, b } = await storage.nodes(timeout);
    const quiet = { change() {}, end() {}, error() {}, lost() {}, wantsChanges: () => false };
    const registry = new Registry(backendOf(a), { lease: 30_000, maxStale: 300_000, maxUnsaved: 100 }, quiet);
    onTestFinished(async () => {
      for (const line of lines) line.open();
      await registry.close().catch(() => undefined);
      b.close();
    });
    // On a cluster, all ids that begin with it have the same master.
    const id = `{id${Math.random()}}`;
    await set(a, id, {
      cookie: { originalMaxAge: null, expires: null },
      admin: false,
      rights: { admin: false },
    } as never);
    const live = async (): Promise<ActiveSession & { data: Fields }> =>
      (await registry.acquire(id, { end() {} })) as ActiveSession & { data: Fields };
    // A write and an end before: Redis has the scripts by then.
    await backendOf(a).update(id, (data) => void ((data as Fields)["count"] = 0));
    await backendOf(a).end(`${id} before`, "SESSION_DESTROYED");
    return {
      a,
      b,
      id,
      lines,
      live,
      /** Node A writes, and the answer is lost; `meanwhile` happens before node A can ask. */
      async lose<T>(
        kind: "answer" | "command",
        write: () => Promise<T>,
        meanwhile: () => Promise<unknown>,
        what = storage.write,
      ): Promise<T> {
        const lost = Promise.race(lines.map((line) => line.lose(what, kind)));
        const writing = write();
        writing.catch(() => undefined);
        await lost;
        for (const line of lines) line.isShut = true;
        await meanwhile();
        for (const line of lines) line.open();
        return writing;
      },
      stored: () => get(b, id),
    };
  }

  test("a save: what another node wrote since stays, fields, nested ones and deletions; later changes are kept", async () => {
    const { b, id, live, lose, stored } = await start();
    const session = await live();
    const { data } = session;
    const write = (): Promise<void> => {
      data.admin = true;
      data.rights.admin = true;
      data.draft = "text";
      return session.save();
    };
    await lose(
      "answer",
      () => write().catch(() => undefined),
      async () => {
        const seen = await stored();
        expect(seen).toMatchObject({ admin: true, rights: { admin: true }, draft: "text" });
        await backendOf(b).update(id, (fields) => {
          Object.assign(fields, { admin: false, rights: { admin: false } });
          delete (fields as Fields)["draft"];
        });
        data.own = "kept";
      },
    );
    const expected = { admin: false, rights: { admin: false }, own: "kept" };
    await expect.poll(stored, { timeout: 20_000 }).toMatchObject(expected);
    await expect.poll(() => session.isSaved, { timeout: 20_000 }).toBe(true);
    expect(await stored()).toMatchObject(expected);
    expect(await stored()).not.toHaveProperty("draft");
    expect(data).toMatchObject(expected);
    expect(data).not.toHaveProperty("draft");
  });

  test("a save behind an update of this node: what was counted meanwhile, here and elsewhere, stays counted", async () => {
    const { a, b, id, live, lose, stored } = await start();
    const session = await live();
    const { data } = session;
    const raise = (fields: SessionData): number => ++(fields as Fields)["count"];
    let again: Promise<unknown> | undefined;
    await lose(
      "answer",
      async () => {
        const updating = backendOf(a).update(id, raise);
        // It has its text before the update is stored, and is stored on top of it.
        data.own = "kept";
        await Promise.allSettled([updating, session.save()]);
      },
      async () => {
        await backendOf(b).update(id, raise);
        // It has the same to save, and is the first to hear what became of the lost one.
        again = session.save().catch(() => undefined);
      },
      /(?:evalsha|UPDATE "session_)[^]*"own":"kept"/i,
    );
    await again;
    await expect.poll(() => session.isSaved, { timeout: 20_000 }).toBe(true);
    expect(await stored()).toMatchObject({ count: 2, own: "kept" });
    await expect.poll(() => data.count, { timeout: 20_000 }).toBe(2);
  });

  test("a save that another node took back to the very text it was: it stays so", async () => {
    const { b, id, live, lose, stored } = await start();
    const session = await live();
    const write = (): Promise<void> => {
      session.data.admin = true;
      return session.save();
    };
    await lose(
      "answer",
      () => write().catch(() => undefined),
      () => backendOf(b).update(id, (fields) => void ((fields as Fields)["admin"] = false)),
    );
    await expect.poll(() => session.isSaved, { timeout: 20_000 }).toBe(true);
    expect(await stored()).toMatchObject({ admin: false });
    expect(session.data.admin).toBe(false);
  });

  test("a change that waits behind a save whose answer was lost is kept, also where its own save is lost on its way", async () => {
    const { b, id, lines, live, lose, stored } = await start();
    const session = await live();
    const { data } = session;
    let second: Promise<unknown> | undefined;
    await lose(
      "answer",
      async () => {
        data.admin = true;
        const saving = session.save();
        data.own = "kept";
        await Promise.allSettled([saving, session.save()]);
      },
      async () => {
        second = Promise.race(lines.map((line) => line.lose(storage.write, "command"))).then(async () => {
          for (const line of lines) line.isShut = true;
          await backendOf(b).update(id, (fields) => void ((fields as Fields)["count"] = 7));
          for (const line of lines) line.open();
        });
      },
    );
    await second;
    const expected = { admin: true, own: "kept", count: 7 };
    await expect.poll(stored, { timeout: 20_000 }).toMatchObject(expected);
    await expect.poll(() => session.isSaved, { timeout: 20_000 }).toBe(true);
    expect(data).toMatchObject(expected);
  });

  test.each(["answer", "command"] as const)("update(): counted once (lost: the %s)", async (kind) => {
    const { a, b, id, lose, stored } = await start();
    const raise = (fields: SessionData): number => ++(fields as Fields)["count"];
    let between = 0;
    const result = await lose(
      kind,
      () => backendOf(a).update(id, raise),
      async () => {
        between = await backendOf(b).update(id, raise);
      },
    );
    expect(new Set([result, between])).toEqual(new Set([1, 2]));
    expect(await stored()).toMatchObject({ count: 2 });
    expect(await backendOf(a).update(id, raise)).toBe(3);
  });

  test("update() alone, whose command comes late: counted once", async () => {
    const { a, id, lose, stored } = await start();
    const raise = (fields: SessionData): number => ++(fields as Fields)["count"];
    expect(
      await lose(
        "command",
        () => backendOf(a).update(id, raise),
        async () => undefined,
      ),
    ).toBe(1);
    expect(await backendOf(a).update(id, raise)).toBe(2);
    expect(await stored()).toMatchObject({ count: 2 });
  });

  test("a request's session object: saved, and not over what another node wrote since", async () => {
    const { a, b, id, lose, stored } = await start();
    const data = await get(a, id);
    data["admin"] = true;
    await lose(
      "answer",
      () => set(a, id, data),
      () => backendOf(b).update(id, (fields) => void ((fields as Fields)["admin"] = false)),
    );
    expect(await stored()).toMatchObject({ admin: false });
  });

  test("a request's session object that is saved again after STORE_UNAVAILABLE", async () => {
    const { a, b, id, lose, stored } = await start(500);
    const data = await get(a, id);
    data["admin"] = true;
    let failed: Promise<unknown> | undefined;
    await lose(
      "answer",
      () => (failed = set(a, id, data).catch((error: unknown) => error)),
      async () => {
        await backendOf(b).update(id, (fields) => void ((fields as Fields)["admin"] = false));
        await failed;
      },
    );
    expect(await failed).toMatchObject({ code: "STORE_UNAVAILABLE" });
    data["own"] = "kept";
    await expect.poll(() => set(a, id, data).catch((error: unknown) => error), { timeout: 20_000 }).toBeUndefined();
    expect(await stored()).toMatchObject({ admin: false, own: "kept" });
  });

  test.each(["answer", "command"] as const)("a new session: created once (lost: the %s)", async (kind) => {
    const { a, b, lose } = await start();
    const id = `id${Math.random()}`;
    const data = { cookie: { originalMaxAge: null, expires: null }, count: 1 } as unknown as SessionData;
    await lose(
      kind,
      () => set(a, id, data),
      async () => undefined,
      storage.creation,
    );
    expect(await get(b, id)).toMatchObject({ count: 1 });
  });

  test("a new session that was ended before its creator knew of it: it stays ended", async () => {
    const { a, b, lose } = await start();
    const id = `id${Math.random()}`;
    const data = { cookie: { originalMaxAge: null, expires: null }, count: 1 } as unknown as SessionData;
    await lose(
      "answer",
      () => set(a, id, data),
      () => backendOf(b).end(id, "SESSION_DESTROYED"),
      storage.creation,
    );
    expect(await get(b, id)).toBeFalsy();
  });

  test("an end: the sockets of this node are closed when the storage is back, not at the end of the lease", async () => {
    const { a, id, lines, live, lose } = await start(500);
    const session = await live();
    for (const line of lines) line.breaksOne = true;
    await lose(
      "answer",
      () =>
        backendOf(a)
          .end(id, "SESSION_DESTROYED")
          .catch(() => undefined),
      async () => undefined,
      storage.end,
    );
    await expect.poll(() => session.ended, { timeout: 10_000 }).toBe("SESSION_DESTROYED");
  });
});

function get(store: LiveStore, id: string): Promise<Fields> {
  return new Promise((resolve, reject) =>
    store.get(id, (error, data) => (error ? reject(error as Error) : resolve(data as Fields))),
  );
}

function set(store: LiveStore, id: string, data: SessionData): Promise<void> {
  return new Promise((resolve, reject) => store.set(id, data, (error) => (error ? reject(error as Error) : resolve())));
}
