// The driver for PostgreSQL: each session is one row, written by statements that compare, set and notify in one
// transaction. The table is that of connect-pg-simple.
import { type EndCode, SessionError } from "../../../errors.js";
import { jittered } from "../../../internal/backoff.js";
import { systemNow } from "../../../internal/system-time.js";
import { createdAgain, NoticeCodec, noticeName, parseEnd } from "../../cluster/notice-codec.js";
import { ReconnectingNotices } from "../../cluster/reconnecting-notices.js";
import { mayEndSooner } from "../../record/session-record.js";
import { type Driver, type End, type Notes, pastEndMemory, storedEndMemory, writeMemory } from "../driver.js";
import { openPostgresNotices } from "./notices.js";
import { createdRow, endPrefix, endRow, endRowId, noteRowId, ownPrefix, ownRow, writeRowId } from "./own-rows.js";
import type { PostgresPool } from "./pool.js";
import type { PostgresTable } from "./table.js";
import { isTold, noticeNameOf } from "./trigger.js";

/** Sessions in the rows of a table, and the notes beside them. */
export class PostgresDriver implements Driver {
  readonly isShared = true;
  readonly isAtomic = true;
  readonly notices: ReconnectingNotices;
  readonly notes: Notes = {
    read: (name) => this.read(noteRowId(name)),
    create: (name, text, expires) => this.create(noteRowId(name), text, expires),
    touch: (name, text, expires, expected) => this.touch(noteRowId(name), text, expires, expected),
  };
  readonly #table: PostgresTable;
  readonly ttl: number;
  readonly #codec = new NoticeCodec();
  readonly #sweepInterval: number | false;
  #sweeper: NodeJS.Timeout | undefined;

