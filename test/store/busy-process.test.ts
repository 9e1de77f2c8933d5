// A process that was busy for longer than a command may take: the answers are there, and what was not sent is sent.
import { setImmediate as nextTurn } from "node:timers/promises";
import { beforeAll, expect, test, vi } from "vitest";
import { withTimeout } from "../../src/internal/timeout.js";
import { CommandRunner } from "../../src/store/commands/command-runner.js";
import { redisStore } from "../../src/store/drivers/redis/redis-store.js";
import { backendOf } from "../../src/store/live-store.js";
import { byChannels, ownPrefix, redisClient, startRedis } from "../support/redis.js";
import { subscribe } from "../support/subscriber.js";

let redis: Awaited<ReturnType<typeof startRedis>>;
beforeAll(async () => {
  // One of its own, as it is paused.
  redis = await startRedis();
  return () => redis.server.close();
});

const timeout = 200;

/** Does nothing else for longer than a command may take. */
function beBusy(): void {
  const until = performance.now() + 3 * timeout;
  while (performance.now() < until);
}

test.each([
  ["keys", {}],
  ["channels", byChannels],
])("reads and writes by %s that are answered meanwhile succeed", async (hears, options) => {
  const admin = await redisClient(redis.url);
  const store = redisStore({ client: await redisClient(redis.url, options), prefix: ownPrefix(), timeout });
  const backend = backendOf(store);
  subscribe(store, () => undefined, false);
  await store.set("the-id", { cookie: { originalMaxAge: null }, user: "ada" } as never);
  await backend.watch("the-id");
  expect(store.hears).toBe(hears);
  // It has its script from now on.
  await backend.end("one-id", "SESSION_DESTROYED");
  // Nothing is answered before the process is busy.
  await admin.sendCommand(["CLIENT", "PAUSE", `${timeout / 2}`, "ALL"]);
  const reading = backend.read("the-id", (text) => text !== undefined);
  const ending = backend.end("another-id", "SESSION_DESTROYED");
  // Until they are sent.
  for (let turn = 0; turn < 5; turn++) await nextTurn();
  // This one is not.
  const another = backend.read("the-id", (text) => text !== undefined);
  beBusy();
  expect(await Promise.all([reading, another])).toEqual([true, true]);
  await ending;
  expect(store.isHearing).toBe(true);
});

test("a command without an answer is given up all the same", async () => {
  const runner = new CommandRunner(true, timeout);
  const since = performance.now();
  const failed = expect(runner.run("", () => new Promise(() => undefined))).rejects.toMatchObject({
    code: "STORE_UNAVAILABLE",
  });
  beBusy();
  await failed;
  // As much later again as the process was late, and no more than a command may take.
  expect(performance.now() - since).toBeGreaterThanOrEqual(4 * timeout);
  expect(performance.now() - since).toBeLessThan(10 * timeout);
});

test("nobody is given up who has answered meanwhile, and who has not is", async () => {
  const late = vi.fn(() => "late");
  // Both are due in the same turn; what is answered in it comes first.
  const answer = new Promise<string>((resolve) => setTimeout(() => resolve("in time"), timeout + 1));
  const answered = withTimeout(answer, timeout, late);
  beBusy();
  expect(await answered).toBe("in time");
  expect(late).not.toHaveBeenCalled();
  expect(await withTimeout(new Promise(() => undefined), 1, late)).toBe("late");
  expect(late).toHaveBeenCalledTimes(1);
});
