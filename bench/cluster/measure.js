// What is measured between two nodes: from a logout on one to the close on the other, what the death of a node costs
// its neighbour, what the storage is asked, and what a live session weighs.
import { Agent, request } from "node:http";
import { loadavg } from "node:os";
import { setTimeout } from "node:timers/promises";
import { Client, closeAll, connectAll, inParallel } from "../client.js";
import { logIn } from "../http.js";
import { median, quantile } from "../statistics.js";

/** What is still under way when the clients are done (ms). */
const rest = 200;
const tabs = 4;
/** How long is waited for what does not come (ms). */
const patience = 1000;

/** Ends on `a`, by `path`, one after the other, those who have a connection on `b`: a socket, or what `connect` opens. */
export async function measureEnd({ a, b }, { sockets, path = "/logout", connect = connectAll }) {
  const cookies = await logIn(a, sockets);
  const clients = await connect(b, cookies);
  const agent = new Agent({ keepAlive: true });
  const load = loadavg()[0];
  const times = [];
  for (const [index, client] of clients.entries()) {
    const closed = client.closed();
    const answered = await post(agent, a, path, cookies[index]);
    // One that is closed before the response is there took no time.
    times.push(Math.max((await closed) - answered, 0));
  }
  agent.destroy();
  await b.isEmpty();
  return { ...quantilesOf(times), load };
}

/** Opens a stream for each cookie. */
export function openStreams({ port, origin }, cookies) {
  return inParallel(
    cookies,
    16,
    (cookie) =>
      new Promise((resolve, reject) => {
        const asked = request({ port, host: "127.0.0.1", path: "/stream", agent: false, headers: { cookie, origin } });
        asked.on("error", reject);
        asked.on("response", (response) => {
          if (response.statusCode !== 200) return reject(new Error(`/stream: ${response.statusCode}`));
          const closed = new Promise((end) => response.on("close", () => end(performance.now())));
          resolve({ closed: () => closed });
          response.on("error", () => {}).resume();
        });
        asked.end();
      }),
  );
}

const quantilesOf = (times) => ({
  median: quantile(times, 0.5),
  p99: quantile(times, 0.99),
  longest: Math.max(...times),
});

/** A service without this library changes sessions, then logs them out: until sockets on both nodes know. */
export async function measureOldService({ a, b, old }, { sockets }) {
  const cookies = await logIn(old, sockets);
  const onA = await connectAll(a, cookies);
  const onB = await connectAll(b, cookies);
  // What they are told after they have connected is no change.
  await setTimeout(rest);
  const agent = new Agent({ keepAlive: true });
  const load = loadavg()[0];
  const timesOf = async (path, hears) => {
    const times = [];
    for (const [index, cookie] of cookies.entries()) {
      const heard = Promise.all([onA[index], onB[index]].map(hears));
      const answered = await post(agent, old, path, cookie);
      const last = await Promise.race([heard, setTimeout(patience, [Infinity])]);
      times.push(Math.max(Math.max(...last) - answered, 0));
      // Where the storage does not tell, more of them would not either.
      if (last[0] === Infinity && index >= 2) break;
    }
    return { ...quantilesOf(times), load };
  };
  const change = await timesOf("/change", (client) => client.heard());
  const logout = await timesOf("/logout", (client) => client.closed());
  agent.destroy();
  return { change, logout };
}

/** Resolves with the moment at which the response has ended. */
function post(agent, { port }, path, cookie) {
  return new Promise((resolve, reject) => {
    const asked = request({ agent, port, host: "127.0.0.1", path, method: "POST", headers: { cookie } });
    asked.on("error", reject);
    asked.on("response", (response) => {
      if (response.statusCode !== 200) reject(new Error(`${path}: ${response.statusCode}`));
      response.on("end", () => resolve(performance.now())).resume();
    });
    asked.end();
  });
}

