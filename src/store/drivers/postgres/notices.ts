// Hears notices in PostgreSQL: one connection of the pool listens for the whole table. Opens it; `ReconnectingNotices` decides
// when to open it again.
import type { NoticeConnection, NoticeEvents } from "../../cluster/reconnecting-notices.js";
import type { PostgresPool } from "./pool.js";
import type { PostgresTable } from "./table.js";

/** Opens the connection. */
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
    // Nobody may use it again: it listens.
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
    hears: "channels",
    // The channel has the notices of all sessions; `ReconnectingNotices` knows which are watched.
    subscribe: () => Promise.resolve(),
    unsubscribe: () => Promise.resolve(),
    ping: async () => {
      // Whoever ends the pool waits for this connection.
      if ((pool as { ending?: boolean }).ending) throw new Error("the pool is ending");
      const now = await table.identityFor(client);
      // Dropped and made again, or another one under its name: all has to be read again.
      if (now.channel !== channel || now.oid !== oid) throw new Error("it is another table now");
    },
    close: release,
  };
}
