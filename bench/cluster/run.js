// Measures two nodes on each storage that there is. Answers with the results; knows nothing of the report.
import { setTimeout } from "node:timers/promises";
import { ServerProcess } from "../servers.js";
import {
  measureCommands,
  measureEnd,
  measureMemory,
  measureOldService,
  measureReconnects,
  openStreams,
} from "./measure.js";
import { contestants, baseline, ours } from "../contestants/index.js";
import { openStorage } from "../storages.js";

const storages = [
  ["redis", "Redis"],
  ["postgres", "PostgreSQL"],
];
/** How a connection ends, beside the logout of a socket. */
const ends = [
  { title: "a logout, a stream", connect: openStreams },
  { title: "`allow` says no, a socket", path: "/forbid" },
  { title: "`allow` says no, a stream", path: "/forbid", connect: openStreams },
];
const [bare, own, guide] = [baseline, ours, "guide"].map((wanted) => contestants.find(({ name }) => name === wanted));

/** `say` is told what is under way. A storage that cannot be started is left out. */
export async function measureCluster({ sockets, runs, commands }, say) {
  const results = [];
  for (const [name, title] of storages) {
    let storage;
    try {
      storage = await openStorage(name);
    } catch (error) {
      say(`${title} is left out: ${error.message}`);
      continue;
    }
    try {
      results.push({
        title,
        version: storage.version,
        ...(await measureOn(name, storage, { sockets, runs, commands }, say)),
      });
    } finally {
      await storage.close();
    }
  }
  return results;
}

async function measureOn(name, storage, { sockets, runs, commands }, say) {
  const start = () => ServerProcess.start(own, { storage });
  const countsOf = (server) => storage.counts?.() ?? server.ask("statements");
  const withServers = async (starts, work) => {
    const servers = await Promise.all(starts.map((one) => one()));
    try {
      return await work(...servers);
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
  };

  /** From an end on one node to the close on another, with fresh processes. */
  const measureEnds = (startOne, end) =>
    withServers([startOne, startOne], async (a, b) => {
      // What was compiled late is slow: the first ones do not count.
      await measureEnd({ a, b }, { ...end, sockets: Math.ceil(sockets / 5) });
      await setTimeout(500);
      return measureEnd({ a, b }, { ...end, sockets });
    });

  const logouts = [];
  for (let run = 1; run <= runs; run++) {
    say(`${name}: logouts ${run}/${runs}`);
    logouts.push(await measureEnds(start));
  }
  const otherEnds = {};
  const asking = () => ServerProcess.start(own, { storage, hasAllow: true });
  for (const { title, ...end } of ends) {
    say(`${name}: ${title}`);
    otherEnds[title] = await measureEnds(asking, end);
  }
  say(`${name}: an old service`);
  const viewing = () => ServerProcess.start(own, { storage, hasView: true });
  const oldService = await withServers([viewing, viewing, () => ServerProcess.start(guide, { storage })], (a, b, old) =>
    measureOldService({ a, b, old }, { sockets: commands }),
  );
  say(`${name}: a node dies`);
  const reconnects = await withServers([start, start], (a, b) => measureReconnects({ a, b, countsOf }, { sockets }));
  say(`${name}: commands`);
  const asked = await withServers([start], (a) => measureCommands({ a, countsOf }, commands));
  say(`${name}: memory`);
  const memory = await withServers([start, () => ServerProcess.start(bare)], (a, plain) =>
    measureMemory({ a, bare: plain, storage }, { sockets, rounds: runs }),
  );
  return { logouts, otherEnds, oldService, reconnects, commands: asked, memory };
}
