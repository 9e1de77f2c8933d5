// The driver for PostgreSQL: each session is one row, written by statements that compare, set and tell the other nodes
// in one transaction. The table is that of connect-pg-simple. The pool is injected; nothing of pg is imported.
import { type EndCode, SessionError } from "../../../errors.js";
import {
  checkBooleans,
  checkFinite,
  checkNames,
  checkPositive,
  checkTimes,
  invalid,
  kindOf,
  type NamesOf,
} from "../../../internal/check-options.js";
import { type Driver, type End, endMemory, markMemory, type Notes, writeMemory } from "../driver.js";
import { LiveStore } from "../../live-store.js";
import { createdAgain, endText, NoticeCodec, noticeName, parseEnd } from "../../cluster/notice-codec.js";
import { ReconnectingNotices } from "../../cluster/reconnecting-notices.js";
import { openPostgresNotices, type PostgresPool } from "./notices.js";
import { PostgresTable } from "./table.js";
import { mayEndSooner } from "../../record/session-record.js";
import { jittered } from "../../../internal/backoff.js";

export type { PostgresClient, PostgresPool } from "./notices.js";

/** Options of {@link postgresStore}. */
export interface PostgresStoreOptions {
  /** A `Pool` of the package `pg`. It stays yours to end. One of its connections is used to listen while sockets are open. */
  pool: PostgresPool;
  /** The table's name. Default `"session"`, as in connect-pg-simple. */
  table?: string | undefined;
  /** The table's schema. Default: found on the search path. */
  schema?: string | undefined;
  /** Whether the table, and its index on the expiry, are created where they are missing. Default false. */
  createTable?: boolean | undefined;
  /** How long a session without `cookie.maxAge` lives untouched, in **seconds**. Default 86,400, as in connect-pg-simple. */
  ttl?: number | undefined;
  /** How often expired rows are deleted, in ms, half of it random; `false` for never. Default 900,000. */
  sweepInterval?: number | false | undefined;
  /** How long PostgreSQL may take to answer one command, in ms, before it counts as unavailable. Default 5000. */
  timeout?: number | undefined;
  /** How many bytes (UTF-8) a session may take as it is stored; a save above it is `DATA_INVALID`. Default 1 MiB. */
  maxSessionSize?: number | undefined;
}

/**
 * A live store in PostgreSQL, for any number of nodes: what one node changes or ends, the others hear at once. Table,
 * JSON and expiry are those of connect-pg-simple 10, so that services can move one after the other.
 *
 * @throws SessionError `STORE_CLIENT_INVALID`, `OPTION_INVALID`; while the table is missing or has other columns, what
 * needs the store fails with `STORE_UNAVAILABLE`, whose cause is `STORE_NOT_READY`.
 * @example
 * ```ts
 * import { Pool } from "pg";
 *
 * const pool = new Pool({ connectionString: process.env.DATABASE_URL });
 * pool.on("error", (error) => console.error(error));
 * const sessions = createSessions({ secret, store: postgresStore({ pool, createTable: true }) });
 * ```
 */
export function postgresStore(options: PostgresStoreOptions): LiveStore {
  checkNames(options, optionNames, "postgresStore()");
  // Who writes JavaScript may leave them out.
  const given = (options as PostgresStoreOptions | undefined) ?? ({} as PostgresStoreOptions);
  const { pool, table = "session", schema, createTable = false, timeout = 5000, maxSessionSize } = given;
  const { ttl = 86_400, sweepInterval = 900_000 } = given;
  checkPool(pool);
  for (const [key, name] of Object.entries({ table, schema })) {
    const isName = name === undefined || (typeof name === "string" && name !== "");
    if (!isName) throw invalid(`${key} is a name, not ${kindOf(name)}.`);
  }
  checkFinite({ ttl });
  checkTimes({ timeout });
  if (maxSessionSize !== undefined) checkPositive({ maxSessionSize });
  checkBooleans({ createTable });
  if (sweepInterval !== false) checkTimes({ sweepInterval });
  const place = new PostgresTable(pool, schema, table, createTable, timeout);
  return new LiveStore(new PostgresDriver(pool, place, ttl * 1000, sweepInterval), { timeout, maxSessionSize });
}

