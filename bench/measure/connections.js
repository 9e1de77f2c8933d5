// Connections, each with a session of its own: CPU per connect and per disconnect, heap while they are open.
import { setTimeout } from "node:timers/promises";
import { closeAll, connectAll, inParallel } from "../client.js";
import { measureCpu } from "./cpu.js";

/** What came late is over (ms). */
const rest = 50;

export async function measureConnections(server, { connections }, add) {
  const cookies = server.cookies.slice(0, connections);
  const settledHeap = async () => {
    await setTimeout(rest);
    return server.ask("collect");
  };
  const before = await settledHeap();
  let clients;
  await measureCpu(server, connections, "connect", add, async () => {
    clients = await connectAll(server, cookies);
  });
  add("heap", ((await settledHeap()) - before) / connections);
  await inParallel(clients, 16, (client) => client.emit("read"));
  add("heap-read", ((await settledHeap()) - before) / connections);
  await measureCpu(server, connections, "disconnect", add, () => closeAll(server, clients));
}
