// npm run bench -- --check: the working tree against a commit. Both take turns, the commit twice, which shows the noise;
// what is worse by more than that fails.
import { contestants, ours } from "./contestants/index.js";
import { buildCommit, commitToCompare } from "./library.js";
import { passes } from "./passes.js";
import { logInto, takeTurns, withServers } from "./rounds.js";
import { costs, resultOf } from "./rows.js";
import { Results } from "./statistics.js";
import { openStorage } from "./storages.js";
import { aligned } from "./tables.js";

/** Until when rounds begin on a storage, if nothing else is asked for (s). All in all it takes two minutes at most. */
const ends = { memory: 60, redis: 100 };
/** Short rounds: the more there are, the better is known what is noise. */
const sizes = { generations: 1, rounds: 50, warmUps: 2, slices: 4, connections: 1000, sockets: 100, events: 40 };
const fewestRounds = 4;
const rows = ["connect", "disconnect", "heap", "read", "write"];
/** Two processes with the same code differ by about this. */
const leastNoise = 0.015;

export async function check(options, say) {
  const started = performance.now();
  const { title, library } = buildCommit(options.commit ?? commitToCompare());
  const own = contestants.find(({ name }) => name === ours);
  const commit = { ...own, name: "commit", module: ours, library };
  const given = Object.fromEntries(options.given.map((name) => [name, options[name]]));
  const wanted = {
    ...options,
    ...sizes,
    ...given,
    only: options.only ?? rows,
    stores: options.stores ?? ["memory", "redis"],
  };
  const results = new Results(commit.name, Infinity);
  for (const pass of passes(wanted).filter(({ isOnce }) => !isOnce)) {
    const storage = await openStorage(pass.storage).catch((error) =>
      say(`${pass.storage} is left out: ${error.message}`),
    );
    if (!storage) continue;
    const deadline = options.given.includes("rounds") ? undefined : started + ends[pass.storage] * 1000;
    const turns = { ...wanted, ...pass, storage, deadline, isWanted: (row) => wanted.only.includes(row) };
    try {
      await withServers(pass.twinsOf([commit, own]), { storage }, async (servers) => {
        await logInto(servers, pass.sessions);
        await takeTurns(
          servers,
          pass.measures.map(({ measure }) => measure),
          turns,
          (row, round, name, value) => results.add(resultOf(row, storage.name), round, name, value),
          (step) => say(`${storage.name}: ${step}`),
        );
      });
    } finally {
      await storage.close();
    }
  }
  const judged = verdicts(results, wanted);
  const head = ["", title, "working tree", "noise", "rounds", ""];
  process.stdout.write(`\n${aligned([head, ...judged.map(({ cells }) => cells)])}\n`);
  const isUnclear = judged.every(({ isJudged }) => !isJudged);
  if (isUnclear) process.stdout.write("\nNothing was judged: the machine is too busy. `--rounds 6` takes its time.\n");
  if (isUnclear || judged.some(({ isWorse }) => isWorse)) process.exitCode = 1;
}

function verdicts(results, { only, stores }) {
  const measured = costs.filter(({ id, isLatency }) => only.includes(id) && !isLatency);
  return stores.flatMap((storage) =>
    measured.flatMap(({ id, title, unit }) => {
      const row = resultOf(id, storage);
      const ratio = results.ratio(row, ours);
      if (ratio === undefined) return [];
      const { differences } = results.rounds(row);
      const squares = differences.map((difference) => difference ** 2);
      const deviation = Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
      // Three standard errors of a median of such ratios, if rounds differ as the commit does from itself.
      const noise = Math.max((3.25 * deviation) / Math.sqrt(squares.length), leastNoise);
      const isJudged = squares.length >= fewestRounds;
      const isWorse = isJudged && ratio > 1 + noise;
      const change = isWorse ? "WORSE" : ratio < 1 - noise ? "better" : "";
      const verdict = isJudged ? change : "too few rounds";
      const value = `${Math.round(results.value(row, "commit")).toLocaleString("en")} ${unit}`;
      const cells = [
        `${title}, ${storage}`,
        value,
        `${ratio.toFixed(3)}×`,
        `± ${(noise * 100).toFixed(1)} %`,
        `${squares.length}`,
        verdict,
      ];
      return [{ cells, isWorse, isJudged }];
    }),
  );
}
