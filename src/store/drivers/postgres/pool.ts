// What the driver uses of a pool of the package pg. The application injects it; nothing of the package is imported.
import { SessionError } from "../../../errors.js";
import { kindOf } from "../../../internal/check-options.js";

/** What is used of a `Pool` of the package `pg`. */
export interface PostgresPool {
  readonly totalCount: number;
  /** How many connections wait for a statement. */
  readonly idleCount?: number;
  /** True after `end()`: it gives no connection any more. */
  readonly ending?: boolean;
  readonly options?: { readonly max?: number | undefined };
  query(query: PostgresQuery): Promise<{ readonly rows: unknown[] }>;
  connect(): Promise<PostgresClient>;
  listenerCount(event: "error"): number;
}

/** A statement, as `pg` takes it. */
export interface PostgresQuery {
  readonly text: string;
  readonly values?: unknown[];
  /** How long it may hold its connection, in ms; 0 for as long as the pool allows. */
  readonly query_timeout: number;
}

/** What is used of a client that a pool gave. */
export interface PostgresClient {
  query(text: string): Promise<unknown>;
  on(event: "notification", listener: (notice: { payload?: string | undefined }) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "end", listener: () => void): unknown;
  release(destroy: true): void;
}

/** Throws `STORE_CLIENT_INVALID` for a pool in place of the options that hold one. */
export function checkNotPool(options: unknown): void {
  if (typeof (options as { query?: unknown } | null | undefined)?.query === "function")
    refuse("postgresStore() takes options, not the pool itself: postgresStore({ pool }).");
}

/** Throws `STORE_CLIENT_INVALID` for a pool that cannot work, and says which one can. */
export function checkPool(value: unknown): void {
  if (value === undefined || value === null) refuse("There is no pool: npm install pg, then new Pool().");
  const pool = value as Record<string, unknown>;
  for (const method of ["query", "connect", "listenerCount"]) {
    if (typeof pool[method] !== "function")
      refuse(`It is ${kindOf(value)}, without ${method}(): pass a Pool of the package pg.`);
  }
  if (typeof pool["totalCount"] !== "number") refuse("It is one client, not a pool: pass a Pool of the package pg.");
  if ((value as PostgresPool).listenerCount("error") === 0) {
    refuse('It has no "error" listener, so that a restart of the server ends the process: pool.on("error", …).');
  }
  if ((value as PostgresPool).options?.max === 1) {
    refuse("It has one connection, but listening for notices needs one of its own: max must be 2 or more.");
  }
}

function refuse(detail: string): never {
  throw new SessionError("STORE_CLIENT_INVALID", { detail });
}