/** The clients of `a`, four tabs in each browser, come to `b` within a second when `a` dies. */
export async function measureReconnects({ a, b, countsOf }, { sockets }) {
  const sessions = Math.ceil(sockets / tabs);
  const cookies = await logIn(a, sessions);
  const all = cookies.flatMap((cookie) => Array.from({ length: tabs }, () => cookie));
  const before = await connectAll(a, all);
  const lost = Promise.all(before.map((client) => client.closed()));
  await a.stop();
  await lost;
  // What is done for the first connection of all is done before.
  const first = await connectAll(b, await logIn(b, 1));
  const asked = await settledCounts(b, countsOf);
  const since = performance.now();
  const clients = await Promise.all(
    all.map(async (cookie, index) => {
      await setTimeout((index / all.length) * 1000);
      return Client.connect(b, cookie);
    }),
  );
  const took = performance.now() - since;
  const counts = subtract(await settledCounts(b, countsOf), asked, 1);
  await closeAll(b, [...clients, ...first]);
  return { sockets: all.length, sessions, took, counts };
}

/** What the storage is asked by `a`, for each of these. */
export async function measureCommands({ a, countsOf }, count) {
  const asked = async (work) => {
    const before = await settledCounts(a, countsOf);
    await work();
    return subtract(await settledCounts(a, countsOf), before, count);
  };
  // What is done for the first of all is done before.
  const first = await connectAll(a, await logIn(a, 1));
  await first[0].emit("write");
  const rows = [];
  let cookies;
  let clients;
  const one = (event) => () => inParallel(clients, 4, (client) => client.emit(event));
  rows.push(["a login over HTTP", await asked(async () => (cookies = await logIn(a, count)))]);
  rows.push(["a socket that connects", await asked(async () => (clients = await connectAll(a, cookies)))]);
  rows.push(["an event that reads", await asked(one("read"))]);
  rows.push(["an event that writes", await asked(one("write"))]);
  rows.push([
    "ten that write at once",
    await asked(() => inParallel(clients, 4, (client) => client.emit("write", 10))),
  ]);
  const agent = new Agent({ keepAlive: true });
  rows.push([
    "a logout over HTTP",
    await asked(() => inParallel(cookies, 4, (cookie) => post(agent, a, "/logout", cookie))),
  ]);
  agent.destroy();
  await closeAll(a, first);
  return rows;
}

/** Bytes of each session: stored, watched by a node in the storage, and on the heap of that node. */
export async function measureMemory({ a, bare, storage }, { sockets, rounds }) {
  const samples = { stored: [], watched: [], heap: [], connection: [] };
  // The first round of all has costs of its own.
  for (let round = 0; round <= rounds; round++) {
    await storage.clear();
    const empty = await storage.bytes();
    const cookies = await logIn(a, sockets);
    const stored = await storage.bytes();
    let watched;
    const heap = await heapOf(a, cookies, async () => (watched = await storage.bytes()));
    const connection = await heapOf(bare, cookies);
    if (round === 0) continue;
    samples.stored.push((stored - empty) / sockets);
    samples.watched.push((watched - stored) / sockets);
    samples.heap.push((heap - connection) / sockets);
    samples.connection.push(connection / sockets);
  }
  return Object.fromEntries(Object.entries(samples).map(([name, values]) => [name, median(values)]));
}

/** The bytes that all connections together take on the heap. */
async function heapOf(server, cookies, meanwhile = () => undefined) {
  const settled = async () => {
    await setTimeout(rest);
    return server.ask("heap");
  };
  const before = await settled();
  const clients = await connectAll(server, cookies);
  const after = await settled();
  await meanwhile();
  await closeAll(server, clients);
  return after - before;
}

/** The counts when nothing is under way any more: what is saved after the acknowledgement counts, too. */
async function settledCounts(server, countsOf) {
  let counts = await countsOf(server);
  for (;;) {
    await setTimeout(rest);
    const now = await countsOf(server);
    if (Object.keys(subtract(now, counts, 1)).length === 0) return now;
    counts = now;
  }
}

function subtract(after, before, per) {
  const differences = Object.entries(after).map(([name, count]) => [name, (count - (before[name] ?? 0)) / per]);
  return Object.fromEntries(differences.filter(([, count]) => count > 0));
}
