// The PostgreSQL driver against a real server.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import connectPgSimple from "connect-pg-simple";
import session from "express-session";
import { Client, Pool } from "pg";
import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { backendOf, type LiveStore } from "../../../src/store/live-store.js";
import { openPostgresNotices } from "../../../src/store/drivers/postgres/notices.js";
import { PostgresTable } from "../../../src/store/drivers/postgres/table.js";
import { postgresStore } from "../../../src/store/drivers/postgres/postgres-store.js";
import { storeContract } from "../../contract/store.js";
import { startApp } from "../../support/app.js";
import { ownTable, postgresPool, usePostgres } from "../../support/postgres.js";
import { subscribe } from "../../support/subscriber.js";

let postgres: Awaited<ReturnType<typeof usePostgres>>;
beforeAll(async () => {
  postgres = await usePostgres();
});

storeContract("postgres", () => ({
  store: postgresStore({ pool: postgresPool(postgres.url), table: ownTable(), createTable: true }),
}));

const PgStore = connectPgSimple(session);

test("the table, the JSON and the expiry are those of connect-pg-simple, whoever made the table", async () => {
  const pool = postgresPool(postgres.url);
  const inAMinute = { originalMaxAge: 60_000, expires: new Date(Date.now() + 60_000), httpOnly: true, path: "/" };
  const forever = { originalMaxAge: null, expires: null, httpOnly: true, path: "/" };
  for (const isOurs of [true, false]) {
    const table = ownTable();
    const store = postgresStore({ pool, table, createTable: isOurs, ttl: 100 });
    const old = new PgStore({
      pool,
      tableName: table,
      createTableIfMissing: true,
      ttl: 100,
      pruneSessionInterval: false,
    });
    const writers = isOurs ? [store, old] : [old, store];
    for (const [name, cookie] of Object.entries({ inAMinute, forever })) {
      for (const writer of writers) await write(writer, `${name} ${writer === store}`, { cookie, user: "ada" });
      const { rows } = await pool.query(`SELECT sess::text AS text, expire FROM ${table} WHERE sid LIKE $1`, [
        `${name}%`,
      ]);
      expect(rows[0].text).toBe(rows[1].text);
      // Both count from when they were written.
      expect(Math.abs(rows[0].expire - rows[1].expire)).toBeLessThan(20_000);
    }
    const columns = await pool.query(
      `SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = $1 ORDER BY 1`,
      [table],
    );
    expect(columns.rows).toEqual([
      { column_name: "expire", data_type: "timestamp without time zone", is_nullable: "NO" },
      { column_name: "sess", data_type: "json", is_nullable: "NO" },
      { column_name: "sid", data_type: "character varying", is_nullable: "NO" },
    ]);
    const indexes = await pool.query(`SELECT 1 FROM pg_indexes WHERE tablename = $1 AND indexdef LIKE '%(expire)%'`, [
      table,
    ]);
    expect(indexes.rows).toHaveLength(1);
  }
});

test("nodes that start together create the table once, and find it by schema or search path", async () => {
  const pool = postgresPool(postgres.url);
  const table = ownTable();
  const name = `s${table}"; --`;
  await pool.query(`CREATE SCHEMA "${name.replaceAll('"', '""')}"`);
  const stores = Array.from({ length: 8 }, () => postgresStore({ pool, table, schema: name, createTable: true }));
  await Promise.all(stores.map((store, index) => write(store, `id ${index}`, { cookie: {} })));
  expect(await new Promise((resolve) => stores[0]?.length((_, count) => resolve(count)))).toBe(8);
});

test("neither payloads nor the rows of ends hold an id, and ends are no sessions", async () => {
  const pool = postgresPool(postgres.url);
  const table = ownTable();
  const store = postgresStore({ pool, table, createTable: true });
  await write(store, "the-id", { cookie: {} });
  const listener = new Client({ connectionString: postgres.url });
  await listener.connect();
  onTestFinished(() => listener.end());
  const heard: string[] = [];
  listener.on("notification", ({ channel, payload }) => heard.push(`${channel} ${payload}`));
  const name = createHash("sha256").update(`public.${table}`).digest("hex");
  await listener.query(`LISTEN socket_session_${name.slice(0, 32)}`);
  await backendOf(store).end("the-id", "SESSION_ROTATED");
  await expect.poll(() => heard).toHaveLength(1);
  const ends = (await pool.query<{ sid: string; text: string }>(`SELECT sid, sess::text AS text FROM ${table}`)).rows;
  expect(ends).toHaveLength(1);
  expect(JSON.stringify([heard, ends])).not.toContain("the-id");
  expect(await new Promise((resolve) => store.length((_, count) => resolve(count)))).toBe(0);
  expect(await new Promise((resolve) => store.all((_, all) => resolve({ ...(all as unknown as object) })))).toEqual({});
});

