// Starts the chat on two nodes, with Redis between them and a load balancer in front: `npm run demo:cluster`.
//
//   REDIS_URL        the Redis or Valkey to use (default: a private one, gone at the end)
//   PORT             where the balancer listens; the nodes have the two ports after it (default 3000; 0: free ones)
//   SESSION_SECRET   signs the session cookies (default: a new one at each start, which logs everyone out)
//   SESSION_MAX_AGE  seconds that a session lives without activity (default: 8 hours)
import { fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { startBalancer } from "./balancer.js";
import { startRedis } from "./redis.js";

const { REDIS_URL, PORT = "3000", SESSION_SECRET = randomBytes(32).toString("base64url") } = process.env;
const port = Number(PORT);

const stops = [];
let isStopping = false;

/** Ends all that was started, the newest first. Asked twice, it does not wait. */
async function stop(code) {
  if (isStopping) process.exit(1);
  isStopping = true;
  for (const end of stops.toReversed()) await end();
  process.exit(code);
}

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => stop(0));

try {
  const redisUrl = REDIS_URL || (await ownRedis());
  const nodes = await Promise.all([1, 2].map((number) => startNode(number, redisUrl)));
  const balancer = await startBalancer(
    port,
    nodes.map(({ url }) => url),
  );
  stops.push(() => balancer.stop());
  console.log(`balancer  ${balancer.url}`);
  for (const { name, url, child } of nodes) {
    console.log(`${name}    ${url}  (process ${child.pid})`);
    child.once("exit", () => {
      balancer.leaveOut(url);
      if (!isStopping) console.log(`${name} has ended: the balancer goes on without it`);
    });
  }
  console.log("Log in on one node, write on the other, log out on one. Ctrl-C ends everything.");
} catch (error) {
  if (!isStopping) {
    console.error(error.message);
    await stop(1);
  }
}

async function ownRedis() {
  const redis = await startRedis();
  stops.push(redis.stop);
  return redis.url;
}

async function startNode(number, redisUrl) {
  const name = `node ${number}`;
  const own = { NODE_NAME: name, PORT: port === 0 ? "0" : `${port + number}`, SESSION_SECRET, REDIS_URL: redisUrl };
  const child = fork(join(import.meta.dirname, "node.js"), {
    env: { ...process.env, ...own },
    // Ctrl-C goes to all processes of a terminal: these are told by stop(), in their turn.
    detached: true,
  });
  const ended = once(child, "exit");
  stops.push(async () => {
    child.kill("SIGTERM");
    await ended;
  });
  const failed = ended.then(([code, signal]) => {
    throw new Error(`${name} did not start: it ended with ${code ?? signal}`);
  });
  const [{ url }] = await Promise.race([once(child, "message"), failed]);
  failed.catch(() => {}); // later ends are told above
  return { name, url, child };
}
