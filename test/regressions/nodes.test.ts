// What runs of test/chaos found.
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { closed } from "../support/browser.js";
import { startNodes } from "../support/fleet.js";
import { inTime } from "../support/pace.js";
import { ownPrefix, startRedis } from "../support/redis.js";

test(
  "a session that expired in an outage, while its socket was active, is told as expired, not as destroyed",
  { timeout: 60_000 },
  async () => {
    const { url, server } = await startRedis();
    onTestFinished(() => server.close());
    const store = { kind: "redis", url, prefix: ownPrefix(), timeout: 200 } as const;
    const [node] = await startNodes(1, { store, sessions: { lease: 500 } });
    // Its half is longer than an event may wait for a storage that is not known to be away yet: two timeouts.
    const maxAge = 1600;
    const { end } = await inTime(maxAge / 2, async (step) => {
      const ada = await node.login({ user: "ada", maxAge });
      const socket = await node.visit(ada).connect();
      const toCome = closed(socket);
      server.pause();
      try {
        // Each of them would give the session another second, but the storage does not hear of it.
        for (let passed = 0; passed < 2 * maxAge; passed += 100) {
          await socket.timeout(maxAge).emitWithAck("get");
          step();
          await delay(100);
        }
      } finally {
        server.resume();
      }
      return { end: toCome };
    });
    expect((await end).told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
  },
);
