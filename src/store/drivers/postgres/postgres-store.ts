// The live store in PostgreSQL: its options, and what they have to be.
import {
  checkBooleans,
  checkFinite,
  checkNames,
  checkTimes,
  invalid,
  kindOf,
  type NamesOf,
} from "../../../internal/check-options.js";
import { LiveStore } from "../../live-store.js";
import { checkNotPool, checkPool, type PostgresPool } from "./pool.js";
import { PostgresDriver } from "./postgres-driver.js";
import { PostgresTable } from "./table.js";

export type { PostgresClient, PostgresPool } from "./pool.js";

/** Options of {@link postgresStore}. */
export interface PostgresStoreOptions {
  /**
   * A `Pool` of the package `pg` with two connections or more: one listens while sockets are open. Give it an `"error"`
   * listener. It stays yours to end.
   */
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
  checkNotPool(options);
  checkNames(options, optionNames, "postgresStore()", (name) => placeOf[name]);
  // Who writes JavaScript may leave them out.
  const given = (options as PostgresStoreOptions | undefined) ?? ({} as PostgresStoreOptions);
  const { pool, table = "session", schema, createTable = false, timeout = 5000, maxSessionSize } = given;
  const { ttl = 86_400, sweepInterval = 900_000 } = given;
  checkPool(pool);
  for (const [key, name] of Object.entries({ table, schema })) {
    const isName = name === undefined || (typeof name === "string" && name !== "");
    if (!isName) throw invalid(`${key} must be a name, not ${kindOf(name)}.`);
  }
  checkFinite({ ttl });
  checkBooleans({ createTable });
  if (sweepInterval !== false) checkTimes({ sweepInterval });
  const place = new PostgresTable(pool, schema, table, createTable, timeout);
  return new LiveStore(new PostgresDriver(pool, place, ttl * 1000, sweepInterval), { timeout, maxSessionSize });
}

/** Options of pg and of connect-pg-simple, and what stands for them here. */
const placeOf: Readonly<Record<string, string | undefined>> = {
  connectionString: "postgresStore({ pool: new Pool({ connectionString }) })",
  conString: "postgresStore({ pool: new Pool({ connectionString }) })",
  conObject: "postgresStore({ pool: new Pool(options) })",
  client: "postgresStore({ pool: new Pool() })",
  createTableIfMissing: "postgresStore({ createTable: true })",
  tableName: "postgresStore({ table })",
  schemaName: "postgresStore({ schema })",
  pruneSessionInterval: "postgresStore({ sweepInterval }), in ms",
};

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