const optionNames: NamesOf<PostgresStoreOptions> = {
  pool: true,
  table: true,
  schema: true,
  createTable: true,
  ttl: true,
  sweepInterval: true,
  timeout: true,
  maxSessionSize: true,
};

/** Ids of rows that are no sessions. Nobody can have such an id: cookies are signed, and the
 * `sessionId` option takes none. */
const ownPrefix = "socket-session:";
/** How long an end is still kept when it is no reason any more, in ms. */
const oldMark = markMemory - endMemory;
/** Of those that say why a session ended, or that it was created again since. */
const endPrefix = `${ownPrefix}ended:`;
/** Of those that say which sessions a user has. */
const notePrefix = `${ownPrefix}user:`;
/** Of those that say what a node has written last. */
const writePrefix = `${ownPrefix}write:`;

const createdRow = ownRow({ [createdAgain]: true });

class PostgresDriver implements Driver {
  readonly isShared = true;
  readonly isAtomic = true;
  readonly notices: ReconnectingNotices;
  readonly notes: Notes = {
    read: (name) => this.read(notePrefix + name),
    create: (name, text, expires) => this.create(notePrefix + name, text, expires),
    touch: (name, text, expires, expected) => this.touch(notePrefix + name, text, expires, expected),
  };
  readonly #table: PostgresTable;
  readonly ttl: number;
  readonly #codec = new NoticeCodec();
  readonly #sweepInterval: number | false;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(pool: PostgresPool, table: PostgresTable, ttl: number, sweepInterval: number | false) {
    this.#table = table;
    this.ttl = ttl;
    this.#sweepInterval = sweepInterval;
    this.notices = new ReconnectingNotices((events) => openPostgresNotices(pool, table, events), this.#codec);
  }

  async read(id: string): Promise<string | undefined> {
    return (await this.readMany([id]))[0];
  }

