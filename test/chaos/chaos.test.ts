// All promises between nodes at once, while nodes die and the storage comes and goes. A short run here; longer ones by
// `npm run chaos`, which sets CHAOS_SEED, CHAOS_SECONDS and CHAOS_STORE.
import { describe, expect, test } from "vitest";
import { runChaos } from "./run.js";
import { type Kind, kinds as allKinds } from "./storage.js";
import { summary } from "./summary.js";

const { CHAOS_SEED: seed = "18", CHAOS_SECONDS: seconds = "7", CHAOS_STORE: store } = process.env;
const kinds = allKinds.filter((kind: Kind) => store === undefined || store === kind);

describe.each(kinds)("on %s", (kind) => {
  test(`${seconds} s of chaos with seed ${seed}`, { timeout: (Number(seconds) + 180) * 1000 }, async () => {
    // Beside other tests the machine is busy.
    const slack = process.env["CHAOS_SECONDS"] === undefined ? { slack: 4000 } : {};
    const history = await runChaos({ kind, seed: Number(seed), seconds: Number(seconds), ...slack });
    process.stdout.write(`chaos on ${kind}, seed ${seed}, ${seconds} s:\n${summary(history)}\n`);
    // A run in which nothing happened would promise nothing.
    expect(history.operations.filter(({ kind, outcome }) => kind === "put" && outcome === "ok").length).toBeGreaterThan(
      20,
    );
    expect(history.faults.filter(({ isOutage }) => isOutage)).not.toEqual([]);
    expect(history.deaths.size).toBeGreaterThan(0);
  });
});
