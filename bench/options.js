// How long and how much is measured: defaults, --quick, and one flag per number.
import { parseArgs } from "node:util";
import { contestants } from "./contestants/index.js";
import { rowNames } from "./passes.js";

const full = {
  generations: 2,
  rounds: 4,
  warmUps: 2,
  connections: 3000,
  slices: 10,
  sockets: 200,
  events: 100,
  stormRounds: 4,
  stormClients: 10_000,
  idleSessions: 100_000,
  idleSeconds: 10,
  clusterRuns: 3,
  clusterSockets: 1000,
  clusterCommands: 200,
};
const quick = {
  generations: 1,
  rounds: 3,
  warmUps: 1,
  connections: 500,
  slices: 2,
  sockets: 50,
  events: 40,
  stormRounds: 2,
  stormClients: 1000,
  idleSessions: 5000,
  idleSeconds: 3,
  clusterRuns: 1,
  clusterSockets: 200,
  clusterCommands: 50,
};

export const usage = `npm run bench -- [options]

Without options, all is measured, which takes about half an hour, and docs/operate/benchmarks.* are written. It needs 20,000
open files (ulimit -n), for the connections of all contestants.

  --check [commit]   compares with a commit, by default the last release; fails where a row is worse; under 2 minutes
  --profile row      profiles the server while it does this, into .cache/bench, and prints where its time goes
                     (a sample waits for the next system call, which then has the time of the code before it)
  --quick            a short run, some minutes: good for a look, not for numbers to rely on
  --only a,b         these rows alone, printed only: ${rowNames.slice(0, 11).join(", ")}, …
  --store a,b        these storages alone, printed only: memory, redis, postgres
  --contestants a,b  these alone, and bare, printed only: ${contestants.map(({ name }) => name).join(", ")}
  --cluster          several nodes alone; the rest of docs/operate/benchmarks.md stays as it is
  --no-cluster       one node alone; that section stays as it is
  --no-report        prints only, leaves docs/operate/benchmarks.* as they are

  --generations n      fresh server processes, each warmed up again (${full.generations})
  --rounds n           rounds per generation (${full.rounds})
  --warmUps n          rounds before them that do not count (${full.warmUps})
  --connections n      connections per round (${full.connections})
  --slices n           parts of a round between which the others have their turn (${full.slices})
  --sockets n          sockets that send events (${full.sockets})
  --events n           events per socket and round (${full.events})
  --stormRounds n      rounds in which all clients come back at once (${full.stormRounds})
  --stormClients n     how many they are (${full.stormClients})
  --idleSessions n     live sessions that nobody uses (${full.idleSessions})
  --idleSeconds n      how long their cost is measured (${full.idleSeconds})
  --clusterRuns n      runs with fresh nodes (${full.clusterRuns})
  --clusterSockets n   sockets on a node (${full.clusterSockets})
  --clusterCommands n  how often each is done whose commands are counted (${full.clusterCommands})
`;

export function readOptions(args = process.argv.slice(2)) {
  const strings = [...Object.keys(full), "only", "store", "contestants", "profile"];
  const switches = ["check", "quick", "cluster", "no-cluster", "no-report", "help"];
  const flags = (names, type) => Object.fromEntries(names.map((name) => [name, { type }]));
  const { values, positionals } = parseArgs({
    args,
    options: { ...flags(strings, "string"), ...flags(switches, "boolean") },
    allowPositionals: true,
  });
  if (positionals.length > (values.check ? 1 : 0)) throw new Error(`what is ${positionals.at(-1)}?`);
  const numbers = { ...(values.quick ? quick : full) };
  const given = Object.keys(full).filter((name) => values[name] !== undefined);
  for (const name of given) {
    const number = Number(values[name]);
    if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} is a whole number above 0`);
    numbers[name] = number;
  }
  const only = listOf("only", values.only ?? values.profile, rowNames);
  const stores = listOf("store", values.store, ["memory", "redis", "postgres"]);
  const names = listOf(
    "contestants",
    values.contestants,
    contestants.map(({ name }) => name),
  );
  const isPart = [only, stores, names].some((list) => list !== undefined);
  return {
    ...numbers,
    given,
    only,
    stores,
    contestants: names,
    isQuick: values.quick === true,
    isHelp: values.help === true,
    isCheck: values.check === true,
    commit: positionals[0],
    profiled: values.profile,
    hasOneNode: values.cluster !== true,
    hasCluster: values["no-cluster"] !== true && !isPart,
    isReported: values["no-report"] !== true && !isPart,
  };
}

function listOf(flag, text, known) {
  const list = text?.split(",");
  const unknown = list?.find((name) => !known.includes(name));
  if (unknown) throw new Error(`--${flag}: ${unknown} is none of ${known.join(", ")}`);
  return list;
}
