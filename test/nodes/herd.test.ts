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
    // The first of all opens the connection on which a node hears.
    await b.visit(all[0] as (typeof all)[number]).connect();
    const client = await redisClient(url);
    await client.configResetStat();
    const since = performance.now();
    await visit(b);
    const took = performance.now() - since;
    const numbers = async (section: string, what: RegExp): Promise<Record<string, number>> =>
      Object.fromEntries(
        [...(await client.info(section)).matchAll(what)].map(([, name, count]) => [name, Number(count)]),
      );
    const { keyspace_hits: read } = await numbers("stats", /(keyspace_hits):(\d+)/g);
    const calls = await numbers("commandstats", /cmdstat_(\w+):calls=(\d+)/g);
    process.stdout.write(`${browsers * sockets} sockets in ${took.toFixed(0)} ms: ${JSON.stringify(calls)}\n`);
    expect(read).toBe(browsers - 1);
    // At most: those who come in one turn are read together.
    expect(calls["mget"]).toBeLessThan(browsers);
    for (const other of ["get", "evalsha"]) expect(calls[other]).toBeUndefined();
    expect(await b.state()).toMatchObject({ size: browsers, isHearing: true });
  },
);
