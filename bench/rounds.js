// Servers of one storage take turns, round by round: the baseline is there twice, so that whatever else the machine does
// shows as a difference between the two.
import { connectAll, inParallel } from "./client.js";
import { logIn } from "./http.js";
import { ServerProcess } from "./servers.js";
import { again } from "./statistics.js";

/**
 * How many clients stay connected all the time, as on every server in use. Without any, the collection between two
 * measures would throw away what is compiled for sockets, and all would be compiled anew in each round.
 */
const residents = 10;

/** Starts a server for each contestant, of which the first is the baseline; stops them after `work`. */
export async function withServers(contestants, options, work) {
  const servers = [];
  try {
    for (const contestant of contestants) {
      servers.push(await ServerProcess.start(contestant, { ...options, library: contestant.library }));
    }
    return await work(servers);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

/** Gives each server this many sessions. Bare Socket.IO is sent cookies too: it only does not look at them. */
export async function logInto(servers, count) {
  for (const server of servers) {
    if (server.contestant.hasSession) server.cookies = await logIn(server, count);
  }
  const some = servers.find(({ contestant }) => contestant.hasSession)?.cookies ?? Array(count).fill("");
  for (const server of servers) if (server.cookies.length === 0) server.cookies = some;
}

/**
 * Runs the measures on all servers, in turns from slice to slice. `add(row, round, contestant, value)` gets what was
 * measured. After the deadline (as of `performance.now()`) no round begins.
 */
export async function takeTurns(servers, measures, options, add, say) {
  const { rounds, warmUps, deadline, isWanted } = options;
  if (warmUps > 0) for (const server of servers) await openResidents(server);
  for (let round = 1 - warmUps; round <= rounds; round++) {
    // What was compiled late is slow: the first rounds do not count.
    const isCounted = round > 0;
    if (round > 1 && performance.now() > deadline) break;
    say(isCounted ? `round ${round}/${rounds}` : "warm-up");
    for (const measure of measures) {
      let running = servers.map((server) => {
        const addOne = (row, value) => isCounted && add(row, round, server.contestant.name, value);
        return measure(server, options, Object.assign(addOne, { isCounted, isWanted }));
      });
      while (running.length > 0) {
        const left = [];
        for (const one of running) if (!(await one.next()).done) left.push(one);
        running = left;
      }
    }
  }
}

async function openResidents(server) {
  const cookies = server.contestant.hasSession ? await logIn(server, residents) : server.cookies.slice(0, residents);
  const clients = await connectAll(server, cookies);
  await inParallel(clients, residents, (client) => client.emit("read"));
  server.residents = clients.length;
}

/** The contestants with the first of them, the baseline, once more at the end: in a process of its own. */
export function withBaselineAgain([baseline, ...others]) {
  return [baseline, ...others, { ...baseline, name: again, module: baseline.module ?? baseline.name }];
}
