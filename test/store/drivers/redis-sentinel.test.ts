// Clients that Sentinels tell of the primary, of node-redis and of ioredis: a primary that dies takes nothing with it but
// what it had not told its replica.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisStore, type RedisStoreOptions } from "../../../src/store/drivers/redis/redis-store.js";
import { storeContract } from "../../contract/store.js";
import { startApp } from "../../support/app.js";
import { idOf } from "../../support/fleet.js";
import { ioRedisSentinelClient } from "../../support/ioredis.js";
import { ownPrefix, redisClient } from "../../support/redis.js";
import { redisSentinelClient, type SentinelledRedis, startSentinels } from "../../support/sentinel.js";

type Open = (ports: readonly number[]) => RedisStoreOptions["client"] | Promise<RedisStoreOptions["client"]>;

const kinds: readonly (readonly [string, Open])[] = [
  ["node-redis", redisSentinelClient],
  ["ioredis 6", (ports) => ioRedisSentinelClient("ioredis 6", ports)],
  ["ioredis 5", (ports) => ioRedisSentinelClient("ioredis 5", ports)],
];

describe.each(kinds)("Sentinels, by %s", (name, open) => {
  let redis: SentinelledRedis;
  beforeAll(async () => {
    redis = await startSentinels();
  });
  afterAll(() => redis.close());

  storeContract(`Sentinels, by ${name}`, async () => ({
    store: redisStore({ client: await open(redis.ports), prefix: ownPrefix() }),
  }));

  test(
    "a primary that is killed: changes and logouts go on at the next one, and each is heard",
    { timeout: 90_000 },
    async () => {
      const prefix = ownPrefix();
      const node = async () => {
        const store = redisStore({ client: await open(redis.ports), prefix, timeout: 2000 });
        return startApp({
          // So long that it finds nothing.
          sessions: { store, lease: 3_600_000 },
          setup({ io, sessions }) {
            io.on("connection", (socket) => {
              socket.on("get", (done) => done({ ...socket.session, cookie: undefined }));
              socket.on("count", (done) =>
                sessions
                  .update(socket, (data) => (data.count = (data.count ?? 0) + 1))
                  .then(
                    () => done("saved"),
                    (error) => done(error.code),
                  ),
              );
            });
          },
        });
      };
      const [first, second] = [await node(), await node()];
      const browsers = await Promise.all(["ada", "bob", "eve"].map((user) => first.login(user)));
      const sockets = await Promise.all(browsers.map((browser) => browser.connect()));
      await expect.poll(() => first.sessions.store.hears).toBe("keys");
      const [ada, bob] = sockets;
      const ended = new Promise((resolve) => bob?.once("session:end", resolve));

      await redis.failOver();

      let attempts = 0;
      await expect.poll(() => (attempts++, ada?.emitWithAck("count")), { timeout: 30_000 }).toBe("saved");
      await expect.poll(() => first.sessions.store.hears, { timeout: 30_000 }).toBe("keys");
      const [adaId, bobId, eveId] = browsers.map(idOf) as [string, string, string];
      // By the other node, which this one hears.
      await second.sessions.update(adaId, (data) => void Object.assign(data, { other: "told" }));
      await expect.poll(async () => (await ada?.emitWithAck("get"))?.other).toBe("told");
      // Of an attempt that failed nobody knows whether it was stored.
      const { count } = ((await ada?.emitWithAck("get")) ?? { count: 0 }) as { count: number };
      expect(count >= 1 && count <= attempts).toBe(true);
      await second.sessions.destroy(bobId);
      expect(await ended).toMatchObject({ code: "SESSION_DESTROYED" });
      // And by a service without this library.
      const raw = await redisClient(`redis://127.0.0.1:${await redis.primary()}`);
      await raw.del(prefix + eveId);
      await expect.poll(() => sockets[2]?.connected).toBe(false);
    },
  );
});
