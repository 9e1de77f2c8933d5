// The stores that applications without this library use.
import pgSimple from "connect-pg-simple";
import { RedisStore } from "connect-redis";
import session from "express-session";
import { CountingStore } from "../counting-store.js";
import { postgresPool, redisClient } from "./clients.js";

const PostgresStore = pgSimple(session);

const stores = {
  memory: () => new session.MemoryStore(),
  counting: () => new CountingStore(),
  redis: async () => new RedisStore({ client: await redisClient() }),
  postgres: () => new PostgresStore({ pool: postgresPool(), createTableIfMissing: true }),
};

export const plainStore = (storage) => stores[storage]();