  async readMany(ids: readonly string[]): Promise<(string | undefined)[]> {
    const rows = await this.#query<{ sid: string; text: string }>(
      `SELECT sid, sess::text AS text FROM $table WHERE sid = ANY($1) AND expire > to_timestamp($2)`,
      [ids, seconds(Date.now())],
    );
    const texts = new Map(rows.map(({ sid, text }) => [sid, text]));
    return ids.map((id) => texts.get(id));
  }

  async create(id: string, text: string, expires: number): Promise<boolean> {
    this.#sweepLater();
    // A row that has expired and waits for the sweep is not there; nor does an earlier end of this id count any more.
    const rows = await this.#query(
      `WITH made AS (
        INSERT INTO $table AS here (sid, sess, expire) VALUES ($1, $2, to_timestamp($3))
        ON CONFLICT (sid) DO UPDATE SET sess = excluded.sess, expire = excluded.expire
        WHERE here.expire <= to_timestamp($4) RETURNING 1
      ), noted AS (
        UPDATE $table SET sess = $6, expire = now() + make_interval(secs => $7) WHERE sid = $5 AND EXISTS (SELECT 1 FROM made)
      ) SELECT 1 FROM made`,
      [
        id,
        text,
        this.#expiry(expires),
        seconds(Date.now()),
        endPrefix + noticeName(id),
        createdRow,
        seconds(markMemory),
      ],
    );
    return rows.length === 1;
  }

  async replace(
    id: string,
    text: string,
    expires: number | undefined,
    expected: string,
    write?: number,
  ): Promise<boolean> {
    const rows = await this.#query(
      `WITH written AS (
        UPDATE $table SET sess = $2, expire = ${later("$3", "$10")}
        WHERE sid = $1 AND sess::text = $4 AND expire > to_timestamp($5) RETURNING 1
      ), noted AS (
        INSERT INTO $table (sid, sess, expire) SELECT $7::varchar, $8, to_timestamp($9) FROM written WHERE $7::varchar IS NOT NULL
        ON CONFLICT (sid) DO UPDATE SET sess = excluded.sess, expire = excluded.expire
      ) SELECT pg_notify($channel, $6) FROM written`,
      [
        id,
        text,
        expires === undefined ? null : this.#expiry(expires),
        expected,
        seconds(Date.now()),
        `${noticeName(id)} ${this.#codec.encode("changed", write)}`,
        write === undefined ? null : this.#writeRowOf(id),
        write === undefined ? null : ownRow({ write }),
        seconds(Date.now() + writeMemory),
        mayEndSooner(text, expected),
      ],
    );
    return rows.length === 1;
  }

  async lastWrite(id: string, node?: string): Promise<number | undefined> {
    const query = `SELECT sess->>'write' AS last FROM $table WHERE sid = $1`;
    const rows = await this.#query<{ last: string }>(query, [this.#writeRowOf(id, node)]);
    return rows[0] && Number(rows[0].last);
  }

  /** What has a code of SQL was rolled back, unless the server was going down or the connection was lost. */
  isRefusal(error: unknown): boolean {
    const code = (error as { code?: unknown } | undefined)?.code;
    return error instanceof SessionError || (typeof code === "string" && /^(?!08|57)[0-9A-Z]{5}$/.test(code));
  }

  async touch(id: string, text: string, expires: number, expected: string): Promise<boolean> {
    const rows = await this.#query(
      `UPDATE $table SET sess = $2, expire = ${later("$3", "$6")}
      WHERE sid = $1 AND sess::text = $4 AND expire > to_timestamp($5) RETURNING 1`,
      [id, text, this.#expiry(expires), expected, seconds(Date.now()), mayEndSooner(text, expected)],
    );
    return rows.length === 1;
  }

  async remove(id: string, code: EndCode): Promise<void> {
    this.#sweepLater();
    const now = Date.now();
    // The first reason stands, unless it is old and waits for the sweep.
    await this.#query(
      `WITH gone AS (DELETE FROM $table WHERE sid = $1), reason AS (
        INSERT INTO $table AS here (sid, sess, expire) VALUES ($2, $3, now() + make_interval(secs => $4))
        ON CONFLICT (sid) DO UPDATE SET sess = excluded.sess, expire = excluded.expire WHERE ${isOld("$5")}
      ) SELECT pg_notify($channel, $6)`,
      [
        id,
        endPrefix + noticeName(id),
        endRow(code, now),
        seconds(markMemory),
        seconds(oldMark),
        `${noticeName(id)} ${this.#codec.encode(code)}`,
      ],
    );
  }

  async endOf(id: string): Promise<End | undefined> {
    const rows = await this.#query<{ ended: string | null }>(
      `SELECT sess->>'ended' AS ended FROM $table WHERE sid = $1 AND expire > now() + make_interval(secs => $2)`,
      [endPrefix + noticeName(id), seconds(oldMark)],
    );
    return parseEnd(rows[0]?.ended ?? "");
  }

  async createdAgo(id: string): Promise<number | undefined> {
    const rows = await this.#query<{ left: number }>(
      `SELECT extract(epoch FROM expire - now())::float8 AS left FROM $table
      WHERE sid = $1 AND sess->>'${createdAgain}' IS NOT NULL`,
      [endPrefix + noticeName(id)],
    );
    return rows[0] && markMemory - rows[0].left * 1000;
  }

  async publish(id: string, word: string): Promise<undefined> {
    await this.#query(`SELECT pg_notify($channel, $1)`, [`${noticeName(id)} ${this.#codec.encodeMessage(word)}`]);
  }

  async all(): Promise<ReadonlyMap<string, string>> {
    const rows = await this.#query<{ sid: string; text: string }>(
      `SELECT sid, sess::text AS text FROM $table WHERE expire > to_timestamp($1) AND NOT starts_with(sid, $2)`,
      [seconds(Date.now()), ownPrefix],
    );
    return new Map(rows.map(({ sid, text }) => [sid, text]));
  }

  async ids(): Promise<string[]> {
    const rows = await this.#query<{ sid: string }>(
      `SELECT sid FROM $table WHERE expire > to_timestamp($1) AND NOT starts_with(sid, $2)`,
      [seconds(Date.now()), ownPrefix],
    );
    return rows.map(({ sid }) => sid);
  }

  async count(): Promise<number> {
    const rows = await this.#query<{ count: string }>(
      `SELECT count(*) AS count FROM $table WHERE expire > to_timestamp($1) AND NOT starts_with(sid, $2)`,
      [seconds(Date.now()), ownPrefix],
    );
    return Number(rows[0]?.count);
  }

  async clear(): Promise<void> {
    const now = Date.now();
    const code = "SESSION_DESTROYED";
    // The name of a session in notices, as noticeName() makes it.
    const name = `left(encode(sha256(convert_to(sid, 'UTF8')), 'hex'), 32)`;
    await this.#query(
      `WITH gone AS (DELETE FROM $table WHERE NOT starts_with(sid, $5) RETURNING sid), reasons AS (
        INSERT INTO $table AS here (sid, sess, expire) SELECT $1 || ${name}, $2, now() + make_interval(secs => $3) FROM gone
        ON CONFLICT (sid) DO UPDATE SET sess = excluded.sess, expire = excluded.expire WHERE ${isOld("$6")}
      ) SELECT pg_notify($channel, ${name} || ' ' || $4) FROM gone`,
      [endPrefix, endRow(code, now), seconds(markMemory), this.#codec.encode(code), ownPrefix, seconds(oldMark)],
    );
  }

  close(): void {
    clearTimeout(this.#sweeper);
    this.#sweeper = undefined;
    this.notices.close();
  }

  /** The row with the number of a node's last write to a session. */
  #writeRowOf(id: string, node = this.#codec.node): string {
    return `${writePrefix}${noticeName(id)}:${node}`;
  }

  /** In seconds since 1970, as the table has it. */
  #expiry(expires: number): number {
    return seconds(Number.isFinite(expires) ? expires : Date.now() + this.ttl);
  }

  #query<Row>(text: string, values: unknown[]): Promise<Row[]> {
    return this.#table.query<Row>(text, values);
  }

  /** Expired rows are deleted now and then: begun by the first write, so that nobody has a timer who only reads. Not together on all nodes. */
  #sweepLater(): void {
    if (this.#sweepInterval === false || this.#sweeper) return;
    this.#sweeper = setTimeout(() => {
      this.#table
        .query(`DELETE FROM $table WHERE expire <= to_timestamp($1)`, [seconds(Date.now())], 0)
        .catch(() => undefined)
        .finally(() => {
          if (!this.#sweeper) return;
          this.#sweeper = undefined;
          this.#sweepLater();
        });
    }, jittered(this.#sweepInterval)).unref();
  }
}

