// The clients of storages, as an application would make them. STORE_URL says where the storage is.
import pg from "pg";
import { createClient } from "redis";

/** The statements that PostgreSQL was asked for, by what they do. */
export const statements = {};

export async function redisClient() {
  const client = createClient({ url: process.env.STORE_URL });
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** A pool whose statements are counted on their way. */
export function postgresPool() {
  const pool = new pg.Pool({ connectionString: process.env.STORE_URL });
  pool.on("error", () => {});
  const query = pool.query.bind(pool);
  pool.query = (text, ...rest) => {
    const name = nameOf(text);
    statements[name] = (statements[name] ?? 0) + 1;
    return query(text, ...rest);
  };
  return pool;
}

/** A statement by what it does above all, with the notice that goes with it. */
function nameOf(query) {
  const text = query.text ?? query;
  const verb = ["CREATE", "INSERT", "UPDATE", "DELETE", "SELECT"].find((one) => text.includes(one));
  return text.includes("pg_notify") ? `${verb} + NOTIFY` : verb;
}
