// Servers of one storage take turns, round by round: the baseline first and once more at the end, so that whatever else
// the machine does shows as a difference between the two.
import { logIn } from "./http.js";
import { ServerProcess } from "./servers.js";
import { again } from "./statistics.js";

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
 * Runs the measures on all servers in turns. `add(row, round, contestant, value)` gets what was measured, the second
 * measurement of the first server as `again`. After the deadline (as of `performance.now()`) no round begins.
 */
export async function takeTurns(
  servers,
  measures,
  { rounds, warmUps, isPaired = true, isWanted = () => true, deadline, ...options },
  add,
  say,
) {
  const [first] = servers;
  const order = isPaired ? [...servers, first] : servers;
  for (let round = 1 - warmUps; round <= rounds; round++) {
    // What was compiled late is slow: the first rounds do not count.
    const isCounted = round > 0;
    if (round > 1 && performance.now() > deadline) break;
    say(isCounted ? `round ${round}/${rounds}` : "warm-up");
    for (const measure of measures) {
      for (const [turn, server] of order.entries()) {
        const name = turn >= servers.length ? again : server.contestant.name;
        const addOne = (row, value) => isCounted && add(row, round, name, value);
        await measure(server, options, Object.assign(addOne, { isCounted, isWanted }));
      }
    }
  }
}
