// The PostgreSQL driver against a real server.
import { afterAll, beforeAll } from "vitest";
import { postgresStore } from "../../src/store/postgres.js";
import { storeContract } from "../contract/store.js";
import { ownTable, postgresPool, usePostgres } from "../support/postgres.js";

let postgres: Awaited<ReturnType<typeof usePostgres>>;
beforeAll(async () => {
  postgres = await usePostgres();
});
afterAll(() => postgres.close());

storeContract("postgres", () => ({
  store: postgresStore({ pool: postgresPool(postgres.url), table: ownTable(), createTable: true }),
}));
