// One node of the cluster: the chat of ../chat, with its sessions and its messages in Redis. Knows nothing of the
// other nodes. Started by start.js; alone: `REDIS_URL=… SESSION_SECRET=… PORT=3001 node examples/cluster/node.js`
//
//   NODE_NAME  what the page calls this node
import process from "node:process";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { createClient } from "redis";
import { redisStore } from "socket-session/redis";
import { startChat } from "../chat/app.js";

const { REDIS_URL = "redis://localhost:6379", SESSION_SECRET, SESSION_MAX_AGE, PORT = "0", NODE_NAME } = process.env;

const client = createClient({ url: REDIS_URL });
client.on("error", (error) => console.error(`Redis: ${error.message || error.code}`));
await client.connect();

const chat = await startChat({
  port: Number(PORT),
  // The same on all nodes: each has to know the cookies that another signed.
  secret: SESSION_SECRET,
  maxAge: SESSION_MAX_AGE ? Number(SESSION_MAX_AGE) * 1000 : undefined,
  // Sessions: what one node changes or ends, the others hear.
  store: redisStore({ client, prefix: "chat:" }),
  // Messages: what one node emits, the clients of the others get, too.
  adapter: createAdapter(client, { streamName: "chat-messages", channelPrefix: "chat-messages" }),
  node: NODE_NAME,
});
let isStopping = false;

async function stop() {
  if (isStopping) return;
  isStopping = true;
  await chat.stop(); // closes the sockets and the server, then saves what is not saved yet
  await client.close(); // when the last command was answered
  // The adapter may still wait for messages, for some seconds.
  process.exit();
}

for (const event of ["SIGINT", "SIGTERM", "disconnect"]) process.once(event, stop);

// Whoever waits for this may stop it from now on.
if (process.send) process.send({ url: chat.url });
else console.log(chat.url);
