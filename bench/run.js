// npm run bench: what sessions on sockets cost, next to Socket.IO without any. Contestants take turns, round by round,
// so that whatever else the machine does hits all alike; what counts are medians of rounds within one another.
import { check } from "./check.js";
import { measureCluster } from "./cluster/run.js";
import { baseline, contestantsOn } from "./contestants/index.js";
import { readOptions, usage } from "./options.js";
import { passes } from "./passes.js";
import { profile } from "./profile.js";
import { report, reportCluster } from "./report.js";
import { logInto, takeTurns, withServers } from "./rounds.js";
import { resultOf } from "./rows.js";
import { Results } from "./statistics.js";
import { openStorage } from "./storages.js";

const started = Date.now();
const options = readOptions();
const say = (step) => process.stderr.write(`[${String(seconds()).padStart(3)} s] ${step}\n`);

if (options.isHelp) process.stdout.write(usage);
else if (options.isCheck) await check(options, say);
else if (options.profiled) await profile(options, say);
else {
  if (options.hasOneNode) await measureOneNode();
  if (options.hasCluster) {
    const { clusterSockets: sockets, clusterRuns: runs, clusterCommands: commands } = options;
    const sayOne = (step) => say(`several nodes: ${step}`);
    reportCluster(await measureCluster({ sockets, runs, commands }, sayOne), options);
  }
}

async function measureOneNode() {
  const results = new Results(baseline);
  for (const pass of passes(options)) {
    let storage;
    try {
      storage = await openStorage(pass.storage);
    } catch (error) {
      say(`${pass.storage} is left out: ${error.message}`);
      continue;
    }
    try {
      for (let generation = 0; generation < pass.generations; generation++) {
        await measurePass({ ...pass, storage }, generation, results);
      }
    } finally {
      await storage.close();
    }
  }
  report(results, { options, seconds: seconds() });
}

async function measurePass({ storage, contestants: names, ...pass }, generation, results) {
  const there = contestantsOn(storage.name).filter(({ name }) => names?.includes(name) ?? true);
  const wanted = there.filter(({ name }) => name === baseline || (options.contestants?.includes(name) ?? true));
  if (wanted.every(({ name }) => name === baseline) && storage.name === "counting") return;
  await withServers(pass.twinsOf(wanted), { storage }, async (servers) => {
    const rows = pass.measures[0].rows;
    const title = `${storage.name}, ${rows.join(" ").slice(0, 40)}, servers ${generation + 1}/${pass.generations}`;
    say(`${title}: logins`);
    await logInto(servers, pass.sessions);
    await takeTurns(
      servers,
      pass.measures.map(({ measure }) => measure),
      { ...options, ...pass, storage, isWanted: (row) => options.only?.includes(row) ?? true },
      (row, round, name, value) =>
        results.add(resultOf(row, storage.name), generation * pass.rounds + round, name, value),
      (step) => say(`${title}: ${step}`),
    );
  });
}

function seconds() {
  return Math.round((Date.now() - started) / 1000);
}
