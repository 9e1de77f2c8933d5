// What live sessions cost that nobody uses, while others are active: CPU of the server with and without them.
import { setTimeout } from "node:timers/promises";
import { connectAll } from "../client.js";
import { connectSilently, logIn } from "../http.js";

const active = 100;
const eventsPerSecond = 1000;
const tick = 10;

export async function measureIdle(server, { idleSessions, idleSeconds }, add) {
  const clients = await connectAll(server, server.cookies.slice(0, active));
  await busyCpu(server, clients, 2);
  const alone = await busyCpu(server, clients, idleSeconds);
  const cookies = server.contestant.hasSession ? await logIn(server, idleSessions) : Array(idleSessions).fill("");
  await connectSilently(server, cookies);
  await setTimeout(1000);
  const among = await busyCpu(server, clients, idleSeconds);
  add("idle-alone", alone);
  add("idle", among - alone);
  await Promise.all(clients.map((client) => client.close()));
}

/** CPU per second (ms) while the clients send their events. */
async function busyCpu(server, clients, seconds) {
  await server.ask("collect");
  const before = await server.ask("cpu");
  const start = performance.now();
  const end = start + seconds * 1000;
  const answers = [];
  let sent = 0;
  while (performance.now() < end) {
    await setTimeout(tick);
    for (const due = ((performance.now() - start) / 1000) * eventsPerSecond; sent < due; sent++) {
      const client = clients[sent % clients.length];
      answers[sent % clients.length] = client.emit("read");
    }
  }
  await Promise.all(answers);
  const after = await server.ask("cpu");
  return (after.user - before.user + after.system - before.system) / (performance.now() - start);
}
