// The entry point `socket-session/redis`.
export {
  type RedisClient,
  type RedisClusterClient,
  redisStore,
  type RedisStoreOptions,
} from "./store/drivers/redis/redis-store.js";