test("a node whose clock is ahead knows why a session ended on another one", async () => {
  const table = ownTable();
  const options = { pool: postgresPool(postgres.url), table, createTable: true };
  const [store, other] = [postgresStore(options), postgresStore(options)];
  await write(store, "the-id", { cookie: {} });
  await backendOf(store).end("the-id", "SESSION_ROTATED");
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
  onTestFinished(() => void vi.useRealTimers());
  expect(await backendOf(other).read("the-id", (text) => text)).toBeUndefined();
  expect(backendOf(other).endOf("the-id")?.code).toBe("SESSION_ROTATED");
});

describe("a table that is dropped and made again while nodes run", () => {
  const columns = "(sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)";

  test.each([
    ["dropped", (table: string) => `DROP TABLE ${table}`],
    ["renamed", (table: string) => `ALTER TABLE ${table} RENAME TO ${table}_old`],
  ])("is heard of at once: %s", async (_, leave) => {
    const pool = postgresPool(postgres.url);
    const table = ownTable();
    const [here, there] = [
      postgresStore({ pool, table, createTable: true }),
      postgresStore({ pool, table, schema: "public" }),
    ];
    await write(here, "before", { cookie: {} });
    const heard = listenTo(there);
    await backendOf(there).watch("after");
    await pool.query(`${leave(table)}; CREATE TABLE ${table} ${columns}`);
    await write(here, "after", { cookie: {} });
    await backendOf(here).end("after", "SESSION_DESTROYED");
    await expect.poll(heard).toContainEqual({ kind: "ended", id: "after", code: "SESSION_DESTROYED" });
  });

  test("is noticed at the next heartbeat, so that what was in it is read anew", async () => {
    const pool = postgresPool(postgres.url);
    const table = new PostgresTable(pool, undefined, ownTable(), true, 5000);
    const connection = await openPostgresNotices(pool, table, { onMessage() {}, onInvalidated() {}, onLost() {} });
    onTestFinished(() => connection.close());
    await connection.ping();
    await pool.query(`DROP TABLE ${table.name}`);
    await expect(connection.ping()).rejects.toThrow("does not exist");
    await pool.query(`CREATE TABLE ${table.name} ${columns}`);
    await expect(connection.ping()).rejects.toThrow("another table");
  });

  test("tables of one name in two schemas do not hear of each other", async () => {
    const pool = postgresPool(postgres.url);
    const table = ownTable();
    await pool.query(`CREATE SCHEMA IF NOT EXISTS other`);
    const one = postgresStore({ pool, table, createTable: true });
    const other = postgresStore({ pool, table, schema: "other", createTable: true });
    const heard = listenTo(one);
    await write(one, "any", { cookie: {} });
    await backendOf(one).watch("id");
    await backendOf(other).end("id", "SESSION_DESTROYED");
    await backendOf(postgresStore({ pool, table })).end("id", "SESSION_ROTATED");
    await expect.poll(heard).toEqual([{ kind: "ended", id: "id", code: "SESSION_ROTATED" }]);
  });
});

test("expired rows are deleted now and then", async () => {
  const pool = postgresPool(postgres.url);
  const table = ownTable();
  const store = postgresStore({ pool, table, createTable: true, sweepInterval: 100 });
  onTestFinished(() => store.close());
  const expires = new Date(Date.now() + 60_000);
  await write(store, "short", { cookie: { originalMaxAge: 60_000, expires } });
  await write(store, "long", { cookie: { originalMaxAge: null, expires: null } });
  const left = async (): Promise<unknown> => (await pool.query(`SELECT sid FROM ${table}`)).rows;
  expect(await left()).toHaveLength(2);
  // As if the minute were over.
  await pool.query(`UPDATE ${table} SET expire = expire - interval '2 minutes' WHERE sid = 'short'`);
  await expect.poll(left).toEqual([{ sid: "long" }]);
});

