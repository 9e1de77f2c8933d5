// What live sessions cost that nobody uses, while others are active: CPU of the server with and without them.
import { setTimeout } from "node:timers/promises";
import { connectAll } from "../client.js";
import { connectSilently, logIn } from "../http.js";
import { median } from "../statistics.js";

const active = 100;
const eventsPerSecond = 1000;
const tick = 10;
/** Seconds that do not count. */
const warmUp = 4;

/** The contestant, and once more with idle sessions. */
export const withIdle = (contestants) => [...contestants, ...contestants.map((one) => ({ ...one, hasIdle: true }))];

export async function* measureIdle(server, { idleSessions, idleSeconds }, add) {
  const { hasIdle, hasSession } = server.contestant;
  const clients = await connectAll(server, server.cookies.slice(0, active));
  if (hasIdle) {
    const cookies = hasSession ? await logIn(server, idleSessions) : Array(idleSessions).fill("");
    await connectSilently(server, cookies);
  }
  await server.ask("collect");
  yield* busyCpu(server, clients, warmUp);
  add(hasIdle ? "idle" : "busy", yield* busyCpu(server, clients, idleSeconds));
  await Promise.all(clients.map((client) => client.close()));
}

/** CPU per second (ms) while the clients send their events: the median of the seconds, between which others have theirs. */
async function* busyCpu(server, clients, seconds) {
  const samples = [];
  for (let second = 0; second < seconds; second++) {
    const before = await server.ask("cpu");
    const start = performance.now();
    await emitFrom(start, clients);
    samples.push(((await server.ask("cpu")) - before) / (performance.now() - start));
    yield;
  }
  return median(samples);
}

/** A second of events, in turns, not waiting for their answers. */
async function emitFrom(start, clients) {
  for (let sent = 0; sent < eventsPerSecond;) {
    await setTimeout(tick);
    const due = Math.min(((performance.now() - start) / 1000) * eventsPerSecond, eventsPerSecond);
    for (; sent < due; sent++) void clients[sent % clients.length].emit("read");
  }
}
