// Connections, each with a session of its own: CPU per connect and per disconnect, heap while they are open.
import { setTimeout } from "node:timers/promises";
import { connectAll, inParallel } from "../client.js";
import { measureCpu, sliceOf } from "./cpu.js";

/** What came late is over (ms). */
const rest = 50;

export async function* measureConnections(server, { connections, slices }, add) {
  const cookies = server.cookies.slice(0, connections);
  const amount = { operations: connections, slices };
  const settledHeap = async () => {
    await setTimeout(rest);
    return server.ask("heap");
  };
  const before = await settledHeap();
  const clients = [];
  yield* measureCpu(server, "connect", amount, add, async (slice) => {
    clients.push(...(await connectAll(server, sliceOf(cookies, slice, slices))));
  });
  add("heap", ((await settledHeap()) - before) / connections);
  await inParallel(clients, 16, (client) => client.emit("read"));
  add("heap-read", ((await settledHeap()) - before) / connections);
  yield* measureCpu(server, "disconnect", amount, add, (slice) =>
    inParallel(sliceOf(clients, slice, slices), 64, (client) => client.close()),
  );
  await server.isEmpty();
}
