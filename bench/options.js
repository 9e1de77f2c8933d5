// How long and how much is measured: defaults, --quick, and one flag per number.
import { parseArgs } from "node:util";

const full = { generations: 2, rounds: 8, connects: 200, connections: 1000, heapRounds: 2, sockets: 30, events: 250 };
const quick = { generations: 1, rounds: 3, connects: 50, connections: 150, heapRounds: 1, sockets: 10, events: 30 };

export const usage = `npm run bench -- [--quick] [--no-report] [--<number> n]

  --quick          a short run, under 30 s: good for a look, not for numbers to rely on
  --no-report      prints only, leaves docs/benchmarks.* as they are
  --generations n  fresh server processes, each warmed up again (${full.generations})
  --rounds n       rounds per generation (${full.rounds})
  --connects n     connects per round (${full.connects})
  --connections n  open connections for the heap (${full.connections})
  --heapRounds n   heap rounds per generation (${full.heapRounds})
  --sockets n      sockets that send events (${full.sockets})
  --events n       events per socket and round (${full.events})
`;

export function readOptions(args = process.argv.slice(2)) {
  const numbers = Object.fromEntries(Object.keys(full).map((name) => [name, { type: "string" }]));
  const switches = { quick: { type: "boolean" }, "no-report": { type: "boolean" }, help: { type: "boolean" } };
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
  return { ...options, help: values.help === true, isReported: values["no-report"] !== true };
}
