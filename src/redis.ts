// The entry point `socket-session/redis`.
export {
  type IoRedisClient,
  type IoRedisClusterClient,
  type RedisClient,
  type RedisClusterClient,
  type RedisSentinelClient,
  redisStore,
  type RedisStoreOptions,
} from "./store/drivers/redis/redis-store.js";
