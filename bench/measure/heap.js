// Heap per open connection, each with a session of its own: once idle, once after an event has read the session.
import { setTimeout } from "node:timers/promises";
import { closeAll, connectAll, inParallel } from "../client.js";

export async function measureHeap(server, { connections }, add) {
  const cookies = server.cookies.slice(0, connections);
  const settledHeap = async () => {
    await setTimeout(100);
    return server.ask("heap");
  };
  const before = await settledHeap();
  const clients = await connectAll(server, cookies);
  add("heap", ((await settledHeap()) - before) / connections);
  await inParallel(clients, 16, (client) => client.emit("read"));
  add("heap-read", ((await settledHeap()) - before) / connections);
  await closeAll(server, clients);
}
