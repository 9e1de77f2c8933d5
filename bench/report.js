// From results to text: tables on the terminal, docs/benchmarks.md and its picture.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { chart } from "./chart.js";
import { section, sectionOf, withSection } from "./cluster/section.js";
import { baseline, contestants } from "./contestants/index.js";
import { facts } from "./facts.js";
import { judge } from "./goals.js";
import { costs, counts } from "./rows.js";

const docs = new URL("../docs/", import.meta.url);
const file = new URL("benchmarks.md", docs);

export function report(results, run) {
  const tables = { costs: costTable(results), user: userTable(results), counts: countTable(results) };
  const goals = judge(results);
  const lines = goals.map(({ goal, measured, isMet }) => `${isMet ? "met    " : "NOT met"}  ${goal}: ${measured}`);
  const blocks = [aligned(tables.costs), aligned(tables.counts), lines.join("\n")];
  process.stdout.write(`\n${blocks.join("\n\n")}\n`);
  if (!run.options.isReported) return;
  mkdirSync(docs, { recursive: true });
  writeFileSync(new URL("benchmarks.svg", docs), chart(results));
  const written = page(results, tables, goals, run);
  // What another run wrote of several nodes stays until it is measured again.
  const several = sectionOf(readFileSync(file, { encoding: "utf8", flag: "a+" }));
  writeFileSync(file, several === undefined ? written : withSection(written, several));
  process.stdout.write("\nWritten to docs/benchmarks.md and docs/benchmarks.svg.\n");
}

/** The section on several nodes: printed, and put into the page that is there. */
export function reportCluster(results, options) {
  const { clusterSockets: sockets, clusterCommands: commands } = options;
  const text = section(results, { sockets, commands, cores: cpus().length });
  process.stdout.write(`\n${text}`);
  if (!options.isReported) return;
  writeFileSync(file, withSection(readFileSync(file, "utf8"), text));
  process.stdout.write("\nWritten to docs/benchmarks.md.\n");
}

function costTable(results) {
  return tableOf(costs, "", (row, { name }) => {
    const value = results.value(row.id, name);
    if (value === undefined) return "–";
    const absolute = `${Math.round(value).toLocaleString("en")} ${row.unit}`;
    return name === baseline ? absolute : `${results.ratio(row.id, name, baseline).toFixed(2)}× (${absolute})`;
  });
}

/** The CPU rows again, without the operating system's share: it differs most between machines. */
function userTable(results) {
  const rows = costs.filter(({ unit }) => unit === "µs");
  return tableOf(rows, "", (row, { name }) => {
    const id = `${row.id}-user`;
    const value = results.value(id, name);
    if (value === undefined) return "–";
    return name === baseline ? `${Math.round(value)} µs` : `${results.ratio(id, name, baseline).toFixed(2)}×`;
  });
}

function countTable(results) {
  return tableOf(counts, "", (row, { name }) => {
    const value = results.value(row.id, name);
    if (value === undefined) return "–";
    return row.unit === "share" ? `${Math.round(value * 100)} %` : String(Math.round(value * 100) / 100);
  });
}

function tableOf(rows, corner, cell) {
  const head = [corner, ...contestants.map(({ title }) => title)];
  return [head, ...rows.map((row) => [row.title, ...contestants.map((contestant) => cell(row, contestant))])];
}

function aligned(table) {
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  const pad = (text, column) => (column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column]));
  return table.map((row) => row.map(pad).join("  ")).join("\n");
}

function markdown([head, ...rows], align = "---") {
  const rule = head.map((_, column) => (column === 0 ? "---" : align));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function page(results, tables, goals, { options, seconds }) {
  const spread = spreadOf(results);
  const rounds = options.generations * options.rounds;
  const goalRows = goals.map(({ goal, measured, isMet }) => [goal, measured, isMet ? "yes" : "**no**"]);
  const meanings = [...costs, ...counts].filter(({ means }) => means !== "");
  return `<!-- Written by \`npm run bench\`; do not edit. -->
# Benchmarks

What sessions on sockets cost, compared to Socket.IO without sessions. Run the benchmarks yourself:

\`\`\`sh
npm run bench               # some minutes; writes this page and its picture
npm run bench -- --cluster  # several nodes alone
npm run bench -- --quick    # a look, too short to rely on
npm run bench -- --help     # all options
\`\`\`
${options.isQuick ? "\n**This page is of a `--quick` run: too short to rely on.**\n" : ""}
![Cost relative to bare Socket.IO](benchmarks.svg)

## Cost

Each cell has the ratio to bare Socket.IO, and the absolute number. Less is better.

${markdown(tables.costs, "---:")}

The same for CPU time without that of the operating system, whose share differs most between machines:

${markdown(tables.user, "---:")}

## Store calls

An express-session \`MemoryStore\` counts its calls: \`get\` is a read, \`set\` and \`touch\` are writes. The others use it
directly, socket-session through \`liveStore(store)\`. The costs above are those of socket-session's default store, whose
calls cannot be counted from outside; the same code makes them. Calls to a store in memory cost almost nothing; with a
store behind a network they are the cost of sessions. A fraction below 1 depends on how many events come during a save.

${markdown(tables.counts, "---:")}

## Goals

${markdown([["goal", "this run", "met"], ...goalRows])}

## What is compared

${markdown([["", "what it is"], ...contestants.map(({ title, about }) => [title, about])])}

| row | what it means |
| --- | --- |
${meanings.map(({ title, means }) => `| ${title} | ${means} |`).join("\n")}

## How it is measured

- Every contestant's server is a process of its own (Express, Socket.IO, default settings except a ping interval that is
  longer than a measurement). The clients are in another process, speak the protocol by hand, and are the same for all.
  All traffic is on 127.0.0.1.
- CPU is \`process.cpuUsage()\` of the server process alone: user and system time of all its threads, with garbage
  collection. Wall time does not count.
- Contestants take turns within each round. Each ratio is taken within a round; the median of ${rounds} rounds counts
  (${options.generations} generations of fresh processes, ${options.rounds} rounds each, after warm-up).
  Half of the rounds' ratios for socket-session were within: ${spread}.
- Per round: ${options.connects} connects; ${options.sockets} sockets with ${options.events} events each. Heap: ${options.connections.toLocaleString("en")} connections.
- This run took ${seconds} s.

## The machine

${markdown([["", ""], ...facts()])}
`;
}

function spreadOf(results) {
  const parts = ["connect", "read", "write-burst"].map((row) => {
    const { low, high } = results.spread(row, "socket-session", baseline);
    return `${row} ${low.toFixed(2)} to ${high.toFixed(2)}`;
  });
  return parts.join(", ");
}
