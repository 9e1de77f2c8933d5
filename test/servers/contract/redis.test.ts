// Every kind of server on a store that nodes share.
import { afterAll, beforeAll } from "vitest";
import { redisStore } from "../../../src/store/redis.js";
import { serverContract } from "../../contract/server.js";
import { ownPrefix, redisClient, useRedis } from "../../support/redis.js";
import { engineIo, socketIo, webSocket } from "../../support/servers.js";

let redis: Awaited<ReturnType<typeof useRedis>>;
beforeAll(async () => {
  redis = await useRedis();
});
afterAll(() => redis.close());

for (const kind of [socketIo, engineIo, webSocket]) {
  serverContract(kind, {
    ways: ["websocket"],
    openStore: async () => redisStore({ client: await redisClient(redis.url), prefix: ownPrefix() }),
  });
}
