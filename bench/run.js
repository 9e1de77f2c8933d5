// npm run bench: what sessions on sockets cost, next to Socket.IO without any. Contestants take turns, round by round,
// so that whatever else the machine does hits all alike; what counts are medians.
import { measureCluster } from "./cluster/run.js";
import { baseline, contestants } from "./contestants/index.js";
import { logIn } from "./http.js";
import { measureConnect } from "./measure/connect.js";
import { measureEvents } from "./measure/events.js";
import { measureHeap } from "./measure/heap.js";
import { measureStoreCalls } from "./measure/store-calls.js";
import { readOptions, usage } from "./options.js";
import { report, reportCluster } from "./report.js";
import { ServerProcess } from "./servers.js";
import { Results } from "./statistics.js";

const options = readOptions();
if (options.help) {
  process.stdout.write(usage);
  process.exit();
}

const results = new Results();
const started = Date.now();
const ignored = () => undefined;

if (options.hasOneNode) await measureOneNode();
if (options.hasCluster) {
  const { clusterSockets: sockets, clusterRuns: runs, clusterCommands: commands } = options;
  const say = (step) => process.stderr.write(`[${seconds()} s] several nodes: ${step}\n`);
  reportCluster(await measureCluster({ sockets, runs, commands }, say), options);
}

async function measureOneNode() {
  for (let generation = 1; generation <= options.generations; generation++) {
    await withServers({}, `servers ${generation}/${options.generations}`, measureGeneration);
  }
  await withServers({ isCounting: true }, "counting servers", async (servers, say) => {
    say("store calls");
    for (const server of servers) {
      await measureStoreCalls(server, adderFor(server));
    }
  });
  report(results, { options, seconds: Math.round((Date.now() - started) / 1000) });
}

async function measureGeneration(servers, say) {
  const { connections, connects, rounds, heapRounds, isQuick } = options;
  say("logins");
  const sessions = Math.max(connections, connects);
  for (const server of servers) {
    if (server.contestant.hasSession) server.cookies = await logIn(server, sessions);
  }
  // Bare Socket.IO is sent cookies too: it only does not look at them.
  const someCookies = servers.find((server) => server.contestant.hasSession).cookies;
  for (const server of servers) if (server.cookies.length === 0) server.cookies = [...someCookies];

  const inTurns = async (measure, isCounted = true) => {
    for (const server of servers) await measure(server, options, isCounted ? adderFor(server) : ignored);
  };
  // What was compiled late is slow: the first rounds do not count.
  for (let round = isQuick ? 0 : -2; round <= rounds; round++) {
    const isCounted = round > 0;
    say(isCounted ? `round ${round}/${rounds}` : "warm-up");
    await inTurns(measureConnect, isCounted);
    await inTurns(measureEvents, isCounted);
  }
  for (let round = 0; round <= heapRounds; round++) {
    say(round > 0 ? `heap ${round}/${heapRounds}` : "heap, warm-up");
    await inTurns(measureHeap, round > 0);
  }
}

async function withServers(how, title, work) {
  const say = (step) => process.stderr.write(`[${seconds()} s] ${title}: ${step}\n`);
  say("start");
  const servers = [];
  try {
    const wanted = contestants.filter((contestant) => !how.isCounting || contestant.name !== baseline);
    servers.push(...(await Promise.all(wanted.map((contestant) => ServerProcess.start(contestant, how)))));
    await work(servers, say);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

function adderFor(server) {
  return (row, value) => results.add(row, server.contestant.name, value);
}

function seconds() {
  return String(Math.round((Date.now() - started) / 1000)).padStart(3);
}
