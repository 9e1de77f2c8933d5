// The trigger of a PostgreSQL table: what a service without this library does is heard at once.
import { readFileSync } from "node:fs";
import connectPgSimple from "connect-pg-simple";
import session from "express-session";
import { Client } from "pg";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import type { Notice } from "../../../src/store/cluster/change-bus.js";
import { backendOf, type LiveStore } from "../../../src/store/live-store.js";
import { postgresStore } from "../../../src/store/drivers/postgres/postgres-store.js";
import { channelOf, triggerStatements } from "../../../src/store/drivers/postgres/trigger.js";
import { startApp } from "../../support/app.js";
import { closed } from "../../support/browser.js";
import { ownTable, postgresPool, usePostgres } from "../../support/postgres.js";
import { subscribe } from "../../support/subscriber.js";

const PgStore = connectPgSimple(session);
const aMinute = { maxAge: 60_000, expires: new Date(Date.now() + 60_000) };
const pastMinute = { originalMaxAge: 60_000, expires: new Date(Date.now() - 1) };

let postgres: Awaited<ReturnType<typeof usePostgres>>;
beforeAll(async () => {
  postgres = await usePostgres();
});

/** The store of an old service. */
function oldStore(table: string): InstanceType<typeof PgStore> {
  const pool = postgresPool(postgres.url);
  return new PgStore({ pool, tableName: table, pruneSessionInterval: false });
}

/** Runs one of a store's methods that take a callback. */
function done<T>(run: (callback: (error?: unknown, value?: T) => void) => void): Promise<T | undefined> {
  return new Promise((resolve, reject) =>
    run((error, value) => (error ? reject(error as Error) : resolve(value ?? undefined))),
  );
}

function newStore(table: string, createTable = true): LiveStore {
  return postgresStore({ pool: postgresPool(postgres.url), table, createTable });
}

/** The payloads on the channel of a table, without the names of sessions. */
async function payloadsOf(table: string): Promise<string[]> {
  const client = new Client({ connectionString: postgres.url });
  await client.connect();
  onTestFinished(() => client.end());
  const payloads: string[] = [];
  client.on("notification", ({ payload }) => payloads.push(String(payload).replace(/^\w+ \S+ /, "")));
  const { rows } = await client.query<{ channel: string }>(`SELECT ${channelOf(`'${table}'::regclass`)} AS channel`);
  await client.query(`LISTEN "${rows[0]?.channel}"`);
  return payloads;
}

test("a change and a logout by connect-pg-simple reach sockets within the lease", async () => {
  const table = ownTable();
  const { login } = await startApp({
    // As long as a test may take, and longer.
    sessions: { store: newStore(table), lease: 3_600_000 },
    setup({ io }) {
      io.on("connection", (socket) =>
        socket.on("get", (answer) => answer((socket.session as { color?: string }).color)),
      );
    },
  });
  const ada = await login("ada");
  const socket = await ada.connect();
  expect(await socket.emitWithAck("get")).toBeNull();
  const old = oldStore(table);
  const id = ada.sessionId;
  const data = (await done<session.SessionData>((callback) => old.get(id, callback as never))) as object;
  await done((callback) => old.set(id, { ...data, color: "red" } as never, callback));
  await expect.poll(() => socket.emitWithAck("get")).toBe("red");
  const end = closed(socket);
  await done((callback) => old.destroy(id, callback));
  expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
});

test("the driver's own writes are told once, by the driver; the old service's touch and what it writes twice are not told", async () => {
  const table = ownTable();
  const store = newStore(table);
  const backend = backendOf(store);
  await done((callback) => store.set("id", { cookie: aMinute, n: 0 } as never, callback));
  const payloads = await payloadsOf(table);
  const old = oldStore(table);
  await backend.update("id", (data) => Object.assign(data, { n: 1 }));
  await backend.prolong("id", Date.now() + 1000);
  await done((callback) => store.set("other", { cookie: aMinute } as never, callback));
  const data = (await done<session.SessionData>((callback) => old.get("id", callback as never))) as session.SessionData;
  await done((callback) => old.touch("id", data, () => callback()));
  await done((callback) => old.set("id", data, callback));
  await backend.end("id", "SESSION_ROTATED");
  await new Promise<void>((resolve, reject) =>
    store.clear((error?: unknown) => (error ? reject(error as Error) : resolve())),
  );
  const pool = postgresPool(postgres.url);
  await done((callback) => store.set("late", { cookie: aMinute } as never, callback));
  await pool.query(`UPDATE "${table}" SET expire = now() - interval '1 minute' WHERE sid = 'late'`);
  await pool.query(`DELETE FROM "${table}" WHERE expire < now()`);
  await pool.query(`SELECT pg_notify(${channelOf(`'${table}'::regclass`)}, 'x x last')`);
  await expect.poll(() => payloads.at(-1)).toBe("last");
  expect(payloads).toEqual(["changed 1", "rotated", "destroyed", "last"]);
});

test("a table of connect-pg-simple gets its trigger where createTable is set, and works without where it cannot be made", async () => {
  const table = ownTable();
  const old = oldStore(table);
  const admin = postgresPool(postgres.url);
  // Not by connect-pg-simple itself: whatever the table, it gives the key the same name, so it can make only one.
  await admin.query(
    `CREATE TABLE ${table} (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)`,
  );
  await done((callback) => old.set("id", { cookie: aMinute } as never, callback));
  const user = `u${table}`;
  await admin.query(
    `CREATE ROLE ${user} LOGIN PASSWORD 'x'; GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO ${user}`,
  );
  onTestFinished(async () => void (await admin.query(`DROP OWNED BY ${user}; DROP ROLE ${user}`)));
  const url = new URL(postgres.url);
  Object.assign(url, { username: user, password: "x" });
  const guest = postgresStore({ pool: postgresPool(url.href), table, createTable: true });
  expect(await done((callback) => guest.get("id", callback as never))).toBeDefined();
  const countTriggers = async (): Promise<number> =>
    (await admin.query(`SELECT 1 FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal`, [table])).rows
      .length;
  expect(await countTriggers()).toBe(0);

  // In use by somebody who holds it: the store does not wait, nor make others wait.
  const holder = new Client({ connectionString: postgres.url });
  await holder.connect();
  onTestFinished(() => holder.end());
  await holder.query(`BEGIN; LOCK TABLE ${table} IN ROW EXCLUSIVE MODE`);
  expect(await done((callback) => newStore(table).get("id", callback as never))).toBeDefined();
  expect(await countTriggers()).toBe(0);
  await holder.query("ROLLBACK");

  const store = newStore(table);
  expect(await done((callback) => store.get("id", callback as never))).toBeDefined();
  expect(await countTriggers()).toBe(1);
  const heard: Notice[] = [];
  subscribe(store, (notice) => void heard.push(notice));
  await backendOf(store).watch("id");
  await done((callback) => old.set("id", { cookie: pastMinute, gone: true } as never, callback));
  await expect.poll(() => heard).toContainEqual({ kind: "changed", id: "id", write: undefined });
});

test("the documentation shows the very trigger that createTable makes", () => {
  const words = (text: string): string => text.replaceAll(/\s+/g, " ");
  const page = words(readFileSync(new URL("../../../docs/operate/deploy.md", import.meta.url), "utf8"));
  for (const statement of triggerStatements('"session"', '"session_change"')) expect(page).toContain(words(statement));
});
