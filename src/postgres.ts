/**
 * A store on PostgreSQL.
 *
 * @module socket-session/postgres
 */
export {
  type PostgresClient,
  type PostgresPool,
  postgresStore,
  type PostgresStoreOptions,
} from "./store/drivers/postgres/postgres-store.js";