  /** `ttl` and `sweepInterval` in ms. */
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
      [ids, seconds(systemNow())],
    );
    const texts = new Map(rows.map(({ sid, text }) => [sid, text]));
    return ids.map((id) => texts.get(id));
  }

  async create(id: string, text: string, expires: number): Promise<boolean> {
    this.#sweepLater();
    // An expired row that waits for the sweep does not count, nor does an earlier end of this id.
    const rows = await this.#query(
      `WITH made AS (
        INSERT INTO $table AS here (sid, sess, expire) VALUES ($1, $2, to_timestamp($3))
        ON CONFLICT (sid) DO UPDATE SET sess = excluded.sess, expire = excluded.expire
        WHERE here.expire <= to_timestamp($4) RETURNING 1
      ), noted AS (
        UPDATE $table SET sess = $6, expire = now() + make_interval(secs => $7) WHERE sid = $5 AND EXISTS (SELECT 1 FROM made)
      ) SELECT ${isTold} FROM made`,
      [id, text, this.#expiry(expires), seconds(systemNow()), endRowId(id), createdRow, seconds(storedEndMemory)],
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
      ) SELECT pg_notify($channel, $6), ${isTold} FROM written`,
      [
        id,
        text,
        expires === undefined ? null : this.#expiry(expires),
        expected,
        seconds(systemNow()),
        `${noticeName(id)} ${this.#codec.encode("changed", write)}`,
        write === undefined ? null : writeRowId(id, this.#codec.node),
        write === undefined ? null : ownRow({ write }),
        seconds(systemNow() + writeMemory),
        mayEndSooner(text, expected),
      ],
    );
    return rows.length === 1;
  }

  async lastWrite(id: string, node = this.#codec.node): Promise<number | undefined> {
    const query = `SELECT sess->>'write' AS last FROM $table WHERE sid = $1`;
    const rows = await this.#query<{ last: string }>(query, [writeRowId(id, node)]);
    return rows[0] && Number(rows[0].last);
  }

  /** A command with an SQL error code was rolled back, unless the server was going down or the connection was lost. */
  isRefusal(error: unknown): boolean {
    const code = (error as { code?: unknown } | undefined)?.code;
    return error instanceof SessionError || (typeof code === "string" && /^(?!08|57)[0-9A-Z]{5}$/.test(code));
  }

  async touch(id: string, text: string, expires: number, expected: string): Promise<boolean> {
    const rows = await this.#query(
      `UPDATE $table SET sess = $2, expire = ${later("$3", "$6")}
      WHERE sid = $1 AND sess::text = $4 AND expire > to_timestamp($5) RETURNING ${isTold}`,
      [id, text, this.#expiry(expires), expected, seconds(systemNow()), mayEndSooner(text, expected)],
    );
    return rows.length === 1;
  }

  async remove(id: string, code: EndCode): Promise<void> {
    this.#sweepLater();
    const payload = `${noticeName(id)} ${this.#codec.encode(code)}`;
    // The first reason stands, unless it is old and waits for the sweep.
    await this.#query(
      `WITH gone AS (DELETE FROM $table WHERE sid = $1), reason AS (
        INSERT INTO $table AS here (sid, sess, expire) VALUES ($2, $3, now() + make_interval(secs => $4))
        ON CONFLICT (sid) DO UPDATE SET sess = excluded.sess, expire = excluded.expire WHERE ${isOld("$5")}
      ) SELECT pg_notify($channel, $6), ${isTold}`,
      [id, endRowId(id), endRow(code, systemNow()), seconds(storedEndMemory), seconds(pastEndMemory), payload],
    );
  }

  async endOf(id: string): Promise<End | undefined> {
    const rows = await this.#query<{ ended: string | null }>(
      `SELECT sess->>'ended' AS ended FROM $table WHERE sid = $1 AND expire > now() + make_interval(secs => $2)`,
      [endRowId(id), seconds(pastEndMemory)],
    );
    return parseEnd(rows[0]?.ended ?? "");
  }

  async createdAgo(id: string): Promise<number | undefined> {
    const rows = await this.#query<{ left: number }>(
      `SELECT extract(epoch FROM expire - now())::float8 AS left FROM $table
      WHERE sid = $1 AND sess->>'${createdAgain}' IS NOT NULL`,
      [endRowId(id)],
    );
    return rows[0] && storedEndMemory - rows[0].left * 1000;
  }

  async publish(id: string, word: string): Promise<undefined> {
    await this.#query(`SELECT pg_notify($channel, $1)`, [`${noticeName(id)} ${this.#codec.encodeMessage(word)}`]);
  }

  async all(): Promise<ReadonlyMap<string, string>> {
    const rows = await this.#select<{ sid: string; text: string }>("sid, sess::text AS text");
    return new Map(rows.map(({ sid, text }) => [sid, text]));
  }

  async ids(): Promise<string[]> {
    return (await this.#select<{ sid: string }>("sid")).map(({ sid }) => sid);
  }

  async count(): Promise<number> {
    return Number((await this.#select<{ count: string }>("count(*) AS count"))[0]?.count);
  }

  async clear(): Promise<void> {
    const now = systemNow();
    const code = "SESSION_DESTROYED";
    const name = noticeNameOf("sid");
    await this.#query(
      `WITH gone AS (DELETE FROM $table WHERE NOT starts_with(sid, $5) RETURNING sid), reasons AS (
        INSERT INTO $table AS here (sid, sess, expire) SELECT $1 || ${name}, $2, now() + make_interval(secs => $3) FROM gone
        ON CONFLICT (sid) DO UPDATE SET sess = excluded.sess, expire = excluded.expire WHERE ${isOld("$6")}
      ) SELECT pg_notify($channel, ${name} || ' ' || $4), ${isTold} FROM gone`,
      [
        endPrefix,
        endRow(code, now),
        seconds(storedEndMemory),
        this.#codec.encode(code),
        ownPrefix,
        seconds(pastEndMemory),
      ],
    );
  }

  close(): void {
    clearTimeout(this.#sweeper);
    this.#sweeper = undefined;
    this.notices.close();
  }

  /** In seconds since 1970, as the table has it. */
  #expiry(expires: number): number {
    return seconds(Number.isFinite(expires) ? expires : systemNow() + this.ttl);
  }

  /** Columns of all sessions. */
  #select<Row>(columns: string): Promise<Row[]> {
    return this.#query(`SELECT ${columns} FROM $table WHERE expire > to_timestamp($1) AND NOT starts_with(sid, $2)`, [
      seconds(systemNow()),
      ownPrefix,
    ]);
  }

  #query<Row>(text: string, values: unknown[]): Promise<Row[]> {
    return this.#table.query<Row>(text, values);
  }

  /** Deletes expired rows now and then, not on all nodes together. The first write begins it: who only reads has no timer. */
  #sweepLater(): void {
    if (this.#sweepInterval === false || this.#sweeper) return;
    this.#sweeper = setTimeout(() => {
      this.#table
        .query(`DELETE FROM $table WHERE expire <= to_timestamp($1)`, [seconds(systemNow())], 0)
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
 * Whether an end that is stored (`here`) counts no longer, or says that the session was created again. By the server's
 * clock: those of nodes may differ.
 */
function isOld(age: string): string {
  return `(here.expire <= now() + make_interval(secs => ${age}) OR here.sess->>'ended' IS NULL)`;
}

function seconds(ms: number): number {
  return ms / 1000;
}