describe("what cannot work is told, with what to do", () => {
  test.each([
    ["a table that is not there", undefined],
    ["one with other columns", "(id text primary key, data json)"],
    ["one with other types", "(sid bigint primary key, sess json, expire timestamp)"],
  ])("%s", async (_, columns) => {
    const pool = postgresPool(postgres.url);
    const table = ownTable();
    if (columns !== undefined) await pool.query(`CREATE TABLE ${table} ${columns}`);
    const store = postgresStore({ pool, table });
    const error = await new Promise<Error>((resolve) => store.get("unknown-1", (failure) => resolve(failure as Error)));
    expect(error).toMatchObject({ code: "STORE_UNAVAILABLE", cause: { code: "STORE_NOT_READY" } });
    expect(error.message).toContain("CREATE TABLE");
    expect(error.message).toContain(table);
  });

  test.each([
    ["nothing", undefined, "npm install pg"],
    ["something else", {}, "Pool"],
    ["a client", new Client(), "not a pool"],
    ["a pool without an error listener", new Pool(), 'pool.on("error"'],
    ["a pool of one connection", new Pool({ max: 1 }).on("error", () => undefined), "max must be 2"],
  ])("%s", (_, pool, fix) => {
    expect(() => postgresStore({ pool: pool as never })).toThrow(
      expect.objectContaining({ code: "STORE_CLIENT_INVALID", message: expect.stringContaining(fix) as string }),
    );
  });

  test.each([{ table: "" }, { schema: 1 }, { ttl: 0 }, { sweepInterval: 0 }, { timeout: 0 }])("%o", (options) => {
    const pool = new Pool().on("error", () => undefined);
    expect(() => postgresStore({ pool, ...(options as object) })).toThrow(
      expect.objectContaining({ code: "OPTION_INVALID" }),
    );
  });
});

/** What a store hears of ends on other nodes. */
function listenTo(store: LiveStore): () => unknown[] {
  const heard: unknown[] = [];
  subscribe(store, (notice) => void (notice.kind === "ended" && heard.push(notice)));
  return () => heard;
}

function write(store: Pick<session.Store, "set">, id: string, data: object): Promise<void> {
  return new Promise((resolve, reject) =>
    store.set(id, data as never, (error?: unknown) => (error ? reject(error as Error) : resolve())),
  );
}

/** A line to a port of this machine: what is open when it dies carries nothing any more, what is opened later works. */
async function mortalWire(port: number): Promise<{ port: number; die(): void }> {
  const sockets: Socket[] = [];
  let lives = 0;
  const wire = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    const born = lives;
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.push(from);
      from.on("error", () => to.destroy()).on("close", () => to.destroy());
      from.on("data", (data) => born === lives && to.write(data));
    }
  });
  wire.listen(0, "127.0.0.1");
  await once(wire, "listening");
  onTestFinished(() => {
    wire.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (wire.address() as AddressInfo).port, die: () => void lives++ };
}

describe("connections that are held or dead", () => {
  test("a session whose row is locked does not keep the pool's connections from the others", async () => {
    const table = ownTable();
    const pool = postgresPool(postgres.url, { max: 3 });
    const { login, sessions } = await startApp({
      sessions: { store: postgresStore({ pool, table, createTable: true, timeout: 500 }) },
      setup({ io }) {
        io.on("connection", (socket) => socket.on("set", (value, done) => done(void (socket.session.other = value))));
      },
    });
    const failed = vi.fn<(error: unknown) => void>();
    sessions.on("error", failed);
    const [ada, bob] = [await login("ada"), await login("bob")];
    const socket = await ada.connect();
    const admin = new Client({ connectionString: postgres.url });
    await admin.connect();
    onTestFinished(() => admin.end());
    await admin.query("BEGIN");
    await admin.query(`SELECT 1 FROM "${table}" WHERE sess->>'user' = 'ada' FOR UPDATE`);
    await socket.emitWithAck("set", "kept");
    // Each try waits for the lock on a connection of its own. (Within a transaction the view would stand still.)
    const observer = postgresPool(postgres.url, { max: 1 });
    const waiting = `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1`;
    const tries = new Set<number>();
    const countTries = async (): Promise<number> => {
      for (const { pid } of (await observer.query<{ pid: number }>(waiting, [`%${table}%`])).rows) tries.add(pid);
      return tries.size;
    };
    await expect.poll(countTries, { interval: 20 }).toBeGreaterThan(3);
    await expect.poll(() => bob.get("/session").catch(() => undefined)).toEqual({ user: "bob" });
    await admin.query("ROLLBACK");
    await expect.poll(() => ada.get("/session")).toEqual({ user: "ada", other: "kept" });
  });

  test("connections that are dead without a word are given up, and new ones serve", async () => {
    const wire = await mortalWire(Number(new URL(postgres.url).port));
    const pool = postgresPool(postgres.url.replace(/:\d+\//, `:${wire.port}/`), { max: 3 });
    const { login } = await startApp({
      sessions: { store: postgresStore({ pool, table: ownTable(), createTable: true, timeout: 1500 }) },
      attach: false,
    });
    const ada = await login("ada");
    await Promise.all(Array.from({ length: 6 }, () => ada.get("/session")));
    wire.die();
    const isServed = (): Promise<unknown> => ada.get("/session").catch(() => undefined);
    await expect.poll(isServed, { timeout: 15_000 }).toEqual({ user: "ada" });
  });
});
