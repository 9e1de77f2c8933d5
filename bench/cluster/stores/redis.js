// This library on Redis, as a contestant of server.js. STORE_URL says where.
import { createClient } from "redis";
import { redisStore } from "socket-session/redis";
import { startOn } from "./shared.js";

const client = createClient({ url: process.env.STORE_URL });
client.on("error", () => {});
await client.connect();

export function start(parts) {
  // What Redis is asked, it counts itself.
  return startOn(redisStore({ client }), parts);
}