/** The new expiry: the later one, as old services prolong a row without changing its text; or exactly the given one. */
function later(expires: string, isExact: string): string {
  return `CASE WHEN ${isExact}::boolean THEN coalesce(to_timestamp(${expires}), expire) ELSE greatest(expire, to_timestamp(${expires})) END`;
}

/**
 * Whether what is remembered of an end (`here`) is no reason any more, or that the session was created again. By the
 * server's clock: those of nodes may differ.
 */
function isOld(age: string): string {
  return `(here.expire <= now() + make_interval(secs => ${age}) OR here.sess->>'ended' IS NULL)`;
}

function endRow(code: EndCode, at: number): string {
  return ownRow({ ended: endText(code, at) });
}

/** Looks like a session to who lists the table. */
function ownRow(fields: object): string {
  return JSON.stringify({ cookie: { originalMaxAge: null, expires: null }, ...fields });
}

function seconds(ms: number): number {
  return ms / 1000;
}

function checkPool(value: unknown): void {
  const refuse = (detail: string): never => {
    throw new SessionError("STORE_CLIENT_INVALID", { detail });
  };
  if (value === undefined || value === null) refuse("There is no pool: npm install pg, then new Pool().");
  const pool = value as Record<string, unknown>;
  for (const method of ["query", "connect", "listenerCount"]) {
    if (typeof pool[method] !== "function") refuse(`It has no ${method}(): pass a Pool of the package pg.`);
  }
  if (typeof pool["totalCount"] !== "number") refuse("It is one client, not a pool: pass a Pool of the package pg.");
  if ((value as PostgresPool).listenerCount("error") === 0) {
    refuse('It has no "error" listener, so that a restart of the server ends the process: pool.on("error", …).');
  }
  if ((value as PostgresPool).options?.max === 1) {
    refuse("It has one connection, and listening for notices needs one of its own: max is 2 or more.");
  }
}
