// The entry point `socket-session/redis`.
export {
  type RedisClient,
  type RedisClusterClient,
  type RedisSentinelClient,
  redisStore,
  type RedisStoreOptions,
} from "./store/drivers/redis/redis-store.js";
