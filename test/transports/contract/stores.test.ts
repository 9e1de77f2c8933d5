// Every kind of server on the stores that nodes share.
import { beforeAll, describe } from "vitest";
import { postgresStore } from "../../../src/store/drivers/postgres/postgres-store.js";
import { redisStore } from "../../../src/store/drivers/redis/redis-store.js";
import { serverContract } from "../../contract/server.js";
import { ownTable, postgresPool, usePostgres } from "../../support/postgres.js";
import { ownPrefix, redisClient, useRedis } from "../../support/redis.js";
import { engineIo, type ServerKind, socketIo, stream, webSocket } from "../../support/servers.js";

const kinds = [socketIo, engineIo, webSocket, stream];
/** One way to connect is enough: polling needs no other store. */
const waysOf = ({ ways }: ServerKind): readonly string[] =>
  ways.filter((way) => way === "websocket" || ways.length === 1);

describe("on Redis", () => {
  let redis: Awaited<ReturnType<typeof useRedis>>;
  beforeAll(async () => {
    redis = await useRedis();
  });

  const openStore = async () => redisStore({ client: await redisClient(redis.url), prefix: ownPrefix() });
  for (const kind of kinds) serverContract(kind, { ways: waysOf(kind), openStore });
});

describe("on PostgreSQL", () => {
  let postgres: Awaited<ReturnType<typeof usePostgres>>;
  beforeAll(async () => {
    postgres = await usePostgres();
  });

  const openStore = async () =>
    postgresStore({ pool: postgresPool(postgres.url), table: ownTable(), createTable: true });
  for (const kind of kinds) serverContract(kind, { ways: waysOf(kind), openStore });
});
