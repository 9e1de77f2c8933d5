// This library on PostgreSQL, as a contestant of server.js. STORE_URL says where. Statements are counted on their way.
import pg from "pg";
import { postgresStore } from "socket-session/postgres";
import { startOn } from "./shared.js";

const pool = new pg.Pool({ connectionString: process.env.STORE_URL });
pool.on("error", () => {});
const counts = {};
const query = pool.query.bind(pool);
pool.query = (text, values) => {
  const name = nameOf(text);
  counts[name] = (counts[name] ?? 0) + 1;
  return query(text, values);
};

export function start(parts) {
  return { ...startOn(postgresStore({ pool, createTable: true }), parts), statements: () => counts };
}

/** A statement by what it does above all, with the notice that goes with it. */
function nameOf(text) {
  const verb = ["CREATE", "INSERT", "UPDATE", "DELETE", "SELECT"].find((one) => text.includes(one));
  return text.includes("pg_notify") ? `${verb} + NOTIFY` : verb;
}
