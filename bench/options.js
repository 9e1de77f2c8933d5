// How long and how much is measured: defaults, --quick, and one flag per number.
import { parseArgs } from "node:util";

const full = {
  generations: 2,
  rounds: 8,
  connects: 200,
  connections: 1000,
  heapRounds: 2,
  sockets: 30,
  events: 250,
  clusterRuns: 3,
  clusterSockets: 1000,
  clusterCommands: 200,
};
const quick = {
  generations: 1,
  rounds: 3,
  connects: 50,
  connections: 150,
  heapRounds: 1,
  sockets: 10,
  events: 30,
  clusterRuns: 1,
  clusterSockets: 200,
  clusterCommands: 50,
};

export const usage = `npm run bench -- [--quick] [--cluster | --no-cluster] [--no-report] [--<number> n]

  --quick          a short run, under a minute: good for a look, not for numbers to rely on
  --cluster        several nodes alone; the rest of docs/benchmarks.md stays as it is
  --no-cluster     one node alone; that section stays as it is
  --no-report      prints only, leaves docs/benchmarks.* as they are
  --generations n  fresh server processes, each warmed up again (${full.generations})
  --rounds n       rounds per generation (${full.rounds})
  --connects n     connects per round (${full.connects})
  --connections n  open connections for the heap (${full.connections})
  --heapRounds n   heap rounds per generation (${full.heapRounds})
  --sockets n      sockets that send events (${full.sockets})
  --events n       events per socket and round (${full.events})
  --clusterRuns n      runs with fresh nodes (${full.clusterRuns})
  --clusterSockets n   sockets on a node (${full.clusterSockets})
  --clusterCommands n  how often each is done whose commands are counted (${full.clusterCommands})
`;

export function readOptions(args = process.argv.slice(2)) {
  const numbers = Object.fromEntries(Object.keys(full).map((name) => [name, { type: "string" }]));
  const names = ["quick", "cluster", "no-cluster", "no-report", "help"];
  const switches = Object.fromEntries(names.map((name) => [name, { type: "boolean" }]));
  const { values } = parseArgs({ args, options: { ...numbers, ...switches } });
  const options = { ...(values.quick ? quick : full), isQuick: values.quick === true };
  for (const name of Object.keys(full)) {
    if (values[name] === undefined) continue;
    const number = Number(values[name]);
    if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} is a whole number above 0`);
    options[name] = number;
  }
  // A burst is ten events.
  options.events = Math.ceil(options.events / 10) * 10;
  return {
    ...options,
    help: values.help === true,
    hasOneNode: values.cluster !== true,
    hasCluster: values["no-cluster"] !== true,
    isReported: values["no-report"] !== true,
  };
}
