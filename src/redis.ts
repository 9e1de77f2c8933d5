/**
 * A store on Redis or Valkey.
 *
 * @module socket-session/redis
 */
export {
  type IoRedisClient,
  type IoRedisClusterClient,
  type RedisClient,
  type RedisClusterClient,
  type RedisSentinelClient,
  redisStore,
  type RedisStoreOptions,
} from "./store/drivers/redis/redis-store.js";
