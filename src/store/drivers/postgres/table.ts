// The table of sessions: its name, how to create it, and what is wrong where a statement fails.
import createDebug from "debug";
import type { PostgresClient, PostgresPool } from "./pool.js";
import { Refusal } from "../refusal.js";
import { channelOf, triggerName, triggerStatements } from "./trigger.js";

const debug = createDebug("socket-session:postgres");

/** How long the trigger of a table that is in use waits for its lock, in ms. */
const triggerPatience = 500;

/** Why a table may stay without its trigger: the user does not own it, the table is locked, or the server is too old. */
const triggerRefusals: ReadonlySet<string> = new Set(["42501", "55P03", "42601"]);

/** Any number, the same on all nodes: who creates the table holds this lock. */
const lock = 7_351_946_228;

const otherTypes = "The table's columns have other types than varchar, json and timestamp(6).";
const noLogin = "The server does not accept the user or the password: new Pool({ connectionString }).";
const readOnly = "25006";

/** Codes of PostgreSQL for what the application has to mend, with true where making the table helps. */
const setupErrors = new Map<string, readonly [why: string, isTable: boolean]>([
  ["42P01", ["The table does not exist.", true]],
  ["3F000", ["The schema does not exist.", true]],
  ["42703", ["The table has other columns than sid, sess and expire.", true]],
  ["23502", ["The table has other columns than sid, sess and expire.", true]],
  ["42809", ["It is not a table.", true]],
  ["42P10", ["The table has no primary key on sid.", true]],
  ["42804", [otherTypes, true]],
  ["42883", [otherTypes, true]],
  ["42846", [otherTypes, true]],
  ["22P02", [otherTypes, true]],
  ["42501", ["The database user may not use the table: GRANT SELECT, INSERT, UPDATE, DELETE on it.", false]],
  ["28P01", [noLogin, false]],
  ["28000", [noLogin, false]],
  ["3D000", ["The database does not exist: name another in the pool's connectionString, or create it.", false]],
  [
    readOnly,
    ["The server or the user is read only, perhaps a standby: give the pool the address of the primary.", false],
  ],
]);

/** How a node recognises the table whose notices it hears. */
export interface TableIdentity {
  readonly channel: string;
  readonly oid: number;
}

const identity = "SELECT $channel AS channel, $oid AS oid";

/** Runs statements on one table, creates it where it shall, and explains what is wrong with it. */
export class PostgresTable {
  /** The name, quoted, with its schema where that is known. */
  readonly name: string;
  readonly #pool: PostgresPool;
  readonly #creates: boolean;
  readonly #index: string;
  readonly #trigger: string;
  readonly #timeout: number;
  #created: Promise<unknown> | undefined;

  constructor(pool: PostgresPool, schema: string | undefined, table: string, creates: boolean, timeout: number) {
    this.#pool = pool;
    this.name = schema === undefined ? quoted(table) : `${quoted(schema)}.${quoted(table)}`;
    this.#index = quoted(`IDX_${table}_expire`);
    const trigger = quoted(`${table}_change`);
    this.#trigger = schema === undefined ? trigger : `${quoted(schema)}.${trigger}`;
    this.#creates = creates;
    this.#timeout = timeout;
  }

  /**
   * Runs a statement in which `$table` is the table, and `$channel` the channel of its notices. A statement without an
   * answer gives its connection up: the pool would miss it for as long as a lock is held, or the network is silent.
   */
  async query<Row>(text: string, values: unknown[], timeout = this.#timeout): Promise<Row[]> {
    if (this.#creates) await this.#create();
    const query = { text: this.#filled(text), values, query_timeout: timeout };
    for (;;) {
      // Without an idle connection the pool opens one, or waits for one.
      const isKept = (this.#pool.idleCount ?? 0) > 0;
      try {
        return (await this.#pool.query(query)).rows as Row[];
      } catch (error) {
        // After a failover a pool may still have connections to a server that is a standby now. Such an error ends its
        // connection, and the next may lead to the primary. Nothing was changed.
        if (!isKept || codeOf(error) !== readOnly) throw this.explained(error);
      }
    }
  }

  /** The channel of this table's notices, and the table's number: another one after it was made again. */
  async identity(): Promise<TableIdentity> {
    return (await this.query<TableIdentity>(identity, []))[0] as TableIdentity;
  }

  /** As {@link PostgresTable.identity}, as one connection sees it. */
  async identityFor(client: PostgresClient): Promise<TableIdentity> {
    const { rows } = (await client.query(this.#filled(identity))) as { rows: TableIdentity[] };
    return rows[0] as TableIdentity;
  }

  #filled(text: string): string {
    return text
      .replaceAll("$table", () => this.name)
      .replaceAll("$channel", () => channelOf(this.#oid))
      .replaceAll("$oid", () => this.#oid);
  }

  get #oid(): string {
    return `'${this.name.replaceAll("'", "''")}'::regclass::oid`;
  }

  /** What the application has to mend as `STORE_NOT_READY`, any other error as it is. */
  explained(error: unknown): unknown {
    if (this.#pool.ending === true)
      return new Refusal("The application has called pool.end(): close the sessions first, then the pool.");
    const [why, isTable] = setupErrors.get(codeOf(error)) ?? [];
    if (why === undefined) return error;
    const fix = isTable ? ` Create ${this.name} by createTable: true, or by: ${this.#statements().join(" ")}` : "";
    return new Refusal(`${why}${fix} PostgreSQL says: ${(error as Error).message}.`);
  }

  async #create(): Promise<void> {
    this.#created ??= this.#createIfMissing();
    try {
      await this.#created;
    } catch (error) {
      this.#created = undefined;
      throw this.explained(error);
    }
  }

  async #createIfMissing(): Promise<void> {
    // Who may not create tables can still use one that is there.
    const text = `SELECT to_regclass($1) IS NOT NULL AS table,
      EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass($1) AND tgname = $2) AS trigger`;
    const values = [this.name, triggerName];
    const { rows } = await this.#pool.query({ text, values, query_timeout: this.#timeout });
    const found = rows[0] as { readonly table: boolean; readonly trigger: boolean };
    if (!found.table) await this.#run(this.#statements());
    if (!found.trigger) await this.#createTrigger();
  }

  /** The table may have been there before, of another owner or in use: sessions do without the trigger, too. */
  async #createTrigger(): Promise<void> {
    try {
      // A lock that waits keeps all later writers waiting.
      await this.#run([`SET LOCAL lock_timeout = ${triggerPatience};`, ...triggerStatements(this.name, this.#trigger)]);
    } catch (error) {
      if (!triggerRefusals.has(codeOf(error))) throw error;
      debug("no trigger: changes by services without this library are found at the end of the lease: %s", error);
    }
  }

  /** In one message, so that it is one transaction: nodes that start together do it one after the other. */
  async #run(statements: readonly string[]): Promise<void> {
    const text = [`SELECT pg_advisory_xact_lock(${lock});`, ...statements].join("\n");
    await this.#pool.query({ text, query_timeout: this.#timeout });
  }

  #statements(): string[] {
    return [
      `CREATE TABLE IF NOT EXISTS ${this.name} (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL);`,
      `CREATE INDEX IF NOT EXISTS ${this.#index} ON ${this.name} (expire);`,
    ];
  }
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null | undefined)?.code);
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
