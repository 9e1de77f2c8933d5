// npm run chaos: nodes die, the storage comes and goes, clients go on, for minutes; see test/chaos/. A seed repeats the
// choices of clients and faults, not the moments at which they meet.
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/** As in test/chaos/storage.ts. */
const stores = [
  "redis",
  "channels",
  "ioredis",
  "postgres",
  "cluster",
  "ioredis-cluster",
  "sentinels",
  "ioredis-sentinels",
];

const usage = `npm run chaos -- [--seed n] [--minutes m] [--store name]

  --seed n      what to repeat (default: a new one, which is printed)
  --minutes m   how long, for each store (default 3)
  --store name  one of ${stores.join(", ")}
                (default: one after the other; "channels" is Redis, heard by channels)
`;

const text = { type: "string" };
const { values } = parseArgs({ options: { seed: text, minutes: text, store: text, help: { type: "boolean" } } });
const seed = Number(values.seed ?? randomInt(1_000_000));
const minutes = Number(values.minutes ?? 3);
const isKnown = values.store === undefined || stores.includes(values.store);

if (values.help || !Number.isInteger(seed) || !(minutes > 0) || !isKnown) {
  process.stdout.write(usage);
  process.exit(values.help ? 0 : 1);
}

process.stdout.write(`seed ${seed}\n`);
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const vitest = ["node_modules/vitest/vitest.mjs", "run", "--project", "endurance", "test/chaos"];
const { status } = spawnSync(process.execPath, vitest, {
  cwd: root,
  stdio: "inherit",
  env: {
    ...process.env,
    CHAOS_SEED: `${seed}`,
    CHAOS_SECONDS: `${minutes * 60}`,
    ...(values.store && { CHAOS_STORE: values.store }),
  },
});
process.exitCode = status ?? 1;
