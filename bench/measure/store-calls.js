// How often the store is read and written: per connect, per event. Needs a server that counts.
import { setTimeout } from "node:timers/promises";
import { Client, closeAll, connectAll } from "../client.js";
import { logIn, poll } from "../http.js";

const sockets = 10;
const polls = 5;
const events = 20;

export async function* measureStoreCalls(server, _options, add) {
  const cookies = await logIn(server, sockets);
  const callsOf = async (work, per) => {
    const before = await server.ask("calls");
    await work();
    // What is saved after the acknowledgement counts too.
    await setTimeout(50);
    const after = await server.ask("calls");
    return { reads: (after.reads - before.reads) / per, writes: (after.writes - before.writes) / per };
  };

  let clients;
  const connecting = await callsOf(async () => {
    clients = await connectAll(server, cookies);
  }, sockets);
  add("reads-websocket", connecting.reads);

  for (const [event, size, row] of [
    ["read", 1, "read"],
    ["write", 1, "write"],
    ["write", 10, "write-burst"],
  ]) {
    const work = () => Promise.all(clients.map((client) => client.emitAll(event, events, size)));
    const calls = await callsOf(work, sockets * events);
    add(`reads-${row}`, calls.reads);
    add(`writes-${row}`, calls.writes);
  }
  await closeAll(server, clients);
  yield;

  const polling = await callsOf(() => poll(server, cookies[0], polls), 1);
  add("reads-polling", polling.reads);
  await server.isEmpty();

  let tabs;
  const opening = await callsOf(async () => {
    tabs = await Promise.all(Array.from({ length: 10 }, () => Client.connect(server, cookies[0])));
  }, 1);
  add("reads-tabs", opening.reads);
  await closeAll(server, tabs);
}
