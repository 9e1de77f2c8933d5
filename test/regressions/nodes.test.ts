// What runs of test/chaos found.
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { closed } from "../support/browser.js";
import { startNodes } from "../support/fleet.js";
import { ownPrefix, startRedis } from "../support/redis.js";

test("a session that expired in an outage, while its socket was active, is told as expired, not as destroyed", async () => {
  const { url, server } = await startRedis();
  onTestFinished(() => server.close());
  const store = { kind: "redis", url, prefix: ownPrefix(), timeout: 300 } as const;
  const [node] = await startNodes(1, { store, sessions: { lease: 500 } });
  const ada = await node.login({ user: "ada", maxAge: 1000 });
  const socket = await node.visit(ada).connect();
  const end = closed(socket);
  server.pause();
  // Each of them would give the session another second, but the storage does not hear of it.
  for (let passed = 0; passed < 2000; passed += 100) {
    await socket.emitWithAck("get");
    await delay(100);
  }
  server.resume();
  expect((await end).told).toEqual([{ code: "SESSION_EXPIRED", retry: false }]);
});
