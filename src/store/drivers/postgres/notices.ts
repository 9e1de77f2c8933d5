// How notices are heard in PostgreSQL: one connection of the pool listens for the whole table. Opens it; `ReconnectingNotices` decides
// when to open it again.
import type { NoticeConnection, NoticeEvents } from "../../cluster/reconnecting-notices.js";
import type { PostgresTable } from "./table.js";

/** What is used of a `Pool` of the package `pg`. */
export interface PostgresPool {
  readonly totalCount: number;
  /** How many connections wait for a statement. */
  readonly idleCount?: number;
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

/** Opens what a node hears on. */
export async function openPostgresNotices(
  pool: PostgresPool,
  table: PostgresTable,
  events: NoticeEvents,
): Promise<NoticeConnection> {
  const { channel, oid } = await table.identity();
  const client = await pool.connect();
  let isReleased = false;
  const release = (): void => {
    if (isReleased) return;
    isReleased = true;
    // Not to be used again: it listens.
    client.release(true);
  };
  client.on("error", events.onLost);
  client.on("end", () => events.onLost("the connection ended"));
  client.on("notification", ({ payload = "" }) => {
    const at = payload.indexOf(" ");
    events.onMessage(payload.slice(0, at), payload.slice(at + 1));
  });
  try {
    await client.query(`LISTEN "${channel}"`);
  } catch (error) {
    release();
    throw table.explained(error);
  }
  return {
    // All sessions of the table are heard of; `ReconnectingNotices` knows which are watched.
    subscribe: () => Promise.resolve(),
    unsubscribe: () => Promise.resolve(),
    ping: async () => {
      // Whoever ends the pool waits for this connection.
      if ((pool as { ending?: boolean }).ending) throw new Error("the pool is ending");
      const now = await table.identityFor(client);
      // Dropped and made again, or another one under its name: what was in it is to be read anew.
      if (now.channel !== channel || now.oid !== oid) throw new Error("it is another table now");
    },
    close: release,
  };
}
