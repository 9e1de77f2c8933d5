// From results to text: tables on the terminal, docs/operate/benchmarks.md and its pictures.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { goals as clusterGoals, section, sectionOf, withSection } from "./cluster/section.js";
import { contestants } from "./contestants/index.js";
import { facts } from "./facts.js";
import { judge } from "./goals.js";
import { costPicture, nodesPicture, usersPicture } from "./pictures.js";
import { costs, counts } from "./rows.js";
import { tolerance } from "./statistics.js";
import { aligned, commandTable, costTable, countTable, markdown, usersTable } from "./tables.js";

const docs = new URL("../docs/operate/", import.meta.url);
const file = new URL("benchmarks.md", docs);
const storages = [
  ["memory", "Memory store"],
  ["redis", "Redis"],
  ["postgres", "PostgreSQL"],
];

export function report(results, run) {
  const goals = judge(results);
  const lines = goals.map(({ goal, measured, isMet }) => `${isMet ? "met    " : "NOT met"}  ${goal}: ${measured}`);
  const blocks = [
    ...storages.map(([storage, title]) => titled(title, costTable(results, storage))),
    titled("Commands to Redis", commandTable(results)),
    titled("Store calls", countTable(results)),
    lines.join("\n"),
  ];
  process.stdout.write(`\n${blocks.filter((block) => block !== "").join("\n\n")}\n`);
  if (!run.options.isReported) return;
  mkdirSync(docs, { recursive: true });
  writeFileSync(new URL("benchmarks.svg", docs), costPicture(results));
  writeFileSync(new URL("benchmarks-users.svg", docs), usersPicture(results));
  const written = page(results, goals, run);
  // What another run wrote of several nodes stays until it is measured again.
  const several = sectionOf(readFileSync(file, { encoding: "utf8", flag: "a+" }));
  writeFileSync(file, several === undefined ? written : withSection(written, several));
  process.stdout.write("\nWritten to docs/operate/benchmarks.md, with its pictures.\n");
}

/** What was found about the goals that are not met, each once. */
function limitsOf(missed) {
  const found = [...new Set(missed.map(({ limit }) => limit).filter(Boolean))];
  return found.length === 0
    ? ""
    : `\nWhere the limits lie, as far as found:\n\n${found.map((limit) => `- ${limit}\n`).join("")}`;
}

/** The section on several nodes: printed, and put into the page that is there. */
export function reportCluster(results, options) {
  const { clusterSockets: sockets, clusterCommands: commands } = options;
  const text = section(results, { sockets, commands, cores: cpus().length });
  process.stdout.write(`\n${text}`);
  if (!options.isReported) return;
  if (results.length > 0) writeFileSync(new URL("benchmarks-nodes.svg", docs), nodesPicture(results, clusterGoals));
  writeFileSync(file, withSection(readFileSync(file, "utf8"), text));
  process.stdout.write("\nWritten to docs/operate/benchmarks.md, with its picture.\n");
}

function titled(title, table) {
  return table.length > 1 ? `${title}\n${aligned(table)}` : "";
}

/** A table for each storage that was measured. */
function sections(those, tableOf) {
  const tables = those.map(([storage, title]) => ({ title, table: tableOf(storage) }));
  const there = tables.filter(({ table }) => table.length > 1);
  return there.map(({ title, table }) => `\n### ${title}\n\n${markdown(table, "---:")}\n`).join("");
}

function page(results, goals, { options, seconds }) {
  const missed = goals.filter(({ isMet }) => !isMet);
  const goalRows = goals.map(({ goal, measured, isMet }) => [goal, measured, isMet ? "yes" : "**no**"]);
  const meanings = [...costs, ...counts].filter(({ means }) => means !== "");
  const number = (value) => value.toLocaleString("en");
  return `<!-- Written by \`npm run bench\`; do not edit. -->
# Benchmarks

What sessions on sockets cost, compared to Socket.IO without sessions. Run the benchmarks yourself:

\`\`\`sh
npm run bench               # half an hour; writes this page and its pictures
npm run bench -- --check    # compares with the last release, in two minutes
npm run bench -- --only connect --store redis
npm run bench -- --help     # all options
\`\`\`
${options.isQuick ? "\n**This page is of a `--quick` run: too short to rely on.**\n" : ""}
![Cost relative to bare Socket.IO](benchmarks.svg)

## Goals

${missed.length === 0 ? "All are met in this run." : `${missed.length} of ${goals.length} are not met in this run:`}

${markdown([["goal", "this run", "met"], ...goalRows])}
${limitsOf(missed)}
## What 10,000 users cost

CPU time of the server process and its heap, everything included: Socket.IO's own share is the column “bare”.

![What 10,000 users cost](benchmarks-users.svg)
${sections(storages.slice(0, 2), (storage) => usersTable(results, storage))}
## Cost

Each cell has the ratio to bare Socket.IO, and what is added to it. Less is better. Bare runs in two processes: “bare
twice” is by how much they differed, as the median. Rounds in which it was more than ${tolerance * 100} % are thrown away; “rounds”
says how many were kept. Where none was kept all count, and the row says little.
${sections(storages, (storage) => costTable(results, storage))}
${number(options.stormClients)} clients come back at once; ${number(options.idleSessions)} sessions are idle.

## Store calls

What comes to Redis over the network. A script is one command, whatever it does within Redis.

${markdown(commandTable(results), "---:")}

An express-session \`MemoryStore\` counts its calls: \`get\` is a read, \`set\` and \`touch\` are writes. The others use it
directly, socket-session through \`liveStore(store)\`. A fraction below 1 depends on how many events come during a save.

${markdown(countTable(results), "---:")}

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
  collection. Garbage of what was before is collected first. Wall time counts only for the event loop's delays.
- Each round is done in ${options.slices} slices, in which contestants take turns: what slows the machine for some seconds slows all
  alike. Each ratio is taken within a round; the median of the rounds counts (${options.generations} generations of fresh processes,
  ${options.rounds} rounds each, after ${options.warmUps} rounds of warm-up).
- Per round: ${number(options.connections)} connections; ${options.sockets} sockets with ${options.events} events each.
- This run took ${seconds} s.

## The machine

${markdown([["", ""], ...facts()])}
`;
}
