// Promise 12 when a node dies: its clients all come to another one, which reads each session once.
import { expect, onTestFinished, test } from "vitest";
import { type Node, startNodes } from "../support/fleet.js";
import { ownPrefix, redisClient, startRedis } from "../support/redis.js";

const browsers = 250;
const sockets = 4;

test(
  `${browsers * sockets} sockets of ${browsers} browsers that come at once are ${browsers} reads`,
  { timeout: 60_000 },
  async () => {
    const { url, server } = await startRedis();
    onTestFinished(() => server.close());
    const [a, b] = await startNodes(2, { store: { kind: "redis", url, prefix: ownPrefix() } });
    const all = await Promise.all(Array.from({ length: browsers }, (_, index) => a.login({ user: `user ${index}` })));
    const visit = (node: Node): Promise<unknown[]> =>
      Promise.all(
        all.flatMap((browser) => {
          const visitor = node.visit(browser);
          return Array.from({ length: sockets }, () => visitor.connect());
        }),
      );
    await visit(a);
    await a.kill();
    const client = await redisClient(url);
    await client.configResetStat();
    const since = performance.now();
    await visit(b);
    const took = performance.now() - since;
    const calls = Object.fromEntries(
      [...(await client.info("commandstats")).matchAll(/cmdstat_(\w+):calls=(\d+)/g)].map(([, name, count]) => [
        name,
        Number(count),
      ]),
    );
    process.stdout.write(`${browsers * sockets} sockets in ${took.toFixed(0)} ms: ${JSON.stringify(calls)}\n`);
    expect(calls).toMatchObject({ get: browsers });
    expect(calls["evalsha"]).toBeUndefined();
    expect(await b.state()).toMatchObject({ size: browsers, isHearing: true });
  },
);
